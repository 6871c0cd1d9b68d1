package chatwootapi

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"lpbridge/bridge"
)

// checkIdentity checks identifier_hash, the HMAC-SHA256 of the identifier in
// lower-case hex, and returns the identifier that it proves. It is empty when
// there was no hash and none was needed; the hash of an empty identifier proves
// nobody.
func (a *people) checkIdentity(c *call) (identifier string, err error) {
	hash := c.params.present("identifier_hash")
	if hash == "" && !a.cfg.HMACMandatory {
		return "", nil
	}
	if !c.inbox.key.IsSet() {
		return "", errIdentity
	}
	identifier, _ = c.params.text("identifier")
	mac := hmac.New(sha256.New, []byte(c.inbox.key.Reveal()))
	mac.Write([]byte(identifier))
	if !hmac.Equal([]byte(hash), []byte(hex.EncodeToString(mac.Sum(nil)))) || len(identifier) > 4*maxShortText {
		return "", errIdentity
	}
	return identifier, nil
}

// bind refuses a right hash of somebody else: Chatwoot itself does not tie the
// hash to the contact of the path, which lets any identified person act as any
// other whose source id is known. A contact that has no identifier gets its
// first one by proof.
func bind(c *call, p *visitor) error {
	if c.params.present("identifier_hash") == "" {
		return nil
	}
	identifier, _ := c.params.text("identifier")
	if has := cmp.Or(p.inbox.Proven, p.contact.Identifier); has != "" && identifier != has {
		return errIdentity
	}
	return nil
}

// identified returns the visitor of the path after checking their identity, and
// marks as verified who proved one.
func (a *people) identified(ctx context.Context, c *call) (*visitor, error) {
	p, identifier, err := a.checked(ctx, c, a.cfg.HMACMandatory)
	if err != nil || identifier == "" || p.inbox.Verified {
		return p, err
	}
	a.enrolment.Lock()
	defer a.enrolment.Unlock()
	if p, err = a.visitor(ctx, c.source()); err != nil {
		return nil, err
	}
	if err := bind(c, p); err != nil {
		return nil, err
	}
	return a.prove(ctx, p, identifier, true)
}

// met returns the visitor of a path below a contact. Chatwoot asks for no proof
// there, so none is needed, but a wrong one is refused.
func (a *people) met(ctx context.Context, c *call) (*visitor, error) {
	p, _, err := a.checked(ctx, c, false)
	return p, err
}

func (a *people) checked(ctx context.Context, c *call, needed bool) (p *visitor, identifier string, err error) {
	if p, err = a.visitor(ctx, c.source()); err != nil {
		return nil, "", err
	}
	if !needed && c.params.present("identifier_hash") == "" {
		return p, "", nil
	}
	if identifier, err = a.checkIdentity(c); err != nil {
		return nil, "", err
	}
	return p, identifier, bind(c, p)
}

// prove takes note of a proven identifier: the contact-inbox then belongs to the
// contact of all who proved it. verified says that it becomes verified too. The
// mutex enrolment must be held.
func (a *people) prove(ctx context.Context, p *visitor, identifier string, verified bool) (*visitor, error) {
	if identifier == "" || p.inbox.Proven == identifier && p.inbox.Verified == verified {
		return p, nil
	}
	now := time.Now()
	ci, c := *p.inbox, *p.contact
	ci.Proven, ci.Verified, ci.Updated = identifier, verified, now
	base, err := a.provenContact(ctx, identifier)
	if err != nil {
		return nil, err
	}
	joins := base != nil && base.ID != c.ID
	if joins {
		c = base.completedBy(&c)
	}
	c.Proven, c.Inbox, c.Identifier = true, 0, identifier
	if verified {
		c.Tokens = append(slices.Clone(c.Tokens), ci.Token)
	}
	ci.Contact = c.ID
	after, err := a.keepVisitor(ctx, &visitor{&c, &ci}, nil, &c, &ci)
	if err == nil && joins {
		a.contacts.Forget(p.contact.ID)
		err = a.records.Delete(context.WithoutCancel(ctx), string(kindContact), p.contact.ID)
	}
	return after, err
}

// completedBy is a contact with what it lacks from another one of the same
// person.
func (c *contact) completedBy(other *contact) contact {
	next := *c
	next.Name = cmp.Or(c.Name, other.Name)
	next.Email = cmp.Or(c.Email, other.Email)
	next.Phone = cmp.Or(c.Phone, other.Phone)
	next.Avatar = cmp.Or(c.Avatar, other.Avatar)
	next.Attributes = mergeDeep(other.Attributes, c.Attributes)
	return next
}

// toldApart brings records up to date from before contacts were kept apart, when
// those who gave the same e-mail address, phone number or identifier shared one.
// A contact of one contact-inbox is that one's. Of one that was shared nobody
// can tell who said what: it stays as it is, and everybody gets a new one, which
// is empty until they say again who they are.
func (a *people) toldApart(ctx context.Context, ci *contactInbox, c *contact) (*visitor, error) {
	if c.belongsTo(ci) {
		return &visitor{c, ci}, nil
	}
	a.separation.Lock()
	defer a.separation.Unlock()
	ci, err := kindContactInbox.Get(ctx, a.records, ci.ID)
	if err != nil {
		return nil, err
	}
	if c, err = kindContact.Get(ctx, a.records, ci.Contact); err != nil || c.belongsTo(ci) {
		return &visitor{c, ci}, err
	}
	shared, err := kindContactInbox.Newest(ctx, a.records, formatID(c.ID), 0, 2)
	if err != nil {
		return nil, err
	}
	next, left := *c, *c
	if !c.Nobody && !c.Proven && len(shared) == 1 {
		next.Inbox = ci.ID
		return a.keepVisitor(ctx, &visitor{&next, ci}, nil, &next)
	}
	moved := *ci
	next = contact{Name: generatedName(), Inbox: ci.ID, Created: c.Created, Updated: time.Now()}
	if next.ID, err = kindContact.NextID(ctx, a.records); err != nil {
		return nil, err
	}
	left.Nobody, moved.Contact = true, next.ID
	return a.keepVisitor(ctx, &visitor{&next, &moved}, nil, &next, &moved, &left)
}

// belongsTo reports whether the contact is known to be the contact-inbox's.
func (c *contact) belongsTo(ci *contactInbox) bool {
	return c.Inbox == ci.ID || c.Proven && c.Identifier == ci.Proven
}

// consumer is the consumer of a conversation. One from before consumers were
// told apart keeps its own, unless others had the same.
func (c *conversation) consumer(p *visitor) bridge.ConsumerID {
	switch {
	case c.Consumer != "":
		return c.Consumer
	case c.FormerContact == p.contact.ID:
		return consumerID(p.contact.ID)
	}
	return bridge.ConsumerID(inboxConsumer + formatID(p.inbox.ID))
}
