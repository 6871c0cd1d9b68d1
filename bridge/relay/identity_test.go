package relay_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
)

// TestNobodyGuessesAConsumersID: what stands for a person in LivePerson holds
// nothing of what the channel calls them, is another in every installation, and
// is the same after a restart.
func TestNobodyGuessesAConsumersID(t *testing.T) {
	const digits = "351911222333"
	const phone = "whatsapp:+" + digits
	ids := map[string]bool{}
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			own := func(o *relay.Options) { o.ConsumerKey = nil }
			r := newRig(t, rigOptions{adjust: own})
			said := func(thread string) string {
				e := event(bridge.KindMessage, thread, "e-"+thread)
				e.Consumer.ID, e.Message = phone, &bridge.Message{Text: "hello"}
				r.accept(e)
				time.Sleep(time.Second)
				return r.conversation().ExtConsumerID
			}
			id := said("t-1")
			r.stop()
			<-r.stopped
			r.close()
			if err := r.journal.Close(); err != nil {
				t.Fatal(err)
			}
			r = newRig(t, rigOptions{journal: r.journal.Reopen(), sim: r.sim, door: r.door, channel: r.channel, adjust: own})
			if again := said("t-2"); again != id {
				t.Errorf("the consumer was %s and is %s after a restart", id, again)
			}
			r.shutDown()
			r.sim.Close()
			// Any three digits turn up in one random id of a hundred; nine or more
			// of them in none that anybody will see.
			if strings.Contains(id, digits) || strings.Contains(id, digits[3:]) || ids[id] {
				t.Errorf("the id %s can be guessed", id)
			}
			ids[id] = true
		})
	}
}

// TestConsumersKeepTheIDTheyHave though it was made by an older rule.
func TestConsumersKeepTheIDTheyHave(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		if err := r.journal.SaveConsumer(t.Context(), bridge.ConsumerRow{Channel: "test", ID: "u-old", ExtConsumer: "test:u-old"}); err != nil {
			t.Fatal(err)
		}
		e := event(bridge.KindMessage, "t-1", "e-1")
		e.Consumer.ID, e.Message = "u-old", &bridge.Message{Text: "hello"}
		r.accept(e)
		time.Sleep(time.Second)
		if got := r.conversation().ExtConsumerID; got != "test:u-old" {
			t.Errorf("the consumer is %s now", got)
		}
	})
}
