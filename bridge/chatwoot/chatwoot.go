package chatwoot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
	"lpbridge/config"
)

// name is the channel's name in LPBRIDGE_CHANNELS, events, metrics and logs.
const name = "chatwoot"

const (
	path        = "/channels/chatwoot"
	pathSecret  = "secret"
	patternOpen = path + "/{" + pathSecret + "}"
)

// maxBody is the longest webhook taken, in bytes. A text may have 150,000
// characters and stands in a payload up to three times.
const maxBody = 4 << 20

// Typing as Chatwoot means it: its clients say on once and never repeat it,
// pressing Enter may say on after the message, and viewers stop showing by
// themselves (Chatwoot, dashboard and widget: typing indicator).
const (
	typingHold     = 30 * time.Second
	phantomWindow  = time.Second
	typingInterval = time.Second
	typingRefresh  = 15 * time.Second
	typingExpiry   = 30 * time.Second
)

// Chatwoot is the adapter of a Chatwoot account.
type Chatwoot struct {
	core      bridge.Core
	log       *slog.Logger
	secrets   []config.Secret
	urlSecret config.Secret
	unsigned  bool
	account   int64
	inboxes   map[int64]bool // nil for all
	far       *api
	tokenKind string
	onOpen    string
	onClose   string
	pending   string
	verified  string
	markdown  string
	receipts  bool
	seen      *memory
	order     order
	told      tellOnce
}

var (
	_ bridge.Adapter = (*Chatwoot)(nil)
	_ bridge.Typist  = (*Chatwoot)(nil)
	_ bridge.Settler = (*Chatwoot)(nil)
	_ bridge.Checker = (*Chatwoot)(nil)
)

// New returns the adapter. The error is that of [Config.Validate].
func New(cfg Config, core bridge.Core, client *farside.Client, log *slog.Logger) (*Chatwoot, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("chatwoot: %w", err)
	}
	inboxes, err := cfg.inboxes()
	if err != nil {
		return nil, fmt.Errorf("chatwoot: %w", err)
	}
	c := &Chatwoot{
		core: core, log: log, secrets: cfg.Secrets, urlSecret: cfg.URLSecret, unsigned: cfg.AllowUnsigned,
		account: cfg.AccountID, inboxes: inboxes, far: newAPI(cfg, client), tokenKind: cfg.tokenKind(),
		onOpen: cfg.onOpen(), onClose: cfg.onClose(), pending: cfg.pending(), verified: cfg.verified(), markdown: cfg.markdown(), receipts: cfg.Receipts,
		seen: newMemory(), order: order{hold: cfg.OrderHold},
	}
	if c.unsigned {
		log.Warn("CHATWOOT_ALLOW_UNSIGNED is set: whoever knows the secret in the webhook's address is believed")
	}
	if farside.Exposed(cfg.BaseURL) {
		log.Warn("CHATWOOT_BASE_URL is plain http to another machine: token and messages travel unencrypted")
	}
	return c, nil
}

// Channel implements [bridge.Adapter].
func (c *Chatwoot) Channel() bridge.Channel {
	ch := bridge.Channel{
		Name: name,
		Reports: []bridge.Kind{
			bridge.KindMessage, bridge.KindTyping, bridge.KindReceipt, bridge.KindClick,
			bridge.KindClose, bridge.KindProfile, bridge.KindRating,
		},
		Delivers: []bridge.Kind{bridge.KindMessage}, Uploads: true,
		TypingIn: bridge.TypingSource{Reported: true, Hold: typingHold, PhantomWindow: phantomWindow},
		TypingOut: bridge.TypingTarget{
			Shown: true, MinInterval: typingInterval, StopUnlimited: true, Refresh: typingRefresh, Expiry: typingExpiry,
		},
	}
	if c.onOpen != leave || c.onClose != leave {
		ch.Delivers = append(ch.Delivers, bridge.KindState)
	}
	if c.receipts {
		ch.Delivers = append(ch.Delivers, bridge.KindReceipt)
	}
	return ch
}

// Routes implements [bridge.Adapter]. An address is copied with or without its
// final slash.
func (c *Chatwoot) Routes() []bridge.Route {
	door := &bridge.Door{
		Limit: maxBody, Verify: c.believe, Challenge: "Chatwoot-Signature", Take: c.take, Log: c.log,
	}
	patterns := []string{path, path + "/{$}"}
	if c.unsigned {
		patterns = append(patterns, patternOpen, patternOpen+"/{$}")
	}
	routes := make([]bridge.Route, len(patterns))
	for i, pattern := range patterns {
		// Ids of events are made of Chatwoot's own ids and of the delivery's, which
		// Chatwoot sends once and would never send again by itself.
		routes[i] = bridge.Route{Pattern: pattern, Handler: door, Repeatable: true}
	}
	return routes
}

// believe checks who sent a webhook: by its signature, or by the secret in the
// address where that is allowed.
func (c *Chatwoot) believe(r *http.Request, body []byte) error {
	if got := r.PathValue(pathSecret); got != "" && c.unsigned {
		return verifyPath(c.urlSecret, got)
	}
	return verify(c.secrets, r.Header, body, time.Now())
}

// take keeps what a webhook says. Chatwoot reads nothing of the answer but its
// status.
func (c *Chatwoot) take(ctx context.Context, r *http.Request, body []byte) (bridge.Accepted, error) {
	payload, err := farside.ParseObject(body)
	if err != nil {
		c.unreadable(ctx, err)
		return bridge.Accepted{}, err
	}
	done := func() {}
	defer func() { done() }()
	rep := &report{
		Chatwoot: c, Object: payload, event: payload.Text("event"), delivery: r.Header.Get(headerDelivery),
		next: func(conversation, message int64) { done = c.order.enter(ctx, conversation, message) },
	}
	n, err := rep.read(ctx)
	if err != nil {
		c.unreadable(ctx, err)
		return bridge.Accepted{}, err
	}
	c.tellOdd(ctx, payload)
	return c.keep(ctx, n)
}

// keep makes what a webhook says durable. A choice that LivePerson no longer
// knows of is relayed as what the consumer read on it.
func (c *Chatwoot) keep(ctx context.Context, n news) (bridge.Accepted, error) {
	if len(n.events) == 0 && len(n.records) == 0 {
		return bridge.Accepted{}, nil
	}
	accepted, err := c.core.Accept(ctx, n.events, n.records...)
	if wrong, ok := errors.AsType[*bridge.FieldError](err); ok && strings.HasPrefix(wrong.Field, "click.") {
		accepted, err = c.core.Accept(ctx, n.spoken(), n.records...)
	}
	if err != nil {
		c.unreadable(ctx, err)
		return accepted, err
	}
	for _, note := range n.noted {
		note(c.seen)
	}
	return accepted, nil
}

// tellOdd counts the members of a payload that could not be read, and names each
// once in the log.
func (c *Chatwoot) tellOdd(ctx context.Context, payload farside.Object) {
	for _, member := range payload.Odd() {
		c.core.LeftOut("member")
		if c.told.claim("member " + member) {
			c.log.WarnContext(ctx, "a member of a webhook cannot be read and is left out", "member", member)
		}
	}
}

// unreadable counts webhooks of which nothing can be relayed, and names the first
// of each kind in the log. That the journal is away is not their fault.
func (c *Chatwoot) unreadable(ctx context.Context, err error) {
	wrong, ok := errors.AsType[*bridge.FieldError](err)
	if !ok {
		return
	}
	c.core.LeftOut("webhook")
	if c.told.claim("webhook " + wrong.Field) {
		c.log.WarnContext(ctx, "a webhook cannot be read", "field", wrong.Field, "reason", wrong.Reason)
	}
}

// maxTold bounds how many things are told once.
const maxTold = 256

// tellOnce is what the log was told of already.
type tellOnce struct {
	mu   sync.Mutex
	told map[string]bool
}

// claim reports whether something is to be told, which it is once.
func (t *tellOnce) claim(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told[what] || len(t.told) >= maxTold {
		return false
	}
	if t.told == nil {
		t.told = map[string]bool{}
	}
	t.told[what] = true
	return true
}
