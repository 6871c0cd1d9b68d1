package webhook

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"

	"lpbridge/config"
)

// The bounds and defaults of what may be configured.
const (
	defaultTimeout = 10 * time.Second
	minTimeout     = time.Second
	maxTimeout     = 5 * time.Minute

	defaultHold = 30 * time.Second
	minHold     = time.Second
	maxHold     = 5 * time.Minute
)

// Config is what an operator chooses, in variables that begin with WEBHOOK_. A
// duration left at zero has its default.
type Config struct {
	// Secret holds one or more secrets of the Standard Webhooks form; the first
	// signs, all are accepted.
	Secret config.Secret `env:"SECRET" desc:"Secret that signs requests in both directions by Standard Webhooks: whsec_ and 24 to 64 bytes in base64. Several, separated by commas, are all accepted and the first signs, so that a secret can be changed without a gap."`
	// Token is a bearer token for both directions.
	Token config.Secret `env:"TOKEN" desc:"Bearer token for both directions, for systems that cannot sign."`
	// AllowUnsigned believes everybody.
	AllowUnsigned bool `env:"ALLOW_UNSIGNED" desc:"Believe every request without a secret or token. For trials on a closed network only."`
	// URL is where events from LivePerson go; nil when the channel wants none.
	URL *url.URL `env:"URL" desc:"Where events from LivePerson are POSTed. Without it the channel only sends."`
	// Timeout bounds one POST to URL, its answer included.
	Timeout time.Duration `env:"TIMEOUT,default=10s" min:"1s" max:"5m" desc:"How long one POST to WEBHOOK_URL may take."`
	// TypingHold is how long a consumer's typing stands without another word.
	TypingHold time.Duration `env:"TYPING_HOLD,default=30s" min:"1s" max:"5m" desc:"How long a consumer's composing stands without another event."`
}

// Validate reports every problem, each beginning with the variable it is about,
// without the prefix WEBHOOK_. No text quotes a value.
func (c Config) Validate() error {
	return errors.Join(
		c.validateAuthentication(),
		c.validateURL(),
		within("TIMEOUT", c.timeout(), minTimeout, maxTimeout),
		within("TYPING_HOLD", c.hold(), minHold, maxHold),
	)
}

// validateAuthentication also covers the outgoing side, which is signed or
// authorised with the same secret or token.
func (c Config) validateAuthentication() error {
	ways := 0
	for _, configured := range []bool{c.Secret.IsSet(), c.Token.IsSet(), c.AllowUnsigned} {
		if configured {
			ways++
		}
	}
	if ways == 0 {
		return errors.New("SECRET: set it, or TOKEN, or ALLOW_UNSIGNED=true to believe every request")
	}
	if ways > 1 {
		return errors.New("SECRET: set only one of SECRET, TOKEN and ALLOW_UNSIGNED")
	}
	if c.Secret.IsSet() {
		if _, err := newKeyring(c.Secret.Reveal()); err != nil {
			return fmt.Errorf("SECRET: %w", err)
		}
	}
	if c.Token.IsSet() && !isHeaderToken(c.Token.Reveal()) {
		return errors.New("TOKEN: must be printable ASCII without spaces")
	}
	return nil
}

func (c Config) validateURL() error {
	switch u := c.URL; {
	case u == nil:
		return nil
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return errors.New("URL: must be an absolute http or https address")
	case u.Fragment != "":
		return errors.New("URL: must not have a fragment (#)")
	case u.User != nil && c.Token.IsSet():
		return errors.New("URL: must not have a user name when TOKEN is set, for both need the Authorization header")
	}
	return nil
}

func (c Config) timeout() time.Duration { return cmp.Or(c.Timeout, defaultTimeout) }

func (c Config) hold() time.Duration { return cmp.Or(c.TypingHold, defaultHold) }

func within(name string, d, least, most time.Duration) error {
	if d < least || d > most {
		return fmt.Errorf("%s: must be between %s and %s", name, least, most)
	}
	return nil
}

// isHeaderToken reports whether text can stand in an Authorization header.
func isHeaderToken(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
