package relay

import (
	"context"
	"errors"
	"sync/atomic"

	"lpbridge/bridge"
)

// deniedRecords is the kind of records that remember of which messages the agent was
// told that the consumer does not see them.
const deniedRecords = "denied"

// denied remembers messages in whose stead a sentence is shown. A device takes the
// sentence like any other message, and the agent must not be told then that the
// message arrived after all.
type denied struct {
	records bridge.Records
	// some says that there may be such messages, which is seldom.
	some atomic.Bool
}

// recall finds out whether an earlier process denied something.
func (d *denied) recall(ctx context.Context) error {
	known, err := d.records.List(ctx, deniedRecords, "", bridge.Page{Limit: 1})
	if len(known) > 0 {
		d.some.Store(true)
	}
	return err
}

// remember makes the record of a message, to be kept with its event. LivePerson may tell
// of the message again, and then it is the record that is there.
func (d *denied) remember(ctx context.Context, id bridge.EventID) (bridge.ChannelRecord, error) {
	d.some.Store(true)
	known, err := d.records.Find(ctx, deniedRecords, string(id))
	if err == nil {
		return bridge.ChannelRecord{Channel: coreRecords, Record: known}, nil
	}
	if !errors.Is(err, bridge.ErrNoRecord) {
		return bridge.ChannelRecord{}, err
	}
	number, err := d.records.NextID(ctx, deniedRecords)
	if err != nil {
		return bridge.ChannelRecord{}, err
	}
	return bridge.ChannelRecord{Channel: coreRecords, Record: bridge.Record{Kind: deniedRecords, ID: number, Keys: []string{string(id)}}}, nil
}

// without leaves denied messages out of those that a receipt is about.
func (d *denied) without(ctx context.Context, ids []bridge.EventID) ([]bridge.EventID, error) {
	if !d.some.Load() {
		return ids, nil
	}
	var kept []bridge.EventID
	for _, id := range ids {
		_, err := d.records.Find(ctx, deniedRecords, string(id))
		switch {
		case errors.Is(err, bridge.ErrNoRecord):
			kept = append(kept, id)
		case err != nil:
			return nil, err
		}
	}
	return kept, nil
}
