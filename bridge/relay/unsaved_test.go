package relay_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
)

// refusing is a journal that takes no change of rows while it is told to.
type refusing struct {
	bridge.Journal
	now atomic.Bool
}

func (j *refusing) Save(ctx context.Context, s bridge.Standing) error {
	if j.now.Load() {
		return errors.Join(bridge.ErrStorage, errors.New("disk full"))
	}
	return j.Journal.Save(ctx, s)
}

// What LivePerson says of a conversation was told to the channel and could not be
// saved. LivePerson repeats it: the channel is not told again, and it is saved then.
func TestStateThatCouldNotBeSavedIsToldOnceAndSavedLater(t *testing.T) {
	var disk *refusing
	inBubble(t, rigOptions{quiet: true, adjust: func(o *relay.Options) {
		disk = &refusing{Journal: o.Journal}
		o.Journal = disk
	}}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		time.Sleep(time.Second)
		body := news("c-9", r.consumerID(), time.Now())
		disk.now.Store(true)
		if status := r.notify(body, nil); status != 503 {
			t.Errorf("status %d although nothing was saved", status)
		}
		time.Sleep(time.Second)
		disk.now.Store(false)
		if status := r.notify(body, nil); status != 200 {
			t.Errorf("status %d", status)
		}
		time.Sleep(time.Second)
		told := 0
		for _, e := range r.channel.events() {
			if e.Kind == bridge.KindState && e.Position.Conversation == "c-9" && e.State.Conversation == bridge.StateOpen {
				told++
			}
		}
		if told != 1 {
			t.Errorf("the channel was told %d times that the conversation is open", told)
		}
		saved, err := r.journal.Conversation(t.Context(), "c-9")
		if err != nil || saved == nil || !saved.Open {
			t.Errorf("the journal has %+v, %v", saved, err)
		}
	})
}

// A delivery that the end of the process cuts off is no attempt.
func TestCutOffIsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{quiet: true})
		r.begin("t-1")
		r.wire.fail(about("CLOSE", hangs))
		r.accept(event(bridge.KindClose, "t-1", "e-1"))
		time.Sleep(time.Second)
		r.stop()
		if err := <-r.stopped; err == nil {
			t.Error("nothing was cut off")
		}
		r.close()
		if err := r.journal.Close(); err != nil {
			t.Error(err)
		}
		next := r.journal.Reopen()
		left, err := next.PendingOf(t.Context(), bridge.ThreadKey{Channel: "test", Thread: "t-1"}.Lane(bridge.ToLivePerson), 0, 10)
		if err != nil || len(left) != 1 || left[0].Attempts != 0 {
			t.Errorf("left are %+v, %v; want the close without an attempt", left, err)
		}
		if err := next.Close(); err != nil {
			t.Error(err)
		}
		r.sim.Close()
	})
}

// A message in doubt is in a conversation that was taken over by the consumer's other
// thread since: its echo must find it there.
func TestEchoFindsTheMessageOfTheThreadThatLostTheConversation(t *testing.T) {
	inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
		r.sayAs("t-a", "u", "a-0", "hello")
		time.Sleep(time.Second)
		r.door.lead(nil)
		r.loseAnswer("precious")
		r.sayAs("t-a", "u", "a-1", "precious")
		time.Sleep(time.Second)
		r.sayAs("t-b", "u", "b-1", "from the other thread")
		time.Sleep(time.Second)
		r.echo(r.conversation(), "precious", 0)
		time.Sleep(10 * time.Minute)
		if n := count(r.allConsumerTexts(), "precious"); n != 1 || r.journal.PendingCount() > 0 {
			t.Errorf("LivePerson has the message %d times, %d pending", n, r.journal.PendingCount())
		}
	})
}
