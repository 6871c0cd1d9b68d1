package chatwootapi

import (
	"context"
	"math"

	"lpbridge/bridge"
)

// Chatwoot's protocol has no receipt for what a device got, so it counts as
// taken when it was written to a socket that listens, or read by a request.
// LivePerson is told then, and not when nobody was there.

// tookAll notes that the answer of a call brings a conversation with everything
// in it.
func (c *call) tookAll(t *conversation) { c.took(t, math.MaxInt64) }

// took notes that the answer of a call brings messages up to an id. It counts
// when the answer is out.
func (c *call) took(t *conversation, upTo int64) {
	if t.Untaken > 0 {
		c.taken = append(c.taken, takenMessages{t.ID, upTo})
	}
}

// takenMessages are the messages of a conversation that a device took.
type takenMessages struct{ thread, upTo int64 }

// deviceTook tells LivePerson that a device of the contact has messages. What is
// not told, because it could not be stored, is told when a device next reads.
func (a *history) deviceTook(ctx context.Context, m takenMessages) {
	f, err := a.owner(ctx, bridge.ThreadID(formatID(m.thread)))
	if err == nil && f.thread.Untaken > 0 {
		err = a.inThread(ctx, f.visitor, m.thread, func(t *transaction) error { return a.markTaken(ctx, t, m.upTo) })
	}
	if err != nil {
		a.log.WarnContext(ctx, "a device has messages, which could not be told", "thread", m.thread, "error", err)
	}
}

// takenLimit is the most messages looked at for those that were not taken.
const takenLimit = 1000

func (a *history) markTaken(ctx context.Context, t *transaction, upTo int64) error {
	before := int64(0)
	if upTo < math.MaxInt64 {
		before = upTo + 1
	}
	receipt := &bridge.Receipt{Status: bridge.ReceiptDelivered}
	newest, looked := int64(0), 0
	for m, err := range kindMessage.Each(ctx, a.records, formatID(t.thread.ID), bridge.Page{Before: before, Newest: true}) {
		if err != nil {
			return err
		}
		if m.Untaken {
			t.taken(m)
			t.stored = append(t.stored, m)
			newest = max(newest, m.ID)
			if m.Piece == 0 {
				receipt.MessageIDs = append(receipt.MessageIDs, m.Event)
			}
		}
		if looked++; looked >= takenLimit || t.thread.Untaken == 0 {
			break
		}
	}
	if len(receipt.MessageIDs) > 0 {
		t.report(eventID("took", t.thread.ID, newest), bridge.KindReceipt).Receipt = receipt
	}
	return nil
}

// taken notes that a device has a message.
func (t *transaction) taken(m *message) {
	if m.Untaken {
		m.Untaken = false
		t.thread.Untaken = max(t.thread.Untaken-1, 0)
		t.touch()
	}
}
