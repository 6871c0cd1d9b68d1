package chatwoot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

// profileAttributes are those of a contact that LivePerson's agents see.
// contact_updated comes with every message of the consumer, mostly for other
// ones.
var profileAttributes = []string{"name", "email", "phone_number"}

// news is what one webhook says.
type news struct {
	events  []bridge.Event
	records []bridge.Record
	// titles are what the consumer read on chosen replies, by event.
	titles map[bridge.EventID]string
	// contact and thread belong together; 0 when the webhook does not say.
	contact int64
	thread  int64
}

// spoken says the same with every choice written as a message.
func (n news) spoken() []bridge.Event {
	events := make([]bridge.Event, 0, len(n.events))
	for _, e := range n.events {
		if e.Kind == bridge.KindClick {
			e.Kind, e.Click, e.Message = bridge.KindMessage, nil, &bridge.Message{Text: n.titles[e.ID]}
		}
		events = append(events, e)
	}
	return events
}

// read takes a payload apart. Events that mean nothing here, and those that are
// not ours to relay, give no news and no error.
func (c *Chatwoot) read(ctx context.Context, body []byte, delivery string) (news, error) {
	var kind struct {
		Event string `json:"event"`
	}
	if err := decode(body, &kind); err != nil {
		return news{}, err
	}
	switch kind.Event {
	case "":
		return news{}, &bridge.FieldError{Field: "event", Reason: "is required"}
	case eventMessageCreated, eventMessageUpdated:
		return c.readMessage(body, kind.Event)
	case eventTypingOn:
		return c.readTyping(body, bridge.Composing)
	case eventTypingOff:
		return c.readTyping(body, bridge.Stopped)
	case eventStatusChanged, eventResolved:
		return c.readStatus(ctx, body, delivery)
	case eventContactUpdated:
		return c.readContact(ctx, body, delivery)
	}
	c.log.DebugContext(ctx, "a webhook is not of interest")
	return news{}, nil
}

// ours reports whether account and inbox are to be relayed. A payload that does
// not name its account comes from a Chatwoot before 4.14.2 and is believed by
// its signature alone.
func (c *Chatwoot) ours(account, inbox int64) bool {
	return (account == 0 || account == c.account) && (c.inboxes == nil || c.inboxes[inbox])
}

func (c *Chatwoot) readMessage(body []byte, event string) (news, error) {
	var p messagePayload
	if err := decode(body, &p); err != nil {
		return news{}, err
	}
	if err := p.validate(); err != nil || bool(p.Private) {
		return news{}, err
	}
	inbox := p.Conversation.InboxID
	if p.Inbox != nil {
		inbox = p.Inbox.ID
	}
	if !c.ours(p.accountID(), inbox) {
		return news{}, nil
	}
	switch {
	case p.MessageType == "incoming" && event == eventMessageCreated:
		return c.readSaid(&p)
	case p.MessageType == "incoming" && time.Since(p.CreatedAt.Time) < youngMessage && !p.ContentAttributes.Deleted:
		return c.readSaid(&p)
	case p.MessageType != "incoming" && event == eventMessageUpdated:
		return p.readAnswer()
	}
	return news{}, nil
}

// validate reports what no message can be without.
func (p *messagePayload) validate() error {
	switch {
	case p.ID <= 0:
		return &bridge.FieldError{Field: "id", Reason: "must be the number of a message"}
	case p.Conversation == nil || p.Conversation.ID <= 0:
		return &bridge.FieldError{Field: "conversation.id", Reason: "must be the number of a conversation"}
	}
	return nil
}

// readSaid reads what a consumer wrote. The record ties the contact to the
// conversation, for a change of the contact names none.
func (c *Chatwoot) readSaid(p *messagePayload) (news, error) {
	consumer, contact := p.consumer()
	if consumer == nil {
		return news{}, &bridge.FieldError{Field: "sender.id", Reason: "must be the number of a contact"}
	}
	message := messageOf(p)
	if message == nil {
		return news{}, nil
	}
	n := news{contact: contact, thread: p.Conversation.ID}
	e := p.event(bridge.KindMessage, messageID(p.ID), consumer)
	e.Time, e.Message = p.CreatedAt.Time, message
	n.events = append(n.events, e)
	if !c.seen.knows(contact, p.Conversation.ID) {
		n.records = append(n.records, bridge.Record{
			Kind: recordContact, ID: contact, Data: []byte(threadOf(p.Conversation.ID)),
		})
	}
	if p.Conversation.Status != statusResolved {
		c.seen.active(p.Conversation.ID, p.Conversation.UpdatedAt.Time)
	}
	return n, nil
}

// readAnswer reads what a consumer did with a message from our side: a choice
// and having read it for messages of ours, a rating for Chatwoot's own survey.
func (p *messagePayload) readAnswer() (news, error) {
	consumer, _ := p.consumer()
	if consumer == nil {
		return news{}, nil
	}
	n := news{titles: map[bridge.EventID]string{}}
	a := p.ContentAttributes
	if a.CSAT != nil && a.CSAT.Rating >= 1 && a.CSAT.Rating <= 5 {
		e := p.event(bridge.KindRating, answerID("rating", p.ID, strconv.Itoa(a.CSAT.Rating)+" "+a.CSAT.Feedback), consumer)
		e.Rating = &bridge.Rating{Score: a.CSAT.Rating, Comment: a.CSAT.Feedback}
		n.events = append(n.events, e)
	}
	if a.Mark == "" {
		return n, nil
	}
	if p.status() == "read" {
		e := p.event(bridge.KindReceipt, answerID("read", p.ID, string(a.Mark)), consumer)
		e.Receipt = &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{a.Mark}}
		n.events = append(n.events, e)
	}
	for _, s := range a.Submitted {
		e := p.event(bridge.KindClick, answerID("click", p.ID, s.Value), consumer)
		e.Click = &bridge.Click{MessageID: a.Mark, ReplyID: s.Value}
		n.titles[e.ID] = s.Value
		if s.Title != "" {
			n.titles[e.ID] = s.Title
		}
		n.events = append(n.events, e)
	}
	return n, nil
}

func (p *messagePayload) event(k bridge.Kind, id bridge.EventID, consumer *bridge.Consumer) bridge.Event {
	return bridge.Event{ID: id, Kind: k, Thread: bridge.ThreadID(threadOf(p.Conversation.ID)), Consumer: consumer}
}

// consumer is whose conversation it is, with the number of the contact. A sender
// that is no contact says nothing of that.
func (p *messagePayload) consumer() (*bridge.Consumer, int64) {
	if p.Sender.isContact() {
		return consumerOf(p.Sender), p.Sender.ID
	}
	return p.Conversation.consumer()
}

func (c *conversation) consumer() (*bridge.Consumer, int64) {
	if c.Meta.Sender.isContact() {
		return consumerOf(c.Meta.Sender), c.Meta.Sender.ID
	}
	if id := c.ContactInbox.ContactID; id > 0 {
		return &bridge.Consumer{ID: consumerID(id)}, id
	}
	return nil, 0
}

// consumerOf keeps what LivePerson shows. A name is not split: where the family
// name begins nobody can tell.
func consumerOf(p *person) *bridge.Consumer {
	c := &bridge.Consumer{ID: consumerID(p.ID), FirstName: p.Name, Email: p.Email, Phone: p.PhoneNumber}
	if isWebAddress(p.Thumbnail) {
		c.AvatarURL = p.Thumbnail
	}
	return c
}

// messageOf is the message as LivePerson can show it, nil when there is nothing.
func messageOf(p *messagePayload) *bridge.Message {
	m := &bridge.Message{Text: p.Content}
	if strings.TrimSpace(m.Text) == "" {
		m.Text = ""
	}
	for _, a := range p.Attachments {
		if isWebAddress(a.DataURL) {
			m.Attachments = append(m.Attachments, bridge.Attachment{URL: a.DataURL, ContentType: a.ContentType, Name: a.name()})
		} else if line := a.described(); line != "" {
			m.Text = strings.TrimPrefix(m.Text+"\n"+line, "\n")
		}
	}
	if m.Text == "" && len(m.Attachments) == 0 {
		return nil
	}
	return m
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

// described puts an attachment without an address in words: a place or the
// number on an address card.
func (a attachment) described() string {
	if a.FileType != "location" {
		return a.FallbackTitle
	}
	place := strconv.FormatFloat(a.Latitude, 'f', -1, 64) + ", " + strconv.FormatFloat(a.Longitude, 'f', -1, 64)
	return strings.TrimSpace(a.FallbackTitle + " " + place)
}

func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// readTyping reads a contact's typing. Users and bots type too, this bridge
// among them, and what is private is a note between agents.
func (c *Chatwoot) readTyping(body []byte, state bridge.TypingState) (news, error) {
	var p typingPayload
	if err := decode(body, &p); err != nil {
		return news{}, err
	}
	switch {
	case p.Conversation == nil || p.Conversation.ID <= 0:
		return news{}, &bridge.FieldError{Field: "conversation.id", Reason: "must be the number of a conversation"}
	case p.User == nil || p.User.ID <= 0:
		return news{}, &bridge.FieldError{Field: "user.id", Reason: "must be the number of who types"}
	case !p.User.isContact(), bool(p.IsPrivate), !c.ours(p.accountID(), p.Conversation.InboxID):
		return news{}, nil
	}
	return news{events: []bridge.Event{{
		Kind: bridge.KindTyping, Thread: bridge.ThreadID(threadOf(p.Conversation.ID)),
		Consumer: &bridge.Consumer{ID: consumerID(p.User.ID)}, Typing: &bridge.Typing{State: state},
	}}}, nil
}

// readStatus reads that a conversation was resolved. Other states mean nothing
// to LivePerson: a conversation opens there with the next message.
func (c *Chatwoot) readStatus(ctx context.Context, body []byte, delivery string) (news, error) {
	var p conversation
	if err := decode(body, &p); err != nil {
		return news{}, err
	}
	if p.ID <= 0 {
		return news{}, &bridge.FieldError{Field: "id", Reason: "must be the number of a conversation"}
	}
	if !c.ours(p.accountID(), p.InboxID) {
		return news{}, nil
	}
	if p.Status != statusResolved {
		c.seen.active(p.ID, p.UpdatedAt.Time)
		return news{}, nil
	}
	consumer, _ := p.consumer()
	if consumer == nil || c.seen.writtenSince(p.ID, p.UpdatedAt.Time) {
		return news{}, nil
	}
	if own, err := c.resolvedByUs(ctx, p.ID); own || err != nil {
		return news{}, err
	}
	return news{events: []bridge.Event{{
		ID: resolveID(&p, delivery), Kind: bridge.KindClose, Thread: bridge.ThreadID(threadOf(p.ID)),
		Time: p.UpdatedAt.Time, Consumer: consumer,
	}}}, nil
}

// resolveID names a resolve by its time, which all webhooks about it share.
func resolveID(p *conversation, delivery string) bridge.EventID {
	if p.UpdatedAt.IsZero() {
		return answerID("resolved", p.ID, delivery)
	}
	return bridge.EventID("resolved:" + threadOf(p.ID) + ":" + strconv.FormatInt(p.UpdatedAt.UnixMicro(), 10))
}

// readContact reads that the consumer's profile changed.
func (c *Chatwoot) readContact(ctx context.Context, body []byte, delivery string) (news, error) {
	var p contactPayload
	if err := decode(body, &p); err != nil {
		return news{}, err
	}
	if p.ID <= 0 {
		return news{}, &bridge.FieldError{Field: "id", Reason: "must be the number of a contact"}
	}
	if p.Account != nil && p.Account.ID != c.account || !p.Changed.any(profileAttributes) {
		return news{}, nil
	}
	thread, err := c.threadOfContact(ctx, p.ID)
	if thread == "" || err != nil {
		return news{}, err
	}
	return news{events: []bridge.Event{{
		ID: profileID(&p, delivery), Kind: bridge.KindProfile, Thread: bridge.ThreadID(thread), Consumer: consumerOf(&p.person),
	}}}, nil
}

func (c changes) any(names []string) bool {
	for _, n := range names {
		if c.names[n] {
			return true
		}
	}
	return false
}

// profileID names a change by what changed. Without its time two changes may
// look the same, so the delivery tells them apart: setting a profile twice does
// no harm, not setting it does.
func profileID(p *contactPayload, delivery string) bridge.EventID {
	what := string(p.Changed.raw)
	if !p.Changed.names["updated_at"] {
		what += delivery
	}
	return answerID("profile", p.ID, what)
}

// threadOfContact finds the conversation in which a contact wrote last, empty
// when none is known.
func (c *Chatwoot) threadOfContact(ctx context.Context, contact int64) (string, error) {
	if thread := c.seen.thread(contact); thread != 0 {
		return threadOf(thread), nil
	}
	r, err := c.core.Records().Get(ctx, recordContact, contact)
	if errors.Is(err, bridge.ErrNoRecord) {
		return "", nil
	}
	return string(r.Data), err
}

// The kinds of record that the channel keeps.
const (
	// recordContact has the contact's number as id and the conversation in which
	// the contact wrote last as data.
	recordContact = "contact"
	// recordResolved has the conversation's number as id and, as data, when this
	// bridge resolved it.
	recordResolved = "resolved"
)

// HistoryKinds names the kinds of record that may be deleted when they are
// older than history is kept. Which thread a contact wrote in last is kept, for
// without it a changed profile would find no conversation.
func HistoryKinds() []string { return []string{recordResolved} }

// ownResolve is how long after this bridge resolved a conversation a report of
// it is taken for the effect of that. Chatwoot does not say who did it.
const ownResolve = 2 * time.Minute

// resolvedByUs reports whether a resolved conversation is so because LivePerson
// closed it. Closing for that would end a conversation which the consumer has
// meanwhile begun anew.
func (c *Chatwoot) resolvedByUs(ctx context.Context, id int64) (bool, error) {
	r, err := c.core.Records().Get(ctx, recordResolved, id)
	if errors.Is(err, bridge.ErrNoRecord) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	at, err := time.Parse(time.RFC3339Nano, string(r.Data))
	return err == nil && time.Since(at) < ownResolve, nil
}

func (c *Chatwoot) noteResolve(ctx context.Context, id int64) error {
	return c.core.Records().Save(ctx, bridge.Record{
		Kind: recordResolved, ID: id, Data: []byte(time.Now().UTC().Format(time.RFC3339Nano)),
	})
}

func threadOf(conversation int64) string { return strconv.FormatInt(conversation, 10) }

func consumerID(contact int64) bridge.ConsumerID {
	return bridge.ConsumerID(strconv.FormatInt(contact, 10))
}

const messagePrefix = "message:"

func messageID(id int64) bridge.EventID {
	return bridge.EventID(messagePrefix + strconv.FormatInt(id, 10))
}

// messageOfID finds the number of a message in the id of its event, or of one
// of the parts into which the bridge splits long ones.
func messageOfID(id bridge.EventID) (int64, bool) {
	digits, found := strings.CutPrefix(string(id), messagePrefix)
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, found && err == nil && n > 0
}

// answerID names what happened to a message or a contact by what happened. The
// same change is reported by every webhook that is registered, and by later ones
// with other changes.
func answerID(what string, id int64, said string) bridge.EventID {
	sum := sha256.Sum256([]byte(said))
	return bridge.EventID(what + ":" + strconv.FormatInt(id, 10) + ":" + hex.EncodeToString(sum[:8]))
}
