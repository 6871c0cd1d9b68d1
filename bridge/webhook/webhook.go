package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

// name is the channel's name in LPBRIDGE_CHANNELS, events, metrics and logs.
const name = "webhook"

const path = "/channels/webhook"

// maxBody is the longest request taken, in bytes.
const maxBody = 1 << 20

// typingRefresh is how often composing is repeated while it lasts. A bridge that
// was killed cannot say that typing ended, and repeats nothing either: that is
// how the receiver knows.
const typingRefresh = 5 * time.Second

// typingInterval is the least time between two calls that say composing. As
// composing that lasts is repeated more rarely, this bounds only a typist who
// starts and stops without end.
const typingInterval = time.Second

// Webhook is the adapter of the generic channel.
type Webhook struct {
	core bridge.Core
	log  *slog.Logger
	auth authentication
	hold time.Duration
	far  farside.Side
	url  *url.URL // nil when nothing can be delivered
}

var (
	_ bridge.Adapter = (*Webhook)(nil)
	_ bridge.Typist  = (*Webhook)(nil)
	_ bridge.Checker = (*Webhook)(nil)
)

// New returns the adapter. The error is that of [Config.Validate].
func New(cfg Config, core bridge.Core, client *farside.Client, log *slog.Logger) (*Webhook, error) {
	auth, err := newAuthentication(cfg)
	if err := errors.Join(cfg.Validate(), err); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	w := &Webhook{core: core, log: log, auth: auth, hold: cfg.hold(), url: cfg.URL}
	w.far = farside.Side{Client: client, Name: "the receiver", Timeout: cfg.timeout(), Refusal: refusal}
	if cfg.AllowUnsigned {
		log.Warn("WEBHOOK_ALLOW_UNSIGNED is set: every request to " + path + " is believed")
	}
	if cfg.URL != nil && farside.Exposed(cfg.URL) {
		log.Warn("WEBHOOK_URL is plain http to another machine: messages travel unencrypted")
	}
	return w, nil
}

// Channel implements [bridge.Adapter].
//
// Nothing is known of the sender's client, so its composing is believed for a
// time that is configured, without any refreshing, and never doubted after a
// message. The receiver is told composing again and again while it lasts and then
// how it went on: it keeps the last word until another comes, but composing that
// is not repeated for three times as long ends by itself. Without a receiver
// nothing is delivered: agents learn that nobody reads their messages.
func (w *Webhook) Channel() bridge.Channel {
	c := bridge.Channel{
		Name: name,
		Reports: []bridge.Kind{
			bridge.KindMessage, bridge.KindTyping, bridge.KindReceipt, bridge.KindClick,
			bridge.KindClose, bridge.KindReopen, bridge.KindProfile, bridge.KindRating,
		},
		TypingIn: bridge.TypingSource{Reported: true, Hold: w.hold},
	}
	if w.url != nil {
		c.Delivers = []bridge.Kind{bridge.KindMessage, bridge.KindReceipt, bridge.KindState}
		c.TypingOut = bridge.TypingTarget{
			Shown: true, MinInterval: typingInterval, StopUnlimited: true, Refresh: typingRefresh,
			HasPaused: true, PerPerson: true,
		}
	}
	return c
}

// Routes implements [bridge.Adapter]. An address is copied with or without its
// final slash.
func (w *Webhook) Routes() []bridge.Route {
	_, challenge := w.auth.describe()
	door := &bridge.Door{Limit: maxBody, Verify: w.auth.verify, Challenge: challenge, Take: w.take, Log: w.log}
	// Events have ids, and typing is a state: the same request twice is one.
	return []bridge.Route{{Pattern: path, Handler: door, Repeatable: true}, {Pattern: path + "/{$}", Handler: door, Repeatable: true}}
}

func (w *Webhook) take(ctx context.Context, _ *http.Request, body []byte) (bridge.Accepted, error) {
	events, err := decode(body)
	if err != nil {
		return bridge.Accepted{}, err
	}
	return w.core.Accept(ctx, events)
}
