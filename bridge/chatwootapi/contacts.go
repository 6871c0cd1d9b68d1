package chatwootapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// maxShortText is the longest name, address or identifier, in characters, as
// Chatwoot's columns have it.
const maxShortText = 255

// What Chatwoot takes for an e-mail address and a phone number (E.164).
var (
	emailPattern = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
	phonePattern = regexp.MustCompile(`^\+[1-9]\d{1,14}$`)
)

// visitor is a contact and the inbox it is met in.
type visitor struct {
	contact *contact
	inbox   *contactInbox
}

// tokens are where events of the visitor's conversations in this inbox go: when
// verified, to all inboxes that are verified for the same identifier.
func (p *visitor) tokens() []string {
	if p.inbox.Verified {
		return p.contact.Tokens
	}
	return []string{p.inbox.Token}
}

// consumer is who LivePerson knows the visitor as. Only who proved an
// identifier is one consumer wherever they come from.
func (p *visitor) consumer() bridge.ConsumerID {
	if p.inbox.Proven != "" {
		return consumerID(p.contact.ID)
	}
	return bridge.ConsumerID(inboxConsumer + formatID(p.inbox.ID))
}

// people knows who the contacts are, which inboxes they are met in and what they
// proved of themselves.
type people struct {
	*store
	*answers

	// newContacts bounds how many contacts one source may create.
	newContacts *served.Rates
	// enrolment is held while contacts and contact-inboxes change. Merging
	// touches several at once, and none of it happens often.
	enrolment sync.Mutex
	// separation is held while contacts of former versions are told apart.
	separation sync.Mutex
}

func (a *people) visitor(ctx context.Context, key sourceKey) (*visitor, error) {
	ci, err := a.findContactInbox(ctx, key)
	if err != nil {
		return nil, err
	}
	for {
		c, err := a.getContact(ctx, ci.Contact)
		if err == nil {
			return a.toldApart(ctx, ci, c)
		}
		// The contact may just have become part of the proven one. That must not
		// look like a contact that does not exist: apps would start over.
		now, again := a.findContactInbox(ctx, key)
		if again != nil || !errors.Is(err, bridge.ErrNoRecord) || now.Contact == ci.Contact {
			return nil, err
		}
		ci = now
	}
}

// showContact answers GET on a contact.
func (a *people) showContact(ctx context.Context, c *call) (any, error) {
	p, err := a.identified(ctx, c)
	if err != nil {
		return nil, err
	}
	return a.sixKeys(p.inbox, p.contact), nil
}

// createContact answers POST of a contact. A source id that is known returns
// its contact unchanged, and so does an identifier that is proven. An e-mail
// address, phone number or identifier without proof finds nobody.
func (a *people) createContact(ctx context.Context, c *call) (any, error) {
	if wait := a.newContacts.Spend(c.Request); wait > 0 {
		return nil, tooMany(wait)
	}
	identifier, err := a.checkIdentity(c)
	if err != nil {
		return nil, err
	}
	key := sourceKey{c.inbox.identifier, cmp.Or(c.params.present("source_id"), uuid.NewString())}
	a.enrolment.Lock()
	defer a.enrolment.Unlock()
	p, err := a.visitor(ctx, key)
	switch {
	case errors.Is(err, bridge.ErrNoRecord):
		p, err = a.enrol(ctx, key, c.params, identifier)
	case err == nil:
		if err = bind(c, p); err == nil {
			p, err = a.prove(ctx, p, identifier, p.inbox.Verified)
		}
	}
	if err != nil {
		return nil, err
	}
	return a.sixKeys(p.inbox, p.contact), nil
}

// enrol makes a contact-inbox, for the contact of a proven identifier or for a
// new one. The mutex enrolment must be held.
func (a *people) enrol(ctx context.Context, key sourceKey, given params, identifier string) (*visitor, error) {
	if err := validateSource(key.source); err != nil {
		return nil, err
	}
	id, err := kindContactInbox.NextID(ctx, a.records)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	ci := &contactInbox{
		ID: id, Inbox: key.inbox, Source: key.source, Token: newToken(), Proven: identifier, Created: now, Updated: now,
	}
	c, err := a.provenContact(ctx, identifier)
	if err != nil {
		return nil, err
	}
	things := []served.Thing{ci}
	if c == nil {
		if c, err = a.newContact(ctx, given, ci); err != nil {
			return nil, err
		}
		things = append(things, c)
	}
	ci.Contact = c.ID
	return a.keepVisitor(ctx, &visitor{c, ci}, nil, things...)
}

// keepVisitor makes a visitor durable.
func (a *people) keepVisitor(ctx context.Context, p *visitor, events []bridge.Event, things ...served.Thing) (*visitor, error) {
	if err := a.keep(ctx, events, things...); err != nil {
		a.contacts.Forget(p.contact.ID)
		a.contactInboxes.Forget(p.inbox.key())
		return nil, err
	}
	a.contacts.Put(p.contact.ID, p.contact)
	a.contactInboxes.Put(p.inbox.key(), p.inbox)
	return p, nil
}

func validateSource(source string) error {
	var v invalid
	if utf8.RuneCountInString(source) > maxShortText {
		v.add("source_id", "Source is too long (maximum is 255 characters)")
	}
	return v.err()
}

// provenContact returns the contact of those who prove an identifier, nil when
// there is none.
func (a *people) provenContact(ctx context.Context, identifier string) (*contact, error) {
	if identifier == "" {
		return nil, nil
	}
	c, err := kindContact.Find(ctx, a.records, keyProven+identifier)
	if errors.Is(err, bridge.ErrNoRecord) {
		return nil, nil
	}
	return c, err
}

// newContact makes a contact of what was said.
func (a *people) newContact(ctx context.Context, given params, ci *contactInbox) (*contact, error) {
	name, named := given.text("name")
	if !named {
		name = generatedName()
	}
	c := &contact{
		Name: name, Email: strings.ToLower(given.present("email")), Phone: given.present("phone_number"),
		Identifier: given.present("identifier"), Avatar: given.present("avatar_url"),
		Attributes: given.object("custom_attributes"), Created: ci.Created, Updated: ci.Created,
	}
	if c.Proven = ci.Proven != ""; !c.Proven {
		c.Inbox = ci.ID
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	var err error
	c.ID, err = kindContact.NextID(ctx, a.records)
	return c, err
}

// validate answers as Chatwoot's contact does.
func (c *contact) validate() error {
	var v invalid
	if c.Email != "" && !emailPattern.MatchString(c.Email) {
		v.add("email", "Email Invalid email")
	}
	if c.Phone != "" && !phonePattern.MatchString(c.Phone) {
		v.add("phone_number", "Phone number should be in e164 format")
	}
	for _, t := range []struct{ attribute, title, value string }{
		{"email", "Email", c.Email}, {"identifier", "Identifier", c.Identifier},
		{"name", "Name", c.Name}, {"phone_number", "Phone number", c.Phone},
	} {
		if utf8.RuneCountInString(t.value) > maxShortText {
			v.add(t.attribute, t.title+" is too long (maximum is 255 characters)")
		}
	}
	if len(c.Avatar) > maxAvatarURL {
		v.add("avatar_url", "Avatar url is too long (maximum is 2048 characters)")
	}
	v.addAttributes(c.Attributes)
	return v.err()
}

const (
	maxAvatarURL = 2048
	// maxAttributes is how much memory custom attributes may take, in bytes.
	// They are kept at hand with their contact, and told to agents.
	maxAttributes = 64 << 10
)

// addAttributes refuses custom attributes that are too many or too long.
func (v *invalid) addAttributes(attributes map[string]any) {
	if served.Weigh(attributes) > maxAttributes {
		v.add("custom_attributes", "Custom attributes are too long (maximum is 65536 bytes)")
	}
}

// updateContact answers PATCH. An e-mail address or phone number that somebody
// else has too is no more than what this contact says: with Chatwoot the two
// become one, which would hand one's conversations to the other.
func (a *people) updateContact(ctx context.Context, c *call) (any, error) {
	if _, err := a.identified(ctx, c); err != nil {
		return nil, err
	}
	a.enrolment.Lock()
	defer a.enrolment.Unlock()
	p, err := a.visitor(ctx, c.source())
	if err != nil {
		return nil, err
	}
	next, err := p.contact.changed(c.params)
	if err != nil {
		return nil, err
	}
	if next != nil {
		if p, err = a.change(ctx, p, next); err != nil {
			return nil, err
		}
	}
	return updatedContact{p.inbox.Source, p.inbox.Token, a.fullContact(p.contact, time.Time{})}, nil
}

// changed is the contact with what is given, nil when that is nothing new: apps
// send what they know of a person at every start. Blank values are ignored.
func (c *contact) changed(given params) (*contact, error) {
	next := *c
	next.Name = cmp.Or(given.present("name"), next.Name)
	next.Email = cmp.Or(strings.ToLower(given.present("email")), next.Email)
	next.Phone = cmp.Or(given.present("phone_number"), next.Phone)
	next.Avatar = cmp.Or(given.present("avatar_url"), next.Avatar)
	next.Attributes = mergeDeep(next.Attributes, given.object("custom_attributes"))
	if sameJSON(c, next) {
		return nil, nil
	}
	next.Updated = time.Now()
	next.Changes++
	return &next, next.validate()
}

// change makes a contact's change durable and tells it to LivePerson in every
// open conversation. The mutex enrolment must be held.
func (a *people) change(ctx context.Context, p *visitor, next *contact) (*visitor, error) {
	inboxes, err := kindContactInbox.All(ctx, a.records, formatID(next.ID))
	if err != nil {
		return nil, err
	}
	var events []bridge.Event
	for _, ci := range inboxes {
		news, err := a.profileEvents(ctx, &visitor{next, ci})
		if err != nil {
			return nil, err
		}
		events = append(events, news...)
	}
	return a.keepVisitor(ctx, &visitor{next, p.inbox}, events, next)
}

func (a *people) profileEvents(ctx context.Context, p *visitor) ([]bridge.Event, error) {
	threads, err := kindConversation.All(ctx, a.records, formatID(p.inbox.ID))
	if err != nil {
		return nil, err
	}
	var events []bridge.Event
	for _, t := range threads {
		if t.Status == statusOpen {
			id := eventID("profile", t.ID, p.contact.ID, int64(p.contact.Changes))
			events = append(events, event(id, bridge.KindProfile, t, p, p.contact.Updated))
		}
	}
	return events, nil
}

// event returns an event of a conversation without its kind's own part.
func event(id bridge.EventID, kind bridge.Kind, t *conversation, p *visitor, at time.Time) bridge.Event {
	return bridge.Event{ID: id, Kind: kind, Thread: t.thread(), Inbox: t.Inbox, Time: at, Consumer: p.contact.consumer(t.consumer(p))}
}

// eventID makes an id of a word and numbers, such as msg-12.
func eventID(word string, numbers ...int64) bridge.EventID {
	for _, n := range numbers {
		word += "-" + formatID(n)
	}
	return bridge.EventID(word)
}

// base58 is the alphabet of Chatwoot's tokens.
const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// newToken returns a pubsub token: 24 base58 characters, 140 bits.
func newToken() string {
	b := make([]byte, 24)
	for i := range b {
		b[i] = base58[randomBelow(len(base58))]
	}
	return string(b)
}

func randomBelow(n int) int {
	// The reader of crypto/rand never fails.
	v, _ := rand.Int(rand.Reader, big.NewInt(int64(n)))
	return int(v.Int64())
}

// generatedName names a person who gave no name, in the form Chatwoot uses.
func generatedName() string {
	adjectives := []string{"amber", "brisk", "calm", "clear", "gentle", "quiet", "silver", "steady", "sunny", "warm"}
	nouns := []string{"bay", "cedar", "cloud", "field", "harbor", "lake", "meadow", "river", "stone", "wind"}
	return adjectives[randomBelow(len(adjectives))] + "-" + nouns[randomBelow(len(nouns))] + "-" + formatID(int64(randomBelow(1000)))
}
