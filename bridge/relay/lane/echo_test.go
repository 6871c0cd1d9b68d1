package lane

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
)

// unknown is what a ledger says that has nothing.
func unknown(context.Context) (bool, error) { return false, nil }

// arrivalOf is an echo of words that any entry of the tests has, at a position.
func (r *rig) arrivalOf(sequence int64) Arrival {
	return Arrival{
		Dialog: "d", Sequence: sequence,
		Known:   func(context.Context) (bool, error) { return r.store.knows("d", sequence), nil },
		Matches: func(*bridge.Entry) bool { return true },
	}
}

func (r *rig) echo(sequence int64) Finding {
	found, err := r.set.Echo(r.t.Context(), []bridge.LaneKey{laneKey(1)}, r.arrivalOf(sequence))
	if err != nil {
		r.t.Error(err)
	}
	return found
}

// at is an answer that names a position.
func at(sequence int64) Verdict {
	v := takes
	v.Dialog, v.Sequence = "d", sequence
	return v
}

// TestAnswerThatSaysWhatTheEchoSaidIsWrittenOnce: who was settled by its own echo
// needs no other line in the ledger.
func TestAnswerThatSaysWhatTheEchoSaidIsWrittenOnce(t *testing.T) {
	var r *rig
	inBubble(t, 64, func(_ context.Context, e *bridge.Entry) Verdict {
		r.set.Sending(e, "d")
		r.echo(e.Seq)
		return at(e.Seq)
	}, func(it *rig) {
		r = it
		r.say(1)
		r.drained(time.Minute)
		time.Sleep(time.Second)
		if n := r.store.wrote(1); n != 1 {
			t.Errorf("the settlement was written %d times", n)
		}
	})
}

// TestEchoOfAPositionAboutToBeWritten: the first of two messages with the same
// words was settled by the echo of an earlier try of its own, and its answer
// names another position. The echo of that comes before it is on disk, while the
// second message is to be sent; it settles nobody.
func TestEchoOfAPositionAboutToBeWritten(t *testing.T) {
	var r *rig
	var second Finding
	calls := 0
	inBubble(t, 64, func(_ context.Context, e *bridge.Entry) Verdict {
		r.set.Sending(e, "d")
		switch calls++; calls {
		case 1:
			if found := r.echo(11); !found.Settled {
				t.Errorf("the first echo led to %+v", found)
			}
			time.AfterFunc(commitTime/2, func() { second = r.echo(12) })
			return at(12)
		case 2:
			time.Sleep(commitTime)
			return says5xx
		}
		return at(13)
	}, func(it *rig) {
		r = it
		r.say(1)
		r.say(1)
		r.drained(time.Hour)
		synctest.Wait()
		if second.Settled || calls != 3 {
			t.Errorf("the echo of the first message led to %+v, %d calls were made", second, calls)
		}
	})
}
