package lane

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"lpbridge/bridge"
)

// TestStopSettlesWhatWasRefused: the journal did not take the end of a delivery
// and is well again when the process ends in order, before the next try. The next
// process must not deliver once more.
func TestStopSettlesWhatWasRefused(t *testing.T) {
	var r *rig
	inBubble(t, 64, func(context.Context, *bridge.Entry) Verdict {
		r.store.fail(true, false)
		return takes
	}, func(it *rig) {
		r = it
		r.say(1)
		time.Sleep(time.Second)
		if n := r.store.pending(); n != 1 {
			t.Errorf("%d are pending, want the one whose settlement was refused", n)
		}
		r.store.fail(false, false)
		if err := r.set.Stop(r.t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if n := r.store.pending(); n > 0 {
			t.Errorf("%d are pending after an orderly end", n)
		}
	})
}

// TestStopRemembersDoubtThatWasRefused: the journal did not take that a message may
// have arrived. When the process then ends in order, the next one must know.
func TestStopRemembersDoubtThatWasRefused(t *testing.T) {
	var r *rig
	inBubble(t, 64, func(context.Context, *bridge.Entry) Verdict {
		r.store.fail(true, false)
		return says5xx
	}, func(it *rig) {
		r = it
		r.set.Echoes = Echoes{Come: func() bool { return true }, Wait: 35 * time.Second}
		e := r.say(1)
		time.Sleep(time.Second)
		r.store.fail(false, false)
		if err := r.set.Stop(r.t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		r.store.die(false)
		if left := r.store.next.entries[e.Seq]; left == nil || left.Doubt == nil {
			t.Errorf("the next process finds %+v, want a message in doubt", left)
		}
	})
}

// TestStopSettlesWhatIsRefusedForSeconds: the journal refuses what became of deliveries
// for two seconds of the stop. One that refuses for good ends the wait for it.
func TestStopSettlesWhatIsRefusedForSeconds(t *testing.T) {
	for name, verdict := range map[string]Verdict{"delivered": takes, "in doubt": says5xx} {
		for _, refuses := range []time.Duration{200 * time.Millisecond, 2 * time.Second, time.Hour} {
			t.Run(name+" "+refuses.String(), func(t *testing.T) {
				var r *rig
				inBubble(t, 64, func(context.Context, *bridge.Entry) Verdict {
					r.store.fail(true, false)
					return verdict
				}, func(it *rig) {
					r = it
					e := r.say(1)
					time.Sleep(time.Second)
					began := time.Now()
					mended := time.AfterFunc(refuses, func() { r.store.fail(false, false) })
					if err := r.set.Stop(r.t.Context()); err != nil {
						t.Error(err)
					}
					took := time.Since(began)
					mended.Stop()
					r.store.die(false)
					left := r.store.next.entries[e.Seq]
					switch {
					case refuses == time.Hour && took > 5*time.Second:
						t.Errorf("the stop took %v", took)
					case refuses < time.Hour && left != nil && left.Doubt == nil:
						t.Errorf("the next process finds %+v, want nothing to send", left)
					}
				})
			})
		}
	}
}

// TestStopSettlesWhatTheJournalIsAboutToRefuse: the end of a delivery, or that it is in
// doubt, is on its way to the journal when the process is to end in order. The journal
// refuses it, and takes it when asked once more.
func TestStopSettlesWhatTheJournalIsAboutToRefuse(t *testing.T) {
	for name, verdict := range map[string]Verdict{"delivered": takes, "in doubt": says5xx} {
		t.Run(name, func(t *testing.T) {
			var r *rig
			inBubble(t, 64, func(context.Context, *bridge.Entry) Verdict { return verdict }, func(it *rig) {
				r = it
				var handed atomic.Int64
				r.store.handed = func(bridge.Settlement) {
					r.store.fail(handed.Add(1) == 1, false)
				}
				e := r.say(1)
				for handed.Load() == 0 {
					time.Sleep(commitTime / 4)
				}
				if err := r.set.Stop(r.t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				r.store.die(false)
				if left := r.store.next.entries[e.Seq]; left != nil && left.Doubt == nil {
					t.Errorf("the next process finds %+v, want nothing to send", left)
				}
			})
		})
	}
}

// cutOff is a journal whose reading a stop cuts off.
type cutOff struct {
	*store
	end context.CancelFunc
}

func (j cutOff) Lanes(ctx context.Context, _ bridge.LaneKey, _ int) ([]bridge.LaneKey, error) {
	j.end()
	return nil, ctx.Err()
}

// TestStopIsNoTroubleOfTheJournal: what it was reading when the process stopped is not
// logged as an error.
func TestStopIsNoTroubleOfTheJournal(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	var log bytes.Buffer
	s := New(Work{Journal: cutOff{newStore(), end}, Log: slog.New(slog.NewTextHandler(&log, nil)), Limiter: NewLimiter(1)})
	s.Run(ctx)
	if log.Len() > 0 {
		t.Errorf("logged: %s", log.String())
	}
}
