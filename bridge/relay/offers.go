package relay

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"lpbridge/bridge"
)

// The core keeps its own records under a channel name no adapter can have.
const (
	coreRecords = ""
	// OfferRecords is the kind of records that remember which quick replies a
	// message offered; they are of use only as long as somebody may click.
	OfferRecords = "offer"
)

// maxReplies is the most quick replies of a message we keep; LivePerson allows
// 24 (Quick Replies Template).
const maxReplies = 64

// offered is one element a consumer can choose.
type offered struct {
	text     string
	position *bridge.Position
}

// storedOffer is the data of an offer record.
type storedOffer struct {
	Position bridge.Position `json:"place"`
	Replies  []storedReply   `json:"replies"`
}

type storedReply struct {
	ID       string          `json:"id"`
	Text     string          `json:"text,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// wireReplies is LivePerson's quickReplies (Quick Replies Template).
type wireReplies struct {
	Replies []struct {
		Title string `json:"title"`
		Click struct {
			Actions []struct {
				Type string `json:"type"`
				Text string `json:"text"`
			} `json:"actions"`
			Metadata json.RawMessage `json:"metadata"`
		} `json:"click"`
	} `json:"replies"`
}

// offers remembers which replies a message offered.
type offers struct {
	records bridge.Records
	metrics *metrics
}

// offer reads the quick replies of a message and makes the record that a click
// needs later: LivePerson wants the element's metadata back untouched.
func (o *offers) offer(ctx context.Context, ev *bridge.Event, raw json.RawMessage) (bridge.ChannelRecord, []bridge.QuickReply, error) {
	var wire wireReplies
	if err := json.Unmarshal(raw, &wire); err != nil || len(wire.Replies) == 0 {
		o.metrics.drop("unknown_quick_replies")
		return bridge.ChannelRecord{}, nil, nil
	}
	stored := storedOffer{Position: *ev.Position}
	var replies []bridge.QuickReply
	for i, r := range wire.Replies[:min(len(wire.Replies), maxReplies)] {
		reply := bridge.QuickReply{ID: strconv.Itoa(i), Title: r.Title}
		for _, a := range r.Click.Actions {
			if a.Type == "publishText" {
				reply.Text = a.Text
			}
		}
		replies = append(replies, reply)
		stored.Replies = append(stored.Replies, storedReply{ID: reply.ID, Text: reply.Text, Metadata: r.Click.Metadata})
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return bridge.ChannelRecord{}, nil, err
	}
	key := string(ev.ID)
	if known, err := o.records.Find(ctx, OfferRecords, key); err == nil {
		known.Data = data
		return bridge.ChannelRecord{Channel: coreRecords, Record: known}, replies, nil
	}
	id, err := o.records.NextID(ctx, OfferRecords)
	if err != nil {
		return bridge.ChannelRecord{}, nil, err
	}
	return bridge.ChannelRecord{Channel: coreRecords, Record: bridge.Record{Kind: OfferRecords, ID: id, Keys: []string{key}, Data: data}}, replies, nil
}

// find finds what a click chose.
func (o *offers) find(ctx context.Context, c *bridge.Click) (offered, error) {
	record, err := o.records.Find(ctx, OfferRecords, string(c.MessageID))
	if errors.Is(err, bridge.ErrNoRecord) {
		return offered{}, &bridge.FieldError{Field: "click.messageId", Reason: "is not a message that offered replies"}
	}
	if err != nil {
		return offered{}, err
	}
	var stored storedOffer
	if err := json.Unmarshal(record.Data, &stored); err != nil {
		return offered{}, err
	}
	for _, r := range stored.Replies {
		if r.ID == c.ReplyID {
			position := stored.Position
			position.Metadata = r.Metadata
			return offered{text: r.Text, position: &position}, nil
		}
	}
	return offered{}, &bridge.FieldError{Field: "click.replyId", Reason: "is not a reply of that message"}
}
