package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// The core keeps its own records under a channel name no adapter can have.
const (
	coreRecords = ""
	// offerRecords is the kind of records that remember which quick replies a
	// message offered; they are of use only as long as somebody may click.
	offerRecords = "offer"
)

// maxReplies is the most that can be chosen in one message. LivePerson allows 24
// quick replies and 256 elements in a card.
const maxReplies = 256

// offerStands is how long what somebody types may choose from an offer: who writes
// "2" a day later means something else.
const offerStands = 24 * time.Hour

// offered is one element a consumer can choose.
type offered struct {
	text     string
	position *bridge.Position
}

// storedOffer is the data of an offer record.
type storedOffer struct {
	Position bridge.Position `json:"place"`
	Replies  []storedReply   `json:"replies"`
	Offered  time.Time       `json:"offered,omitzero"`
}

// chosen is what choosing a reply means, and says.
func (o *storedOffer) chosen(r *storedReply, words string) offered {
	position := o.Position
	position.Metadata = r.Metadata
	return offered{text: words, position: &position}
}

type storedReply struct {
	ID       string          `json:"id"`
	Title    string          `json:"title,omitempty"`
	Label    string          `json:"label,omitempty"`
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
func (o *offers) offer(ctx context.Context, key bridge.ThreadKey, ev *bridge.Event, c *connector.MessagingChange) (bridge.ChannelRecord, []bridge.QuickReply, error) {
	stored := storedOffer{Position: *ev.Position, Offered: time.Now()}
	var replies []bridge.QuickReply
	var headings []string
	for _, choice := range c.Clickables() {
		title := cmp.Or(choice.Title, choice.PublishText)
		reported := choice.QuickReply || choice.PublishText != "" || len(choice.Metadata) > 0 && choice.Link == ""
		if !reported || title == "" || len(replies) >= maxReplies {
			continue
		}
		if choice.QuickReply && choice.Link != "" {
			// A reply says that it was chosen, and leads nowhere by itself.
			ev.Message.Text = joined(ev.Message.Text, choice.Title+": "+choice.Link)
		}
		replies, headings = append(replies, bridge.QuickReply{ID: choice.ID, Title: title, Text: choice.PublishText}), append(headings, choice.Heading)
		stored.Replies = append(stored.Replies, storedReply{ID: choice.ID, Title: title, Text: choice.PublishText, Metadata: choice.Metadata})
	}
	if len(replies) == 0 {
		if len(c.Event.QuickReplies) > 0 {
			o.metrics.drop("unknown_quick_replies")
		}
		return bridge.ChannelRecord{}, nil, nil
	}
	tellApart(replies, headings)
	for i := range replies {
		stored.Replies[i].Label = replies[i].Label
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return bridge.ChannelRecord{}, nil, err
	}
	name := string(ev.ID)
	if known, err := o.records.Find(ctx, offerRecords, name); err == nil {
		known.Data = data
		return bridge.ChannelRecord{Channel: coreRecords, Record: known}, replies, nil
	}
	id, err := o.records.NextID(ctx, offerRecords)
	if err != nil {
		return bridge.ChannelRecord{}, nil, err
	}
	return bridge.ChannelRecord{Channel: coreRecords, Record: bridge.Record{
		Kind: offerRecords, ID: id, Parent: threadParent(key), Keys: []string{name}, Data: data,
	}}, replies, nil
}

// threadParent groups records of a thread.
func threadParent(key bridge.ThreadKey) string { return key.Channel + partMark + string(key.Thread) }

// typed finds what somebody chose who can only write: in the newest offer of the
// conversation, by the name of a choice or by its number in the list. Nil when
// what was written chooses nothing.
func (o *offers) typed(ctx context.Context, key bridge.ThreadKey, conversation, text string) (*offered, error) {
	newest, err := o.records.List(ctx, offerRecords, threadParent(key), bridge.Page{Limit: 1, Newest: true})
	if err != nil || len(newest) == 0 {
		return nil, err
	}
	var stored storedOffer
	if err := json.Unmarshal(newest[0].Data, &stored); err != nil {
		return nil, err
	}
	if stored.Position.Conversation != conversation || time.Since(stored.Offered) > offerStands {
		return nil, nil
	}
	text = strings.TrimSpace(text)
	for i := range stored.Replies {
		if r := &stored.Replies[i]; sameName(text, r.Label) {
			return new(stored.chosen(r, cmp.Or(r.Text, r.Title))), nil
		}
	}
	for i := range stored.Replies {
		if r := &stored.Replies[i]; sameName(text, r.Title) {
			return new(stored.chosen(r, cmp.Or(r.Text, text))), nil
		}
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(stored.Replies) {
		r := &stored.Replies[n-1]
		return new(stored.chosen(r, cmp.Or(r.Text, r.Title))), nil
	}
	return nil, nil
}

func sameName(text, name string) bool {
	name = strings.TrimSpace(name)
	return name != "" && strings.EqualFold(text, name)
}

// find finds what a click chose.
func (o *offers) find(ctx context.Context, c *bridge.Click) (offered, error) {
	record, err := o.records.Find(ctx, offerRecords, string(c.MessageID))
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
	for i := range stored.Replies {
		if r := &stored.Replies[i]; r.ID == c.ReplyID {
			return stored.chosen(r, r.Text), nil
		}
	}
	return offered{}, &bridge.FieldError{Field: "click.replyId", Reason: "is not a reply of that message"}
}
