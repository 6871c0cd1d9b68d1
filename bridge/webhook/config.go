package webhook

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"lpbridge/bridge/farside"
	"lpbridge/config"
)

// The defaults of what may be configured.
const (
	defaultTimeout = 10 * time.Second
	defaultHold    = 30 * time.Second
)

// Config is what an operator chooses, in variables that begin with WEBHOOK_. A
// duration left at zero has its default.
type Config struct {
	// Secret holds one or more secrets of the Standard Webhooks form; all sign and
	// all are accepted.
	Secret config.Secret `env:"SECRET" desc:"Secret that signs requests in both directions by Standard Webhooks: whsec_ and 24 to 64 bytes in base64. Several, separated by commas, all sign and are all accepted, so that a secret can be changed without a gap."`
	// Token is a bearer token for both directions.
	Token config.Secret `env:"TOKEN" desc:"Bearer token for both directions, for systems that cannot sign."`
	// AllowUnsigned believes everybody.
	AllowUnsigned bool `env:"ALLOW_UNSIGNED" desc:"Believe every request without a secret or token. For trials on a closed network only."`
	// URL is where events from LivePerson go; nil when the channel wants none.
	URL *url.URL `env:"URL" desc:"Where events from LivePerson are POSTed. Without it the channel only sends, and agents see their messages fail."`
	// Timeout bounds one POST to URL, its answer included.
	Timeout time.Duration `env:"TIMEOUT,default=10s" min:"1s" max:"5m" desc:"How long one POST to WEBHOOK_URL may take."`
	// TypingHold is how long a consumer's typing stands without another word.
	TypingHold time.Duration `env:"TYPING_HOLD,default=30s" min:"1s" max:"5m" desc:"How long a consumer's composing stands without another event."`
}

// Validate reports every problem, each beginning with the variable it is about,
// without the prefix WEBHOOK_. No text quotes a value.
func (c Config) Validate() error {
	var problems []error
	switch n := len(slices.DeleteFunc([]bool{c.Secret.IsSet(), c.Token.IsSet(), c.AllowUnsigned}, func(set bool) bool { return !set })); n {
	case 1:
	case 0:
		problems = append(problems, errors.New("SECRET: set it, or WEBHOOK_TOKEN, or WEBHOOK_ALLOW_UNSIGNED=true to believe every request"))
	default:
		problems = append(problems, errors.New("SECRET: set only one of WEBHOOK_SECRET, WEBHOOK_TOKEN and WEBHOOK_ALLOW_UNSIGNED"))
	}
	if _, err := newAuthentication(c); err != nil {
		problems = append(problems, err)
	}
	if !farside.FitsHeader(c.Token.Reveal()) {
		problems = append(problems, errors.New("TOKEN: must be printable ASCII without spaces"))
	}
	if c.URL != nil {
		if err := farside.Callable(c.URL); err != nil {
			problems = append(problems, fmt.Errorf("URL: %w", err))
		}
	}
	return errors.Join(problems...)
}

func (c Config) timeout() time.Duration { return cmp.Or(c.Timeout, defaultTimeout) }

func (c Config) hold() time.Duration { return cmp.Or(c.TypingHold, defaultHold) }
