package chatwoot

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lpbridge/bridge/bridgetest"
	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
)

// lines writes findings as an operator reads them, and searches them for what
// nobody may read.
func lines(t *testing.T, c *Chatwoot) []string {
	t.Helper()
	var out []string
	for _, f := range c.Check(t.Context()) {
		line := f.Subject + ": " + f.Detail
		if f.Err != nil {
			line = f.Subject + ": FAILS: " + f.Err.Error()
		}
		out = append(out, line)
	}
	all := strings.Join(out, "\n")
	for _, secret := range []string{stubToken, accountSecret, urlSecret, "private-", "private@", "bridge.example", "elsewhere.example"} {
		if strings.Contains(all, secret) {
			t.Errorf("the findings tell %q:\n%s", secret, all)
		}
	}
	return out
}

const (
	guarded  = "Chatwoot's version: webhooks to private addresses need SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true in Chatwoot, which 4.14.0 does not know"
	twoKeys  = "authentication of webhooks: signatures with 2 secret(s) at /channels/chatwoot"
	left     = "pending conversations: left to their bot until it sets them open"
	relayed  = "pending conversations: relayed like all others"
	admin    = "CHATWOOT_TOKEN: a user's, administrator of the account: reaches every inbox"
	inbox3   = "inbox 3: an API inbox whose webhook is this bridge's"
	inbox4   = "inbox 4: relayed by way of an account webhook; its messages have no status that can be set"
	allHooks = "account webhook: subscribed to all that is needed"
	botOK    = "CHATWOOT_TOKEN: an agent bot's; a message whose answer is lost may appear twice, and inboxes cannot be checked"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		cfg  func(*Config)
		far  func(*stub)
		want []string
	}{
		{"all is well", nil, nil, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left, admin, inbox3, inbox4, allHooks}},
		{"agent", nil, func(s *stub) { s.role = "agent" }, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left,
			"CHATWOOT_TOKEN: a user's, agent of the account: reaches only inboxes the user is a member of", inbox3, inbox4}},
		{"version not told", nil, func(s *stub) { s.release = "" }, []string{
			"Chatwoot's version: not told; 4.13 or later is needed for all of this channel", twoKeys, left, admin, inbox3, inbox4, allHooks}},
		{"version in words", nil, func(s *stub) { s.release = "develop" }, []string{
			"Chatwoot's version: not told; 4.13 or later is needed for all of this channel", twoKeys, left, admin, inbox3, inbox4, allHooks}},
		{"old", nil, func(s *stub) { s.release = "4.1.9" }, []string{"Chatwoot's version: 4.1.9",
			"Chatwoot's version: FAILS: typing of consumers is reported from 4.2 on",
			"Chatwoot's version: FAILS: webhooks are signed from 4.12 on: set CHATWOOT_ALLOW_UNSIGNED=true and CHATWOOT_URL_SECRET until then",
			twoKeys, left, admin, inbox3, inbox4, allHooks}},
		{"old and unsigned", func(c *Config) {
			c.Secrets, c.AllowUnsigned, c.URLSecret = nil, true, config.NewSecret(urlSecret)
		}, func(s *stub) { s.release = "4.5.0" }, []string{"Chatwoot's version: 4.5.0",
			"authentication of webhooks: unsigned webhooks at /channels/chatwoot/ and the secret", left, admin, inbox3, inbox4, allHooks}},
		{"before inboxes signed", nil, func(s *stub) { s.release = "4.12.1" }, []string{"Chatwoot's version: 4.12.1",
			"Chatwoot's version: only account webhooks are signed; those of API inboxes and agent bots are from 4.13 on",
			twoKeys, left, admin, inbox3, inbox4, allHooks}},
		{"inbox that is not there", func(c *Config) { c.InboxIDs = []string{"3", "8"} }, nil, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left, admin, inbox3,
			"inbox 8: FAILS: there is no such inbox, or the token's user is not a member of it", allHooks}},
		{"API inbox without webhook", nil, func(s *stub) { s.inboxURL = "" }, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left, admin,
			"inbox 3: an API inbox, relayed by way of an account webhook", inbox4, allHooks}},
		{"only the API inbox", nil, func(s *stub) { s.webhooks = s.webhooks[:1] }, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left, admin, inbox3, inbox4,
			"account webhook: none ends in /channels/chatwoot: only API inboxes with a webhook of their own are relayed, without changes of contacts"}},
		{"no webhook", nil, func(s *stub) { s.webhooks, s.inboxURL = nil, "" }, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left, admin,
			"inbox 3: an API inbox, relayed by way of an account webhook", inbox4,
			"account webhook: FAILS: no webhook's address ends in /channels/chatwoot: nothing of consumers comes here"}},
		{"no typing subscribed", nil, func(s *stub) {
			s.webhooks[1]["url"] = "https://bridge.example/channels/chatwoot/" + urlSecret
			s.webhooks[1]["subscriptions"] = []string{"message_created", "message_updated", "conversation_status_changed"}
		}, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left, admin, inbox3, inbox4,
			"account webhook: FAILS: is not subscribed to conversation_typing_on, conversation_typing_off, contact_updated"}},
		{"wrong token", func(c *Config) { c.Token = config.NewSecret("x") }, nil, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left,
			"CHATWOOT_TOKEN: FAILS: Chatwoot answered 401: the token is not known"}},
		{"another account", func(c *Config) { c.AccountID = 2 }, nil, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left,
			"CHATWOOT_TOKEN: FAILS: the user does not belong to the account CHATWOOT_ACCOUNT_ID"}},
		{"bot's token for a user's", nil, func(s *stub) { s.owner = kindBot }, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, left,
			"CHATWOOT_TOKEN: FAILS: it is an agent bot's token: set CHATWOOT_TOKEN_KIND=bot"}},
		{"bot", func(c *Config) { c.TokenKind = kindBot }, nil, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, relayed, botOK}},
		{"old bot", func(c *Config) { c.TokenKind = kindBot }, func(s *stub) { s.release = "4.11.2" }, []string{"Chatwoot's version: 4.11.2",
			"Chatwoot's version: only account webhooks are signed; those of API inboxes and agent bots are from 4.13 on",
			"Chatwoot's version: FAILS: an agent bot may show typing from 4.12 on: use a user's token", twoKeys, relayed, botOK}},
		{"unknown bot", func(c *Config) { c.TokenKind, c.Token = kindBot, config.NewSecret("x") }, nil, []string{"Chatwoot's version: 4.15.1", guarded, twoKeys, relayed,
			"CHATWOOT_TOKEN: FAILS: Chatwoot answered 401: the token is not known"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := goodConfig(t)
			if tt.cfg != nil {
				tt.cfg(&cfg)
			}
			c, _, far := newChatwoot(t, cfg)
			if tt.far != nil {
				tt.far(far)
			}
			if diff := cmp.Diff(tt.want, lines(t, c)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if calls := far.timeline(); len(calls) != 0 {
				t.Errorf("the check did %v", calls)
			}
		})
	}
}

// TestCheckOfForbiddenLists has a server that refuses each list in turn.
func TestCheckOfForbiddenLists(t *testing.T) {
	for list, want := range map[string]string{
		"/inboxes":  "inboxes: FAILS: Chatwoot answered 401: the token's owner is not a member of the inbox",
		"/webhooks": "account webhook: FAILS: Chatwoot answered 401: the token's owner is not a member of the inbox",
	} {
		stub := newStub(t)
		c, err := New(goodConfig(t), bridgetest.NewCore(), client(far(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, list) {
				return answering(401, nil, fmt.Sprintf(`{"error":%q}`, "You are not authorized to do this action"))(r)
			}
			return stub.RoundTrip(r)
		})), discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(t, c); !slices.Contains(got, want) {
			t.Errorf("%s: findings %q", list, got)
		}
	}
}
