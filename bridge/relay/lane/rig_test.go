package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

// commitTime is how long the journal of the tests takes to write.
const commitTime = 2 * time.Millisecond

// store is a journal in memory. What is handed over is on disk a little later,
// in order.
type store struct {
	mu      sync.Mutex
	entries map[int64]*bridge.Entry
	lanes   map[bridge.LaneKey][]*bridge.Entry
	begun   map[int64]bool
	// settled lists how entries left, in the order in which that got on disk.
	settled []bridge.Settlement
	seq     int64
	writes  []func()
	writing sync.Mutex
	// handed, unless nil, is told of each settlement before it is written.
	handed func(bridge.Settlement)
	// broken refuses to write, unreadable to read.
	broken, unreadable bool
	// said are the entries ever appended, by lane, positions where they arrived.
	said      map[bridge.LaneKey][]int64
	positions map[int64]bool
	// written counts how often an entry's position was written.
	written map[int64]int
	// next is what another process finds after this one died.
	next *store
}

// fail makes writing or reading fail.
func (j *store) fail(broken, unreadable bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken, j.unreadable = broken, unreadable
}

// knows reports whether the ledger has a position.
func (j *store) knows(_ string, sequence int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.positions[sequence]
}

// die ends the process: nothing more gets on disk. What it had begun is in doubt
// when it crashed.
func (j *store) die(crashed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	after := newStore()
	after.seq, after.said, after.settled = j.seq, j.said, j.settled
	after.positions = maps.Clone(j.positions)
	for seq, e := range j.entries {
		kept := *e
		if crashed && j.begun[seq] && e.Kind == bridge.KindMessage {
			kept.Doubt = &bridge.Doubt{Since: time.Now()}
		}
		kept.Event, kept.Begun = nil, false
		after.entries[seq] = &kept
		after.lanes[kept.Lane] = append(after.lanes[kept.Lane], &kept)
	}
	for _, list := range after.lanes {
		slices.SortFunc(list, func(a, b *bridge.Entry) int { return int(a.Seq - b.Seq) })
	}
	j.broken, j.unreadable, j.next = true, true, after
}

func newStore() *store {
	return &store{entries: map[int64]*bridge.Entry{}, lanes: map[bridge.LaneKey][]*bridge.Entry{}, begun: map[int64]bool{}, said: map[bridge.LaneKey][]int64{}, positions: map[int64]bool{}, written: map[int64]int{}}
}

func (j *store) append(entries ...bridge.Entry) []*bridge.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var added []*bridge.Entry
	for _, e := range entries {
		j.seq++
		e.Seq, e.Accepted = j.seq, time.Now()
		kept := e
		j.entries[e.Seq], j.begun[e.Seq] = &kept, e.Begun
		j.lanes[e.Lane] = append(j.lanes[e.Lane], &kept)
		j.said[e.Lane] = append(j.said[e.Lane], e.Seq)
		added = append(added, &e)
	}
	return added
}

func (j *store) PendingOf(_ context.Context, key bridge.LaneKey, after int64, limit int) ([]bridge.Entry, error) {
	time.Sleep(commitTime / 4)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unreadable {
		return nil, bridge.ErrStorage
	}
	var page []bridge.Entry
	for _, e := range j.lanes[key] {
		if e.Seq > after && len(page) < limit {
			page = append(page, *e)
		}
	}
	return page, nil
}

func (j *store) Lanes(_ context.Context, after bridge.LaneKey, limit int) ([]bridge.LaneKey, error) {
	time.Sleep(commitTime / 4)
	j.mu.Lock()
	defer j.mu.Unlock()
	var keys []bridge.LaneKey
	for key := range j.lanes {
		if key.Thread > after.Thread {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b bridge.LaneKey) int { return strings.Compare(string(a.Thread), string(b.Thread)) })
	return keys[:min(len(keys), limit)], nil
}

func (j *store) Settle(s bridge.Settlement) {
	if j.handed != nil {
		j.handed(s)
	}
	j.write(func() {
		err := j.apply(s)
		if s.Durable != nil {
			s.Durable(err)
		}
	})
}

// write does what is handed over in the order in which it was.
func (j *store) write(do func()) {
	j.mu.Lock()
	j.writes = append(j.writes, do)
	j.mu.Unlock()
	time.AfterFunc(commitTime, func() {
		j.writing.Lock()
		defer j.writing.Unlock()
		j.mu.Lock()
		do := j.writes[0]
		j.writes = j.writes[1:]
		j.mu.Unlock()
		do()
	})
}

func (j *store) apply(s bridge.Settlement) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return bridge.ErrStorage
	}
	if e := j.entries[s.Seq]; e != nil {
		e.Attempts, e.Last, e.NextTry, e.Doubt = s.Attempts, s.Outcome, s.NextTry, s.Doubt
		j.begun[s.Seq] = false
		if s.Final != bridge.Pending {
			delete(j.entries, s.Seq)
			j.lanes[e.Lane] = slices.DeleteFunc(j.lanes[e.Lane], func(o *bridge.Entry) bool { return o == e })
			if len(j.lanes[e.Lane]) == 0 {
				delete(j.lanes, e.Lane)
			}
			j.settled = append(j.settled, s)
		}
	}
	if s.Dialog != "" {
		j.positions[s.Sequence] = true
		j.written[s.Seq]++
	}
	if s.Next != 0 {
		j.begun[s.Next] = true
	}
	return nil
}

func (j *store) Begin(seq int64, durable func(error)) {
	j.write(func() {
		j.mu.Lock()
		err := error(nil)
		if j.broken {
			err = bridge.ErrStorage
		} else {
			j.begun[seq] = true
		}
		j.mu.Unlock()
		durable(err)
	})
}

func (j *store) hasBegun(seq int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.begun[seq]
}

// wrote is how often an entry's position was written to the ledger.
func (j *store) wrote(seq int64) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.written[seq]
}

func (j *store) pending() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.entries)
}

// deadLetters lists what was given up.
func (j *store) deadLetters() []bridge.Settlement {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.settled), func(s bridge.Settlement) bool { return s.Final != bridge.Dead })
}

// rig is a set of lanes with a journal and a far side of the test's.
type rig struct {
	t     *testing.T
	store *store
	set   *Set
	end   context.CancelFunc

	mu sync.Mutex
	// calls are when the far side was asked, delivered what it took.
	calls     []time.Time
	delivered []bridge.Entry
	running   int
	most      int
	health    []Health
	// announced is how many entries are known to be on their way.
	announced atomic.Int64
}

// far is how a far side answers. Several deliveries may ask it at once, and the
// body of a test that changes its mind runs beside them: what they share is
// atomic or locked. What was asked and taken the rig knows.
type far func(ctx context.Context, e *bridge.Entry) Verdict

// inTurn is a far side that answers with one verdict after the other, and with
// the last one from then on.
func inTurn(verdicts ...Verdict) far {
	var asked atomic.Int64
	return func(context.Context, *bridge.Entry) Verdict {
		return verdicts[min(int(asked.Add(1)), len(verdicts))-1]
	}
}

var (
	takes     = Verdict{Outcome: bridge.Delivered, Final: bridge.Done, Sign: SaysWell}
	throttles = Verdict{Outcome: bridge.Throttled, Sign: SaysThrottled}
	isDown    = Verdict{Outcome: bridge.Retry, Sign: SaysDown, Reason: "refused"}
	says5xx   = Verdict{Outcome: bridge.Unknown, Sign: SaysDown, Reason: "status 503"}
	refuses   = Verdict{Outcome: bridge.Unauthorized, Sign: SaysRefused, Reason: "status 401"}
)

// inBubble runs a test of a set of lanes in fake time.
func inBubble(t *testing.T, most int, answer far, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: newStore()}
		r.start(most, answer)
		time.Sleep(time.Millisecond)
		test(r)
		r.stop()
	})
}

func (r *rig) start(most int, answer far) { r.startWith(most, answer, Echoes{}) }

func (r *rig) startWith(most int, answer far, echoes Echoes) {
	ctx, cancel := context.WithCancel(r.t.Context())
	clock := schedule.New()
	go clock.Run(ctx)
	r.end = cancel
	r.set = New(Work{
		Name: "test", Log: slog.New(slog.DiscardHandler), Journal: r.store, Schedule: clock, Limiter: NewLimiter(most),
		Spawn:   func(work func(context.Context)) { go work(ctx) },
		Deliver: func(ctx context.Context, batch []*bridge.Entry) Verdict { return r.deliver(ctx, batch[0], answer) },
		GiveUp: func(_ *bridge.Entry, v Verdict) Verdict {
			v.Final = bridge.Dead
			return v
		},
		Settled: func(*bridge.Entry, Verdict) { r.announced.Add(-1) }, Loaded: func(*bridge.Entry) { r.announced.Add(1) },
		Unloaded: func(*bridge.Entry) { r.announced.Add(-1) }, Mine: func(bridge.LaneKey) bool { return true },
		Panicked:      func(context.Context, *bridge.Entry, any) Verdict { return isDown },
		Echoes:        echoes,
		HealthChanged: r.healthChanged,
		Boot:          r.store.seq,
	})
	go r.set.Run(ctx)
}

func (r *rig) deliver(ctx context.Context, e *bridge.Entry, answer far) Verdict {
	if e.Kind == bridge.KindMessage && !r.store.hasBegun(e.Seq) {
		r.t.Errorf("entry %d was sent before that was on disk", e.Seq)
	}
	r.mu.Lock()
	r.calls = append(r.calls, time.Now())
	r.running++
	r.most = max(r.most, r.running)
	r.mu.Unlock()
	v := answer(ctx, e)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	if v.Outcome == bridge.Delivered {
		r.delivered = append(r.delivered, *e)
	}
	return v
}

func (r *rig) healthChanged(h Health) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.health = append(r.health, h)
}

func (r *rig) stop() {
	if err := r.set.Stop(r.t.Context()); err != nil && !errors.Is(err, context.Canceled) {
		r.t.Error(err)
	}
	time.Sleep(time.Second)
	r.end()
}

func laneKey(n int) bridge.LaneKey {
	return bridge.LaneKey{Channel: "test", Thread: bridge.ThreadID(fmt.Sprint("t-", n))}
}

// say appends a message to a lane.
func (r *rig) say(lane int) *bridge.Entry { return r.saying(lane, "{}") }

func (r *rig) saying(lane int, payload string) *bridge.Entry {
	e := bridge.Entry{Lane: laneKey(lane), Kind: bridge.KindMessage, Payload: []byte(payload)}
	e.Begun = r.set.Starts(e.Lane)
	added := r.store.append(e)[0]
	r.announced.Add(1)
	r.set.Add(added)
	return added
}

// drained waits until nothing is pending and returns how long that took.
func (r *rig) drained(most time.Duration) time.Duration {
	r.t.Helper()
	began := time.Now()
	for r.store.pending() > 0 {
		if time.Since(began) > most {
			r.t.Fatalf("%d are pending after %v", r.store.pending(), most)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

func (r *rig) count() (calls, delivered, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls), len(r.delivered), r.most
}

// asked is when the far side was asked.
func (r *rig) asked() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// took reports whether the far side took an entry.
func (r *rig) took(seq int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.delivered, func(e bridge.Entry) bool { return e.Seq == seq })
}

// payloads lists what the far side took, in its order.
func (r *rig) payloads() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, e := range r.delivered {
		all = append(all, string(e.Payload))
	}
	return all
}

// told lists the states the far side was said to be in.
func (r *rig) told() []Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.health)
}
