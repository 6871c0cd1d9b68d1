package chatwootapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"regexp"
	"slices"
	"strings"
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

// person is a contact and the inbox it is met in.
type visitor struct {
	contact *contact
	inbox   *contactInbox
}

// tokens are where events of the person's conversations in this inbox go: with
// a proven identity, to all inboxes where it was proven.
func (p *visitor) tokens() []string {
	if p.inbox.Verified {
		return p.contact.Verified
	}
	return []string{p.inbox.Token}
}

func (a *ChatwootAPI) visitor(ctx context.Context, key sourceKey) (*visitor, error) {
	ci, err := a.findContactInbox(ctx, key)
	if err != nil {
		return nil, err
	}
	for {
		c, err := a.getContact(ctx, ci.Contact)
		if err == nil {
			return &visitor{c, ci}, nil
		}
		// The contact may just have been merged into another. That must not look
		// like a contact that does not exist: apps would start over.
		now, again := a.findContactInbox(ctx, key)
		if again != nil || !errors.Is(err, bridge.ErrNoRecord) || now.Contact == ci.Contact {
			return nil, err
		}
		ci = now
	}
}

// showContact answers GET on a contact.
func (a *ChatwootAPI) showContact(ctx context.Context, c *call) (any, error) {
	p, err := a.identified(ctx, c)
	if err != nil {
		return nil, err
	}
	return a.sixKeys(p.inbox, p.contact), nil
}

// createContact answers POST of a contact. A source id that is known returns
// its contact unchanged; a person known by identifier, e-mail or phone gets
// another source id and token.
func (a *ChatwootAPI) createContact(ctx context.Context, c *call) (any, error) {
	if _, err := a.checkIdentity(c); err != nil {
		return nil, err
	}
	key := sourceKey{c.inbox.identifier, cmp.Or(c.params.present("source_id"), uuid.NewString())}
	a.enrolment.Lock()
	defer a.enrolment.Unlock()
	p, err := a.visitor(ctx, key)
	if errors.Is(err, bridge.ErrNoRecord) {
		p, err = a.enrol(ctx, key, c.params)
	} else if err == nil {
		err = a.bind(c, p)
	}
	if err != nil {
		return nil, err
	}
	return a.sixKeys(p.inbox, p.contact), nil
}

// enrol makes a contact-inbox for a known or new contact. The mutex enrolment
// must be held.
func (a *ChatwootAPI) enrol(ctx context.Context, key sourceKey, given params) (*visitor, error) {
	if err := validateSource(key.source); err != nil {
		return nil, err
	}
	now := time.Now()
	c, err := a.lookUp(ctx, given)
	if err != nil {
		return nil, err
	}
	var things []served.Thing
	if c == nil {
		if c, err = a.newContact(ctx, given, now); err != nil {
			return nil, err
		}
		things = append(things, c)
	}
	id, err := kindContactInbox.NextID(ctx, a.records)
	if err != nil {
		return nil, err
	}
	ci := &contactInbox{ID: id, Inbox: key.inbox, Source: key.source, Token: newToken(), Contact: c.ID, Created: now, Updated: now}
	if err := a.keep(ctx, nil, append(things, ci)...); err != nil {
		return nil, err
	}
	a.contacts.Put(c.ID, c)
	a.contactInboxes.Put(key, ci)
	return &visitor{c, ci}, nil
}

func validateSource(source string) error {
	var v invalid
	if utf8.RuneCountInString(source) > maxShortText {
		v.add("source_id", "Source is too long (maximum is 255 characters)")
	}
	return v.err()
}

// lookUp finds the contact the given parameters are about, nil when there is
// none.
func (a *ChatwootAPI) lookUp(ctx context.Context, given params) (*contact, error) {
	for _, by := range []struct{ key, value string }{
		{keyIdentifier, given.present("identifier")},
		{keyEmail, strings.ToLower(given.present("email"))},
		{keyPhone, given.present("phone_number")},
	} {
		c, err := a.contactBy(ctx, by.key, by.value)
		if c != nil || err != nil {
			return c, err
		}
	}
	return nil, nil
}

// contactBy returns the contact with a key, nil when there is none.
func (a *ChatwootAPI) contactBy(ctx context.Context, key, value string) (*contact, error) {
	if value == "" || len(value) > 4*maxShortText {
		return nil, nil
	}
	c, err := kindContact.Find(ctx, a.records, key+value)
	if errors.Is(err, bridge.ErrNoRecord) {
		return nil, nil
	}
	return c, err
}

func (a *ChatwootAPI) newContact(ctx context.Context, given params, now time.Time) (*contact, error) {
	name, named := given.text("name")
	if !named {
		name = generatedName()
	}
	c := &contact{
		Name: name, Email: strings.ToLower(given.present("email")), Phone: given.present("phone_number"),
		Identifier: given.present("identifier"), Avatar: given.present("avatar_url"),
		Attributes: given.object("custom_attributes"), Created: now, Updated: now,
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
	return v.err()
}

const maxAvatarURL = 2048

// updateContact answers PATCH. An e-mail or phone number that belongs to
// another contact says that both are one person: they are merged into the
// other one.
func (a *ChatwootAPI) updateContact(ctx context.Context, c *call) (any, error) {
	if _, err := a.identified(ctx, c); err != nil {
		return nil, err
	}
	a.enrolment.Lock()
	defer a.enrolment.Unlock()
	p, err := a.visitor(ctx, c.source())
	if err != nil {
		return nil, err
	}
	change := &contactChange{of: p.contact, to: p.contact}
	if err := a.planChange(ctx, change, c.params); err != nil {
		return nil, err
	}
	if change.needed() {
		err = a.carryOut(ctx, change)
	}
	if err != nil {
		return nil, err
	}
	if p, err = a.visitor(ctx, c.source()); err != nil {
		return nil, err
	}
	return updatedContact{p.inbox.Source, p.inbox.Token, a.fullContact(p.contact, time.Time{})}, nil
}

// contactChange is a planned update: contact of becomes to, after those in
// merged became part of it.
type contactChange struct {
	of, to *contact
	merged []*contact
}

// planChange follows Chatwoot: e-mail before phone, blank values are ignored,
// and a phone number of somebody with another e-mail is left alone when the
// e-mail is given too.
func (a *ChatwootAPI) planChange(ctx context.Context, change *contactChange, given params) error {
	email, phone := strings.ToLower(given.present("email")), given.present("phone_number")
	if other, err := a.contactBy(ctx, keyEmail, email); err != nil {
		return err
	} else if other != nil {
		change.mergeInto(other)
	}
	if other, err := a.contactBy(ctx, keyPhone, phone); err != nil {
		return err
	} else if other != nil && other.ID != change.to.ID {
		if email != "" && other.Email != email {
			phone = ""
		} else {
			change.mergeInto(other)
		}
	}
	next := *change.to
	next.Name = cmp.Or(given.present("name"), next.Name)
	next.Email = cmp.Or(email, next.Email)
	next.Phone = cmp.Or(phone, next.Phone)
	next.Avatar = cmp.Or(given.present("avatar_url"), next.Avatar)
	next.Attributes = mergeDeep(next.Attributes, given.object("custom_attributes"))
	next.Updated = time.Now()
	next.Changes++
	change.to = &next
	return next.validate()
}

// mergeInto makes what is there so far part of base. What base knows wins.
func (m *contactChange) mergeInto(base *contact) {
	if base.ID == m.to.ID {
		return
	}
	part := m.to
	next := *base
	next.Identifier = cmp.Or(base.Identifier, part.Identifier)
	next.Name = cmp.Or(base.Name, part.Name)
	next.Email = cmp.Or(base.Email, part.Email)
	next.Phone = cmp.Or(base.Phone, part.Phone)
	next.Avatar = cmp.Or(base.Avatar, part.Avatar)
	next.Attributes = mergeDeep(part.Attributes, base.Attributes)
	next.Verified = slices.Concat(base.Verified, part.Verified)
	m.merged, m.to = append(m.merged, part), &next
}

// needed is false when the contact is as asked for: apps send what they know of
// a person at every start.
func (m *contactChange) needed() bool {
	same := *m.to
	same.Updated, same.Changes = m.of.Updated, m.of.Changes
	return len(m.merged) > 0 || !sameJSON(m.of, same)
}

// carryOut makes a change durable. The mutex enrolment must be held.
//
// Merging takes two writes, because the merged contacts must let go of their
// keys before another can have them. Between the two they merely cannot be
// looked up, and the client, which was not answered, asks again.
func (a *ChatwootAPI) carryOut(ctx context.Context, change *contactChange) error {
	if err := a.releaseKeys(ctx, change.merged); err != nil {
		return err
	}
	inboxes, events, err := a.affected(ctx, change)
	if err != nil {
		return err
	}
	things := []served.Thing{change.to}
	for _, ci := range inboxes {
		things = append(things, ci)
	}
	err = a.keep(ctx, events, things...)
	if err != nil {
		a.contacts.Forget(change.to.ID)
		return err
	}
	a.contacts.Put(change.to.ID, change.to)
	for _, ci := range inboxes {
		a.contactInboxes.Put(ci.key(), ci)
	}
	return a.dropMerged(ctx, change.merged)
}

func (a *ChatwootAPI) releaseKeys(ctx context.Context, merged []*contact) error {
	if len(merged) == 0 {
		return nil
	}
	records := make([]bridge.Record, len(merged))
	for i, c := range merged {
		var err error
		if records[i], err = c.Record(); err != nil {
			return err
		}
		records[i].Keys = nil
	}
	return a.records.Save(context.WithoutCancel(ctx), records...)
}

func (a *ChatwootAPI) dropMerged(ctx context.Context, merged []*contact) error {
	for _, c := range merged {
		a.contacts.Forget(c.ID)
		if err := a.records.Delete(context.WithoutCancel(ctx), string(kindContact), c.ID); err != nil {
			return err
		}
	}
	return nil
}

// affected returns the contact-inboxes that move to another contact, and the
// profile events for every open conversation of the person.
func (a *ChatwootAPI) affected(ctx context.Context, change *contactChange) (moved []*contactInbox, events []bridge.Event, err error) {
	for _, c := range append(slices.Clone(change.merged), change.to) {
		inboxes, err := kindContactInbox.All(ctx, a.records, formatID(c.ID))
		if err != nil {
			return nil, nil, err
		}
		for _, ci := range inboxes {
			news, err := a.profileEvents(ctx, ci, change.to)
			if err != nil {
				return nil, nil, err
			}
			events = append(events, news...)
			if ci.Contact != change.to.ID {
				ci.Contact, ci.Updated = change.to.ID, change.to.Updated
				moved = append(moved, ci)
			}
		}
	}
	return moved, events, nil
}

func (a *ChatwootAPI) profileEvents(ctx context.Context, ci *contactInbox, c *contact) ([]bridge.Event, error) {
	threads, err := kindConversation.All(ctx, a.records, formatID(ci.ID))
	if err != nil {
		return nil, err
	}
	var events []bridge.Event
	for _, t := range threads {
		if t.Status == statusOpen {
			id := eventID("profile", t.ID, c.ID, int64(c.Changes))
			events = append(events, event(id, bridge.KindProfile, t, c, c.Updated))
		}
	}
	return events, nil
}

// event returns an event of a conversation without its kind's own part.
func event(id bridge.EventID, kind bridge.Kind, t *conversation, c *contact, at time.Time) bridge.Event {
	return bridge.Event{ID: id, Kind: kind, Thread: t.thread(), Time: at, Consumer: c.consumer(t.Consumer)}
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
