package journal

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"lpbridge/bridge"
)

// clash breaks a constraint of the database.
type clash struct{ wait }

func (clash) apply(t *transaction) error {
	for range 2 {
		if _, err := t.exec(insertEvent, -1, ">", "", "", []byte{}, 0, 0, 0, "", 0, "", 0, 1); err != nil {
			return err
		}
	}
	return nil
}

// TestFaultyWrite has one write of a transaction fail by its own fault.
func TestFaultyWrite(t *testing.T) { OnEngines(t, faultyWriteOn) }

func faultyWriteOn(t *testing.T, store string) {
	var first atomic.Bool
	hold, held := make(chan struct{}), make(chan struct{})
	j, err := Open(t.Context(), Options{
		Store: store, Logger: slog.New(slog.DiscardHandler),
		// The first commit waits until the others have queued up behind it.
		Observe: func(CommitInfo) {
			if first.CompareAndSwap(false, true) {
				close(held)
				<-hold
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	opening := checkWrite{newWait()}
	j.w.push(opening, 0)
	<-held
	bad, before, after := clash{newWait()}, checkWrite{newWait()}, checkWrite{newWait()}
	durable := make(chan error, 1)
	j.w.push(before, 0)
	j.w.push(bad, 0)
	j.Settle(bridge.Settlement{Seq: 1, Final: bridge.Done, Durable: func(err error) { durable <- err }})
	j.w.push(after, 0)
	close(hold)
	if err := <-bad.result(); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("the faulty write: error %v, want ErrStorage", err)
	}
	for what, done := range map[string]<-chan error{
		"before": before.result(), "settlement": durable, "after": after.result(),
	} {
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	select {
	case <-j.Failed():
		t.Errorf("failed: %v", j.Err())
	default:
	}
	if n := j.count(t, "events"); n != 0 {
		t.Errorf("%d events of the faulty write are left", n)
	}
}
