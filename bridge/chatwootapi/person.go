package chatwootapi

import (
	"context"
	"errors"
	"slices"
	"strings"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

var _ bridge.Keeper = (*ChatwootAPI)(nil)

// everything are the records of a person, but for the messages of conversations.
type everything struct {
	contacts      []*contact
	inboxes       []*contactInbox
	conversations []*conversation
}

// everythingOf finds the records of a person: of a contact-inbox and, where an
// identifier was proven there, of all who proved the same.
func (a *store) everythingOf(ctx context.Context, p *bridge.Person) (*everything, error) {
	all := &everything{}
	for i := 0; i < len(p.Consumers); i++ {
		var err error
		if id, isInbox := strings.CutPrefix(string(p.Consumers[i]), inboxConsumer); isInbox {
			err = a.addInbox(ctx, all, parseID(id))
		} else if id, isContact := strings.CutPrefix(string(p.Consumers[i]), contactConsumer); isContact {
			err = a.addContact(ctx, all, parseID(id))
		}
		if err != nil && !errors.Is(err, bridge.ErrNoRecord) {
			return nil, err
		}
	}
	for _, ci := range all.inboxes {
		list, err := kindConversation.All(ctx, a.records, formatID(ci.ID))
		if err != nil {
			return nil, err
		}
		all.conversations = append(all.conversations, list...)
	}
	return all, nil
}

// addInbox adds a contact-inbox and whom it belongs to.
func (a *store) addInbox(ctx context.Context, all *everything, id int64) error {
	ci, err := kindContactInbox.Get(ctx, a.records, id)
	if err != nil || slices.ContainsFunc(all.inboxes, func(known *contactInbox) bool { return known.ID == id }) {
		return err
	}
	all.inboxes = append(all.inboxes, ci)
	c, err := kindContact.Get(ctx, a.records, ci.Contact)
	if err != nil || !c.belongsTo(ci) {
		// One that others share nobody can tell apart.
		return err
	}
	return a.addContact(ctx, all, c.ID)
}

// addContact adds a contact and its contact-inboxes.
func (a *store) addContact(ctx context.Context, all *everything, id int64) error {
	c, err := kindContact.Get(ctx, a.records, id)
	if err != nil || slices.ContainsFunc(all.contacts, func(known *contact) bool { return known.ID == id }) {
		return err
	}
	all.contacts = append(all.contacts, c)
	inboxes, err := kindContactInbox.All(ctx, a.records, formatID(id))
	for _, ci := range inboxes {
		if err == nil && c.belongsTo(ci) {
			err = a.addInbox(ctx, all, ci.ID)
		}
	}
	return err
}

// Known implements [bridge.Keeper].
func (a *ChatwootAPI) Known(ctx context.Context, p *bridge.Person) error {
	all, err := a.everythingOf(ctx, p)
	if err != nil {
		return err
	}
	know := func(id bridge.ConsumerID) {
		if id != "" && !slices.Contains(p.Consumers, id) {
			p.Consumers = append(p.Consumers, id)
		}
	}
	for _, c := range all.contacts {
		know(consumerID(c.ID))
	}
	for _, ci := range all.inboxes {
		know(bridge.ConsumerID(inboxConsumer + formatID(ci.ID)))
	}
	for _, c := range all.conversations {
		know(c.Consumer)
		if !slices.Contains(p.Threads, c.thread()) {
			p.Threads = append(p.Threads, c.thread())
		}
	}
	return nil
}

// Kept implements [bridge.Keeper].
func (a *ChatwootAPI) Kept(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	all, err := a.everythingOf(ctx, p)
	if err != nil {
		return err
	}
	for _, c := range all.contacts {
		shown := *c
		for i := range shown.Tokens {
			shown.Tokens = slices.Clone(shown.Tokens)
			shown.Tokens[i] = bridge.Hidden
		}
		if err := served.Show(channelName, c, &shown, show); err != nil {
			return err
		}
	}
	for _, ci := range all.inboxes {
		shown := *ci
		shown.Token, shown.Source = bridge.Hidden, bridge.Hidden
		if err := served.Show(channelName, ci, &shown, show); err != nil {
			return err
		}
	}
	for _, c := range all.conversations {
		shown := *c
		shown.Source, shown.UUID = bridge.Hidden, bridge.Hidden
		if err := served.Show(channelName, c, &shown, show); err != nil {
			return err
		}
		if err := a.keptMessages(ctx, c, show); err != nil {
			return err
		}
	}
	return nil
}

// keptMessages shows the messages of a conversation and the files in them.
func (a *store) keptMessages(ctx context.Context, c *conversation, show func(bridge.Kept) error) error {
	for m, err := range kindMessage.Each(ctx, a.records, formatID(c.ID), bridge.Page{}) {
		if err != nil {
			return err
		}
		shown := *m
		shown.Attachments = slices.Clone(m.Attachments)
		for i := range shown.Attachments {
			hideToken(&shown.Attachments[i])
		}
		if err := served.Show(channelName, m, &shown, show); err != nil {
			return err
		}
		if err := kindAttachment.Show(ctx, a.records, channelName, formatID(m.ID), hideToken, show); err != nil {
			return err
		}
	}
	return nil
}

func hideToken(f *attachment) {
	if f.Token != "" {
		f.Token = bridge.Hidden
	}
}

// Erase implements [bridge.Keeper].
func (a *ChatwootAPI) Erase(ctx context.Context, p *bridge.Person, erase func() error) error {
	var threads []int64
	for _, thread := range p.Threads {
		threads = append(threads, parseID(string(thread)))
	}
	slices.Sort(threads)
	// Who takes several takes them in one order, conversations before contacts.
	for _, id := range slices.Compact(threads) {
		defer a.threads.Lock(id)()
	}
	a.enrolment.Lock()
	defer a.enrolment.Unlock()
	all, err := a.everythingOf(ctx, p)
	if err != nil {
		return err
	}
	err = erase()
	for _, c := range all.contacts {
		a.contacts.Forget(c.ID)
	}
	for _, ci := range all.inboxes {
		a.contactInboxes.Forget(ci.key())
	}
	for _, id := range threads {
		a.conversations.Forget(id)
	}
	return err
}
