package livechatai

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/livechatai/livechataitest"
	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
)

func asDelivery(err error) (*bridge.DeliveryError, bool) {
	return errors.AsType[*bridge.DeliveryError](err)
}

func TestValidate(t *testing.T) {
	good := func(change func(*Config)) Config {
		c := Config{APIKey: config.NewSecret(livechataitest.Key), AgentIDs: []string{aiAgent}}
		change(&c)
		return c
	}
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "API_KEY: is required\nAGENT_IDS: is required, unless messages are pushed and SECRET is set"},
		{"the least", good(func(*Config) {}), ""},
		{"push only", good(func(c *Config) { c.AgentIDs, c.Secret = nil, []config.Secret{config.NewSecret(secret)} }), ""},
		{"key with a space", good(func(c *Config) { c.APIKey = config.NewSecret("a b") }), "API_KEY: must be printable ASCII without spaces"},
		{"agent with a space", good(func(c *Config) { c.AgentIDs = []string{"a", "b c"} }), "AGENT_IDS: id 2 must be printable ASCII without spaces"},
		{"agent twice", good(func(c *Config) { c.AgentIDs = []string{"a", "a"} }), "AGENT_IDS: id 2 is there twice"},
		{"many agents", good(func(c *Config) { c.AgentIDs = strings.Split(strings.Repeat("x", 21), "") }), "AGENT_IDS: must be 20 ids at most"},
		{"relative base", good(func(c *Config) { c.BaseURL = &url.URL{Path: "/x"} }), "BASE_URL: must be an absolute http or https address"},
		{"base with a user", good(func(c *Config) { c.BaseURL = mustURL(t, "https://u:p@x/") }), "BASE_URL: must not have a user name or password"},
		{"base with a query", good(func(c *Config) { c.BaseURL = mustURL(t, "https://x/?y") }), "BASE_URL: must not have a query (?)"},
		{"odd user", good(func(c *Config) { c.UserID = "a\nb" }), "USER_ID: must be printable ASCII without spaces"},
		{"odd pair", good(func(c *Config) { c.Users = []string{"a=b", "c"} }), "USERS: pair 2 must be agent=user, in printable ASCII without spaces"},
		{"pair twice", good(func(c *Config) { c.Users = []string{"a=b", "a=c"} }), "USERS: the agent of pair 2 is there twice"},
		{"short secret", good(func(c *Config) { c.Secret = []config.Secret{config.NewSecret("short")} }), "SECRET: secret 1 of 1 must have at least 16 bytes"},
		{"unknown word", good(func(c *Config) { c.Conversations = "some" }), "CONVERSATIONS: must be one of agent, all"},
		{"unknown word for images", good(func(c *Config) { c.Images = "inline" }), "IMAGES: must be one of link, image"},
		{"empty role", good(func(c *Config) { c.ConsumerRoles = []string{""} }), "CONSUMER_ROLES: a role must not be empty"},
		{"too quick", good(func(c *Config) { c.PollBusy = time.Millisecond }), "POLL_BUSY: must be between 1s and 5m0s"},
		{"idle quicker than busy", good(func(c *Config) { c.PollBusy, c.PollIdle = 5*time.Second, 4*time.Second }), "POLL_IDLE: must not be shorter than POLL_BUSY"},
		{"too slow", good(func(c *Config) { c.Timeout, c.TypingHold = time.Hour, time.Hour }), "TIMEOUT: must be between 1s and 5m0s\nTYPING_HOLD: must be between 1s and 5m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.cfg.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigFromTheEnvironment(t *testing.T) {
	var c Config
	loader := config.NewLoader(envconfig.MapLookuper(map[string]string{
		"LIVECHATAI_API_KEY": livechataitest.Key, "LIVECHATAI_AGENT_IDS": "a,b", "LIVECHATAI_SECRET": secret + "," + oldSecret,
		"LIVECHATAI_USERS": "4711=user_1,4712=user_2",
	}))
	loader.Load("LIVECHATAI_", &c)
	if err := loader.Err(); err != nil {
		t.Fatal(err)
	}
	if c.base().String() != "https://app.livechatai.com" || c.pollBusy() != defaultPollBusy || c.pollIdle() != defaultPollIdle ||
		c.timeout() != defaultTimeout || c.hold() != defaultHold || c.Conversations != takenOver || c.Images != imagesAsLink {
		t.Errorf("defaults: %+v", c)
	}
	if diff := cmp.Diff([]string{"user"}, c.consumerRoles()); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	if len(c.Secret) != 2 || len(c.AgentIDs) != 2 || len(c.Users) != 2 {
		t.Errorf("lists: %+v", c)
	}
	if got := (Config{}).base().String(); got != defaultBase {
		t.Errorf("base without a configuration: %s", got)
	}
}
