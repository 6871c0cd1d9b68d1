package relay_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

func TestGreetingBeforeTheConversationIsKnownArrives(t *testing.T) {
	for name, slow := range map[string]bool{"answer lost": false, "answer takes 2 s": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				r.sim.SetWebhooks(lpsim.Webhooks{})
				trouble := r.appliedThen(isLost)
				if slow {
					trouble = r.answeredAfter(2 * time.Second)
				}
				r.wire.fail(about("ConsumerRequestConversation", inTurn(trouble)))
				go r.say("t-1", "e-1", "hello")
				time.Sleep(500 * time.Millisecond)
				id := r.conversation().ConversationID
				began := time.Now()
				for i, text := range []string{"and what may I do for you", "welcome, I am the bot"} {
					if status := r.notify(words(id, id, 1-i, text), nil); status != 200 {
						t.Errorf("status %d", status)
					}
				}
				if took := time.Since(began); took > 250*time.Millisecond {
					t.Errorf("LivePerson waited %v", took)
				}
				time.Sleep(10 * time.Minute)
				want := []string{"welcome, I am the bot", "and what may I do for you"}
				if got := r.channel.texts(); !slices.Equal(got, want) {
					t.Errorf("the channel got %q, want %q", got, want)
				}
			})
		})
	}
}

// More than a lane holds in memory came in the wrong order before it was known whose it
// is: the lane cannot sort what it does not see together.
func TestGreetingsThatNoLaneHoldsTogetherArriveInOrder(t *testing.T) {
	const messages = 300
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.sim.SetWebhooks(lpsim.Webhooks{})
		r.wire.fail(about("ConsumerRequestConversation", inTurn(r.appliedThen(isLost))))
		go r.say("t-1", "e-1", "hello")
		time.Sleep(500 * time.Millisecond)
		id := r.conversation().ConversationID
		var want []string
		for i := range messages {
			want = append(want, fmt.Sprint("line ", i))
			last := messages - 1 - i
			r.notify(words(id, id, last, fmt.Sprint("line ", last)), nil)
		}
		time.Sleep(10 * time.Minute)
		if got := r.channel.texts(); !slices.Equal(got, want) {
			t.Errorf("the channel got %d of %d in another order: %.300q", len(got), len(want), got)
		}
	})
}

func TestGreetingOutlivesARestartBeforeTheConversationIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.sim.SetWebhooks(lpsim.Webhooks{})
		r.wire.fail(about("ConsumerRequestConversation", r.appliedThen(isLost)))
		r.say("t-1", "e-1", "hello")
		time.Sleep(500 * time.Millisecond)
		id := r.conversation().ConversationID
		r.notify(words(id, id, 0, "welcome"), nil)
		r = r.restart(rigOptions{})
		time.Sleep(10 * time.Minute)
		r.wantMessage("welcome")
		r.shutDown()
		r.sim.Close()
	})
}

func TestWhatNobodyClaimsIsLetGo(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.sim.SetFaults(lpsim.Faults{LatencyMinMs: 5000, LatencyMaxMs: 5000})
		r.say("t-1", "e-1", "hello")
		time.Sleep(time.Second)
		r.notify(words("other", "other", 3, "of another connector"), nil)
		kept, err := r.journal.AllUnclaimed(t.Context(), 0, 10)
		if err != nil || len(kept) != 1 {
			t.Fatalf("%d changes are kept while an opening is under way, %v", len(kept), err)
		}
		r.sim.SetFaults(lpsim.Faults{})
		time.Sleep(2 * relay.DefaultUnclaimedFor)
		if kept, err = r.journal.AllUnclaimed(t.Context(), 0, 10); err != nil || len(kept) != 0 {
			t.Errorf("%d changes are still kept, %v", len(kept), err)
		}
		if got := r.channel.texts(); len(got) != 0 {
			t.Errorf("the channel got %q", got)
		}
	})
}

// There is always a conversation that was asked for and is not known: what nobody claims
// goes all the same.
func TestWhatNobodyClaimsIsLetGoAmidOpenings(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
			if strings.Contains(req.URL.Path+body, asksForConversation) || strings.HasSuffix(req.URL.Path, "/engagement") {
				return isLost(req, body)
			}
			return nil, nil
		})
		said := 0
		for range 2 * int(relay.DefaultUnclaimedFor/time.Minute) {
			r.say(fmt.Sprint("n-", said), fmt.Sprint("e-", said), "hello")
			if said++; said == 1 {
				time.Sleep(time.Second)
				r.notify(words("other", "other", 3, "of another connector"), nil)
			}
			time.Sleep(time.Minute)
		}
		if kept, err := r.journal.AllUnclaimed(t.Context(), 0, 10); err != nil || len(kept) != 0 {
			t.Errorf("%d changes are still kept, %v", len(kept), err)
		}
		r.wire.fail(nil)
		r.drained(time.Hour)
	})
}

// Where nothing is being opened, what nobody knows is another connector's.
func TestForeignNotificationsAreNotKept(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		time.Sleep(2 * relay.DefaultUnclaimedFor)
		r.notify(words("other", "other", 3, "of another connector"), nil)
		if kept, err := r.journal.AllUnclaimed(t.Context(), 0, 10); err != nil || len(kept) != 0 {
			t.Errorf("%d changes are kept, %v", len(kept), err)
		}
	})
}

func TestForeignNotificationsWaitForNothing(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.sim.SetFaults(lpsim.Faults{LatencyMinMs: 300, LatencyMaxMs: 300})
		for i := range 20 {
			r.say(fmt.Sprint("n-", i), fmt.Sprint("n-", i), "hello")
			time.Sleep(100 * time.Millisecond)
			began := time.Now()
			r.notify(words("other", "other", i, "of another connector"), nil)
			if took := time.Since(began); took > 250*time.Millisecond {
				t.Fatalf("a notification of another connector's conversation was answered after %v", took)
			}
		}
		time.Sleep(time.Minute)
	})
}
