package relay_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

func TestAbsenceOfAnyLengthSendsNothingTwice(t *testing.T) {
	for _, away := range []time.Duration{
		0, time.Second, 10 * time.Second, 40 * time.Second, 65 * time.Second, 90 * time.Second, 130 * time.Second,
		4 * time.Minute, 260 * time.Second, 9 * time.Minute, 20 * time.Minute, 61 * time.Minute, 30 * time.Hour,
	} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{echoWait: 35 * time.Second, quiet: true})
				r.begin("t-1")
				r.sim.SetWebhooks(lpsim.Webhooks{URL: "http://bridge.test/webhooks/liveperson", RetentionSeconds: 259200})
				r.wire.fail(about("precious", func(req *http.Request, body string) (*http.Response, error) {
					// The process dies after LivePerson has it, before answer and echo.
					r.door.lead(nil)
					return r.appliedThen(hangs)(req, body)
				}))
				r.say("t-1", "e-1", "precious")
				time.Sleep(500 * time.Millisecond)
				j := r.crash()
				time.Sleep(away)
				r = newRig(t, rigOptions{journal: j, sim: r.sim, door: r.door, channel: r.channel, echoWait: 35 * time.Second, quiet: true})
				time.Sleep(20 * time.Minute)
				if n := count(r.allConsumerTexts(), "precious"); n != 1 || r.journal.PendingCount() > 0 {
					t.Errorf("LivePerson has the message %d times, %d pending", n, r.journal.PendingCount())
				}
				r.shutDown()
				r.sim.Close()
			})
		})
	}
}

// A process that does not live long enough for any of LivePerson's tries to meet
// it was never there for LivePerson, whose pauses go on doubling.
func TestLivesThatNoNotificationMetAreAnAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{echoWait: 35 * time.Second, quiet: true})
		r.begin("t-1")
		r.sim.SetWebhooks(lpsim.Webhooks{URL: "http://bridge.test/webhooks/liveperson", RetentionSeconds: 259200})
		r.wire.fail(about("precious", func(req *http.Request, body string) (*http.Response, error) {
			r.door.lead(nil)
			return r.appliedThen(hangs)(req, body)
		}))
		r.say("t-1", "e-1", "precious")
		time.Sleep(500 * time.Millisecond)
		for range 12 {
			j := r.crash()
			time.Sleep(9 * time.Second)
			r = newRig(t, rigOptions{journal: j, sim: r.sim, door: r.door, channel: r.channel, echoWait: 35 * time.Second, quiet: true})
			r.door.lead(nil)
			time.Sleep(2 * time.Second)
		}
		j := r.crash()
		time.Sleep(9 * time.Second)
		r = newRig(t, rigOptions{journal: j, sim: r.sim, door: r.door, channel: r.channel, echoWait: 35 * time.Second, quiet: true})
		time.Sleep(20 * time.Minute)
		if n := count(r.allConsumerTexts(), "precious"); n != 1 || r.journal.PendingCount() > 0 {
			t.Errorf("LivePerson has the message %d times, %d pending", n, r.journal.PendingCount())
		}
		r.shutDown()
		r.sim.Close()
	})
}

// The echo is twenty seconds late; meanwhile the process crashes and is then
// restarted in order, once or again and again.
func TestDoubtOutlivesOrderlyRestarts(t *testing.T) {
	for _, before := range []int{0, 429, 503} {
		for _, restarts := range []int{1, 4} {
			t.Run(http.StatusText(before)+strings.Repeat("+", restarts), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, rigOptions{echoWait: 35 * time.Second, quiet: true})
					r.begin("t-1")
					r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 20_000, WebhookDelayMaxMs: 20_000})
					sent := make(chan struct{})
					hang := func(req *http.Request, body string) (*http.Response, error) {
						close(sent)
						return r.appliedThen(hangs)(req, body)
					}
					if before == 0 {
						r.wire.fail(about("precious", inTurn(hang)))
					} else {
						r.wire.fail(about("precious", inTurn(answers(before), hang)))
					}
					r.say("t-1", "e-1", "precious")
					<-sent
					time.Sleep(100 * time.Millisecond)
					j := r.crash()
					r = newRig(t, rigOptions{journal: j, sim: r.sim, door: r.door, channel: r.channel, echoWait: 35 * time.Second, quiet: true})
					for range restarts {
						time.Sleep(2 * time.Second)
						r.stop()
						if err := <-r.stopped; err != nil {
							t.Error(err)
						}
						r.close()
						r.journal.Close()
						r = newRig(t, rigOptions{journal: r.journal.Reopen(), sim: r.sim, door: r.door, channel: r.channel, echoWait: 35 * time.Second, quiet: true})
					}
					time.Sleep(10 * time.Minute)
					if got := count(r.allConsumerTexts(), "precious"); got != 1 || r.journal.PendingCount() > 0 {
						t.Errorf("LivePerson has the message %d times, %d pending", got, r.journal.PendingCount())
					}
					r.shutDown()
					r.sim.Close()
				})
			})
		}
	}
}

// A process that dies every few seconds waits for an echo that never comes, and
// that wait does not begin anew with each start.
func TestDoubtEndsAlthoughTheProcessKeepsDying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{echoWait: 35 * time.Second, quiet: true})
		r.begin("t-1")
		r.wire.fail(about("precious", hangs))
		r.say("t-1", "e-1", "precious")
		time.Sleep(time.Second)
		began := time.Now()
		for !slices.Contains(r.allConsumerTexts(), "precious") && time.Since(began) < 10*time.Minute {
			j := r.crash()
			time.Sleep(time.Second)
			r = newRig(t, rigOptions{journal: j, sim: r.sim, door: r.door, channel: r.channel, echoWait: 35 * time.Second, quiet: true})
			time.Sleep(6 * time.Second)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the message went out after %v", took)
		}
		r.shutDown()
		r.sim.Close()
	})
}

// A delivery that does not end although the process must: the next one knows that
// it may have arrived.
func TestStopKeepsDoubtOfADeliveryThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{echoWait: 35 * time.Second, quiet: true})
		r.begin("t-1")
		r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 20_000, WebhookDelayMaxMs: 20_000})
		release := make(chan struct{})
		r.wire.fail(about("precious", r.appliedThen(func(*http.Request, string) (*http.Response, error) {
			<-release
			return nil, io.ErrUnexpectedEOF
		})))
		r.say("t-1", "e-1", "precious")
		time.Sleep(100 * time.Millisecond)
		r.stop()
		<-r.stopped
		r.close()
		r.journal.Close()
		close(release)
		r = newRig(t, rigOptions{journal: r.journal.Reopen(), sim: r.sim, door: r.door, channel: r.channel, echoWait: 35 * time.Second, quiet: true})
		time.Sleep(10 * time.Minute)
		if got := count(r.allConsumerTexts(), "precious"); got != 1 || r.journal.PendingCount() > 0 {
			t.Errorf("LivePerson has the message %d times, %d pending", got, r.journal.PendingCount())
		}
		r.shutDown()
		r.sim.Close()
	})
}
