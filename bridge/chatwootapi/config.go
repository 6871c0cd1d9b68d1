package chatwootapi

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"lpbridge/config"
)

// Limits of sizes a configuration may ask for, in bytes. LivePerson refuses
// files above 3 MB, and every upload is held in memory once.
const (
	minAttachment = 1 << 10
	maxAttachment = 64 << 20
)

// Config is what an operator chooses for the channel. Its variables carry the
// prefix CHATWOOTAPI_.
type Config struct {
	Inboxes       []string      `env:"INBOXES,required" desc:"Inbox identifiers the apps use, in a fixed order: the place in the list is the numeric inbox id, so add new ones at the end."`
	InboxName     string        `env:"INBOX_NAME,default=API" desc:"Name of the inboxes as the apps see it."`
	HMACToken     config.Secret `env:"HMAC_TOKEN" desc:"Key that identifier_hash is checked with, for inboxes not named in HMAC_TOKENS."`
	HMACTokens    config.Secret `env:"HMAC_TOKENS" desc:"Keys of single inboxes: identifier=key, separated by commas."`
	HMACMandatory bool          `env:"HMAC_MANDATORY,default=false" desc:"Whether every contact call must carry identifier and identifier_hash."`
	CSAT          bool          `env:"CSAT,default=false" desc:"Whether a resolved conversation gets a satisfaction survey."`
	AgentName     string        `env:"AGENT_NAME,default=Agent" desc:"Display name of agents whose own names are not known."`
	PublicURL     *url.URL      `env:"PUBLIC_URL" desc:"Base URL under which apps and agents reach this service; LPBRIDGE_PUBLIC_URL when empty."`
	MaxAttachment int64         `env:"MAX_ATTACHMENT,default=3145728" min:"1024" max:"67108864" desc:"Largest file a contact may send, in bytes."`
	NewContacts   int           `env:"NEW_CONTACTS,default=600" min:"0" desc:"How many contacts one client address may create in a minute; 0 for no limit. Our own host has none, which is where a proxy without CLIENT_HEADER stands."`
	NewLines      int           `env:"NEW_LINES,default=600" min:"0" desc:"How many connections to /cable one client address may open in a minute; 0 for no limit. Our own host has none, as for CHATWOOTAPI_NEW_CONTACTS."`
	Requests      int           `env:"CONTACT_REQUESTS,default=600" min:"0" desc:"How many requests one contact may make in a minute; 0 for no limit."`
	ClientHeader  string        `env:"CLIENT_HEADER" desc:"Header in which the proxy before the bridge tells its client's address, such as X-Forwarded-For; its last entry counts. Set it only behind a proxy that sets it."`
	EmptyStrings  bool          `env:"EMPTY_STRINGS,default=false" desc:"Whether a missing e-mail address or phone number is sent as an empty string instead of null, which Chatwoot's Flutter SDK needs."`
}

// Validate reports everything wrong with the configuration, each problem
// beginning with the name of its variable.
func (c Config) Validate() error {
	errs := []error{c.validateInboxes(), c.validatePublicURL()}
	if c.AgentName == "" {
		errs = append(errs, errors.New("AGENT_NAME: is required"))
	}
	if c.MaxAttachment < minAttachment || c.MaxAttachment > maxAttachment {
		errs = append(errs, fmt.Errorf("MAX_ATTACHMENT: must be between %d and %d bytes", minAttachment, maxAttachment))
	}
	if c.NewContacts < 0 {
		errs = append(errs, errors.New("NEW_CONTACTS: must be 0 or more"))
	}
	if c.Requests < 0 {
		errs = append(errs, errors.New("CONTACT_REQUESTS: must be 0 or more"))
	}
	keys, err := c.inboxKeys()
	errs = append(errs, err)
	if err == nil && c.HMACMandatory && !c.HMACToken.IsSet() {
		for _, name := range c.Inboxes {
			if !keys[name].IsSet() {
				errs = append(errs, fmt.Errorf("HMAC_MANDATORY: needs HMAC_TOKEN, or a key for inbox %s in HMAC_TOKENS", name))
			}
		}
	}
	return errors.Join(errs...)
}

func (c Config) validateInboxes() error {
	if len(c.Inboxes) == 0 {
		return errors.New("INBOXES: at least one inbox identifier is required")
	}
	for i, name := range c.Inboxes {
		if name == "" || url.PathEscape(name) != name || strings.Contains(name, "=") {
			return fmt.Errorf("INBOXES: entry %d must be letters, digits or other characters that need no escaping in a path", i+1)
		}
		if slices.Contains(c.Inboxes[:i], name) {
			return fmt.Errorf("INBOXES: %s is named twice", name)
		}
		for _, other := range c.Inboxes {
			if strings.HasPrefix(name, other+":") {
				return fmt.Errorf("INBOXES: %s begins with %s and a colon, so that contacts of one could be taken for the other's", name, other)
			}
		}
	}
	return nil
}

// validatePublicURL takes none: another setting may stand in, so New asks.
func (c Config) validatePublicURL() error {
	u := c.PublicURL
	if u == nil {
		return nil
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("PUBLIC_URL: must be an absolute http or https address without user, query and fragment")
	}
	return nil
}

// inboxKeys takes HMACTokens apart. Its errors name an entry by its number,
// because a misplaced key must not be quoted.
func (c Config) inboxKeys() (map[string]config.Secret, error) {
	keys := map[string]config.Secret{}
	if !c.HMACTokens.IsSet() {
		return keys, nil
	}
	for i, entry := range strings.Split(c.HMACTokens.Reveal(), ",") {
		name, key, found := strings.Cut(strings.TrimSpace(entry), "=")
		if !found || key == "" {
			return nil, fmt.Errorf("HMAC_TOKENS: entry %d is not identifier=key", i+1)
		}
		if !slices.Contains(c.Inboxes, name) {
			return nil, fmt.Errorf("HMAC_TOKENS: entry %d names an inbox that is not in INBOXES", i+1)
		}
		keys[name] = config.NewSecret(key)
	}
	return keys, nil
}

// inbox is one configured inbox.
type inbox struct {
	id         int
	identifier string
	key        config.Secret
}

// inboxes returns the configured inboxes by identifier.
func (c Config) inboxes() (map[string]*inbox, error) {
	keys, err := c.inboxKeys()
	if err != nil {
		return nil, err
	}
	out := make(map[string]*inbox, len(c.Inboxes))
	for i, name := range c.Inboxes {
		key := keys[name]
		if !key.IsSet() {
			key = c.HMACToken
		}
		out[name] = &inbox{id: i + 1, identifier: name, key: key}
	}
	return out, nil
}
