package typing

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

// Sides as the real ones are: what they report and what they want to be told.
var (
	layerSource    = bridge.TypingSource{Reported: true, Repeats: true, Hold: 6 * time.Second}
	chatwootSource = bridge.TypingSource{Reported: true, Hold: 30 * time.Second, PhantomWindow: time.Second}
	agentSource    = bridge.TypingSource{Reported: true, Hold: 60 * time.Second, Sticky: true}

	livePersonTarget = bridge.TypingTarget{Shown: true, MinInterval: time.Second, HasPaused: true}
	layerTarget      = bridge.TypingTarget{
		Shown: true, MinInterval: 2500 * time.Millisecond, StopUnlimited: true,
		Refresh: 2500 * time.Millisecond, Expiry: 6 * time.Second, HasPaused: true, PerPerson: true,
	}
	liveChatAITarget = bridge.TypingTarget{
		Shown: true, MinInterval: 5 * time.Second, StopUnlimited: true, Refresh: 5 * time.Second, Expiry: 10 * time.Second,
	}
	chatwootTarget = bridge.TypingTarget{
		Shown: true, MinInterval: time.Second, Refresh: 15 * time.Second, Expiry: 30 * time.Second,
	}
	webhookTarget = bridge.TypingTarget{Shown: true, MinInterval: time.Second, HasPaused: true, PerPerson: true}
)

// reply is how the far side of a typingLab takes one call.
type reply struct {
	after time.Duration
	Result
}

var (
	applied    = reply{}
	refused    = reply{Result: Result{End: Refused}}
	unanswered = reply{after: CallTimeout, Result: Result{End: Uncertain}}
	throttled  = reply{Result: Result{End: Refused, Pause: 5 * time.Second}}
)

func (r reply) in(d time.Duration) reply { r.after = d; return r }

// typingLab is a clock between two sides that exist only in the test, with a
// log of what the far side was told and when.
type typingLab struct {
	clock *Clock
	start time.Time
	stop  func()

	mu      sync.Mutex
	log     []string
	replies []reply
	drops   map[Drop]int
	sent    int
	failing int
	// disk is how long a mark takes to be on disk.
	disk time.Duration
	// conversation is where LivePerson shows typing now; empty for a target that
	// is the thread.
	conversation string
}

// newTypingLab must be called inside a synctest bubble. Calls get the replies
// in turn, and are applied when there are none left.
func newTypingLab(t *testing.T, from bridge.TypingSource, to bridge.TypingTarget, expired bridge.TypingState, conversation string, replies ...reply) *typingLab {
	t.Helper()
	lab := &typingLab{start: time.Now(), replies: replies, drops: map[Drop]int{}}
	lab.clock = New(Config{
		Source: func(string) bridge.TypingSource { return from }, Target: func(string) bridge.TypingTarget { return to },
		fault:   func(what string) { t.Error(what) },
		Expired: expired, Say: lab.say, Marks: lab, Schedule: schedule.New(), InFlight: 2, maxThreads: 1000,
		Counts: Counts{
			Dropped: func(d Drop) { lab.count(func() { lab.drops[d]++ }) },
			Sent:    func(bridge.TypingState, End) { lab.count(func() { lab.sent++ }) },
			Failing: func(Call, End) { lab.count(func() { lab.failing++ }) },
		},
	})
	if lab.conversation = conversation; conversation != "" {
		lab.clock.cfg.Where = lab.where
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { lab.clock.cfg.Schedule.Run(ctx) })
	running.Go(func() { lab.clock.Run(ctx) })
	lab.stop = func() { cancel(); running.Wait() }
	return lab
}

func (lab *typingLab) where(context.Context, bridge.ThreadKey) string {
	lab.mu.Lock()
	defer lab.mu.Unlock()
	return lab.conversation
}

func (lab *typingLab) count(f func()) {
	lab.mu.Lock()
	defer lab.mu.Unlock()
	f()
}

func (lab *typingLab) say(ctx context.Context, call Call) Result {
	lab.write(words(string(call.Thread.Thread), call.Conversation, call.Agent.ID, string(call.State)))
	r := lab.reply()
	select {
	case <-time.After(r.after):
	case <-ctx.Done():
	}
	return r.Result
}

func (lab *typingLab) reply() reply {
	lab.mu.Lock()
	defer lab.mu.Unlock()
	if len(lab.replies) == 0 {
		return applied
	}
	r := lab.replies[0]
	lab.replies = lab.replies[1:]
	return r
}

// SetMark implements [Marks].
func (lab *typingLab) SetMark(_ context.Context, m Mark) error {
	lab.write(words(string(m.Thread.Thread), m.Conversation, m.Agent, "mark true"))
	time.Sleep(lab.disk)
	return nil
}

// ClearMark implements [Marks].
func (lab *typingLab) ClearMark(m Mark) {
	lab.write(words(string(m.Thread.Thread), m.Conversation, m.Agent, "mark false"))
}

func (lab *typingLab) write(line string) {
	lab.mu.Lock()
	defer lab.mu.Unlock()
	lab.log = append(lab.log, fmt.Sprint(time.Since(lab.start).Seconds())+" "+line)
}

// lines returns the log, without marks unless asked for.
func (lab *typingLab) lines(marks bool) []string {
	lab.mu.Lock()
	defer lab.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(lab.log), func(l string) bool { return !marks && strings.Contains(l, "mark") })
}

// words joins what is not empty. The thread most tests use has no name.
func words(ws ...string) string {
	return strings.Join(slices.DeleteFunc(ws, func(w string) bool { return w == "" }), " ")
}

// input is something that happens at a time in seconds: "[#thread] [person]
// verb".
type input struct {
	at   float64
	what string
}

// play makes the inputs happen, each once everything before has settled, and
// lets time pass until the given second.
func (lab *typingLab) play(t *testing.T, inputs []input, until float64) {
	t.Helper()
	for _, in := range inputs {
		lab.sleepUntil(in.at)
		lab.do(t, in.what)
	}
	lab.sleepUntil(until)
	synctest.Wait()
}

func (lab *typingLab) sleepUntil(second float64) {
	at := time.Duration(math.Round(second*1000)) * time.Millisecond
	time.Sleep(time.Until(lab.start.Add(at)))
	synctest.Wait()
}

func (lab *typingLab) do(t *testing.T, what string) {
	t.Helper()
	c, key, who := lab.clock, bridge.ThreadKey{Channel: "test"}, bridge.Agent{}
	fields := strings.Fields(what)
	if strings.HasPrefix(fields[0], "#") {
		key.Thread, fields = bridge.ThreadID(fields[0]), fields[1:]
	}
	if len(fields) == 2 {
		who.ID, fields = fields[0], fields[1:]
	}
	switch verb := fields[0]; verb {
	case "message":
		c.MessageQueued(key, who)
		lab.write(words(string(key.Thread), who.ID, "message"))
		synctest.Wait()
		c.MessageSent(key, who)
	case "queued":
		c.MessageQueued(key, who)
		lab.write(words(string(key.Thread), who.ID, "message"))
	case "sent":
		c.MessageSent(key, who)
	case "lost":
		c.Disconnected(key)
	case "forget":
		c.Forget(key, "")
	case "traffic":
		c.Traffic(key)
	case "well":
		c.Well("test")
	case "left":
		c.Present(key, func(id string) bool { return id != who.ID })
	case "leave":
		c.Leave(key)
	case "moved":
		lab.count(func() { lab.conversation = who.ID })
	case "clear":
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		lab.write(words("clear:", fmt.Sprint(c.Clear(ctx, key))))
	case "shutdown":
		lab.write(words("shutdown:", fmt.Sprint(c.Shutdown(t.Context()))))
	case "recover":
		var marks []Mark
		for _, thread := range []bridge.ThreadID{"#1", "#2", "#3"} {
			marks = append(marks, Mark{Thread: bridge.ThreadKey{Channel: "test", Thread: thread}})
		}
		c.Recover(marks)
	default:
		c.Observe(key, who, bridge.TypingState(verb), "")
	}
}

// timeline is one story: what happens, and what the far side is told.
type timeline struct {
	name    string
	from    bridge.TypingSource
	to      bridge.TypingTarget
	replies []reply
	inputs  []input
	want    []string
	// disk is how long a mark takes to be on disk.
	disk time.Duration
	// conversation is where the target shows typing at first; empty for a target
	// that is the thread.
	conversation string
	// marks has marks compared too.
	marks bool
	// stuck is how many threads are still looked after at the end.
	stuck int64
}

func (tl timeline) run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired := bridge.Stopped
		if cmp.Equal(tl.to, livePersonTarget) {
			expired = bridge.Paused
		}
		lab := newTypingLab(t, tl.from, tl.to, expired, tl.conversation, tl.replies...)
		lab.disk = tl.disk
		defer lab.stop()
		lab.play(t, tl.inputs, 200)
		if diff := cmp.Diff(tl.want, lab.lines(tl.marks)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if n := lab.clock.tracked.Load(); n != tl.stuck {
			t.Errorf("%d threads are looked after at rest, want %d", n, tl.stuck)
		}
	})
}

func runTimelines(t *testing.T, stories []timeline) {
	for _, tl := range stories {
		t.Run(tl.name, tl.run)
	}
}

// idleClock is a clock whose calls cost nothing, for benchmarks.
func idleClock(b *testing.B, from bridge.TypingSource, to bridge.TypingTarget, threads int) (*Clock, []bridge.ThreadKey) {
	b.Helper()
	c := New(Config{
		Source: func(string) bridge.TypingSource { return from }, Target: func(string) bridge.TypingTarget { return to }, Expired: bridge.Paused,
		Say:      func(context.Context, Call) Result { return Result{} },
		Schedule: schedule.New(), InFlight: 16,
	})
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { c.cfg.Schedule.Run(ctx) })
	running.Go(func() { c.Run(ctx) })
	b.Cleanup(func() { cancel(); running.Wait() })
	keys := make([]bridge.ThreadKey, threads)
	for i := range keys {
		keys[i] = bridge.ThreadKey{Channel: "bench", Thread: bridge.ThreadID(fmt.Sprint("thread-", i))}
	}
	return c, keys
}

// BenchmarkObserveChange is the whole way of a change: heard, decided, sent.
func BenchmarkObserveChange(b *testing.B) {
	c, keys := idleClock(b, chatwootSource, bridge.TypingTarget{Shown: true}, 100_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Observe(keys[i/2%len(keys)], bridge.Agent{}, [...]bridge.TypingState{bridge.Composing, bridge.Stopped}[i%2], "")
	}
}

// BenchmarkObserveRepeat is what a client that repeats costs while it types.
func BenchmarkObserveRepeat(b *testing.B) {
	c, keys := idleClock(b, bridge.TypingSource{Reported: true, Repeats: true, Hold: time.Hour}, livePersonTarget, 100_000)
	for _, k := range keys {
		c.Observe(k, bridge.Agent{}, bridge.Composing, "")
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Observe(keys[i%len(keys)], bridge.Agent{}, bridge.Composing, "")
	}
}

// BenchmarkObserveParallel has all cores report repeats.
func BenchmarkObserveParallel(b *testing.B) {
	c, keys := idleClock(b, bridge.TypingSource{Reported: true, Repeats: true, Hold: time.Hour}, livePersonTarget, 100_000)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			c.Observe(keys[i%len(keys)], bridge.Agent{}, bridge.Composing, "")
		}
	})
}

// BenchmarkMessage is what typing costs a message of a thread at rest.
func BenchmarkMessage(b *testing.B) {
	c, keys := idleClock(b, layerSource, livePersonTarget, 100_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.MessageQueued(keys[i%len(keys)], bridge.Agent{})
		c.MessageSent(keys[i%len(keys)], bridge.Agent{})
	}
}

// TestTypingCounts has what metrics and the log are told.
func TestTypingCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := newTypingLab(t, chatwootSource, livePersonTarget, bridge.Paused, "", refused, applied, applied, applied, applied, throttled)
		defer lab.stop()
		lab.play(t, []input{
			// Refused, and later applied: one failure is told of.
			{0, "#1 composing"}, {1, "#1 stopped"}, {2, "#1 composing"},
			// Right after a message, and right before the second.
			{4, "#1 message"}, {4.5, "#1 composing"}, {5.5, "#1 queued"}, {6.6, "#1 composing"}, {10, "#1 sent"},
			// Over before the interval is.
			{13, "#1 composing"}, {14.5, "#1 stopped"}, {14.7, "#1 composing"}, {14.9, "#1 stopped"},
			// In the pause.
			{20, "#2 composing"}, {20.2, "#2 stopped"}, {21.1, "#2 composing"}, {21.3, "#2 stopped"},
			{30, "#2 composing"}, {31, "shutdown"}, {32, "#2 composing"},
		}, 100)
		want := map[Drop]int{dropPhantom: 1, dropStale: 1, dropEnded: 1, dropThrottled: 1, dropShutdown: 1}
		if diff := cmp.Diff(want, lab.drops); diff != "" {
			t.Errorf("dropped (-want +got):\n%s", diff)
		}
		if calls := len(lab.lines(false)) - 3; lab.sent != calls {
			t.Errorf("%d calls were counted, want %d", lab.sent, calls)
		}
		if lab.failing != 2 {
			t.Errorf("%d failing threads, want 2", lab.failing)
		}
		if t.Failed() {
			t.Log(strings.Join(lab.lines(true), "\n"))
		}
	})
}

// TestTypingCrowd has more threads typing than may be looked after: what is
// too much is dropped, messages of it are still held in order, and nothing
// stays behind.
func TestTypingCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := newTypingLab(t, layerSource, livePersonTarget, bridge.Paused, "")
		defer lab.stop()
		for i := range 1200 {
			lab.clock.Observe(bridge.ThreadKey{Channel: "test", Thread: bridge.ThreadID(fmt.Sprint(i))}, bridge.Agent{}, bridge.Composing, "")
		}
		synctest.Wait()
		if n := lab.clock.tracked.Load(); n != 1000 {
			t.Errorf("%d threads are looked after, want 1000", n)
		}
		if n := lab.drops[dropCrowded]; n != 200 {
			t.Errorf("%d were dropped, want 200", n)
		}
		lab.do(t, "#late queued")
		if n := lab.clock.tracked.Load(); n != 1001 {
			t.Errorf("a message's thread is not looked after")
		}
		lab.do(t, "#late sent")
		if err := lab.clock.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if lab.sent != 2000 {
			t.Errorf("%d calls, want one composing and one end for each of 1000", lab.sent)
		}
		lab.sleepUntil(10)
		if n := lab.clock.tracked.Load(); n != 0 {
			t.Errorf("%d threads are looked after at rest", n)
		}
	})
}

// TestTypistCrowd has one thread with more devices than anybody has.
func TestTypistCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := newTypingLab(t, chatwootSource, livePersonTarget, bridge.Paused, "")
		defer lab.stop()
		for i := range 1000 {
			lab.clock.Observe(bridge.ThreadKey{Channel: "test"}, bridge.Agent{ID: fmt.Sprint(i)}, bridge.Composing, "")
		}
		lab.sleepUntil(100)
		if n := lab.drops[dropCrowded]; n != 1000-typistsMost {
			t.Errorf("%d were dropped, want all but %d", n, typistsMost)
		}
		if diff := cmp.Diff([]string{"0 composing", "30 paused"}, lab.lines(false)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestTypingStampede has all inputs come from many goroutines at once, for the
// race detector. Whatever the order was: one call of a thread at a time, the
// budget kept, and all typing ended.
func TestTypingStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		shown := map[bridge.ThreadKey]bridge.TypingState{}
		busy := map[bridge.ThreadKey]bool{}
		lab := newTypingLab(t, agentSource, chatwootTarget, bridge.Stopped, "")
		defer lab.stop()
		lab.clock.cfg.Say = func(_ context.Context, call Call) Result {
			mu.Lock()
			if busy[call.Thread] {
				t.Errorf("a second call of %v", call.Thread)
			}
			busy[call.Thread] = true
			if len(busy) > 2 {
				t.Errorf("%d calls at once", len(busy))
			}
			shown[call.Thread] = call.State
			mu.Unlock()
			time.Sleep(3 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			delete(busy, call.Thread)
			return Result{}
		}
		var crowd sync.WaitGroup
		for g := range 16 {
			crowd.Go(func() { stampede(lab.clock, g) })
		}
		crowd.Wait()
		time.Sleep(3 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for key, state := range shown {
			if state != bridge.Stopped {
				t.Errorf("%v shows %s", key, state)
			}
		}
		if n := lab.clock.tracked.Load(); n != 0 {
			t.Errorf("%d threads are looked after at rest", n)
		}
	})
}

func stampede(c *Clock, g int) {
	who := bridge.Agent{ID: fmt.Sprint(g % 3)}
	for i := range 300 {
		key := bridge.ThreadKey{Channel: "test", Thread: bridge.ThreadID(fmt.Sprint((g*7 + i) % 20))}
		switch (g + i) % 7 {
		case 0:
			c.MessageQueued(key, who)
			time.Sleep(time.Millisecond)
			c.MessageSent(key, who)
		case 1:
			c.Observe(key, who, bridge.Stopped, "")
		case 2:
			c.Disconnected(key)
		case 3:
			time.Sleep(time.Duration(i) * time.Millisecond)
		default:
			c.Observe(key, who, bridge.Composing, "")
		}
	}
}
