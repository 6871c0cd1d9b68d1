package chatwoot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"lpbridge/bridge"
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
	markdown  string
	receipts  bool
	seen      *memory
}

var (
	_ bridge.Adapter = (*Chatwoot)(nil)
	_ bridge.Typist  = (*Chatwoot)(nil)
	_ bridge.Settler = (*Chatwoot)(nil)
	_ bridge.Checker = (*Chatwoot)(nil)
)

// New returns the adapter. Of client only the transport is used: a redirect is
// never followed and each call has the time that cfg gives it. The error is that
// of [Config.Validate].
func New(cfg Config, core bridge.Core, client *http.Client, log *slog.Logger) (*Chatwoot, error) {
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
		onOpen: cfg.onOpen(), onClose: cfg.onClose(), markdown: cfg.markdown(), receipts: cfg.Receipts,
		seen: newMemory(),
	}
	if c.unsigned {
		log.Warn("CHATWOOT_ALLOW_UNSIGNED is set: whoever knows the secret in the webhook's address is believed")
	}
	if c.far.exposed() {
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
		Delivers: []bridge.Kind{bridge.KindMessage},
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

// Routes implements [bridge.Adapter]. The patterns have no method, so that a
// wrong one is answered with a problem like every other mistake.
func (c *Chatwoot) Routes() []bridge.Route {
	routes := []bridge.Route{{Pattern: path, Handler: http.HandlerFunc(c.receive)}}
	if c.unsigned {
		routes = append(routes, bridge.Route{Pattern: patternOpen, Handler: http.HandlerFunc(c.receive)})
	}
	return routes
}

// receive answers 200 once the journal has what the webhook says. Chatwoot
// reads nothing of the answer but its status.
func (c *Chatwoot) receive(w http.ResponseWriter, r *http.Request) {
	if err := c.accept(w, r); err != nil {
		bridge.ProblemOf(err).ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (c *Chatwoot) accept(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return &bridge.Problem{
			Status: http.StatusMethodNotAllowed, Title: "Method Not Allowed", Detail: "webhooks are sent with POST",
		}
	}
	body, err := bridge.ReadJSON(w, r, maxBody)
	if err != nil {
		return err
	}
	if err := c.believe(r, body); err != nil {
		c.log.DebugContext(r.Context(), "a webhook is not believed", "reason", err)
		w.Header().Set("WWW-Authenticate", "Chatwoot-Signature")
		return &bridge.Problem{Status: http.StatusUnauthorized, Title: "Unauthorized", Detail: err.Error()}
	}
	n, err := c.read(r.Context(), body, r.Header.Get(headerDelivery))
	if err != nil {
		return err
	}
	return c.keep(r.Context(), n)
}

// believe checks who sent a webhook: by its signature, or by the secret in the
// address where that is allowed.
func (c *Chatwoot) believe(r *http.Request, body []byte) error {
	if got := r.PathValue(pathSecret); got != "" && c.unsigned {
		return verifyPath(c.urlSecret, got)
	}
	return verify(c.secrets, r.Header, body, time.Now())
}

// keep makes what a webhook says durable. A choice that LivePerson no longer
// knows of is relayed as what the consumer read on it.
func (c *Chatwoot) keep(ctx context.Context, n news) error {
	if len(n.events) == 0 {
		return nil
	}
	_, err := c.core.Accept(ctx, n.events, n.records...)
	if wrong, ok := errors.AsType[*bridge.FieldError](err); ok && strings.HasPrefix(wrong.Field, "click.") {
		_, err = c.core.Accept(ctx, n.spoken(), n.records...)
	}
	if err != nil {
		return err
	}
	c.seen.keep(n)
	return nil
}
