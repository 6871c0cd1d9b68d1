package relay

import (
	"context"
	"errors"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// CopyRecords is the kind of records that remember of whom LivePerson may have a
// message twice. The key is the consumer's id at LivePerson.
const CopyRecords = "copy"

// copies remember consumers whose message was sent again because no echo came. The
// echo of the second copy is like that of no message we know, and must not be
// taken for one in other words of the message behind it, which would be lost.
type copies struct{ records bridge.Records }

// expect writes down that a message may be there twice, before it is.
func (c *copies) expect(ctx context.Context, lpConsumer string) error {
	if known, err := c.expected(ctx, lpConsumer); known || err != nil {
		return err
	}
	id, err := c.records.NextID(ctx, CopyRecords)
	if err != nil {
		return err
	}
	err = c.records.Save(ctx, bridge.Record{Kind: CopyRecords, ID: id, Keys: []string{lpConsumer}})
	if errors.Is(err, bridge.ErrRecordTaken) {
		return nil
	}
	return err
}

// expected reports whether an echo of a consumer may be that of a copy. It is so
// for as long as history is kept: LivePerson repeats notifications for days.
func (c *copies) expected(ctx context.Context, lpConsumer string) (bool, error) {
	_, err := c.records.Find(ctx, CopyRecords, lpConsumer)
	if errors.Is(err, bridge.ErrNoRecord) {
		return false, nil
	}
	return err == nil, err
}

// expectCopy says, when a message may have arrived before, that it may be there
// twice.
func (s *sender) expectCopy(ctx context.Context, e *bridge.Entry, lpConsumer string) error {
	if e.Doubt == nil {
		return nil
	}
	if err := s.copies.expect(ctx, lpConsumer); err != nil {
		return connector.NotSent("remember that a message is sent again", bridge.Retry, err)
	}
	return nil
}
