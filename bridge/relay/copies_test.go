package relay_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// A message was sent again, for its echo did not come in time. When the echoes of
// both copies do come, the second one says nothing of the message behind.
func TestEchoOfACopySettlesNoOtherMessage(t *testing.T) {
	for name, restarts := range map[string]bool{"in one life": false, "in the next life": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{echoWait: 35 * time.Second})
				r.begin("t-1")
				r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 60_000, WebhookDelayMaxMs: 60_000})
				seven := about("seven", inTurn(r.appliedThen(isLost), r.appliedThen(isLost)))
				eight := about("eight", inTurn(isLost))
				r.wire.fail(seven)
				r.say("t-1", "e-7", "seven")
				time.Sleep(70 * time.Second)
				if restarts {
					r = r.restart(rigOptions{echoWait: 35 * time.Second})
				}
				r.wire.fail(eight)
				r.say("t-1", "e-8", "eight")
				time.Sleep(10 * time.Minute)
				texts := r.allConsumerTexts()
				if count(texts, "seven") != 2 || count(texts, "eight") != 1 || r.journal.PendingCount() != 0 {
					t.Errorf("LivePerson has %q, %d pending; want seven twice and eight once", texts, r.journal.PendingCount())
				}
				r.shutDown()
				r.sim.Close()
			})
		})
	}
}

// The echoes of a message that was sent twice come when the consumer's next one, in
// the same words, did not arrive and is in doubt: they are not its echo, whichever
// of them settled the message, and whatever happened in between.
func TestEchoOfACopySettlesNoLaterMessageInTheSameWords(t *testing.T) {
	well := func(*http.Request, string) (*http.Response, error) { return nil, nil }
	for name, tc := range map[string]struct {
		// second is what becomes of the second copy; before and after are the copies
		// whose echoes come before the next message is written, and after.
		second        func(*rig) fault
		before, after []int
	}{
		"the second copy was answered":       {func(*rig) fault { return well }, nil, []int{0, 1}},
		"the first copy's echo came first":   {func(r *rig) fault { return r.appliedThen(isLost) }, []int{0}, []int{1, 1}},
		"the second copy's echo came first":  {func(r *rig) fault { return r.appliedThen(isLost) }, []int{1}, []int{0, 0}},
		"both came before, and then again":   {func(r *rig) fault { return r.appliedThen(isLost) }, []int{0, 1}, []int{0, 1}},
		"the second copy did not arrive":     {func(*rig) fault { return isLost }, []int{0}, []int{0}},
		"the second copy's answer took long": {func(r *rig) fault { return r.answeredAfter(6 * time.Second) }, []int{0}, []int{1, 0}},
	} {
		for _, between := range []string{"nothing", "a restart", "a new conversation", "a crash"} {
			t.Run(name+" and then "+between, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := rigOptions{echoWait: 35 * time.Second, quiet: true}
					r := newRig(t, o)
					r.begin("t-1")
					r.door.lead(nil)
					r.wire.fail(about(`"ok"`, inTurn(r.appliedThen(isLost), tc.second(r))))
					r.say("t-1", "e-1", "ok")
					time.Sleep(40 * time.Second)
					c := r.conversation()
					r.echo(c, "ok", tc.before...)
					time.Sleep(10 * time.Second)
					wanted := count(r.allConsumerTexts(), "ok") + 1
					if between == "a restart" {
						r = r.restart(o)
						r.door.lead(nil)
					}
					if between == "a new conversation" {
						r.sim.AgentClose(c.ConversationID, lpsim.AgentClose{})
						r.echo(c, "ok")
					}
					r.wire.fail(about(`"ok"`, inTurn(isLost)))
					r.say("t-1", "e-2", "ok")
					if between == "a crash" {
						j := r.crash()
						o.journal, o.sim, o.door, o.channel = j, r.sim, r.door, r.channel
						r = newRig(t, o)
						r.door.lead(nil)
					}
					time.Sleep(time.Second)
					r.echo(c, "ok", tc.after...)
					time.Sleep(20 * time.Minute)
					if texts := r.allConsumerTexts(); count(texts, "ok") != wanted || r.journal.PendingCount() != 0 {
						t.Errorf("LivePerson has %q, %d pending; want ok %d times", texts, r.journal.PendingCount(), wanted)
					}
					r.shutDown()
					r.sim.Close()
				})
			})
		}
	}
}

// A message was sent again, and LivePerson changes words. What comes back in words that
// are nobody's may be the second copy, and says nothing of the message behind.
func TestEchoOfACopyInChangedWordsSettlesNoOtherMessage(t *testing.T) {
	inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.door.lead(nil)
		r.wire.fail(about("seven", inTurn(r.appliedThen(isLost), r.appliedThen(isLost))))
		r.say("t-1", "e-7", "seven")
		time.Sleep(40 * time.Second)
		c := r.conversation()
		r.echo(c, "seven", 0)
		time.Sleep(time.Second)
		r.wire.fail(about("eight", inTurn(isLost)))
		r.say("t-1", "e-8", "eight")
		time.Sleep(time.Second)
		second := r.conversation().Transcript[2]
		if second.Text != "seven" {
			t.Fatalf("the second copy is %q", second.Text)
		}
		second.Text = "*****"
		r.notify(echoed(second), nil)
		time.Sleep(10 * time.Minute)
		if texts := r.allConsumerTexts(); count(texts, "eight") != 1 || r.journal.PendingCount() != 0 {
			t.Errorf("LivePerson has %q, %d pending; want eight once", texts, r.journal.PendingCount())
		}
	})
}

// A message is given up after LivePerson took it and before that is known. Its echo is
// not that of the next message in the same words.
func TestEchoOfAMessageThatWasGivenUpSettlesNoOther(t *testing.T) {
	o := rigOptions{echoWait: 35 * time.Second, quiet: true, adjust: func(o *relay.Options) { o.DeadLetterAfter = 3 * time.Second }}
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.door.lead(nil)
		r.wire.fail(about(`"ok"`, inTurn(r.appliedThen(isLostAfter(4*time.Second)), isLost)))
		r.say("t-1", "e-1", "ok")
		time.Sleep(5 * time.Second)
		r.say("t-1", "e-2", "ok")
		time.Sleep(time.Second)
		r.echo(r.conversation(), "ok", 0)
		time.Sleep(10 * time.Minute)
		if texts := r.allConsumerTexts(); count(texts, "ok") != 2 || r.journal.PendingCount() != 0 {
			t.Errorf("LivePerson has %q, %d pending; want ok twice", texts, r.journal.PendingCount())
		}
	})
}

// The first sending of a message did not arrive, the second one did: there is no copy
// whose echo could be confused with that of the next message in the same words.
func TestMessageThatWasSentAgainBecauseItDidNotArriveHasNoCopy(t *testing.T) {
	inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.wire.fail(about(`"ok"`, inTurn(isLost, r.appliedThen(isLost), r.appliedThen(isLost), isLost, r.appliedThen(isLost))))
		r.say("t-1", "e-1", "ok")
		r.say("t-1", "e-2", "ok")
		r.say("t-1", "e-3", "ok")
		time.Sleep(10 * time.Minute)
		if texts := r.allConsumerTexts(); count(texts, "ok") != 3 || r.journal.PendingCount() != 0 {
			t.Errorf("LivePerson has %q, %d pending; want ok three times", texts, r.journal.PendingCount())
		}
	})
}

// Two threads of a consumer wrote the same, both were sent again, and now both echoes
// come: what may be a copy of either settles one of them.
func TestEchoesOfTwoThreadsThatSentAgainSettleBoth(t *testing.T) {
	inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
		r.sayAs("t-1", "u", "e-1", "hello")
		time.Sleep(time.Second)
		r.wire.fail(about(`"ok"`, inTurn(isLost, isLost, r.appliedThen(isLost), r.appliedThen(isLost))))
		r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 15_000, WebhookDelayMaxMs: 15_000})
		r.sayAs("t-1", "u", "e-2", "ok")
		time.Sleep(5 * time.Second)
		r.sayAs("t-2", "u", "e-3", "ok")
		time.Sleep(10 * time.Minute)
		if texts := r.allConsumerTexts(); count(texts, "ok") != 2 || r.journal.PendingCount() != 0 {
			t.Errorf("LivePerson has %q, %d pending; want ok twice", texts, r.journal.PendingCount())
		}
	})
}

// unsettled is a journal that gets no settlement any more once it is cut off.
type unsettled struct {
	*bridgetest.Journal
	cut *atomic.Bool
}

func (j unsettled) Settle(s bridge.Settlement) {
	if !j.cut.Load() {
		j.Journal.Settle(s)
	}
}

// The answer to a message that was sent again says where it lies, and the process
// dies before it is on disk that this settles it. Its echo must.
func TestEchoSettlesAMessageWhosePlaceIsKnownFromBeforeACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := rigOptions{echoWait: 35 * time.Second, quiet: true}
		var cut atomic.Bool
		first := o
		first.adjust = func(opts *relay.Options) { opts.Journal = unsettled{opts.Journal.(*bridgetest.Journal), &cut} }
		r := newRig(t, first)
		r.begin("t-1")
		r.wire.fail(about(`"ok"`, inTurn(isLost, func(req *http.Request, body string) (*http.Response, error) {
			cut.Store(true)
			r.door.lead(nil)
			return r.applied(req, body)
		})))
		r.say("t-1", "e-1", "ok")
		time.Sleep(36 * time.Second)
		o.journal = r.crash()
		o.sim, o.door, o.channel = r.sim, r.door, r.channel
		r = newRig(t, o)
		time.Sleep(10 * time.Minute)
		r.wantOnce("ok")
	})
}

// echo brings LivePerson's notifications of a consumer's messages, of those with the
// same words the ones that stand at places.
func (r *rig) echo(c lpsim.Conversation, text string, places ...int) {
	r.t.Helper()
	var same []lpsim.Entry
	c, _ = r.sim.Conversation(c.ConversationID)
	for _, e := range c.Transcript {
		if e.Role == "CONSUMER" && e.Text == text {
			same = append(same, e)
		}
	}
	for _, place := range places {
		if place >= len(same) {
			r.t.Fatalf("%q is there %d times", text, len(same))
		}
		if status := r.notify(echoed(same[place]), nil); status != http.StatusOK {
			r.t.Errorf("status %d", status)
		}
	}
}

// echoed writes LivePerson's notification of a consumer's message.
func echoed(e lpsim.Entry) string {
	return fmt.Sprintf(`{"kind":"notification","body":{"changes":[{"sequence":%d,"originatorId":%q,"originatorMetadata":{"id":%q,"role":"CONSUMER"},`+
		`"serverTimestamp":%d,"event":{"type":"ContentEvent","message":%q,"contentType":"text/plain"},"dialogId":%q}]},"type":"ms.MessagingEventNotification"}`,
		e.Sequence, e.OriginatorID, e.OriginatorID, e.Time.UnixMilli(), e.Text, e.DialogID)
}
