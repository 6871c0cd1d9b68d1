package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// The core keeps its own records under a channel name no adapter can have.
const (
	coreRecords = ""
	// OfferRecords is the kind of records that remember which quick replies a
	// message offered; they are of use only as long as somebody may click.
	OfferRecords = "offer"
)

// maxReplies is the most that can be chosen in one message. LivePerson allows 24
// quick replies and 256 elements in a card.
const maxReplies = 256

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

// offers remembers which replies a message offered.
type offers struct {
	records bridge.Records
	metrics *metrics
}

// offer lists what can be chosen in a message, quick replies and elements of
// structured content alike, and makes the record that a click needs later:
// LivePerson wants the element's metadata back untouched. What only leads
// somewhere is not reported, so it is no reply.
func (o *offers) offer(ctx context.Context, ev *bridge.Event, c *connector.MessagingChange) (bridge.ChannelRecord, []bridge.QuickReply, error) {
	stored := storedOffer{Position: *ev.Position}
	var replies []bridge.QuickReply
	for _, choice := range c.Clickables() {
		title := cmp.Or(choice.Title, choice.PublishText)
		reported := choice.QuickReply || choice.PublishText != "" || len(choice.Metadata) > 0 && choice.Link == ""
		if !reported || title == "" || len(replies) >= maxReplies {
			continue
		}
		replies = append(replies, bridge.QuickReply{ID: choice.ID, Title: title, Text: choice.PublishText})
		stored.Replies = append(stored.Replies, storedReply{ID: choice.ID, Text: choice.PublishText, Metadata: choice.Metadata})
	}
	if len(replies) == 0 {
		if len(c.Event.QuickReplies) > 0 {
			o.metrics.drop("unknown_quick_replies")
		}
		return bridge.ChannelRecord{}, nil, nil
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
