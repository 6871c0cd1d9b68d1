package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lpbridge/bridge"
	"lpbridge/internal/progress"
)

const (
	journalFile = "lpbridge.db"
	typingHold  = 3 * time.Second
	// typingEnd is how long after the last word of an agent typing may be shown:
	// LivePerson promises no end, so lpbridge gives up after a minute. What comes late
	// or in another order cannot be told from what is new, for it bears no time.
	typingEnd = 70 * time.Second
	// callTime is how long lpbridge waits for LivePerson's answer, so that a call is under
	// way at most so long.
	callTime = 3 * time.Second
	// lookPause is the time between two looks at how far things are.
	lookPause = 250 * time.Millisecond
)

// world is everything that runs.
type world struct {
	options
	dir       string
	fleet     *fleet
	killer    *killer
	proxy     *proxy
	channel   *channel
	consumers *consumers
	agents    *agents
	lp        *livePerson
	people    []*consumer
	served    []*agent
	found     findings
	// counters are of each replica.
	counters []counters
	// stormed is how long everybody misbehaved.
	stormed time.Duration
	// drained is how long after the traffic nothing was pending.
	drained time.Duration
	mu      sync.Mutex
}

// rng gives every actor its own sequence, so that what they do does not depend
// on each other.
func (o options) rng(actor string, i int) *rand.Rand {
	var sum uint64 = 14695981039346656037
	for _, b := range []byte(fmt.Sprint(actor, i)) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(o.seed, sum))
}

// soak runs everything and compares. Its error is of the soak itself; broken
// promises are among the findings.
func soak(ctx context.Context, o options, out io.Writer) (_ *findings, err error) {
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "lpsoak-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	} else if err = os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// An old journal knows all the ids of this run as duplicates.
	if _, err := os.Stat(filepath.Join(dir, journalFile)); err == nil {
		return nil, errors.New("-keep: the directory holds the journal of an earlier run")
	}
	if err := o.build(ctx, dir); err != nil {
		return nil, err
	}
	w := &world{options: o, dir: dir}
	if w.fleet, err = newFleet(o, dir, out, w.breaks); err != nil {
		return nil, err
	}
	defer w.fleet.close()
	simulator, server, err := w.assemble()
	if err != nil {
		return nil, err
	}
	defer simulator.close()
	defer server.close()
	if o.notifications {
		if err := simulator.notify(server.url + "/webhooks/liveperson"); err != nil {
			return nil, err
		}
	}
	for i, d := range w.fleet.replicas {
		d.env = append(w.environment(simulator.url, server.url), w.fleet.settings(i, dir)...)
	}
	if err := w.fleet.start(ctx); err != nil {
		return nil, fmt.Errorf("%w (log in %s)", err, dir)
	}
	defer progress.Show(os.Stderr, w.progress)()
	if err := w.run(ctx, out); err != nil {
		return nil, err
	}
	if o.store == onPostgres {
		w.found.row = w.row()
	}
	return &w.found, nil
}

// assemble puts the actors together and starts LivePerson and the listener of
// proxy and channel.
func (w *world) assemble() (*simulator, *frontDoor, error) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of the soak, 32 bytes!!"))
	w.killer = &killer{next: w.nextBlow, after: w.fleet.heal, kills: map[moment]int{}}
	w.proxy = newProxy(w.fleet.entrance(), w.killer, w.rng("proxy", 0))
	var err, err2 error
	w.channel, err = newChannel(secret, w.killer, w.rng("channel", 0))
	w.consumers, err2 = newConsumers(w.options, secret, w.fleet.entrance(), w.killer)
	if err := errors.Join(err, err2); err != nil {
		return nil, nil, err
	}
	simulator, err := startSimulator(w.faults, w.killer, w.fleet.replicas[0].log)
	if err != nil {
		return nil, nil, err
	}
	w.lp = &livePerson{base: simulator.url}
	w.agents = &agents{lp: w.lp}
	for i := range w.threads {
		w.people = append(w.people, newConsumer(w.consumers, w.rng("consumer", i), i))
		w.served = append(w.served, &agent{all: w.agents, rng: w.rng("agent", i), consumer: w.people[i].id, closes: i < w.closes})
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/liveperson", w.proxy)
	mux.Handle("POST /channel", w.channel)
	door, err := open(mux)
	if err != nil {
		simulator.close()
	}
	return simulator, door, err
}

// environment configures lpbridge and nothing else.
func (w *world) environment(simulator, front string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "LP") && !strings.HasPrefix(name, "WEBHOOK_") {
			env = append(env, kv)
		}
	}
	notifications := "on"
	if !w.notifications {
		notifications = "off"
	}
	return append(env,
		"LPBRIDGE_LISTEN=127.0.0.1:0", "LPBRIDGE_ADMIN_LISTEN=127.0.0.1:0", "LPBRIDGE_CHANNELS=webhook",
		"LPBRIDGE_LOG_LEVEL=info", "LPBRIDGE_LOG_FORMAT=json",
		"LPBRIDGE_CONSUMER_KEY="+consumerKey, "LPBRIDGE_ECHO_WAIT="+w.echoWait.String(), "LP_ACCOUNT_ID=sandbox", "LP_CLIENT_ID=sandbox-client",
		"LP_CLIENT_SECRET=sandbox-secret", "LP_DOMAIN_API_URL="+simulator, "LP_NOTIFICATIONS="+notifications, "LP_TIMEOUT="+callTime.String(),
		"WEBHOOK_SECRET="+w.consumers.secret, "WEBHOOK_URL="+front+"/channel", "WEBHOOK_TIMEOUT=2s", "WEBHOOK_TYPING_HOLD="+typingHold.String(),
	)
}

// progress says how far it is, for whoever waits.
func (w *world) progress() string {
	return fmt.Sprintf("%d of %d consumers' messages accepted, %d of %d kills", w.consumers.accepted.Load(), w.messages, w.killer.killed(), w.kills)
}

func (w *world) breaks(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found.breaks(format, args...)
}

// run lets the traffic happen, waits for its end and looks at what is left.
func (w *world) run(ctx context.Context, out io.Writer) error {
	began := time.Now()
	watching, stopWatching := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer stopWatching()
	watchers.Go(func() { w.agents.watch(watching) })
	w.counters = make([]counters, len(w.fleet.replicas))
	for i, d := range w.fleet.replicas {
		watchers.Go(func() { w.counters[i].watch(watching, d) })
	}
	fmt.Fprintf(out, "%d messages each way in %d threads in %.0f s, %d kills, seed %d, %s, replicas %d\n", w.messages, w.threads, w.during.Seconds(), w.kills, w.seed, w.store, w.replicas)
	if w.outages.number > 0 {
		fmt.Fprintf(out, "%d outages of %s to %s, their lengths divided by %g\n", w.outages.number, w.outages.least, w.outages.most, w.outages.scale)
	}
	if err := w.traffic(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "traffic ended after %.0f s, waiting for what is pending\n", time.Since(began).Seconds())
	ended := time.Now()
	if err := w.settle(ctx); err != nil {
		return err
	}
	w.drained = time.Since(ended)
	w.found.note("drained after, s", fmt.Sprintf("%.1f", w.drained.Seconds()))
	if err := w.typingEnds(ctx); err != nil {
		return err
	}
	w.found.note("typing ended after, s", fmt.Sprintf("%.1f", time.Since(ended).Seconds()))
	if err := w.verify(ctx); err != nil {
		return err
	}
	w.found.note("took, s", fmt.Sprintf("%.0f", time.Since(began).Seconds()))
	return nil
}

// traffic lets everybody write while lpbridge is killed.
func (w *world) traffic(ctx context.Context) error {
	began := time.Now()
	each := w.messages / w.threads
	every := w.during / time.Duration(each)
	group, ctx := errgroup.WithContext(ctx)
	gone := make(chan struct{})
	var writing sync.WaitGroup
	for i := range w.people {
		writing.Add(1)
		group.Go(func() error {
			defer writing.Done()
			return w.people[i].write(ctx, each, every)
		})
		if w.notifications {
			group.Go(func() error { return w.served[i].serve(ctx, each, every, gone) })
		}
	}
	if w.store == onPostgres {
		group.Go(func() error { return newConsumer(w.consumers, w.rng("probe", 0), 0).probe(ctx, gone) })
	}
	group.Go(func() error {
		total := float64(each * w.threads)
		err := w.killer.run(ctx, w.rng("killer", 0), w.kills, func() float64 { return float64(w.consumers.accepted.Load()) / total })
		if err != nil {
			return err
		}
		writing.Wait()
		w.stormed = time.Since(began)
		if err := w.calmDown(ctx); err != nil {
			return err
		}
		defer close(gone)
		return w.untilDelivered(ctx)
	})
	return group.Wait()
}

// calmDown ends all misbehaviour.
func (w *world) calmDown(ctx context.Context) error {
	w.channel.calmDown()
	return w.lp.calmDown(ctx)
}

// untilDelivered waits until lpbridge has nothing pending: the last message may
// open a conversation that agents have yet to see.
func (w *world) untilDelivered(ctx context.Context) error {
	for limit := time.Now().Add(w.drain); time.Now().Before(limit); {
		if err := pause(ctx, 2*lookEvery); err != nil {
			return err
		}
		if s, err := w.fleet.status(ctx); err == nil && s.Ready && s.Pending == 0 {
			return nil
		}
	}
	return nil
}

// settle waits until nothing is on its way any more, and says so when that does
// not come.
func (w *world) settle(ctx context.Context) error {
	deadline := time.Now().Add(w.drain)
	for quiet := 0; quiet < 3; {
		s, err := w.status(ctx, deadline)
		if err != nil {
			return fmt.Errorf("status of lpbridge: %w", err)
		}
		stats, err := w.lp.stats(ctx)
		if err != nil {
			return err
		}
		quiet++
		if s.Pending > 0 || stats.Webhooks.Stored > 0 {
			quiet = 0
		}
		if time.Now().After(deadline) {
			w.breaks("after %s lpbridge has %d events pending and LivePerson %d notifications", w.drain, s.Pending, stats.Webhooks.Stored)
			return nil
		}
		if err := pause(ctx, lookPause); err != nil {
			return err
		}
	}
	return nil
}

// status is how things are, as soon as somebody can say.
func (w *world) status(ctx context.Context, deadline time.Time) (bridge.Status, error) {
	for {
		s, err := w.fleet.status(ctx)
		if err == nil || w.store == onSQLite || time.Now().After(deadline) {
			return s, err
		}
		if err := pause(ctx, lookPause); err != nil {
			return s, err
		}
	}
}

// typingMustEnd is by when nobody is shown as typing any more, when that is looked at
// from a time on, the last agent was quiet at another, and what agents type was last
// heard of at a third.
func typingMustEnd(began, quiet, heard time.Time) time.Time {
	end := began.Add(3 * typingHold)
	for _, last := range []time.Time{quiet, heard} {
		if by := last.Add(typingEnd); by.After(end) {
			end = by
		}
	}
	return end
}

// typingEnds waits until nobody is shown as typing, on either side.
func (w *world) typingEnds(ctx context.Context) error {
	late := time.Duration(w.faults.WebhookDelayMaxMs) * time.Millisecond
	began, quiet := time.Now(), time.Unix(0, w.agents.quiet.Load()).Add(late)
	for {
		agentsSee, err := w.lp.typing(ctx)
		if err != nil {
			return err
		}
		consumersSee := w.channel.shownTyping()
		if len(agentsSee)+len(consumersSee) == 0 {
			return nil
		}
		if time.Now().After(typingMustEnd(began, quiet, w.proxy.heardTyping())) {
			w.found.tally.agentSees, w.found.tally.channelShows = len(agentsSee), len(consumersSee)
			for _, c := range agentsSee {
				w.breaks("the agent still sees %s typing", c)
			}
			for _, t := range consumersSee {
				w.breaks("the channel still shows an agent typing in %s", t)
			}
			return nil
		}
		if err := pause(ctx, lookPause); err != nil {
			return err
		}
	}
}

// verify compares both sides and ends lpbridge in order.
func (w *world) verify(ctx context.Context) error {
	by, err := transcripts(ctx, w.lp)
	if err != nil {
		return err
	}
	letters, err := w.fleet.deadLetters(ctx)
	if err != nil {
		return err
	}
	for _, l := range letters {
		w.breaks("dead letter: %s %s of %s: %s after %d attempts", l.Direction, l.Kind, l.Thread, l.Outcome, l.Attempts)
	}
	stats, err := w.lp.stats(ctx)
	if err != nil {
		return err
	}
	if stats.Webhooks.Lost > 0 {
		w.breaks("LivePerson gave up %d notifications", stats.Webhooks.Lost)
	}
	if err := w.fleet.stop(); err != nil {
		w.breaks("%v", err)
	}
	for _, line := range w.fleet.odd() {
		w.breaks("in the log: %s", line)
	}
	k := knowledge{echoWait: w.echoWait}
	if w.notifications {
		k.echoes = w.proxy.echoed()
	}
	for i, c := range w.people {
		w.found.checkConsumer(c, by[c.id], k)
		if w.notifications {
			w.found.checkAgent(w.served[i], by[c.id], w.channel.messagesOf(c.thread), w.proxy.promises())
			w.found.checkReceipts(w.served[i], by[c.id])
		}
	}
	w.found.violations = append(w.found.violations, w.consumers.broken...)
	if w.store == onPostgres {
		w.fleet.measure()
	}
	w.summarise(stats)
	return nil
}
