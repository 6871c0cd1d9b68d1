package relay_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

func TestLostAnswerOfAFileIsSettledByItsEcho(t *testing.T) {
	o, _ := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.send("t-1", "e-0", "hello")
		synctest.Wait()
		r.loseAnswer("hosted/file")
		r.send("t-1", "e-1", "", "a.png")
		r.send("t-1", "e-2", "after")
		time.Sleep(time.Minute)
		r.wantMessages("hello", "[a.png PNG]", "after")
	})
}

func TestLostFileIsSentAgainAfterTheWait(t *testing.T) {
	o, m := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.send("t-1", "e-0", "hello")
		synctest.Wait()
		r.wire.fail(about("hosted/file", inTurn(isLost)))
		r.send("t-1", "e-1", "", "a.png")
		time.Sleep(10 * time.Second)
		r.wantMessages("hello")
		time.Sleep(time.Minute)
		r.wantMessages("hello", "[a.png PNG]")
		if n := m.fetched(); n != 2 {
			t.Errorf("fetched %d times, want 2", n)
		}
	})
}

// Two files with one caption must not be taken for each other: that would lose
// the second. The first arrives twice here, because its echo is later than the
// bridge waits; the echo of its repetition comes while the second is in doubt.
func TestEchoOfAFileDoesNotSettleAnotherOfTheSameName(t *testing.T) {
	o, _ := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.say("t-1", "e-0", "hello")
		synctest.Wait()
		r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 17000, WebhookDelayMaxMs: 17000})
		var n atomic.Int64
		r.wire.fail(about("hosted/file", counted(&n, inTurn(r.appliedThen(isLost), r.answeredAfter(9*time.Second), isLost))))
		r.send("t-1", "e-1", "", "a.png")
		r.send("t-1", "e-2", "", "a.png")
		time.Sleep(34 * time.Second)
		r.wantMessages("hello", "[a.png PNG]", "[a.png PNG]")
		time.Sleep(time.Minute)
		r.wantMessages("hello", "[a.png PNG]", "[a.png PNG]", "[a.png PNG]")
		if n.Load() != 4 {
			t.Errorf("%d files were sent, want 4", n.Load())
		}
	})
}

// A file that the consumer sent by another app of LivePerson's is none of ours: the one
// in doubt would be lost.
func TestEchoOfAFileOfAnotherAppSettlesNone(t *testing.T) {
	o, _ := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.send("t-1", "e-0", "hello")
		synctest.Wait()
		r.wire.fail(about("hosted/file", inTurn(isLost)))
		r.send("t-1", "e-1", "", "a.png")
		time.Sleep(time.Second)
		other := r.conversation().Transcript[0]
		other.Sequence += 5
		body := strings.NewReplacer(`"message":"hello"`, `"message":{"relativePath":"/v1/other","caption":"","fileType":"PNG"}`,
			"text/plain", "hosted/file").Replace(echoed(other))
		if status := r.notify(body, nil); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
		time.Sleep(2 * time.Minute)
		r.wantMessages("hello", "[a.png PNG]")
	})
}

func TestCrashAfterAFileWasSentDoesNotSendItTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := withFiles(t)
		r := newRig(t, o)
		defer r.sim.Close()
		r.send("t-1", "e-0", "hello")
		synctest.Wait()
		// The answer does not come before the process dies, and no echo gets in.
		r.door.lead(nil)
		r.wire.fail(about("hosted/file", r.appliedThen(hangs)))
		r.send("t-1", "e-1", "", "a.png")
		synctest.Wait()
		o.journal, o.sim, o.door = r.crash(), r.sim, r.door
		next := newRig(t, o)
		defer next.shutDown()
		time.Sleep(2 * time.Minute)
		next.wantMessages("hello", "[a.png PNG]")
	})
}
