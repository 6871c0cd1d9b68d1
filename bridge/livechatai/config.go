package livechatai

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"lpbridge/bridge/farside"
	"lpbridge/config"
)

// The bounds and defaults of what may be configured.
const (
	defaultBase = "https://app.livechatai.com"

	defaultTimeout = 10 * time.Second
	minTimeout     = time.Second
	maxTimeout     = 5 * time.Minute

	defaultPollBusy = 2500 * time.Millisecond
	defaultPollIdle = 12500 * time.Millisecond
	minPoll         = time.Second
	maxPoll         = 5 * time.Minute

	defaultHold = 30 * time.Second
	minHold     = time.Second
	maxHold     = 5 * time.Minute

	// minSecret is the shortest secret of pushes, in bytes.
	minSecret = 16
	// maxAgentIDs keeps one round of polling within reason.
	maxAgentIDs = 20
)

// The words of Conversations and Images.
const (
	takenOver = "agent"
	all       = "all"

	imagesAsLink  = "link"
	imagesAsImage = "image"
)

// defaultConsumerRole is the only role of a message that the vendor shows.
const defaultConsumerRole = "user"

// Config is what an operator chooses, in variables that begin with LIVECHATAI_.
// What is left at zero has its default.
type Config struct {
	// APIKey is sent as a bearer token.
	APIKey config.Secret `env:"API_KEY,required" desc:"API key from LiveChatAI's dashboard. It has full rights."`
	// AgentIDs are the AI agents whose conversations are polled.
	AgentIDs []string `env:"AGENT_IDS" desc:"Ids of the AI agents whose conversations are read, separated by commas. Required unless messages are only pushed (LIVECHATAI_SECRET)."`
	// BaseURL is the address before /api/v2; nil is the vendor's.
	BaseURL *url.URL `env:"BASE_URL,default=https://app.livechatai.com" desc:"LiveChatAI's address, without /api/v2."`
	// UserID is the operator that replies and typing are attributed to.
	UserID string `env:"USER_ID" desc:"LiveChatAI user that agents appear as. Without it LiveChatAI takes the workspace's owner."`
	// Users maps LivePerson agents to LiveChatAI users.
	Users []string `env:"USERS" desc:"LiveChatAI users that single agents appear as, as agent=user pairs separated by commas. The agent is LivePerson's id. With it the widget is told of each agent's typing by itself."`
	// Conversations says which conversations are LivePerson's.
	Conversations string `env:"CONVERSATIONS,default=agent" oneof:"agent,all" desc:"Which conversations go to LivePerson: agent, those that a person took over from the AI (isAgent), or all."`
	// Import takes the messages that exist at the first start.
	Import bool `env:"IMPORT" desc:"At the very first start also take the visitor's messages that open conversations already have."`
	// KeepOpen leaves conversations open in LiveChatAI.
	KeepOpen bool `env:"KEEP_OPEN" desc:"Do not resolve the conversation in LiveChatAI when LivePerson closes it."`
	// PollBusy and PollIdle are the pauses between two rounds.
	PollBusy time.Duration `env:"POLL_BUSY,default=2500ms" min:"1s" max:"5m" desc:"Pause between two rounds of polling while there is traffic, give or take a fifth."`
	PollIdle time.Duration `env:"POLL_IDLE,default=12500ms" min:"1s" max:"5m" desc:"The same pause while there is none."`
	// Timeout bounds one call.
	Timeout time.Duration `env:"TIMEOUT,default=10s" min:"1s" max:"5m" desc:"How long one call of LiveChatAI may take."`
	// Secret verifies pushes; without one nothing can be pushed.
	Secret []config.Secret `env:"SECRET" desc:"Secret that signs pushes to /channels/livechatai, at least 16 bytes. Several, separated by commas, are all accepted. Without one nothing can be pushed."`
	// TypingHold is how long a visitor's typing stands without another push.
	TypingHold time.Duration `env:"TYPING_HOLD,default=30s" min:"1s" max:"5m" desc:"How long a pushed isTyping stands without another push."`
	// ConsumerRoles are the roles of messages that are the visitor's.
	ConsumerRoles []string `env:"CONSUMER_ROLES,default=user" desc:"Roles of messages that are the visitor's. LiveChatAI documents user only."`
	// Images says how an agent's picture is sent.
	Images string `env:"IMAGES,default=link" oneof:"link,image" desc:"How an agent's picture is sent: link, its address in a text, or image, a message of type IMAGE whose content is the address."`
}

// Validate reports every problem, each beginning with the variable it is about,
// without the prefix LIVECHATAI_. No text quotes a value.
func (c Config) Validate() error {
	return errors.Join(
		c.validateKey(),
		c.validateAgentIDs(),
		c.validateBase(),
		c.validateUsers(),
		c.validateSecrets(),
		c.validateRoles(),
		oneOf("CONVERSATIONS", c.Conversations, takenOver, all),
		oneOf("IMAGES", c.Images, imagesAsLink, imagesAsImage),
		within("POLL_BUSY", c.pollBusy(), minPoll, maxPoll),
		within("POLL_IDLE", c.pollIdle(), minPoll, maxPoll),
		c.validatePace(),
		within("TIMEOUT", c.timeout(), minTimeout, maxTimeout),
		within("TYPING_HOLD", c.hold(), minHold, maxHold),
	)
}

func (c Config) validateKey() error {
	switch {
	case !c.APIKey.IsSet():
		return errors.New("API_KEY: is required")
	case !farside.FitsHeader(c.APIKey.Reveal()):
		return errors.New("API_KEY: must be printable ASCII without spaces")
	}
	return nil
}

func (c Config) validateAgentIDs() error {
	switch {
	case len(c.AgentIDs) == 0 && len(c.Secret) == 0:
		return errors.New("AGENT_IDS: is required, unless messages are pushed and SECRET is set")
	case len(c.AgentIDs) > maxAgentIDs:
		return fmt.Errorf("AGENT_IDS: must be %d ids at most", maxAgentIDs)
	}
	for i, id := range c.AgentIDs {
		if !farside.FitsHeader(id) || id == "" {
			return fmt.Errorf("AGENT_IDS: id %d must be printable ASCII without spaces", i+1)
		}
		if slices.Contains(c.AgentIDs[:i], id) {
			return fmt.Errorf("AGENT_IDS: id %d is there twice", i+1)
		}
	}
	return nil
}

func (c Config) validateBase() error {
	u := c.base()
	if err := farside.Callable(u); err != nil {
		return fmt.Errorf("BASE_URL: %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return errors.New("BASE_URL: must not have a query (?)")
	}
	return nil
}

func (c Config) validateUsers() error {
	if !farside.FitsHeader(c.UserID) {
		return errors.New("USER_ID: must be printable ASCII without spaces")
	}
	_, err := newUsers(c)
	return err
}

func (c Config) validateSecrets() error {
	for i, s := range c.Secret {
		if len(s.Reveal()) < minSecret {
			return fmt.Errorf("SECRET: secret %d of %d must have at least %d bytes", i+1, len(c.Secret), minSecret)
		}
	}
	return nil
}

func (c Config) validateRoles() error {
	if slices.Contains(c.ConsumerRoles, "") {
		return errors.New("CONSUMER_ROLES: a role must not be empty")
	}
	return nil
}

func (c Config) validatePace() error {
	if c.pollIdle() < c.pollBusy() {
		return errors.New("POLL_IDLE: must not be shorter than POLL_BUSY")
	}
	return nil
}

func (c Config) base() *url.URL {
	if c.BaseURL != nil {
		return c.BaseURL
	}
	return &url.URL{Scheme: "https", Host: strings.TrimPrefix(defaultBase, "https://")}
}

func (c Config) pollBusy() time.Duration { return cmp.Or(c.PollBusy, defaultPollBusy) }
func (c Config) pollIdle() time.Duration { return cmp.Or(c.PollIdle, defaultPollIdle) }
func (c Config) timeout() time.Duration  { return cmp.Or(c.Timeout, defaultTimeout) }
func (c Config) hold() time.Duration     { return cmp.Or(c.TypingHold, defaultHold) }

func (c Config) consumerRoles() []string {
	if len(c.ConsumerRoles) == 0 {
		return []string{defaultConsumerRole}
	}
	return c.ConsumerRoles
}

// users says which LiveChatAI user an agent appears as.
type users struct {
	byAgent map[string]string
	others  string
}

func newUsers(c Config) (users, error) {
	u := users{byAgent: make(map[string]string, len(c.Users)), others: c.UserID}
	for i, pair := range c.Users {
		agent, user, found := strings.Cut(pair, "=")
		if !found || agent == "" || user == "" || !farside.FitsHeader(agent) || !farside.FitsHeader(user) {
			return users{}, fmt.Errorf("USERS: pair %d must be agent=user, in printable ASCII without spaces", i+1)
		}
		if _, twice := u.byAgent[agent]; twice {
			return users{}, fmt.Errorf("USERS: the agent of pair %d is there twice", i+1)
		}
		u.byAgent[agent] = user
	}
	return u, nil
}

// of returns the user an agent appears as; empty is the workspace's owner.
func (u users) of(agent string) string {
	if user, ok := u.byAgent[agent]; ok {
		return user
	}
	return u.others
}

func within(name string, d, least, most time.Duration) error {
	if d < least || d > most {
		return fmt.Errorf("%s: must be between %s and %s", name, least, most)
	}
	return nil
}

// oneOf takes the empty word for the default.
func oneOf(name, word string, words ...string) error {
	if word != "" && !slices.Contains(words, word) {
		return fmt.Errorf("%s: must be one of %s", name, strings.Join(words, ", "))
	}
	return nil
}
