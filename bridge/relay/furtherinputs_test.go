package relay_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// crashed is the bridge after a crash and an absence.
func (r *rig) crashed(away time.Duration, o rigOptions) *rig {
	o.journal = r.crash()
	time.Sleep(away)
	o.sim, o.door, o.channel = r.sim, r.door, r.channel
	return newRig(r.t, o)
}

// A message in doubt was sent in a conversation that went to the consumer's other
// thread and came back, and then nobody was there for a time.
func TestDoubtInAConversationThatMovedOnOutlivesAnAbsence(t *testing.T) {
	o := rigOptions{echoWait: 35 * time.Second, quiet: true}
	for _, crash := range []bool{true, false} {
		for _, away := range []time.Duration{3 * time.Second, 50 * time.Second, 30 * time.Minute} {
			t.Run(fmt.Sprintf("crash %t, %v", crash, away), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, o)
					r.keptForDays()
					r.sayAs("t-a", "u-1", "a-0", "hello")
					time.Sleep(time.Second)
					r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 20_000, WebhookDelayMaxMs: 20_000})
					r.loseAnswer("precious")
					r.sayAs("t-a", "u-1", "a-1", "precious")
					time.Sleep(time.Second)
					r.sayAs("t-b", "u-1", "b-0", "from the other thread")
					time.Sleep(time.Second)
					r.sayAs("t-a", "u-1", "a-2", "back again")
					time.Sleep(time.Second)
					r.door.lead(nil)
					if crash {
						r = r.crashed(away, o)
					} else {
						r = r.awayInOrder(away, o)
					}
					time.Sleep(30 * time.Minute)
					if got := r.allConsumerTexts(); count(got, "precious") != 1 || count(got, "back again") != 1 || r.journal.PendingCount() > 0 {
						t.Errorf("LivePerson has %q, %d pending", got, r.journal.PendingCount())
					}
					r.shutDown()
					r.sim.Close()
				})
			})
		}
	}
}

// awayInOrder is the bridge after an orderly end and an absence.
func (r *rig) awayInOrder(away time.Duration, o rigOptions) *rig {
	r.t.Helper()
	r.shutDown()
	time.Sleep(away)
	o.journal, o.sim, o.door, o.channel = r.journal.Reopen(), r.sim, r.door, r.channel
	return newRig(r.t, o)
}

// LivePerson masks, filters and trims what consumers write; what comes back can only
// be the one message in doubt.
func TestRewrittenEchoSettlesTheOnlyMessageInDoubt(t *testing.T) {
	for text, back := range map[string]string{
		"  padded  ": "padded", "two  spaces": "two spaces", "damn it": "**** it", "a\r\nb": "a\nb",
		"<b>x</b>": "&lt;b&gt;x&lt;/b&gt;", "cafe\u0301": "caf\u00e9", "zero\u200bwidth": "zerowidth", "x": "",
	} {
		t.Run(text, func(t *testing.T) {
			inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
				id := r.begin("t-1")
				r.door.lead(nil)
				r.wire.restartClock()
				r.wire.fail(about("ContentEvent", inTurn(r.appliedThen(isLost))))
				r.say("t-1", "e-1", text)
				time.Sleep(5 * time.Second)
				all := r.conversation().Transcript
				last := all[len(all)-1]
				last.Text = back
				r.notify(strings.Replace(echoed(last), `"dialogId"`, fmt.Sprintf(`"conversationId":%q,"dialogId"`, id), 1), nil)
				time.Sleep(10 * time.Minute)
				if n := len(r.wire.sent("ContentEvent")); n != 1 || r.journal.PendingCount() > 0 {
					t.Errorf("sent %d times, %d pending", n, r.journal.PendingCount())
				}
			})
		})
	}
}

// Numbers and times of any spelling, and none at all, cost no message of a
// notification, and a repetition shows none again.
func TestOddNumbersAndTimesCostNoMessage(t *testing.T) {
	for _, at := range []string{`1528371199686000`, `-1`, `"1528371199686"`, `1.528371199686e12`, `null`, `"2018-06-07T11:33:19Z"`, `{}`, `1e400`, `true`} {
		for _, sequence := range []string{`30`, `"30"`, `30.0`, `3e1`, `30.5`, `-3`, `9223372036854775808`, `null`, `{}`, `"x"`} {
			t.Run(at+" "+sequence, func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
					id := r.begin("t-1")
					change := func(sequence, at, text string) string {
						return fmt.Sprintf(`{"sequence":%s,"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},"serverTimestamp":%s,`+
							`"event":{"type":"ContentEvent","message":%q,"contentType":"text/plain"},"conversationId":%q,"dialogId":%q}`, sequence, at, text, id, id)
					}
					body := changed(change("29", "1528371199686", "before"), change(sequence, at, "odd"), change("31", "1528371199686", "after"))
					for range 2 {
						if status := r.notify(body, nil); status != http.StatusOK {
							t.Errorf("status %d", status)
						}
					}
					time.Sleep(20 * time.Second)
					got := r.channel.texts()
					slices.Sort(got)
					if !slices.Equal(got, []string{"after", "before", "odd"}) {
						t.Errorf("the consumer reads %q", got)
					}
				})
			})
		}
	}
}

// CONVERSATION was applied, whatever the answer says: it is found, not opened twice.
func TestErrorAfterOpeningOpensNoSecondConversation(t *testing.T) {
	for _, status := range []int{500, 503, 504, 408, 403, 404, 429} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
				r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 30_000, WebhookDelayMaxMs: 30_000, Engagement: "none"})
				r.wire.fail(about("ConsumerRequestConversation", inTurn(r.appliedThen(says(status, "<html>")))))
				r.say("t-1", "e-1", "precious")
				r.say("t-1", "e-2", "next")
				time.Sleep(10 * time.Minute)
				if got := r.allConsumerTexts(); !slices.Equal(got, []string{"precious", "next"}) || len(r.sim.Conversations()) != 1 {
					t.Errorf("LivePerson has %q in %d conversations", got, len(r.sim.Conversations()))
				}
			})
		})
	}
}

// The process is killed ten milliseconds after the consumer began to type, and comes
// back a day later into an outage.
func TestTypingEndsAfterAKillInALongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{quiet: true})
		r.begin("t-1")
		r.types("t-1", bridge.Composing)
		time.Sleep(10 * time.Millisecond)
		r.down()
		r = r.crashed(30*time.Hour, rigOptions{quiet: true})
		well := r.down()
		time.Sleep(5 * time.Hour)
		well()
		time.Sleep(15 * time.Second)
		if still := r.typists(); len(still) > 0 || r.marks(bridge.ToLivePerson) > 0 {
			t.Errorf("typing in %v, %d marks", still, r.marks(bridge.ToLivePerson))
		}
		r.shutDown()
		r.sim.Close()
	})
}
