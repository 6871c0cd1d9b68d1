package chatwootapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// checkIdentity checks identifier_hash, the HMAC-SHA256 of the identifier in
// lower-case hex. proven is false when there was none and none was needed.
func (a *ChatwootAPI) checkIdentity(c *call) (proven bool, err error) {
	hash := c.params.present("identifier_hash")
	if hash == "" && !a.cfg.HMACMandatory {
		return false, nil
	}
	if !c.inbox.key.IsSet() {
		return false, errIdentity
	}
	identifier, _ := c.params.text("identifier")
	mac := hmac.New(sha256.New, []byte(c.inbox.key.Reveal()))
	mac.Write([]byte(identifier))
	if !hmac.Equal([]byte(hash), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		return false, errIdentity
	}
	return true, nil
}

// bind refuses a right hash of somebody else: Chatwoot itself does not tie the
// hash to the contact of the path, which lets any identified person act as any
// other whose source id is known.
func (a *ChatwootAPI) bind(c *call, p *visitor) error {
	if c.params.present("identifier_hash") == "" {
		return nil
	}
	if identifier, _ := c.params.text("identifier"); identifier != p.contact.Identifier {
		return errIdentity
	}
	return nil
}

// identified returns the contact of the path after checking its identity, and
// remembers an identity that was proven.
func (a *ChatwootAPI) identified(ctx context.Context, c *call) (*visitor, error) {
	p, err := a.visitor(ctx, c.source())
	if err != nil {
		return nil, err
	}
	proven, err := a.checkIdentity(c)
	if err != nil {
		return nil, err
	}
	if err := a.bind(c, p); err != nil {
		return nil, err
	}
	if !proven || p.inbox.Verified || p.contact.Identifier == "" {
		return p, nil
	}
	return a.verify(ctx, c.source())
}

// verify marks the contact-inbox as verified.
func (a *ChatwootAPI) verify(ctx context.Context, key sourceKey) (*visitor, error) {
	a.enrolment.Lock()
	defer a.enrolment.Unlock()
	p, err := a.visitor(ctx, key)
	if err != nil || p.inbox.Verified {
		return p, err
	}
	c, ci := *p.contact, *p.inbox
	ci.Verified, ci.Updated = true, time.Now()
	c.Verified = append(slices.Clone(c.Verified), ci.Token)
	if err := a.keep(ctx, nil, &c, &ci); err != nil {
		return nil, err
	}
	a.contacts.Put(c.ID, &c)
	a.contactInboxes.Put(key, &ci)
	return &visitor{&c, &ci}, nil
}
