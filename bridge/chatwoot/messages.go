package chatwoot

import (
	"context"
	"net/url"
	stdpath "path"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
)

// youngMessage is how long after it was written a consumer's message is taken
// from message_updated too. A webhook that was lost, or written before its
// attachments were there, is made good that way; what is known already is a
// duplicate. It must be far less than duplicates are remembered.
const youngMessage = 5 * time.Minute

func (r *report) readMessage(ctx context.Context) (news, error) {
	p := messageIn(r.Object)
	if err := p.validate(); err != nil || p.Private {
		return news{}, err
	}
	r.weighProof(p.Conversation)
	r.seen.reporting(p.Conversation)
	if !r.ours(p.AccountID, p.InboxID) {
		r.core.LeftOut("elsewhere")
		return news{}, nil
	}
	incoming, created := p.MessageType == typeIncoming, r.event == eventMessageCreated
	switch {
	case incoming && !created && (time.Since(p.CreatedAt) >= youngMessage || p.ContentAttributes.Deleted):
		return news{}, nil
	case incoming, created && r.pending == leave && p.fromOurSide():
		r.next(p.Conversation.ID, p.ID)
	case created:
		return news{}, nil
	default:
		return r.readAnswer(p)
	}
	// Who has the conversation is asked only now, when all before is known.
	switch {
	case r.leftToBot(p.Conversation):
		return r.overhear(ctx, p)
	case incoming:
		return r.readSaid(ctx, p)
	}
	return news{}, nil
}

// fromOurSide reports whether a message is of a bot, a user or an automation.
func (p *messagePayload) fromOurSide() bool {
	return p.MessageType == typeOutgoing || p.MessageType == typeTemplate
}

// readSaid reads what a consumer wrote. The record ties the contact to the
// conversation, for a change of the contact names none.
func (r *report) readSaid(ctx context.Context, p *messagePayload) (news, error) {
	message := r.messageOf(ctx, p)
	if message == nil {
		return news{}, nil
	}
	n, err := r.handOver(ctx, p.Conversation)
	if err != nil {
		return news{}, err
	}
	e := p.event(bridge.KindMessage, messageID(p.ID))
	e.Time, e.Message = p.CreatedAt, message
	switch {
	case r.seen.cameBare(p.ID) && len(message.Attachments) > 0:
		// Some of Chatwoot's channels attach files after the message was reported.
		e.ID += ":files"
		e.Message = &bridge.Message{Attachments: message.Attachments}
	case len(message.Attachments) == 0:
		n.noted = append(n.noted, func(m *memory) { m.comeBare(p.ID) })
	}
	n.events = append(n.events, e)
	here := wrote{p.Conversation.ID, e.Consumer.ID}
	contact := p.Conversation.contact()
	if p.Sender.isContact() {
		contact = p.Sender.ID
	}
	if contact > 0 && r.seen.wrote(contact) != here {
		n.records = append(n.records, here.record(contact))
		n.noted = append(n.noted, func(m *memory) { m.write(contact, here) })
	}
	if p.Conversation.Status != statusResolved {
		r.reopened(&n, p.Conversation, latest(p.Conversation.UpdatedAt, p.CreatedAt))
	}
	return n, nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (p *messagePayload) event(k bridge.Kind, id bridge.EventID) bridge.Event {
	return bridge.Event{ID: id, Kind: k, Thread: threadOf(p.Conversation.ID), Inbox: p.Conversation.inbox(), Consumer: p.Conversation.consumer(p.Sender)}
}

// readAnswer reads what a consumer did with a message from our side: a choice
// and having read it for messages of ours, a rating for Chatwoot's own survey.
func (r *report) readAnswer(p *messagePayload) (news, error) {
	n := news{titles: map[bridge.EventID]string{}}
	a := p.ContentAttributes
	switch {
	case a.CSAT == nil:
	case a.CSAT.Rating == 0:
		r.core.LeftOut("rating_unreadable")
	default:
		e := p.event(bridge.KindRating, answerID("rating", p.ID, strconv.Itoa(a.CSAT.Rating)+" "+a.CSAT.Feedback))
		e.Rating = &bridge.Rating{Score: a.CSAT.Rating, Comment: a.CSAT.Feedback}
		n.events = append(n.events, e)
	}
	if a.Mark != "" && p.status() == "read" {
		e := p.event(bridge.KindReceipt, answerID("read", p.ID, string(a.Mark)))
		e.Receipt = &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{a.Mark}}
		n.events = append(n.events, e)
	}
	for _, s := range a.Submitted {
		if a.Mark == "" {
			break
		}
		n.events = append(n.events, p.chosen(s, n.titles))
	}
	if len(n.events) > 0 {
		r.next(p.Conversation.ID, last)
	}
	return n, nil
}

// chosen is a click, or the words that the consumer read where LivePerson knows
// of none. A message from before the ids of replies were kept beside their words
// has the id itself as the value.
func (p *messagePayload) chosen(s submitted, titles map[bridge.EventID]string) bridge.Event {
	id := answerID("click", p.ID, s.Value)
	words := s.Value
	if s.Title != "" {
		words = s.Title
	}
	reply, known := s.Value, p.ContentAttributes.Replies == nil
	if !known {
		reply, known = p.ContentAttributes.Replies[s.Value]
	}
	if !known {
		e := p.event(bridge.KindMessage, id)
		e.Message = &bridge.Message{Text: words}
		return e
	}
	e := p.event(bridge.KindClick, id)
	e.Click = &bridge.Click{MessageID: p.ContentAttributes.Mark, ReplyID: reply}
	titles[id] = words
	return e
}

// messageOf is the message as LivePerson can show it, nil when there is nothing.
func (r *report) messageOf(ctx context.Context, p *messagePayload) *bridge.Message {
	m := &bridge.Message{Text: p.Content, TypedChoice: p.Conversation.Channel != "" && !p.Conversation.reportsClicks()}
	if strings.TrimSpace(m.Text) == "" {
		m.Text = ""
	}
	for _, a := range p.Attachments {
		if a.isFile() {
			m.Attachments = append(m.Attachments, bridge.Attachment{URL: a.DataURL, ContentType: a.ContentType, Name: a.name()})
			continue
		}
		if !a.told() {
			r.log.WarnContext(ctx, "an attachment has neither an address nor words",
				"thread", p.Conversation.ID, "message", p.ID, "type", a.kind())
			r.core.LeftOut("attachment_without_address")
		}
		m.Text = strings.TrimPrefix(m.Text+"\n"+a.described(), "\n")
	}
	if m.Text == "" && len(m.Attachments) == 0 {
		return nil
	}
	return m
}

// isFile reports whether an attachment is a file at an address. The address of a
// place or of something shared is that of a page.
func (a attachment) isFile() bool {
	switch a.FileType {
	case "location", "contact", "fallback", "share", "embed":
		return false
	}
	return isWebAddress(a.DataURL)
}

func (a attachment) name() string {
	if a.FallbackTitle != "" {
		return a.FallbackTitle
	}
	u, err := url.Parse(a.DataURL)
	if err != nil {
		return ""
	}
	return strings.Trim(stdpath.Base(u.Path), "./")
}

// told reports whether an attachment that is no file says anything.
func (a attachment) told() bool {
	return a.FallbackTitle != "" || a.Located || isWebAddress(a.DataURL)
}

// described puts an attachment that is no file in words: a place with its title
// and coordinates, the number on an address card, a shared page. Of one that says
// nothing the agent learns at least that it was there.
func (a attachment) described() string {
	words := []string{a.FallbackTitle}
	switch {
	case a.Located:
		words = append(words, strconv.FormatFloat(a.Latitude, 'f', -1, 64)+", "+strconv.FormatFloat(a.Longitude, 'f', -1, 64))
	case isWebAddress(a.DataURL):
		words = append(words, a.DataURL)
	case a.FallbackTitle == "":
		words = append(words, "["+a.kind()+"]")
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

// kind is the type of an attachment where that is a plain word.
func (a attachment) kind() string {
	const letters = "abcdefghijklmnopqrstuvwxyz_"
	if a.FileType == "" || len(a.FileType) > 32 || strings.Trim(a.FileType, letters) != "" {
		return "file"
	}
	return a.FileType
}

func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http")
}
