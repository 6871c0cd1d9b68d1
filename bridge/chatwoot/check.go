package chatwoot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

// wanted are the events that an account webhook must be subscribed to.
var wanted = []string{
	eventMessageCreated, eventMessageUpdated, eventStatusChanged, eventTypingOn, eventTypingOff, eventContactUpdated,
}

// release is a version of Chatwoot.
type release struct{ major, minor, patch int }

// before reports whether a release is older than another.
func (r release) before(o release) bool {
	return slices.Compare([]int{r.major, r.minor, r.patch}, []int{o.major, o.minor, o.patch}) < 0
}

// The releases from which on Chatwoot can do what we need of it.
var (
	reportsTyping = release{4, 2, 0}
	signsAccount  = release{4, 11, 2}
	botsType      = release{4, 12, 0}
	signsInboxes  = release{4, 13, 0}
	guardsPrivate = release{4, 14, 0}
)

// Check implements [bridge.Checker]. It reads and never writes; no name, address
// or token of an answer is told.
func (c *Chatwoot) Check(ctx context.Context) []bridge.Finding {
	findings := c.checkVersion(ctx)
	findings = append(findings, c.checkAuthentication(), c.checkPending())
	if c.tokenKind == kindBot {
		return append(findings, c.checkBot(ctx))
	}
	role, found := c.checkUser(ctx)
	findings = append(findings, found)
	if found.Err != nil {
		return findings
	}
	inboxes, apiInbox := c.checkInboxes(ctx)
	findings = append(findings, inboxes...)
	if role == "administrator" {
		findings = append(findings, c.checkWebhooks(ctx, apiInbox))
	}
	return findings
}

func (c *Chatwoot) checkAuthentication() bridge.Finding {
	ways := make([]string, 0, 2)
	if n := len(c.secrets); n > 0 {
		ways = append(ways, fmt.Sprintf("signatures with %d secret(s) at %s", n, path))
	}
	if c.unsigned {
		ways = append(ways, fmt.Sprintf("unsigned webhooks at %s/ and the secret", path))
	}
	return bridge.Finding{Subject: "authentication of webhooks", Detail: strings.Join(ways, ", "), Danger: c.unsigned}
}

// checkPending says who answers while a bot has a conversation: an operator who
// misses messages should not have to guess.
func (c *Chatwoot) checkPending() bridge.Finding {
	f := bridge.Finding{Subject: "pending conversations", Detail: "relayed like all others"}
	if c.pending == leave {
		f.Detail = "left to their bot until it sets them open"
	}
	return f
}

// checkVersion says what the release cannot do. Nothing depends on knowing it.
func (c *Chatwoot) checkVersion(ctx context.Context) []bridge.Finding {
	const subject = "Chatwoot's version"
	var about struct {
		Version string `json:"version"`
	}
	err := c.far.call(ctx, request{method: http.MethodGet, path: []string{"api"}}, nil, &about)
	var at release
	if n, _ := fmt.Sscanf(about.Version, "%d.%d.%d", &at.major, &at.minor, &at.patch); err != nil || n != 3 {
		return []bridge.Finding{{Subject: subject, Detail: "not told; 4.13 or later is needed for all of this channel"}}
	}
	findings := []bridge.Finding{{Subject: subject, Detail: fmt.Sprintf("%d.%d.%d", at.major, at.minor, at.patch)}}
	say := func(missing string) {
		findings = append(findings, bridge.Finding{Subject: subject, Err: errors.New(missing)})
	}
	if at.before(reportsTyping) {
		say("typing of consumers is reported from 4.2 on")
	}
	switch {
	case c.unsigned:
	case at.before(signsAccount):
		say("webhooks are signed from 4.12 on: set CHATWOOT_ALLOW_UNSIGNED=true and CHATWOOT_URL_SECRET until then")
	case at.before(signsInboxes):
		findings = append(findings, bridge.Finding{Subject: subject, Detail: "only account webhooks are signed; those of API inboxes and agent bots are from 4.13 on"})
	}
	if c.tokenKind == kindBot && at.before(botsType) {
		say("an agent bot may show typing from 4.12 on: use a user's token")
	}
	if !at.before(guardsPrivate) {
		findings = append(findings, bridge.Finding{Subject: subject, Detail: "webhooks to private addresses need SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true in Chatwoot, which 4.14.0 does not know"})
	}
	return findings
}

// checkUser says whose token it is, and the user's role in the account.
func (c *Chatwoot) checkUser(ctx context.Context) (role string, f bridge.Finding) {
	f.Subject = "CHATWOOT_TOKEN"
	var profile struct {
		Accounts []struct {
			ID   int64  `json:"id"`
			Role string `json:"role"`
		} `json:"accounts"`
	}
	if err := c.far.call(ctx, request{method: http.MethodGet, path: []string{"api", "v1", "profile"}}, nil, &profile); err != nil {
		f.Err = farside.Cause(err)
		if isRefused(err, notForBots) {
			f.Err = errors.New("it is an agent bot's token: set CHATWOOT_TOKEN_KIND=bot")
		}
		return "", f
	}
	for _, a := range profile.Accounts {
		if a.ID != c.account {
			continue
		}
		switch a.Role {
		case "administrator":
			f.Detail = "a user's, administrator of the account: reaches every inbox"
		default:
			f.Detail = "a user's, agent of the account: reaches only inboxes the user is a member of"
		}
		return a.Role, f
	}
	f.Err = errors.New("the user does not belong to the account CHATWOOT_ACCOUNT_ID")
	return "", f
}

// checkBot asks for a conversation that cannot exist: nothing else that a bot
// may do is without effect. Before 4.14.2 even that is refused, in words that
// only a known bot hears.
func (c *Chatwoot) checkBot(ctx context.Context) bridge.Finding {
	f := bridge.Finding{Subject: "CHATWOOT_TOKEN", Detail: "an agent bot's; a message whose answer is lost may appear twice, and inboxes cannot be checked"}
	err := c.far.call(ctx, request{method: http.MethodGet, path: c.far.ofConversation(0)}, nil, nil)
	switch {
	case err == nil, farside.StatusOf(err) == http.StatusNotFound, isRefused(err, notForBots):
		return f
	}
	return bridge.Finding{Subject: f.Subject, Err: farside.Cause(err)}
}

// checkInboxes says which inboxes are relayed and whether they are there, and
// whether one of them is an API inbox whose webhook comes here.
func (c *Chatwoot) checkInboxes(ctx context.Context) (findings []bridge.Finding, apiInbox bool) {
	var list struct {
		Payload []struct {
			ID          int64  `json:"id"`
			ChannelType string `json:"channel_type"`
			WebhookURL  string `json:"webhook_url"`
		} `json:"payload"`
	}
	if err := c.far.call(ctx, request{method: http.MethodGet, path: c.far.ofAccount("inboxes")}, nil, &list); err != nil {
		return []bridge.Finding{{Subject: "inboxes", Err: farside.Cause(err)}}, false
	}
	missing := maps.Clone(c.inboxes)
	for _, in := range list.Payload {
		if c.inboxes != nil && !c.inboxes[in.ID] {
			continue
		}
		delete(missing, in.ID)
		subject := "inbox " + strconv.FormatInt(in.ID, 10)
		switch {
		case comesHere(in.WebhookURL):
			apiInbox = true
			findings = append(findings, bridge.Finding{Subject: subject, Detail: "an API inbox whose webhook is this bridge's"})
		case in.ChannelType == "Channel::Api":
			findings = append(findings, bridge.Finding{Subject: subject, Detail: "an API inbox, relayed by way of an account webhook"})
		default:
			findings = append(findings, bridge.Finding{Subject: subject, Detail: "relayed by way of an account webhook; its messages have no status that can be set"})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		findings = append(findings, bridge.Finding{
			Subject: "inbox " + strconv.FormatInt(id, 10), Err: errors.New("there is no such inbox, or the token's user is not a member of it"),
		})
	}
	if len(findings) == 0 {
		findings = append(findings, bridge.Finding{Subject: "inboxes", Err: errors.New("the token's user is a member of none")})
	}
	return findings, apiInbox
}

// checkWebhooks looks for an account webhook that comes here. The list holds
// secrets and addresses, of which nothing is told.
func (c *Chatwoot) checkWebhooks(ctx context.Context, apiInbox bool) bridge.Finding {
	f := bridge.Finding{Subject: "account webhook"}
	var list struct {
		Payload struct {
			Webhooks []struct {
				URL           string   `json:"url"`
				Subscriptions []string `json:"subscriptions"`
			} `json:"webhooks"`
		} `json:"payload"`
	}
	if err := c.far.call(ctx, request{method: http.MethodGet, path: c.far.ofAccount("webhooks")}, nil, &list); err != nil {
		f.Err = farside.Cause(err)
		return f
	}
	for _, w := range list.Payload.Webhooks {
		if !comesHere(w.URL) {
			continue
		}
		lacks := slices.DeleteFunc(slices.Clone(wanted), func(event string) bool { return slices.Contains(w.Subscriptions, event) })
		if len(lacks) > 0 {
			f.Err = fmt.Errorf("is not subscribed to %s", strings.Join(lacks, ", "))
			return f
		}
		f.Detail = "subscribed to all that is needed"
		return f
	}
	if apiInbox {
		f.Detail = "none ends in " + path + ": only API inboxes with a webhook of their own are relayed, without changes of contacts"
		return f
	}
	f.Err = fmt.Errorf("no webhook's address ends in %s: nothing of consumers comes here", path)
	return f
}

// comesHere reports whether an address is one of our front doors, whatever a
// proxy puts before it.
func comesHere(address string) bool {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return false
	}
	return strings.HasSuffix(u.Path, path) || strings.Contains(u.Path, path+"/")
}

// isRefused reports whether Chatwoot refused a call for a known reason.
func isRefused(err error, reason string) bool {
	e, ok := errors.AsType[*farside.StatusError](err)
	return ok && e.Reason == reason
}
