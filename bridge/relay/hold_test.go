package relay_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
)

// leased is a journal that another process may act on while it is told so.
type leased struct {
	bridge.Journal
	mu    sync.Mutex
	term  context.Context
	ended context.CancelFunc
}

func (j *leased) Hold(ctx context.Context) (context.Context, context.CancelFunc, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.term.Err() != nil {
		return ctx, func() {}, bridge.ErrStorage
	}
	held, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(j.term, cancel)
	return held, func() { release(); cancel() }, nil
}

func (j *leased) renew() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.term, j.ended = context.WithCancel(context.Background())
}

func (j *leased) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended()
}

// While another process may act on the journal nothing is delivered, in neither direction, and
// what is under way when that begins is cut off. Then all goes on, without an attempt counted.
func TestNothingIsDeliveredWithoutTheJournal(t *testing.T) {
	var journal *leased
	inBubble(t, rigOptions{quiet: true, adjust: func(o *relay.Options) {
		journal = &leased{Journal: o.Journal}
		journal.renew()
		o.Journal = journal
	}}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		time.Sleep(time.Second)
		r.wire.fail(about("CLOSE", hangs))
		r.accept(event(bridge.KindClose, "t-1", "e-1"))
		time.Sleep(time.Second)
		journal.end()
		time.Sleep(time.Second)
		calls := len(r.wire.timeline())
		r.wire.fail(nil)
		r.sayAs("t-2", "u-2", "m-2", "waits")
		time.Sleep(30 * time.Second)
		if n := len(r.wire.timeline()); n != calls {
			t.Errorf("%d calls to LivePerson without the journal: %v", n-calls, r.wire.timeline()[calls:])
		}
		lane := bridge.ThreadKey{Channel: "test", Thread: "t-1"}.Lane(bridge.ToLivePerson)
		left, err := r.journal.PendingOf(t.Context(), lane, 0, 10)
		if err != nil || len(left) != 1 || left[0].Attempts != 0 {
			t.Errorf("left are %+v, %v; want the close without an attempt", left, err)
		}
		journal.renew()
		time.Sleep(time.Minute)
		if n := count(r.allConsumerTexts(), "waits"); n != 1 || r.journal.PendingCount() > 0 {
			t.Errorf("LivePerson has the message %d times, %d pending", n, r.journal.PendingCount())
		}
	})
}
