package chatwoot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

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
	// noted is what to remember once the journal has it.
	noted []func(*memory)
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

// report is the payload of a webhook on its way to becoming news. What is done to a
// conversation by several webhooks is done by one after the other: next waits for
// its turn in that conversation and must be called before anything is looked up.
type report struct {
	*Chatwoot
	farside.Object
	event    string
	delivery string
	next     func(conversation, message int64)
}

// read takes a payload apart. Events that mean nothing here, and those that are
// not ours to relay, give no news and no error.
func (r *report) read(ctx context.Context) (news, error) {
	switch r.event {
	case "":
		return news{}, &bridge.FieldError{Field: "event", Reason: "is required"}
	case eventMessageCreated, eventMessageUpdated:
		return r.readMessage(ctx)
	case eventTypingOn:
		return r.readTyping(bridge.Composing)
	case eventTypingOff:
		return r.readTyping(bridge.Stopped)
	case eventStatusChanged, eventOpened, eventResolved:
		return r.readStatus(ctx)
	case eventContactUpdated:
		return r.readContact(ctx)
	}
	r.log.DebugContext(ctx, "a webhook is not of interest")
	return news{}, nil
}

// ours reports whether account and inbox are to be relayed. A payload that does
// not name its account comes from a Chatwoot before 4.14.2 and is believed by
// its signature alone.
func (c *Chatwoot) ours(account, inbox int64) bool {
	return (account == 0 || account == c.account) && (c.inboxes == nil || c.inboxes[inbox])
}

// readTyping reads a contact's typing. Users and bots type too, this bridge
// among them, and what is private is a note between agents.
func (r *report) readTyping(state bridge.TypingState) (news, error) {
	c, user := conversationOf(r.Inner("conversation")), authorOf(r.Inner("user"))
	switch {
	case c.ID <= 0:
		return news{}, &bridge.FieldError{Field: "conversation.id", Reason: "must be the number of a conversation"}
	case user == nil || user.ID <= 0:
		return news{}, &bridge.FieldError{Field: "user.id", Reason: "must be the number of who types"}
	}
	r.weighProof(c)
	if c.AccountID == 0 {
		c.AccountID = user.AccountID
	}
	if !user.isContact() || r.Flag("is_private") || !r.ours(c.AccountID, c.InboxID) || r.leftToBot(c) {
		return news{}, nil
	}
	return news{events: []bridge.Event{{
		Kind: bridge.KindTyping, Thread: threadOf(c.ID), Inbox: c.inbox(), Consumer: &bridge.Consumer{ID: c.consumerID()},
		Typing: &bridge.Typing{State: state},
	}}}, nil
}

// readContact reads that the consumer's profile changed.
func (r *report) readContact(ctx context.Context) (news, error) {
	p := contactPayload{author: authorOf(r.Object), changed: changesOf(r.Object)}
	if p.ID <= 0 {
		return news{}, &bridge.FieldError{Field: "id", Reason: "must be the number of a contact"}
	}
	if p.AccountID != 0 && p.AccountID != r.account || !p.changed.any(profileAttributes) {
		return news{}, nil
	}
	wrote, err := r.lastWrote(ctx, p.ID)
	if wrote.thread == 0 || err != nil {
		return news{}, err
	}
	consumer := p.describe(wrote.consumer)
	return news{events: []bridge.Event{{
		ID: p.eventID(r.delivery), Kind: bridge.KindProfile, Thread: threadOf(wrote.thread), Consumer: consumer,
	}}}, nil
}

// eventID names a change by what changed. Without its time two changes may look
// the same, so the delivery tells them apart: setting a profile twice does no
// harm, not setting it does.
func (p *contactPayload) eventID(delivery string) bridge.EventID {
	what := string(p.changed.raw)
	if !p.changed.names["updated_at"] {
		what += delivery
	}
	return answerID("profile", p.ID, what)
}

// describe keeps of a contact what LivePerson shows. A name is not split: where
// the family name begins nobody can tell.
func (p *author) describe(id bridge.ConsumerID) *bridge.Consumer {
	c := &bridge.Consumer{ID: id}
	if !p.isContact() {
		return c
	}
	c.FirstName, c.Email, c.Phone = p.Name, p.Email, p.PhoneNumber
	if isWebAddress(p.Thumbnail) {
		c.AvatarURL = p.Thumbnail
	}
	return c
}

// weighProof has a proof count for nothing where contacts are kept apart: a
// contact that was joined with another by an e-mail address keeps Chatwoot's
// hmac_verified, and no webhook tells of that.
func (c *Chatwoot) weighProof(conv *conversation) {
	conv.Door.Verified = conv.Door.Verified && c.verified == share
}

// consumerID is who writes in a conversation, as far as Chatwoot knows for sure.
// A contact is whoever gave its e-mail or telephone number, which proves nothing:
// a contact-inbox is one browser, one telephone or one account elsewhere. Only
// where the contact proved its identity (Chatwoot, identity validation) are all
// of them one person.
func (c *conversation) consumerID() bridge.ConsumerID {
	contact := c.contact()
	switch {
	case c.Door.Verified && contact > 0:
		return bridge.ConsumerID(strconv.FormatInt(contact, 10))
	case c.Door.ID > 0:
		return bridge.ConsumerID("contact-inbox:" + strconv.FormatInt(c.Door.ID, 10))
	case contact > 0:
		return bridge.ConsumerID(strconv.FormatInt(contact, 10) + "@" + strconv.FormatInt(c.InboxID, 10))
	}
	return bridge.ConsumerID("conversation:" + strconv.FormatInt(c.ID, 10))
}

// contact is the number of the conversation's contact, 0 when it is not told.
func (c *conversation) contact() int64 {
	if c.Sender.isContact() {
		return c.Sender.ID
	}
	return c.Door.ContactID
}

// consumer describes who writes in a conversation; sender is who wrote, if that
// is known.
func (c *conversation) consumer(sender *author) *bridge.Consumer {
	if !sender.isContact() {
		sender = c.Sender
	}
	consumer := sender.describe(c.consumerID())
	consumer.Apart = c.apart()
	return consumer
}

// apart is the contact-inbox of a contact that counts as proven, for hmac_verified
// says that somebody proved an identifier and not that it was this contact's
// (Chatwoot, public API: contacts), and outlives a merge with another contact.
func (c *conversation) apart() bridge.ConsumerID {
	switch {
	case !c.Door.Verified || c.contact() <= 0:
		return ""
	case c.Door.ID > 0:
		return bridge.ConsumerID("contact-inbox:" + strconv.FormatInt(c.Door.ID, 10))
	}
	return bridge.ConsumerID("conversation:" + strconv.FormatInt(c.ID, 10))
}

// The kinds of record that the channel keeps.
const (
	// recordContact has the contact's number as id and, as data, the conversation
	// in which the contact wrote last and as which consumer.
	recordContact = "contact"
	// recordStatus has the conversation's number as id and, as data, when this
	// bridge last resolved it or gave it back to the bot. The name is older than
	// its second use.
	recordStatus = "resolved"
	// recordTranscript has the conversation's number as id and, as data, what was
	// said while a bot had it.
	recordTranscript = "transcript"
)

// historyKinds names the kinds of record that may be deleted when they are
// older than history is kept. Which thread a contact wrote in last is kept, for
// without it a changed profile would find no conversation.
func historyKinds() []string { return []string{recordStatus, recordTranscript} }

// wrote is where a contact wrote last.
type wrote struct {
	thread   int64
	consumer bridge.ConsumerID
}

// record is how it is kept. Before there were contact-inboxes in it, it was the
// conversation alone and the contact was the consumer.
func (w wrote) record(contact int64) bridge.Record {
	return bridge.Record{
		Kind: recordContact, ID: contact, Data: []byte(strconv.FormatInt(w.thread, 10) + " " + string(w.consumer)),
	}
}

// lastWrote finds the conversation in which a contact wrote last.
func (c *Chatwoot) lastWrote(ctx context.Context, contact int64) (wrote, error) {
	if known := c.seen.wrote(contact); known.thread != 0 {
		return known, nil
	}
	r, err := c.core.Records().Get(ctx, recordContact, contact)
	if errors.Is(err, bridge.ErrNoRecord) {
		return wrote{}, nil
	}
	if err != nil {
		return wrote{}, err
	}
	known, err := readWrote(r)
	if err != nil {
		return wrote{}, nil
	}
	return known, nil
}

// readWrote reads what record wrote.
func readWrote(r bridge.Record) (wrote, error) {
	thread, consumer, found := strings.Cut(string(r.Data), " ")
	if !found {
		consumer = strconv.FormatInt(r.ID, 10)
	}
	number, err := strconv.ParseInt(thread, 10, 64)
	return wrote{number, bridge.ConsumerID(consumer)}, err
}

func threadOf(conversation int64) bridge.ThreadID {
	return bridge.ThreadID(strconv.FormatInt(conversation, 10))
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
