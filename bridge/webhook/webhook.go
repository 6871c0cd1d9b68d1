package webhook

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"lpbridge/bridge"
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
	far  *receiver // nil when the channel wants no events
}

var (
	_ bridge.Adapter = (*Webhook)(nil)
	_ bridge.Typist  = (*Webhook)(nil)
	_ bridge.Checker = (*Webhook)(nil)
)

// New returns the adapter. Of client only the transport is used: a redirect is
// never followed and each call has the time that cfg gives it. The error is that
// of [Config.Validate].
func New(cfg Config, core bridge.Core, client *http.Client, log *slog.Logger) (*Webhook, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	auth, err := newAuthentication(cfg)
	if err != nil {
		return nil, fmt.Errorf("webhook: SECRET: %w", err)
	}
	w := &Webhook{core: core, log: log, auth: auth, hold: cfg.hold()}
	if cfg.URL != nil {
		w.far = newReceiver(cfg, auth, client)
	}
	if cfg.AllowUnsigned {
		log.Warn("WEBHOOK_ALLOW_UNSIGNED is set: every request to " + path + " is believed")
	}
	if w.far != nil && w.far.exposed() {
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
// is not repeated for three times as long ends by itself.
func (w *Webhook) Channel() bridge.Channel {
	c := bridge.Channel{
		Name: name,
		Reports: []bridge.Kind{
			bridge.KindMessage, bridge.KindTyping, bridge.KindReceipt, bridge.KindClick,
			bridge.KindClose, bridge.KindReopen, bridge.KindProfile, bridge.KindRating,
		},
		TypingIn: bridge.TypingSource{Reported: true, Hold: w.hold},
	}
	if w.far != nil {
		c.Delivers = []bridge.Kind{bridge.KindMessage, bridge.KindReceipt, bridge.KindState}
		c.TypingOut = bridge.TypingTarget{
			Shown: true, MinInterval: typingInterval, StopUnlimited: true, Refresh: typingRefresh,
			HasPaused: true, PerPerson: true,
		}
	}
	return c
}

// Routes implements [bridge.Adapter]. The pattern has no method, so that a wrong
// one is answered with a problem like every other mistake.
func (w *Webhook) Routes() []bridge.Route {
	return []bridge.Route{{Pattern: path, Handler: http.HandlerFunc(w.receive)}}
}

func (w *Webhook) receive(rw http.ResponseWriter, r *http.Request) {
	accepted, err := w.accept(rw, r)
	if err != nil {
		bridge.ProblemOf(err).ServeHTTP(rw, r)
		return
	}
	answer := make([]byte, 0, 64)
	answer = append(answer, `{"accepted":`...)
	answer = strconv.AppendInt(answer, int64(accepted.Events), 10)
	answer = append(answer, `,"duplicates":`...)
	answer = strconv.AppendInt(answer, int64(accepted.Duplicates), 10)
	answer = append(answer, "}\n"...)
	rw.Header().Set("Content-Type", "application/json")
	// A sender that is gone repeats the request and gets the answer then.
	_, _ = rw.Write(answer)
}

func (w *Webhook) accept(rw http.ResponseWriter, r *http.Request) (bridge.Accepted, error) {
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		return bridge.Accepted{}, &bridge.Problem{
			Status: http.StatusMethodNotAllowed, Title: "Method Not Allowed", Detail: "events are sent with POST",
		}
	}
	body, err := bridge.ReadJSON(rw, r, maxBody)
	if err != nil {
		return bridge.Accepted{}, err
	}
	if err := w.auth.verify(r.Header, body); err != nil {
		w.log.DebugContext(r.Context(), "a request is not believed", "reason", err)
		rw.Header().Set("WWW-Authenticate", w.auth.challenge())
		return bridge.Accepted{}, &bridge.Problem{
			Status: http.StatusUnauthorized, Title: "Unauthorized", Detail: err.Error(),
		}
	}
	events, err := decode(body)
	if err != nil {
		return bridge.Accepted{}, err
	}
	return w.core.Accept(r.Context(), events)
}
