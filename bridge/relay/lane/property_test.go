package lane

import (
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
)

var (
	livesFlag = flag.Int("lives", 100, "how many random lives the lanes live through")
	baseFlag  = flag.Uint64("base", 1, "number of the first life; 0 draws one")
)

// life is what happens to a few lanes whose far side tells later what arrived.
type life struct {
	deeds []deed
}

// deed is something that happens, and how long it is quiet afterwards.
type deed struct {
	what  string
	lane  int
	n     int
	quiet time.Duration
}

func (d deed) String() string {
	return fmt.Sprint(d.what, " lane ", d.lane, " n ", d.n, " then ", d.quiet)
}

func drawLife(number uint64) life {
	r := rand.New(rand.NewPCG(number, 0))
	var l life
	for range 3 + r.IntN(28) {
		l.deeds = append(l.deeds, deed{
			what:  pick(r, deeds),
			lane:  r.IntN(4),
			n:     r.IntN(101),
			quiet: pick(r, quiets),
		})
	}
	return l
}

var deeds = []string{
	"say", "say", "say", "say", "burst", "well", "down", "lost", "applied", "throttled", "refused", "unreadable", "crash", "restart", "deaf disk",
}

var quiets = []time.Duration{
	0, time.Millisecond, 3 * time.Millisecond, 50 * time.Millisecond, time.Second, 20 * time.Second, 2 * time.Minute, time.Hour,
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (l life) String() string {
	var lines []string
	for _, d := range l.deeds {
		lines = append(lines, "  "+d.String())
	}
	return strings.Join(lines, "\n")
}

// world is the far side of a life. What it takes it tells of a little later, and
// after an absence by the end of the replay.
type world struct {
	t *testing.T
	r *rig

	mu sync.Mutex
	// mood is how it answers.
	mood string
	// arrived lists what it took, by lane; told is what nobody heard of yet.
	arrived map[bridge.LaneKey][]int64
	told    []arrival
	next    int64
	// replay is what the process knows of those before it: absences follow each other
	// until it is told something.
	replay Replay
	// early are those that were tried in the stead of the one before them.
	early map[int64]bool
	wrong []string
}

type arrival struct {
	key      bridge.LaneKey
	seq      int64
	sequence int64
}

func (w *world) answer(ctx context.Context, e *bridge.Entry) Verdict {
	w.r.set.Sending(e, "d")
	time.Sleep(5 * time.Millisecond)
	if ctx.Err() != nil {
		return Verdict{Outcome: bridge.Unknown}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.mood {
	case "down":
		return isDown
	case "lost":
		return says5xx
	case "throttled":
		return throttles
	case "refused":
		return refuses
	}
	w.next++
	w.early[e.Seq] = w.r.set.isSecond(e.Lane)
	w.arrived[e.Lane] = append(w.arrived[e.Lane], e.Seq)
	w.told = append(w.told, arrival{e.Lane, e.Seq, w.next})
	if w.mood == "applied" {
		return says5xx
	}
	v := takes
	v.Dialog, v.Sequence = "d", w.next
	return v
}

// tell brings what arrived back as echoes.
func (w *world) tell() {
	w.mu.Lock()
	told := w.told
	w.told = nil
	w.mu.Unlock()
	for _, a := range told {
		_, err := w.r.set.Echo(w.t.Context(), []bridge.LaneKey{a.key}, Arrival{
			Dialog: "d", Sequence: a.sequence,
			Known:   func(context.Context) (bool, error) { return w.r.store.knows("d", a.sequence), nil },
			Matches: func(e *bridge.Entry) bool { return e.Seq == a.seq },
		})
		if err != nil {
			// It was not answered 200 and comes again.
			w.mu.Lock()
			w.told = append(w.told, a)
			w.mu.Unlock()
			continue
		}
		w.replay = w.replay.Met()
	}
}

func (w *world) live(l life) {
	w.r.startWith(64, w.answer, w.echoes(time.Now()))
	for _, d := range l.deeds {
		w.happen(d)
		for quiet := d.quiet; quiet > 0; quiet -= 10 * time.Second {
			time.Sleep(min(quiet, 10*time.Second))
			w.tell()
		}
	}
	w.happen(deed{what: "well"})
	for range 100 {
		time.Sleep(10 * time.Second)
		w.tell()
	}
	w.referee()
	w.r.stop()
}

func (w *world) echoes(alive time.Time) Echoes {
	w.replay = w.replay.After(alive, time.Now())
	return Echoes{Come: func() bool { return true }, Wait: 35 * time.Second, Reach: NewReach(w.replay)}
}

func (w *world) happen(d deed) {
	switch d.what {
	case "say":
		w.r.say(d.lane)
	case "burst":
		for range d.n {
			w.r.say(d.lane)
		}
	case "unreadable", "deaf disk":
		w.r.store.fail(d.what == "deaf disk", d.what == "unreadable")
		time.Sleep(time.Duration(d.n) * 20 * time.Millisecond)
		w.r.store.fail(false, false)
	case "crash", "restart":
		crash := d.what == "crash"
		if !crash {
			w.r.set.Stop(w.t.Context())
			time.Sleep(time.Second)
		}
		w.r.store.die(crash)
		w.r.end()
		time.Sleep(time.Second)
		alive := time.Now()
		time.Sleep(time.Duration(d.n) * time.Second)
		// What the process that ended read was read before the next one begins.
		synctest.Wait()
		w.r.announced.Store(0)
		w.r.store = w.r.store.next
		w.r.startWith(64, w.answer, w.echoes(alive))
	default:
		w.mu.Lock()
		w.mood = d.what
		w.mu.Unlock()
	}
}

// referee reports what broke the promise: everything arrives, once, in order.
func (w *world) referee() {
	if n := w.r.store.pending(); n > 0 {
		w.wrong = append(w.wrong, fmt.Sprintf("%d are pending", n))
	}
	if n := w.r.announced.Load(); n != 0 {
		w.wrong = append(w.wrong, fmt.Sprintf("%d are announced", n))
	}
	if known, running := w.r.set.Backlog(); known+running > 0 {
		w.wrong = append(w.wrong, fmt.Sprintf("%d lanes are left, %d run", known, running))
	}
	for key, said := range w.r.store.said {
		if !slices.Equal(said, w.arrived[key]) && !slices.Equal(said, w.inTheirPlaces(w.arrived[key])) {
			w.wrong = append(w.wrong, fmt.Sprintf("%s: said %v, arrived %v", key.Thread, said, w.arrived[key]))
		}
	}
}

// inTheirPlaces is what arrived, with what was tried in the stead of the one before
// it behind that one: a far side that got well just then has them in that order.
func (w *world) inTheirPlaces(arrived []int64) []int64 {
	arrived = slices.Clone(arrived)
	for i := range len(arrived) - 1 {
		if w.early[arrived[i]] && arrived[i] > arrived[i+1] {
			arrived[i], arrived[i+1] = arrived[i+1], arrived[i]
		}
	}
	return arrived
}

// isSecond reports whether a lane tries the entry behind the first one.
func (s *Set) isSecond(key bridge.LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key].trouble.second
}

// TestLanesDeliverOnceAndInOrderWhateverHappens lives lives that are all distinct;
// each comes again from its number.
func TestLanesDeliverOnceAndInOrderWhateverHappens(t *testing.T) {
	base := *baseFlag
	if base == 0 {
		base = rand.Uint64N(1 << 40)
	}
	t.Logf("lives %d to %d; one comes again with -run %s -lives 1 -base N", base, base+uint64(*livesFlag)-1, t.Name())
	for number := base; number < base+uint64(*livesFlag); number++ {
		l := drawLife(number)
		if wrong := l.live(t); len(wrong) > 0 {
			t.Errorf("life %d, again in %d of 10 tries:\n%s\n%s", number, again(t, number), strings.Join(wrong, "\n"), l)
		}
	}
}

// again is how often of ten tries a life fails, for goroutines that are ready at
// the same instant run in any order.
func again(t *testing.T, number uint64) (failed int) {
	for range 10 {
		if l := drawLife(number); len(l.live(t)) > 0 {
			failed++
		}
	}
	return failed
}

// live lives the life and returns what broke the promise.
func (l *life) live(t *testing.T) (wrong []string) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, r: &rig{t: t, store: newStore()}, mood: "well", arrived: map[bridge.LaneKey][]int64{}, early: map[int64]bool{}}
		w.live(*l)
		wrong = w.wrong
	})
	return wrong
}
