package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"
)

// blow is one thing that goes wrong, and how it is made good.
type blow struct {
	kind string
	// strike is quick, for somebody holds still meanwhile; mend takes its time.
	strike func()
	mend   func(context.Context) error
	// deposes is the replica that must end when another owns the journal afterwards, and pid
	// its process.
	deposes *daemon
	pid     int
}

// blowKind is a kind of blow on replicas and what is behind them.
type blowKind struct {
	name   string
	weight int
	// spare says that it needs a replica that does not own the journal.
	spare bool
	make  func(f *fleet, rng *rand.Rand, owner int) blow
}

// leaseTime is how long lpbridge documents that a lease lasts; a freeze must be longer.
const leaseTime = 4 * time.Second

// blowTime is how long a blow takes, with all that comes of it.
const blowTime = 2 * leaseTime

// blowKinds are the kinds and how often each is drawn.
var blowKinds = []blowKind{
	{"kill owner", 4, false, func(f *fleet, rng *rand.Rand, owner int) blow { return f.killReplica(rng, owner) }},
	{"kill standby", 1, true, func(f *fleet, rng *rand.Rand, owner int) blow { return f.killReplica(rng, f.another(rng, owner)) }},
	{"freeze owner", 3, false, func(f *fleet, rng *rand.Rand, owner int) blow { return f.freezeReplica(rng, owner) }},
	{"freeze standby", 1, true, func(f *fleet, rng *rand.Rand, owner int) blow { return f.freezeReplica(rng, f.another(rng, owner)) }},
	{"kill PostgreSQL", 2, false, func(f *fleet, rng *rand.Rand, _ int) blow { return f.endPostgres(rng, f.postgres.Kill) }},
	{"stop PostgreSQL", 1, false, func(f *fleet, rng *rand.Rand, _ int) blow { return f.endPostgres(rng, f.postgres.Stop) }},
	{"stall owner", 2, false, func(f *fleet, rng *rand.Rand, owner int) blow {
		return f.stallWire(rng, f.replicas[owner], f.wires[owner], questions, answers)
	}},
	{"lose answers to owner", 2, false, func(f *fleet, rng *rand.Rand, owner int) blow {
		return f.stallWire(rng, f.replicas[owner], f.wires[owner], answers)
	}},
	{"cut owner", 2, false, func(f *fleet, rng *rand.Rand, owner int) blow {
		return f.cutWire(rng, f.replicas[owner], f.wires[owner])
	}},
	{"stall standby", 1, true, func(f *fleet, rng *rand.Rand, owner int) blow {
		at := f.another(rng, owner)
		return f.stallWire(rng, f.replicas[at], f.wires[at], questions, answers)
	}},
	{"stall peers", 1, true, func(f *fleet, rng *rand.Rand, owner int) blow {
		return f.stallWire(rng, nil, f.peers[owner], questions, answers)
	}},
	{"lose answers to peers", 1, true, func(f *fleet, rng *rand.Rand, owner int) blow { return f.stallWire(rng, nil, f.peers[owner], answers) }},
	{"cut peers", 1, true, func(f *fleet, rng *rand.Rand, owner int) blow { return f.cutWire(rng, nil, f.peers[owner]) }},
	{"rolling restart", 2, false, func(f *fleet, _ *rand.Rand, _ int) blow { return f.restartEach() }},
}

// kindsNamed lists the kinds of the given names, all for none.
func kindsNamed(list string) ([]blowKind, error) {
	if list == "" {
		return blowKinds, nil
	}
	var kinds []blowKind
	for name := range strings.SplitSeq(list, ",") {
		at := slices.IndexFunc(blowKinds, func(k blowKind) bool { return k.name == strings.TrimSpace(name) })
		if at < 0 {
			var names []string
			for _, k := range blowKinds {
				names = append(names, k.name)
			}
			return nil, fmt.Errorf("%q is none of: %s", name, strings.Join(names, ", "))
		}
		kinds = append(kinds, blowKinds[at])
	}
	return kinds, nil
}

// draw chooses a kind that is possible with so many replicas.
func draw(kinds []blowKind, replicas int, rng *rand.Rand) blowKind {
	roll := rng.IntN(draws(kinds, replicas))
	for _, k := range kinds {
		if roll -= k.chance(replicas); roll < 0 {
			return k
		}
	}
	return kinds[0]
}

// draws is what the chances of all kinds come to.
func draws(kinds []blowKind, replicas int) (total int) {
	for _, k := range kinds {
		total += k.chance(replicas)
	}
	return total
}

func (k blowKind) chance(replicas int) int {
	if k.spare && replicas == 1 {
		return 0
	}
	return k.weight
}

// another draws a replica that is not the given one.
func (f *fleet) another(rng *rand.Rand, than int) int {
	return (than + 1 + rng.IntN(len(f.replicas)-1)) % len(f.replicas)
}

// between draws a length of time.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

// afterwards does something after a pause.
func afterwards(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	if err := pause(ctx, d); err != nil {
		return err
	}
	return do(ctx)
}

// killReplica ends a replica as a power cut would, and starts it again.
func (f *fleet) killReplica(rng *rand.Rand, at int) blow {
	d, away := f.replicas[at], between(rng, 0, leaseTime*2)
	return blow{strike: d.kill, mend: func(ctx context.Context) error {
		return afterwards(ctx, away, d.start)
	}}
}

// freezeReplica stops a replica for longer than a lease, as a hypervisor may, and lets it go on. An owner
// that another took the journal from must find that out and end.
func (f *fleet) freezeReplica(rng *rand.Rand, at int) blow {
	d, frozen := f.replicas[at], between(rng, leaseTime+leaseTime/4, leaseTime*2)
	return blow{deposes: d, strike: func() { d.signal(syscall.SIGSTOP) }, mend: func(ctx context.Context) error {
		err := pause(ctx, frozen)
		d.signal(syscall.SIGCONT)
		return err
	}}
}

// endPostgres ends PostgreSQL and starts it again.
func (f *fleet) endPostgres(rng *rand.Rand, end func()) blow {
	away := between(rng, 0, leaseTime*2)
	return blow{strike: end, mend: func(ctx context.Context) error {
		return afterwards(ctx, away, func(context.Context) error { return f.postgres.Restart() })
	}}
}

// stallWire has nothing arrive any more for a while, in the given directions. The replica that
// may lose the journal by that is deposed.
func (f *fleet) stallWire(rng *rand.Rand, d *daemon, w *wire, stalled ...direction) blow {
	lasts := between(rng, leaseTime/4, leaseTime*2)
	return blow{deposes: d, strike: func() { w.stall(stalled...) }, mend: func(ctx context.Context) error {
		defer w.mend()
		return pause(ctx, lasts)
	}}
}

// cutWire has connections reset for a while, those there are and new ones.
func (f *fleet) cutWire(rng *rand.Rand, d *daemon, w *wire) blow {
	lasts := between(rng, leaseTime/4, leaseTime*2)
	return blow{deposes: d, strike: w.sever, mend: func(ctx context.Context) error {
		defer w.mend()
		return pause(ctx, lasts)
	}}
}

// restartEach ends one replica after the other in order, and starts each before the next.
func (f *fleet) restartEach() blow {
	return blow{strike: func() {}, mend: func(ctx context.Context) error {
		for i, d := range f.replicas {
			if err := d.stop(); err != nil {
				return fmt.Errorf("rolling restart of replica %d: %w", i+1, err)
			}
			if err := d.start(ctx); err != nil {
				return fmt.Errorf("rolling restart of replica %d: %w", i+1, err)
			}
			if _, _, err := f.awaitOwner(ctx); err != nil {
				return err
			}
		}
		return nil
	}}
}

// next draws the next blow.
func (f *fleet) next(ctx context.Context, kinds []blowKind, rng *rand.Rand) (blow, error) {
	at, epoch, err := f.awaitOwner(ctx)
	if err != nil {
		return blow{}, err
	}
	f.measure()
	kind := draw(kinds, len(f.replicas), rng)
	b := kind.make(f, rng, at)
	b.kind = kind.name
	if b.deposes != nil {
		b.pid = b.deposes.pid()
	}
	f.history = append(f.history, struck{kind: b.kind, epoch: epoch})
	strike := b.strike
	b.strike = func() {
		strike()
		f.say("%s: replica %d owned the journal, epoch %d", b.kind, at+1, epoch)
	}
	return b, nil
}

// struck is what came of a blow.
type struck struct {
	kind string
	// epoch is the owner's before, takeOvers how many more there were after.
	epoch, takeOvers int64
	// unserved is the longest time that nobody was served who asked.
	unserved time.Duration
}

// measure notes how long nobody was served since the last blow.
func (f *fleet) measure() {
	longest := f.balancer.gaps.take()
	if last := len(f.history) - 1; last >= 0 {
		f.history[last].unserved = longest
	}
}

// heal waits until all is well after a blow that was made good: one replica owns the journal, and one
// that was deposed has noticed.
func (f *fleet) heal(ctx context.Context, b blow) error {
	if f.postgres == nil {
		return nil
	}
	at, epoch, err := f.awaitOwner(ctx)
	if err != nil {
		return err
	}
	last := &f.history[len(f.history)-1]
	last.takeOvers = epoch - last.epoch
	unserved, err := f.awaitServed(ctx)
	if err != nil {
		return err
	}
	f.say("  made good: replica %d owns it, epoch %d; nobody was served for %.1f s", at+1, epoch, unserved.Seconds())
	if b.deposes == nil || last.takeOvers == 0 || f.replicas[at] == b.deposes {
		return nil
	}
	for limit := time.Now().Add(ownerTime); b.deposes.pid() == b.pid; {
		if time.Now().After(limit) {
			f.breaks("%s: a replica that was deposed goes on after %s", b.kind, ownerTime)
			return nil
		}
		if err := pause(ctx, ownerLook); err != nil {
			return err
		}
	}
	f.say("  the replica that was deposed has ended")
	return nil
}

// awaitServed waits until somebody is served, and returns for how long nobody was.
func (f *fleet) awaitServed(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	for {
		unserved, served := f.balancer.gaps.after(now)
		if served {
			return unserved, nil
		}
		if time.Since(now) > ownerTime {
			return 0, fmt.Errorf("nobody is served %s after all was mended", ownerTime)
		}
		if err := pause(ctx, ownerLook); err != nil {
			return 0, err
		}
	}
}

// say writes what happens when.
func (f *fleet) say(format string, args ...any) {
	fmt.Fprintf(f.out, "%7.1f s  %s\n", time.Since(f.began).Seconds(), fmt.Sprintf(format, args...))
}

// nextBlow is what goes wrong next: on SQLite the one process is killed, for as long as -absence
// says.
func (w *world) nextBlow(ctx context.Context, rng *rand.Rand) (blow, error) {
	if w.store == onPostgres {
		return w.fleet.next(ctx, w.blows, rng)
	}
	d := w.fleet.replicas[0]
	return blow{kind: "kill", strike: d.kill, mend: func(ctx context.Context) error {
		return afterwards(ctx, between(rng, 0, w.absence), d.start)
	}}, nil
}
