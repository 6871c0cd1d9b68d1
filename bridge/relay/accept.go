package relay

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// partMark sets the number of a part off from the id of its event. Ids from
// channels have no control characters, so no other event can have a part's id.
const partMark = bridge.PartMark

// core is the bridge as one channel's adapter sees it.
type core struct {
	bridge  *Bridge
	channel string
	records bridge.Records
}

var _ bridge.Core = (*core)(nil)

// Records implements [bridge.Core].
func (c *core) Records() bridge.Records { return c.records }

// Disconnected implements [bridge.Core].
func (c *core) Disconnected(id bridge.ThreadID) {
	c.bridge.consumerTyping.Disconnected(bridge.ThreadKey{Channel: c.channel, Thread: id})
}

// Accept implements [bridge.Core].
func (c *core) Accept(ctx context.Context, events []bridge.Event, records ...bridge.Record) (bridge.Accepted, error) {
	b := c.bridge
	batch, first, err := c.batch(ctx, events, records)
	if err != nil {
		return bridge.Accepted{}, err
	}
	var done bridge.Accepted
	if len(batch.Entries) > 0 || len(batch.Records) > 0 {
		seqs, err := c.store(ctx, batch)
		if err != nil {
			b.metrics.refused(c.channel, err)
			return bridge.Accepted{}, err
		}
		for _, i := range first {
			if seqs[i] == 0 {
				done.Duplicates++
				b.metrics.duplicate(c.channel, bridge.ToLivePerson)
				continue
			}
			done.Events++
			c.tellUnsaid(batch.Entries[i].Event)
		}
	}
	done.Events += c.observe(ctx, events)
	return done, nil
}

// store makes a batch durable, if its consumers may have as much pending.
func (c *core) store(ctx context.Context, batch bridge.Batch) (seqs []int64, err error) {
	if c.bridge.channels[c.channel].Served {
		kept, err := c.bridge.shares.promise(batch.Entries)
		if err != nil {
			return nil, err
		}
		defer kept()
	}
	c.bridge.begin(batch.Entries)
	return c.bridge.journal.Append(ctx, batch)
}

// batch turns events into journal entries. first holds the index of the entry of
// each event that has its id.
func (c *core) batch(ctx context.Context, events []bridge.Event, records []bridge.Record) (batch bridge.Batch, first []int, err error) {
	now, kept := time.Now(), c.bridge.opts.Tracer.Kept(ctx)
	for i := range events {
		e := &events[i]
		if err := e.Validate(); err != nil {
			return bridge.Batch{}, nil, err
		}
		if e.Kind == bridge.KindTyping {
			continue
		}
		parts, err := c.parts(ctx, e)
		if err != nil {
			return bridge.Batch{}, nil, err
		}
		for _, part := range parts {
			if part.ID == e.ID {
				first = append(first, len(batch.Entries))
			}
			entry, err := newEntry(bridge.LaneKey{Channel: c.channel, Thread: e.Thread, Direction: bridge.ToLivePerson}, part, now)
			if err != nil {
				return bridge.Batch{}, nil, err
			}
			entry.Traced(kept)
			batch.Entries = append(batch.Entries, entry)
		}
	}
	for _, r := range records {
		batch.Records = append(batch.Records, bridge.ChannelRecord{Channel: c.channel, Record: r})
	}
	return batch, first, nil
}

// newEntry encodes an event for the journal.
func newEntry(lane bridge.LaneKey, e *bridge.Event, accepted time.Time) (bridge.Entry, error) {
	if e.Time.IsZero() {
		e.Time = accepted
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return bridge.Entry{}, err
	}
	return bridge.Entry{Lane: lane, ID: e.ID, Kind: e.Kind, Payload: payload, Accepted: accepted, Event: e}, nil
}

// parts splits an event into those that LivePerson takes with one call each.
// Every part has its own id made from the event's, so that a crash between two
// of them repeats neither.
func (c *core) parts(ctx context.Context, e *bridge.Event) ([]*bridge.Event, error) {
	switch e.Kind {
	case bridge.KindMessage:
		if parts, err := c.typedChoice(ctx, e); parts != nil || err != nil {
			return parts, err
		}
		return messageParts(e, c.bridge.opts.Attachments), nil
	case bridge.KindClick:
		return c.clickParts(ctx, e)
	case bridge.KindRating:
		return c.ratingParts(ctx, e)
	case bridge.KindReceipt:
		return c.receiptPart(ctx, e)
	default:
		return []*bridge.Event{e}, nil
	}
}

// messageParts splits a message at LivePerson's request limit. Every attachment
// is a part of its own. One that is not to be uploaded becomes text, for a
// message without an upload cannot reference a file elsewhere (Send API,
// Examples: File Sharing); so does one whose link would not fit in one text,
// because a part must stay one call if the upload fails.
func messageParts(e *bridge.Event, handling AttachmentHandling) []*bridge.Event {
	var pieces []*bridge.Message
	write := func(texts []string) {
		for _, text := range texts {
			pieces = append(pieces, &bridge.Message{Text: text})
		}
	}
	if e.Message.Text != "" {
		write(connector.SplitText(e.Message.Text, 0))
	}
	for _, a := range e.Message.Attachments {
		link := connector.SplitText(linkOf(a), 0)
		if handling == AttachmentsUpload && len(link) == 1 {
			pieces = append(pieces, &bridge.Message{Attachments: []bridge.Attachment{a}})
			continue
		}
		write(link)
	}
	if len(pieces) == 1 && len(e.Message.Attachments) == 0 {
		return []*bridge.Event{e}
	}
	parts := make([]*bridge.Event, len(pieces))
	for i, piece := range pieces {
		part := *e
		part.Message = piece
		if i > 0 {
			part.ID = e.ID + bridge.EventID(partMark+strconv.Itoa(i))
		}
		parts[i] = &part
	}
	return parts
}

// wholeOf is the channel's own id of the event an entry is a part of.
func wholeOf(id bridge.EventID) bridge.EventID {
	whole, _, _ := strings.Cut(string(id), partMark)
	return bridge.EventID(whole)
}

// clickParts is what LivePerson wants to hear of a click: that the element was
// used, and the text it publishes (Rich Messaging Introduction).
func (c *core) clickParts(ctx context.Context, e *bridge.Event) ([]*bridge.Event, error) {
	offer, err := c.bridge.offers.find(ctx, e.Click)
	if err != nil {
		return nil, err
	}
	return choiceParts(e, &offer, "", partMark+"text"), nil
}

// typedChoice takes what was written for a choice, where what can be chosen was shown
// as words only. Where one can click, what is typed stays what was typed:
// LivePerson's own window sends no ACTION for it (Quick Replies Template).
func (c *core) typedChoice(ctx context.Context, e *bridge.Event) ([]*bridge.Event, error) {
	if !e.Message.TypedChoice || len(e.Message.Attachments) > 0 {
		return nil, nil
	}
	key := bridge.ThreadKey{Channel: c.channel, Thread: e.Thread}
	_, current, err := c.bridge.directory.current(ctx, key)
	if err != nil || !current.TakesMessages() {
		return nil, err
	}
	offer, err := c.bridge.offers.typed(ctx, key, current.ID, e.Message.Text)
	if offer == nil || err != nil {
		return nil, err
	}
	// The words keep the id: when the channel repeats itself the offer may stand that
	// did not before, and they must not be said twice.
	return choiceParts(e, offer, partMark+"click", ""), nil
}

// choiceParts are the two calls of a choice, with what their ids add to the event's.
func choiceParts(e *bridge.Event, offer *offered, clickMark, textMark bridge.EventID) []*bridge.Event {
	click := *e
	click.ID += clickMark
	click.Kind, click.Message = bridge.KindClick, nil
	click.Position = offer.position
	parts := []*bridge.Event{&click}
	if offer.text != "" {
		text := *e
		text.ID += textMark
		text.Kind, text.Click = bridge.KindMessage, nil
		text.Message = &bridge.Message{Text: offer.text}
		text.Position = &bridge.Position{Metadata: offer.position.Metadata}
		parts = append(parts, &text)
	}
	return parts
}

// ratingsLookedAt is how many of a thread's conversations may be the one a rating
// is about.
const ratingsLookedAt = 16

// ratingParts finds out which conversation a rating is about while that is certain:
// by the time it is sent the thread may have another. What the consumer says with it
// is a line of that conversation's transcript, or an answer in its survey, while it is
// open: LivePerson's rating has no field for words (Send API, CSAT).
func (c *core) ratingParts(ctx context.Context, e *bridge.Event) ([]*bridge.Event, error) {
	key := bridge.ThreadKey{Channel: c.channel, Thread: e.Thread}
	recent, err := c.bridge.directory.rows.ConversationsOf(ctx, key, ratingsLookedAt)
	if err != nil {
		return nil, err
	}
	rated := ratedOf(recent, e.Rating.Conversation)
	if rated == nil && e.Rating.Conversation != "" {
		return nil, &bridge.FieldError{Field: "rating.conversationId", Reason: "is not a recent conversation of this thread"}
	}
	part := *e
	part.Position = &bridge.Position{}
	if rated != nil {
		part.Position.Conversation = rated.ID
	}
	var parts []*bridge.Event
	said := strings.TrimSpace(e.Rating.Comment) == ""
	if !said && rated.TakesMessages() {
		parts, said = remarks(&part), true
	}
	if said {
		rating := *e.Rating
		rating.Comment, part.Rating = "", &rating
	}
	return append(parts, &part), nil
}

// tellUnsaid tells of the words of a rating that had no place; those that had are
// parts of their own.
func (c *core) tellUnsaid(e *bridge.Event) {
	if e.Rating != nil && e.Rating.Comment != "" {
		c.LeftOut("rating_comment")
		c.bridge.log.Info("what a consumer said with a rating has no place in a conversation that ended", "channel", c.channel)
	}
}

// receiptPart is a receipt without the messages that the agent was told nobody sees,
// nil when it is about no other.
func (c *core) receiptPart(ctx context.Context, e *bridge.Event) ([]*bridge.Event, error) {
	ids, err := c.bridge.denied.without(ctx, e.Receipt.MessageIDs)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	part, receipt := *e, *e.Receipt
	receipt.MessageIDs, part.Receipt = ids, &receipt
	return []*bridge.Event{&part}, nil
}

// remarks are the texts that say what was said with a rating.
func remarks(rating *bridge.Event) []*bridge.Event {
	var parts []*bridge.Event
	for i, text := range connector.SplitText(rating.Rating.Comment, 0) {
		part := *rating
		part.ID += bridge.EventID(partMark + "comment" + strconv.Itoa(i))
		part.Kind, part.Rating, part.Message = bridge.KindMessage, nil, &bridge.Message{Text: text}
		parts = append(parts, &part)
	}
	return parts
}

// ratedOf is the conversation a rating is about: the one it names, that whose
// survey is open, the one that ended last, or the only one there is.
func ratedOf(recent []bridge.Conversation, named string) *bridge.Conversation {
	var rated *bridge.Conversation
	for i := range recent {
		c := &recent[i]
		switch {
		case named != "" && c.ID != named:
		case named != "", !c.Open, c.Survey != "":
			return c
		case rated == nil:
			rated = c
		}
	}
	return rated
}

// observe passes the typing among events on and returns how much there was. A
// composing that stands before a message of the same thread is out of date.
func (c *core) observe(ctx context.Context, events []bridge.Event) int {
	n := 0
	for i := range events {
		e := &events[i]
		if e.Kind != bridge.KindTyping {
			continue
		}
		n++
		if e.Typing.State == bridge.Composing && messageFollows(events[i+1:], e.Thread) {
			continue
		}
		c.bridge.consumerTypes(ctx, bridge.ThreadKey{Channel: c.channel, Thread: e.Thread}, e.Typing)
	}
	return n
}

func messageFollows(events []bridge.Event, thread bridge.ThreadID) bool {
	for i := range events {
		if events[i].Kind == bridge.KindMessage && events[i].Thread == thread {
			return true
		}
	}
	return false
}
