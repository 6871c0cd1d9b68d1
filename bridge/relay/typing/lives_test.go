package typing

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

var (
	livesFlag = flag.Int("lives", 4000, "how many random lives the typing clock lives through")
	baseFlag  = flag.Uint64("base", 1, "number of the first life; 0 draws one")
)

// TestLives throws random lives at the clock and holds what it told the far side
// against the rules alone: see referee. Every life is another: its number is the
// base plus how many were before it, and brings it back.
func TestLives(t *testing.T) {
	base := *baseFlag
	if base == 0 {
		base = rand.Uint64N(1 << 40)
	}
	t.Logf("lives %d to %d; one comes again with -run TestLives -lives 1 -base N", base, base+uint64(*livesFlag)-1)
	var seen [stateCount][stateCount]int
	for i := range uint64(*livesFlag) {
		life := drawLife(base + i)
		if fault := life.live(t, &seen); fault != "" {
			t.Fatalf("life %d, again in %d of 10 tries\n%s", base+i, again(t, base+i), shrunk(t, life, fault))
		}
	}
	if *livesFlag < 4000 {
		return
	}
	for _, row := range life {
		if seen[row.from][row.to] == 0 {
			t.Errorf("in no life a lease went from %v to %v", row.from, row.to)
		}
	}
}

// again is how often of ten tries a life fails, for goroutines that are ready at
// the same instant run in any order.
func again(t *testing.T, number uint64) int {
	failed := 0
	var seen [stateCount][stateCount]int
	for range 10 {
		if drawLife(number).live(t, &seen) != "" {
			failed++
		}
	}
	return failed
}

// shrunk leaves events out of a failing life as long as it fails, and returns
// the last failure.
func shrunk(t *testing.T, life *typingLife, fault string) string {
	var seen [stateCount][stateCount]int
	for size := len(life.events) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(life.events); {
			less := life.without(at, size)
			if f := less.live(t, &seen); f != "" {
				life, fault = less, f
			} else {
				at += size
			}
		}
	}
	return fault
}

// without is the life without some of its events, and without the ends of
// messages that are then not queued.
func (life *typingLife) without(at, n int) *typingLife {
	less := &typingLife{number: life.number, pair: life.pair, faulty: life.faulty, fates: life.first}
	less.first = life.first
	gone := map[int]bool{}
	for _, e := range life.events[at : at+n] {
		gone[e.message] = e.message > 0
	}
	for i, e := range life.events {
		if (i < at || i >= at+n) && !gone[e.message] {
			less.events = append(less.events, e)
		}
	}
	return less
}

// typingLife is one random life: what happens and how calls go.
type typingLife struct {
	number uint64
	pair   typingPair
	faulty bool
	events []lifeEvent
	// done are the events so far.
	done []lifeEvent
	// fates are how the calls of each thread go, one after the other; later ones
	// go well. first has them as they were drawn.
	fates, first [lifeThreads][]fate

	start   time.Time
	process *process
	lost    []lostMark
	mu      sync.Mutex
	lines   []lifeLine
	marks   map[Mark]bool
	// conversations are where threads are, by number, and over those that ended.
	conversations [lifeThreads]int
	over          map[string]bool
}

// lostMark is one that was taken back, and when.
type lostMark struct {
	mark Mark
	at   time.Time
}

const lifeThreads = 3

// lifeEvent is an input of the clock.
type lifeEvent struct {
	at     time.Duration
	thread int
	who    string
	verb   string
	// message numbers the message that is queued or sent.
	message int
	// conversation is where a call is, or where the thread goes.
	conversation string
}

// fate is how a call goes.
type fate struct {
	latency time.Duration
	end     End
	// took says whether an uncertain call arrived after all.
	took  bool
	pause time.Duration
	// disk is how long the mark before it takes, and full that it fails.
	disk time.Duration
	full bool
}

// lifeLine is an entry of the log that is checked.
type lifeLine struct {
	lifeEvent
	state bridge.TypingState
	fate  fate
}

func (l lifeLine) String() string {
	s := fmt.Sprintf("%9.3f t%d %s %s", l.at.Seconds(), l.thread, l.verb, words(l.conversation, l.who, string(l.state)))
	if l.verb == "end" {
		s += fmt.Sprintf(" %v took=%t pause=%v", l.fate.end, l.fate.took, l.fate.pause)
	}
	return s
}

// process is one run of the clock. After a crash nothing it does counts.
type process struct {
	life    *typingLife
	clock   *Clock
	stop    func()
	dead    bool
	faults  []string
	ended   context.Context
	running sync.WaitGroup
}

// live runs the life and returns what was wrong with it, if anything.
func (life *typingLife) live(t *testing.T, seen *[stateCount][stateCount]int) (fault string) {
	synctest.Test(t, func(t *testing.T) { fault = life.run(t.Context(), seen) })
	return fault
}

func (life *typingLife) run(ctx context.Context, seen *[stateCount][stateCount]int) string {
	life.start = time.Now()
	life.marks, life.over = map[Mark]bool{}, map[string]bool{}
	referee := newReferee(life)
	life.begin(ctx, seen)
	for i, e := range life.events {
		life.done = life.events[:i]
		time.Sleep(time.Until(life.start.Add(e.at)))
		synctest.Wait()
		life.act(ctx, e, seen)
	}
	// The faults are over: whatever is still shown must go by itself.
	time.Sleep(200 * time.Second)
	life.heal()
	time.Sleep(2 * time.Hour)
	synctest.Wait()
	rest := life.process.clock.tracked.Load()
	faults := life.process.faults
	life.process.stop()
	fault := referee.check(life.lines, time.Since(life.start))
	switch {
	case len(faults) > 0:
		fault = faults[0]
	case fault == "" && rest != 0:
		fault = fmt.Sprintf("%d threads are looked after at rest", rest)
	case fault == "" && len(life.marks) > 0:
		fault = "at the end a mark stands"
	}
	if fault == "" {
		return ""
	}
	return fmt.Sprintf("%s, %s\n%s", life.pair.name, fault, life)
}

// begin starts a process.
func (life *typingLife) begin(ctx context.Context, seen *[stateCount][stateCount]int) {
	ctx, cancel := context.WithCancel(ctx)
	p := &process{life: life, ended: ctx}
	cfg := Config{
		Source: func(string) bridge.TypingSource { return life.pair.source }, Target: func(string) bridge.TypingTarget { return life.pair.target },
		Expired: life.pair.expired, Say: p.say, Marks: p, Schedule: schedule.New(), InFlight: 3,
		moved: func(from, to state) { life.locked(func() { seen[from][to]++ }) },
		fault: func(what string) { life.locked(func() { p.faults = append(p.faults, what) }) },
	}
	if life.pair.moves {
		cfg.Where = p.where
	}
	p.clock = New(cfg)
	if life.faulty {
		// Threads then wait for each other's slow calls.
		p.clock.ready.most = 2
	}
	p.running.Go(func() { p.clock.cfg.Schedule.Run(ctx) })
	p.running.Go(func() { p.clock.Run(ctx) })
	p.stop = func() { cancel(); p.running.Wait() }
	life.process = p
}

// crash ends the process and starts another, which finds the marks on disk and
// those whose end was just not yet written.
func (life *typingLife) crash(ctx context.Context, seen *[stateCount][stateCount]int) {
	life.locked(func() { life.process.dead = true })
	life.process.stop()
	faults := life.process.faults
	var marks []Mark
	for m := range life.marks {
		marks = append(marks, m)
	}
	for _, lost := range life.lost {
		if m := lost.mark; time.Since(lost.at) < maxGoodDisk && !life.marks[m] {
			marks = append(marks, m)
			life.marks[m] = true
		}
	}
	life.lost = nil
	life.write(lifeLine{lifeEvent: lifeEvent{verb: "crashed"}})
	slices.SortFunc(marks, func(a, b Mark) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	life.begin(ctx, seen)
	life.process.faults = faults
	for _, m := range marks {
		life.write(lifeLine{lifeEvent: lifeEvent{thread: lifeThread(m.Thread), who: m.Agent, conversation: m.Conversation, verb: "recover"}})
	}
	life.process.clock.Recover(marks)
	for _, message := range life.unsent() {
		life.process.clock.MessageQueued(lifeKey(message.thread), bridge.Agent{ID: message.author(life)})
	}
	synctest.Wait()
}

// unsent are the messages that are on their way.
func (life *typingLife) unsent() []lifeEvent {
	waiting := map[int]lifeEvent{}
	for _, e := range life.done {
		switch e.verb {
		case "queued":
			waiting[e.message] = e
		case "sent":
			delete(waiting, e.message)
		}
	}
	var list []lifeEvent
	for _, e := range waiting {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b lifeEvent) int { return a.message - b.message })
	return list
}

// author is who wrote a message as the clock is told: a consumer's device is not.
func (e lifeEvent) author(life *typingLife) string {
	if life.pair.moves {
		return ""
	}
	return e.who
}

func (life *typingLife) String() string {
	var b strings.Builder
	for _, l := range life.lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

func (life *typingLife) locked(f func()) {
	life.mu.Lock()
	defer life.mu.Unlock()
	f()
}

func (life *typingLife) write(l lifeLine) {
	life.locked(func() { life.append(l) })
}

func (life *typingLife) append(l lifeLine) {
	l.at = time.Since(life.start)
	life.lines = append(life.lines, l)
}

func (life *typingLife) heal() {
	life.locked(func() {
		life.fates = [lifeThreads][]fate{}
		life.lines = append(life.lines, lifeLine{lifeEvent: lifeEvent{at: time.Since(life.start), verb: "heal"}})
	})
}

// fate returns how the next call of a thread goes, and takes it when it is made.
func (life *typingLife) fate(thread int, take bool) (f fate) {
	life.locked(func() {
		if fates := &life.fates[thread]; len(*fates) > 0 {
			f = (*fates)[0]
			if take {
				*fates = (*fates)[1:]
			}
		}
	})
	return f
}

func lifeKey(thread int) bridge.ThreadKey {
	return bridge.ThreadKey{Channel: "test", Thread: bridge.ThreadID(fmt.Sprint(thread))}
}

func lifeThread(key bridge.ThreadKey) int { return int(key.Thread[0] - '0') }

// at is the conversation in which a thread is; empty when the target is the
// thread.
func (life *typingLife) at(thread int) string {
	if !life.pair.moves {
		return ""
	}
	return fmt.Sprintf("c%d-%d", thread, life.conversations[thread])
}

func (p *process) where(_ context.Context, key bridge.ThreadKey) (conversation string) {
	p.life.locked(func() { conversation = p.life.at(lifeThread(key)) })
	return conversation
}

// SetMark implements [Marks].
func (p *process) SetMark(ctx context.Context, m Mark) error {
	f := p.life.fate(lifeThread(m.Thread), false)
	select {
	case <-time.After(f.disk):
	case <-ctx.Done():
		return ctx.Err()
	}
	if f.full {
		p.life.fate(lifeThread(m.Thread), true)
		return context.DeadlineExceeded
	}
	p.mark("mark true", m, func() { p.life.marks[m] = true })
	return nil
}

// ClearMark implements [Marks].
func (p *process) ClearMark(m Mark) {
	p.mark("mark false", m, func() {
		delete(p.life.marks, m)
		// It is on disk a moment later.
		p.life.lost = append(p.life.lost, lostMark{m, time.Now()})
	})
}

func (p *process) mark(verb string, m Mark, do func()) {
	p.life.locked(func() {
		if !p.dead {
			do()
			p.life.append(lifeLine{lifeEvent: lifeEvent{thread: lifeThread(m.Thread), who: m.Agent, conversation: m.Conversation, verb: verb}})
		}
	})
}

func (p *process) say(ctx context.Context, call Call) Result {
	life := p.life
	e := lifeEvent{thread: lifeThread(call.Thread), who: call.Agent.ID, conversation: call.Conversation, verb: "begin"}
	f := life.fate(e.thread, true)
	life.write(lifeLine{lifeEvent: e, state: call.State})
	select {
	case <-time.After(f.latency):
	case <-ctx.Done():
		f = fate{end: Uncertain, took: f.end == Applied || f.took}
	}
	e.verb = "end"
	life.locked(func() {
		if life.over[call.Conversation] {
			f = fate{end: Over}
		}
		life.append(lifeLine{lifeEvent: e, state: call.State, fate: f})
	})
	return Result{End: f.end, Pause: f.pause}
}

// act makes an event happen. No input may take time: messages wait for none.
func (life *typingLife) act(ctx context.Context, e lifeEvent, seen *[stateCount][stateCount]int) {
	e.conversation = life.at(e.thread)
	if e.verb != "crash" {
		life.write(lifeLine{lifeEvent: e})
	}
	before := time.Now()
	switch e.verb {
	case "restart":
		// What it did not get done is as after a crash.
		_ = life.process.clock.Shutdown(ctx)
		fallthrough
	case "crash":
		life.crash(ctx, seen)
		return
	case "gone":
		life.locked(func() { life.over[life.at(e.thread)] = true })
	default:
		life.process.input(e)
	}
	if took := time.Since(before); took != 0 {
		life.write(lifeLine{lifeEvent: lifeEvent{thread: e.thread, verb: "blocked"}})
	}
	synctest.Wait()
}

func (p *process) input(e lifeEvent) {
	c, key, who := p.clock, lifeKey(e.thread), bridge.Agent{ID: e.who}
	switch e.verb {
	case "queued":
		c.MessageQueued(key, bridge.Agent{ID: e.author(p.life)})
	case "sent":
		c.MessageSent(key, bridge.Agent{ID: e.author(p.life)})
	case "lost":
		c.Disconnected(key)
	case "left":
		c.Present(key, func(id string) bool { return id != e.who })
	case "forget", "back", "leave":
		p.life.move(c, e)
	case "traffic":
		c.Traffic(key)
	case "well":
		c.Well("test")
	case "clear":
		p.running.Go(func() {
			ctx, cancel := context.WithTimeout(p.ended, 3*time.Second)
			defer cancel()
			// How it ends is checked by the calls.
			_ = c.Clear(ctx, key)
		})
	default:
		c.Observe(key, who, bridge.TypingState(e.verb), "")
	}
}

// move has a thread go from its conversation, which ends or goes on without it,
// to a new one or back to the one before.
func (life *typingLife) move(c *Clock, e lifeEvent) {
	n := life.conversations[e.thread]
	life.locked(func() {
		life.conversations[e.thread]++
		if e.verb == "back" && n > 0 {
			life.conversations[e.thread] = n - 1
		}
		if e.verb == "forget" && e.conversation != "" {
			life.over[e.conversation] = true
		}
	})
	if e.verb == "forget" {
		c.Forget(lifeKey(e.thread), e.conversation)
	} else {
		c.Leave(lifeKey(e.thread))
	}
}
