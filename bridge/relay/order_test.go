package relay_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"lpbridge/bridge"
)

func TestAgentMessagesThatWaitGoOutBySequence(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.channel.refuseWith(func(*bridge.Event) error {
			return &bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.New("down")}
		})
		r.notify(words(id, id, 10, "one"), nil)
		r.notify(words(id, id, 12, "three"), nil)
		r.notify(words(id, id, 11, "two"), nil)
		time.Sleep(20 * time.Second)
		r.channel.refuseWith(nil)
		time.Sleep(5 * time.Minute)
		var got []string
		for _, e := range r.channel.events() {
			if e.Kind == bridge.KindMessage {
				got = append(got, e.Message.Text)
			}
		}
		if !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("the channel got %v", got)
		}
	})
}
