package relay_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/relay"
)

// slowLedger is a journal whose ledger takes a while to answer; what it says is
// as it was when it was asked.
type slowLedger struct {
	*bridgetest.Journal
	takes time.Duration
}

func (j slowLedger) MessagesAt(ctx context.Context, dialog string, sequences []int64) ([]bridge.LedgerEntry, error) {
	known, err := j.Journal.MessagesAt(ctx, dialog, sequences)
	time.Sleep(j.takes)
	return known, err
}

// TestEchoIsOvertakenByItsAnswer: while the ledger is asked about an echo, the
// answer to the message it is of comes, and the consumer's next message, in the
// same words, is sent and not taken. It must be sent again.
func TestEchoIsOvertakenByItsAnswer(t *testing.T) {
	inBubble(t, rigOptions{quiet: true, adjust: func(o *relay.Options) {
		o.Journal = slowLedger{o.Journal.(*bridgetest.Journal), time.Second}
	}}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		var n atomic.Int64
		r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
			if !strings.Contains(body, `"ok"`) {
				return nil, nil
			}
			switch n.Add(1) {
			case 1:
				resp, err := r.applied(req, body)
				time.Sleep(500 * time.Millisecond)
				return resp, err
			case 2:
				time.Sleep(2 * time.Second)
				return nil, io.ErrUnexpectedEOF
			}
			return nil, nil
		})
		r.say("t-1", "e-1", "ok")
		r.say("t-1", "e-2", "ok")
		time.Sleep(5 * time.Minute)
		if got := r.allConsumerTexts(); count(got, "ok") != 2 || r.journal.PendingCount() > 0 {
			t.Errorf("LivePerson has %q, %d pending, want ok twice", got, r.journal.PendingCount())
		}
	})
}

// Two threads of a consumer write the same at once, and LivePerson takes both. Their
// echoes come while neither is answered, so nobody can tell whose is whose; and still
// not when one answer is lost. They must be there when the other one is lost too.
func TestEchoesAreKeptUntilItIsKnownWhoseTheyAre(t *testing.T) {
	inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
		r.sayAs("t-1", "u", "e-1", "hello")
		time.Sleep(time.Second)
		r.door.lead(nil)
		r.wire.fail(about(`"ok"`, inTurn(r.appliedThen(isLostAfter(9*time.Second)), r.appliedThen(isLostAfter(4*time.Second)))))
		r.sayAs("t-1", "u", "e-2", "ok")
		synctest.Wait()
		r.sayAs("t-2", "u", "e-3", "ok")
		time.Sleep(time.Second)
		r.echo(r.conversation(), "ok", 0, 1)
		time.Sleep(10 * time.Minute)
		if got := r.allConsumerTexts(); count(got, "ok") != 2 || r.journal.PendingCount() > 0 {
			t.Errorf("LivePerson has %q, %d pending, want ok twice", got, r.journal.PendingCount())
		}
	})
}

// Of two messages in the same words the echo of the later one came first and settled
// the earlier one, and so on; in the end the earliest echo comes, late. It is no later
// message's by its position, but there is one message left that arrived.
func TestLateEchoSettlesTheMessageThatIsLeft(t *testing.T) {
	inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
		r.sayAs("t-1", "u", "e-1", "hello")
		time.Sleep(time.Second)
		r.door.lead(nil)
		lost := r.appliedThen(isLost)
		r.wire.fail(about(`"ok"`, inTurn(lost, lost, lost)))
		r.sayAs("t-1", "u", "e-2", "ok")
		time.Sleep(time.Second)
		r.sayAs("t-2", "u", "e-3", "ok")
		time.Sleep(time.Second)
		r.echo(r.conversation(), "ok", 1)
		r.sayAs("t-1", "u", "e-4", "well")
		r.sayAs("t-1", "u", "e-5", "ok")
		time.Sleep(time.Second)
		r.echo(r.conversation(), "ok", 2)
		time.Sleep(time.Second)
		r.echo(r.conversation(), "ok", 0)
		time.Sleep(10 * time.Minute)
		if got := r.allConsumerTexts(); count(got, "ok") != 3 || r.journal.PendingCount() > 0 {
			t.Errorf("LivePerson has %q, %d pending, want ok three times", got, r.journal.PendingCount())
		}
	})
}
