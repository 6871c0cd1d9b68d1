package bridge

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Sides as the real ones are: what they report and what they want to be told.
var (
	layerSource    = TypingSource{Reported: true, Repeats: true, Hold: 6 * time.Second}
	chatwootSource = TypingSource{Reported: true, Hold: 30 * time.Second, PhantomWindow: time.Second}
	agentSource    = TypingSource{Reported: true, Hold: 60 * time.Second}

	livePersonTarget = TypingTarget{Shown: true, MinInterval: time.Second, HasPaused: true}
	layerTarget      = TypingTarget{
		Shown: true, MinInterval: 2500 * time.Millisecond, StopUnlimited: true,
		Refresh: 2500 * time.Millisecond, Expiry: 6 * time.Second, HasPaused: true, PerPerson: true,
	}
	liveChatAITarget = TypingTarget{
		Shown: true, MinInterval: 5 * time.Second, StopUnlimited: true, Refresh: 5 * time.Second, Expiry: 10 * time.Second,
	}
	chatwootTarget = TypingTarget{
		Shown: true, MinInterval: time.Second, Refresh: 15 * time.Second, Expiry: 30 * time.Second,
	}
	webhookTarget = TypingTarget{Shown: true, MinInterval: time.Second, HasPaused: true, PerPerson: true}
)

// reply is how the far side of a typingLab takes one call.
type reply struct {
	after time.Duration
	typingResult
}

var (
	applied    = reply{}
	refused    = reply{typingResult: typingResult{end: typingRefused}}
	unanswered = reply{after: typingCallTimeout, typingResult: typingResult{end: typingUncertain}}
	throttled  = reply{typingResult: typingResult{end: typingRefused, pause: 5 * time.Second}}
)

func (r reply) in(d time.Duration) reply { r.after = d; return r }

// typingLab is a clock between two sides that exist only in the test, with a
// log of what the far side was told and when.
type typingLab struct {
	clock *typingClock
	start time.Time
	stop  func()

	mu      sync.Mutex
	log     []string
	replies []reply
	drops   map[typingDrop]int
	sent    int
	failing int
}

// newTypingLab must be called inside a synctest bubble. Calls get the replies
// in turn, and are applied when there are none left.
func newTypingLab(t *testing.T, from TypingSource, to TypingTarget, expired TypingState, replies ...reply) *typingLab {
	t.Helper()
	lab := &typingLab{start: time.Now(), replies: replies, drops: map[typingDrop]int{}}
	lab.clock = newTypingClock(typingConfig{
		source: func(string) TypingSource { return from }, target: func(string) TypingTarget { return to },
		expired: expired, say: lab.say, told: lab.told, schedule: newSchedule(), inFlight: 2, maxThreads: 1000,
		counts: typingCounts{
			dropped: func(d typingDrop) { lab.count(func() { lab.drops[d]++ }) },
			sent:    func(TypingState, typingEnd) { lab.count(func() { lab.sent++ }) },
			failing: func(typingCall, typingEnd) { lab.count(func() { lab.failing++ }) },
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { lab.clock.cfg.schedule.Run(ctx) })
	running.Go(func() { lab.clock.Run(ctx) })
	lab.stop = func() { cancel(); running.Wait() }
	return lab
}

func (lab *typingLab) count(f func()) {
	lab.mu.Lock()
	defer lab.mu.Unlock()
	f()
}

func (lab *typingLab) say(ctx context.Context, call typingCall) typingResult {
	lab.write(words(string(call.Thread.Thread), call.Agent.ID, string(call.State)))
	r := lab.reply()
	select {
	case <-time.After(r.after):
	case <-ctx.Done():
	}
	return r.typingResult
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

func (lab *typingLab) told(key ThreadKey, composing bool) {
	lab.write(words(string(key.Thread), "mark", strconv.FormatBool(composing)))
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
	c, key, who := lab.clock, ThreadKey{Channel: "test"}, Agent{}
	fields := strings.Fields(what)
	if strings.HasPrefix(fields[0], "#") {
		key.Thread, fields = ThreadID(fields[0]), fields[1:]
	}
	if len(fields) == 2 {
		who.ID, fields = fields[0], fields[1:]
	}
	switch verb := fields[0]; verb {
	case "message":
		c.messageQueued(key, who)
		lab.write(words(string(key.Thread), who.ID, "message"))
		synctest.Wait()
		c.messageSent(key, who)
	case "queued":
		c.messageQueued(key, who)
		lab.write(words(string(key.Thread), who.ID, "message"))
	case "sent":
		c.messageSent(key, who)
	case "lost":
		c.disconnected(key)
	case "forget":
		c.forget(key)
	case "traffic":
		c.traffic(key)
	case "clear":
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		lab.write(words("clear:", fmt.Sprint(c.clear(ctx, key))))
	case "shutdown":
		lab.write(words("shutdown:", fmt.Sprint(c.shutdown(t.Context()))))
	case "recover":
		c.recover([]ThreadKey{{"test", "#1"}, {"test", "#2"}, {"test", "#3"}})
	default:
		c.observe(key, who, TypingState(verb))
	}
}

// timeline is one story: what happens, and what the far side is told.
type timeline struct {
	name    string
	from    TypingSource
	to      TypingTarget
	replies []reply
	inputs  []input
	want    []string
	// marks has marks compared too.
	marks bool
	// stuck is how many threads are still looked after at the end.
	stuck int64
}

func (tl timeline) run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired := Stopped
		if cmp.Equal(tl.to, livePersonTarget) {
			expired = Paused
		}
		lab := newTypingLab(t, tl.from, tl.to, expired, tl.replies...)
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
