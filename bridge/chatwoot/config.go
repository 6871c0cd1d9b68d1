package chatwoot

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge/farside"
	"lpbridge/config"
)

// The words of Config.
const (
	kindUser = "user"
	kindBot  = "bot"

	statusOpen     = "open"
	statusResolved = "resolved"
	statusPending  = "pending"
	onCloseResolve = "resolve"
	onCloseBot     = "pending"
	leave          = "leave"
	relayAll       = "relay"
	share          = "share"
	apart          = "apart"
	auto           = "auto"

	markdownEscape = "escape"
)

// The bounds and defaults of what may be configured.
const (
	defaultTimeout = 10 * time.Second
	minTimeout     = time.Second
	maxTimeout     = 2 * time.Minute

	// minURLSecret is the least length in characters of a secret that stands in
	// an address, where nothing else protects it from being guessed.
	minURLSecret = 16
)

// Config is what an operator chooses, in variables that begin with CHATWOOT_. A
// field left at zero has its default.
type Config struct {
	// BaseURL is where Chatwoot is, with or without a path and a final slash.
	BaseURL *url.URL `env:"BASE_URL,required" desc:"Address of Chatwoot, such as https://chatwoot.example.com."`
	// AccountID is the only account whose webhooks are taken.
	AccountID int64 `env:"ACCOUNT_ID,required" min:"1" desc:"Number of the Chatwoot account: the one after /accounts/ in its addresses."`
	// Token is an access token of the application API.
	Token config.Secret `env:"TOKEN,required" desc:"Access token of the user or agent bot in whose name messages of LivePerson's agents appear."`
	// TokenKind says whose token it is.
	TokenKind string `env:"TOKEN_KIND,default=user" oneof:"user,bot" desc:"Whose token it is. A bot's token cannot find out whether a message whose answer was lost arrived: such a message may appear twice."`
	// Secrets are those of all webhooks that come here.
	Secrets []config.Secret `env:"SECRETS" desc:"Secrets with which Chatwoot signs its webhooks, separated by commas: of the account webhook, the API inbox, the agent bot."`
	// AllowUnsigned takes requests at /channels/chatwoot/{URLSecret} without a
	// signature.
	AllowUnsigned bool `env:"ALLOW_UNSIGNED" desc:"Take webhooks without a signature at /channels/chatwoot/{CHATWOOT_URL_SECRET}, for a Chatwoot that does not sign yet."`
	// URLSecret is the last part of the path of unsigned webhooks.
	URLSecret config.Secret `env:"URL_SECRET" desc:"The last part of the webhook's address when CHATWOOT_ALLOW_UNSIGNED=true: at least 16 letters, digits, - . _ or ~."`
	// InboxIDs are the inboxes that are relayed; empty for all.
	InboxIDs []string `env:"INBOX_IDS" desc:"Numbers of the inboxes to relay, separated by commas. Without it every inbox whose webhooks come here."`
	// OnOpen is what LivePerson's conversation does to Chatwoot's when it opens.
	OnOpen string `env:"ON_OPEN,default=open" oneof:"open,leave" desc:"Whether a conversation becomes open in Chatwoot when it opens in LivePerson or an agent joins. Left pending with a bot, the website widget shows a typing bubble of its own that nothing can end."`
	// OnClose is what LivePerson's conversation does to Chatwoot's when it closes.
	OnClose string `env:"ON_CLOSE,default=resolve" oneof:"resolve,pending,leave" desc:"What becomes of a conversation in Chatwoot when LivePerson closes it: it is resolved, given back to the bot (pending) or left as it is."`
	// Pending says who answers while a bot has the conversation.
	Pending string `env:"PENDING,default=auto" oneof:"auto,leave,relay" desc:"What happens to pending conversations, which a bot has: leave them to the bot until it hands over, with what was said until then as one message, or relay them at once. auto leaves them to the bot unless the token is that of a bot, which is then this bridge."`
	// Verified says whether a proof makes the inboxes of a contact one consumer.
	Verified string `env:"VERIFIED,default=share" oneof:"share,apart" desc:"Whether all inboxes of a contact that proved its identity (hmac_verified) are one consumer. Chatwoot joins contacts by an e-mail address or telephone number that a visitor gives, and takes no proof back for that. Nobody is shown another's answers for it, but agents see one person: where visitors can change their own contact, as in the website widget, apart has each contact-inbox be its own consumer."`
	// OrderHold is how long a message waits for one with a smaller number; 0 has
	// none wait.
	OrderHold time.Duration `env:"ORDER_HOLD,default=100ms" max:"2s" desc:"How long each message of a consumer waits for webhooks that it overtook, and so how much later it arrives."`
	// Markdown says how agents' texts are written.
	Markdown string `env:"MARKDOWN,default=leave" oneof:"leave,escape" desc:"Whether characters that mean formatting in Markdown are escaped in agents' texts. Right for the website widget, wrong for inboxes whose clients show text as it is."`
	// Receipts tells Chatwoot how far consumers' messages got.
	Receipts bool `env:"RECEIPTS" desc:"Set the status of consumers' messages as LivePerson's agents receive and read them. For API inboxes and a user's token only."`
	// Timeout bounds one call of the application API, its answer included.
	Timeout time.Duration `env:"TIMEOUT,default=10s" min:"1s" max:"2m" desc:"How long one call to Chatwoot may take."`
}

// Validate reports every problem, each beginning with the variable it is about,
// without the prefix CHATWOOT_. No text quotes a value.
func (c Config) Validate() error {
	return errors.Join(
		c.validateBaseURL(),
		c.validateToken(),
		c.validateSecrets(),
		c.validateURLSecret(),
		c.validateInboxIDs(),
		oneOf("ON_OPEN", c.onOpen(), statusOpen, leave),
		oneOf("ON_CLOSE", c.onClose(), onCloseResolve, onCloseBot, leave),
		oneOf("PENDING", cmp.Or(c.Pending, auto), auto, leave, relayAll),
		oneOf("MARKDOWN", c.markdown(), leave, markdownEscape),
		c.validateTimeout(),
	)
}

func (c Config) validateBaseURL() error {
	if c.BaseURL == nil {
		return errors.New("BASE_URL: is required")
	}
	if err := farside.Callable(c.BaseURL); err != nil {
		return fmt.Errorf("BASE_URL: %w", err)
	}
	if c.BaseURL.RawQuery != "" {
		return errors.New("BASE_URL: must not have a query (?)")
	}
	return nil
}

func (c Config) validateToken() error {
	var problems []error
	if c.AccountID < 1 {
		problems = append(problems, errors.New("ACCOUNT_ID: must be a number from 1 on"))
	}
	switch {
	case !c.Token.IsSet():
		problems = append(problems, errors.New("TOKEN: is required"))
	case !farside.FitsHeader(c.Token.Reveal()):
		problems = append(problems, errors.New("TOKEN: must be printable ASCII without spaces"))
	}
	problems = append(problems, oneOf("TOKEN_KIND", c.tokenKind(), kindUser, kindBot))
	if c.Receipts && c.tokenKind() == kindBot {
		problems = append(problems, errors.New("RECEIPTS: needs TOKEN_KIND=user, for bots may not change a message"))
	}
	return errors.Join(problems...)
}

func (c Config) validateSecrets() error {
	if len(c.Secrets) == 0 && !c.AllowUnsigned {
		return errors.New("SECRETS: set it, or ALLOW_UNSIGNED=true and URL_SECRET for a Chatwoot that does not sign")
	}
	for i, s := range c.Secrets {
		if !s.IsSet() || !farside.FitsHeader(s.Reveal()) {
			return fmt.Errorf("SECRETS: secret %d of %d must be printable ASCII without spaces", i+1, len(c.Secrets))
		}
	}
	return nil
}

func (c Config) validateURLSecret() error {
	switch secret := c.URLSecret.Reveal(); {
	case !c.AllowUnsigned && secret != "":
		return errors.New("URL_SECRET: is of use with ALLOW_UNSIGNED=true only")
	case !c.AllowUnsigned:
		return nil
	case secret == "":
		return errors.New("URL_SECRET: is required with ALLOW_UNSIGNED=true")
	case len(secret) < minURLSecret:
		return fmt.Errorf("URL_SECRET: must have at least %d characters", minURLSecret)
	case strings.ContainsFunc(secret, func(r rune) bool { return !unreserved(r) }):
		return errors.New("URL_SECRET: must have only letters, digits, - . _ and ~")
	}
	return nil
}

func (c Config) validateInboxIDs() error {
	_, err := c.inboxes()
	return err
}

func (c Config) validateTimeout() error {
	if d := c.timeout(); d < minTimeout || d > maxTimeout {
		return fmt.Errorf("TIMEOUT: must be between %s and %s", minTimeout, maxTimeout)
	}
	return nil
}

// inboxes returns the inboxes that are relayed, nil for all.
func (c Config) inboxes() (map[int64]bool, error) {
	if len(c.InboxIDs) == 0 {
		return nil, nil
	}
	chosen := make(map[int64]bool, len(c.InboxIDs))
	for i, text := range c.InboxIDs {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("INBOX_IDS: element %d of %d is not the number of an inbox", i+1, len(c.InboxIDs))
		}
		chosen[id] = true
	}
	return chosen, nil
}

func (c Config) tokenKind() string { return cmp.Or(c.TokenKind, kindUser) }
func (c Config) onOpen() string    { return cmp.Or(c.OnOpen, statusOpen) }
func (c Config) onClose() string   { return cmp.Or(c.OnClose, onCloseResolve) }

// verified is what a proof does.
func (c Config) verified() string { return cmp.Or(c.Verified, share) }

// pending is what happens to pending conversations.
func (c Config) pending() string {
	switch {
	case c.Pending != "" && c.Pending != auto:
		return c.Pending
	case c.tokenKind() == kindBot:
		return relayAll
	}
	return leave
}

func (c Config) markdown() string       { return cmp.Or(c.Markdown, leave) }
func (c Config) timeout() time.Duration { return cmp.Or(c.Timeout, defaultTimeout) }

func oneOf(name, word string, words ...string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return fmt.Errorf("%s: must be %s", name, strings.Join(words, " or "))
}

// unreserved reports whether a character needs no escaping in a path (RFC 3986,
// section 2.3).
func unreserved(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r)
}
