// Package chatwootapi serves Chatwoot's public client API and its ActionCable
// endpoint, so that apps written for a Chatwoot API inbox talk to LivePerson's
// agents unchanged. Here we are the server: contacts, conversations and the
// history of messages are ours, kept in the channel's records.
//
// Answers follow Chatwoot 4.15 byte for byte where clients can tell, and its
// peculiar ones too: a wrong identifier_hash is a 500, toggle_typing answers
// nothing at all, two posts with one echo_id are two messages.
//
// It is assumed that one process serves the channel. Events reach the sockets
// of this process only, and contacts and conversations are kept decoded in
// memory, which another process writing the same records would make stale.
//
// There is no authentication beyond what Chatwoot has: who knows an inbox
// identifier and a source id is the contact. Both travel in the path, so routes
// are logged by their pattern only.
package chatwootapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// channelName is the channel's name in LPBRIDGE_CHANNELS.
const channelName = "chatwootapi"

// ChatwootAPI is the channel. It implements [bridge.Adapter], [bridge.Typist]
// and [bridge.Closer].
type ChatwootAPI struct {
	*store
	*answers
	*people
	*history
	*submissions
	*delivery

	// bodies bounds the requests that are being read; contacts and sources have
	// shares of it.
	bodies        *served.Budget
	contactShares *served.Shares
	sourceShares  *served.Shares
}

var (
	_ bridge.Adapter = (*ChatwootAPI)(nil)
	_ bridge.Typist  = (*ChatwootAPI)(nil)
	_ bridge.Closer  = (*ChatwootAPI)(nil)
)

// errNoPublicURL names the variable without the channel's name, as all errors of a configuration do.
var errNoPublicURL = errors.New("PUBLIC_URL: is required, here or as LPBRIDGE_PUBLIC_URL, for the links of files")

// New returns the channel. The configuration must be valid and have a PublicURL.
// The logger is expected to name the channel.
func New(cfg Config, core bridge.Core, logger *slog.Logger) (*ChatwootAPI, error) {
	if cfg.PublicURL == nil || *cfg.PublicURL == (url.URL{}) {
		return nil, fmt.Errorf("%s: %w", channelName, errNoPublicURL)
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", channelName, err)
	}
	inboxes, err := cfg.inboxes()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", channelName, err)
	}
	s := newStore(core, logger)
	w := &answers{cfg: cfg, inboxes: inboxes, publicURL: strings.TrimRight(cfg.PublicURL.String(), "/")}
	p := &people{store: s, answers: w, newContacts: served.NewRates(cfg.NewContacts, cfg.ClientHeader)}
	h := &history{store: s, answers: w, people: p}
	a := &ChatwootAPI{
		store: s, answers: w, people: p, history: h,
		submissions: &submissions{store: s, answers: w, people: p, history: h},
		delivery: &delivery{
			store: s, answers: w, people: p, history: h,
			agents: served.NewCache[string](agentCache, func(int64) int { return 8 }),
		},
		bodies: served.NewBudget(bodiesInFlight),
		contactShares: served.NewShares(served.ShareLimits{
			AtOnce: served.PartOf(core.Slots(), contactAtOnce, ownPart), Bytes: max(bodiesInFlight/ownPart, maxPlainBody+bodyFiles*cfg.MaxAttachment), PerMinute: cfg.Requests,
		}),
		sourceShares: served.NewShares(served.ShareLimits{AtOnce: served.PartOf(core.Slots(), sourceAtOnce, sourcePart), Bytes: bodiesInFlight / ownPart}),
	}
	for _, in := range inboxes {
		if !in.key.IsSet() {
			a.log.Info("an inbox has no HMAC_TOKEN, so every identifier_hash is refused", "inbox", in.id)
		}
	}
	h.cable = newCable(a.log, a.admit, a.presence, a.hungUp, core.ConnectionClosed)
	h.cable.listeners = served.PartOf(core.Slots(), maxListeners, ownPart)
	h.cable.newLines = served.NewRates(cfg.NewLines, cfg.ClientHeader)
	return a, nil
}

// Channel implements [bridge.Adapter]. The typing clocks are those of
// Chatwoot's own clients: they say composing once, hide it 30 s after the last
// word, and may say it once more within a second after a message.
func (a *ChatwootAPI) Channel() bridge.Channel {
	return bridge.Channel{
		Name: channelName,
		Reports: []bridge.Kind{
			bridge.KindMessage, bridge.KindTyping, bridge.KindReceipt, bridge.KindClick, bridge.KindClose,
			bridge.KindReopen, bridge.KindProfile, bridge.KindRating,
		},
		Delivers:        []bridge.Kind{bridge.KindMessage, bridge.KindReceipt, bridge.KindState},
		ReportsDelivery: true, Served: true,
		TypingIn: bridge.TypingSource{Reported: true, Hold: 30 * time.Second, PhantomWindow: time.Second},
		TypingOut: bridge.TypingTarget{
			Shown: true, MinInterval: time.Second, StopUnlimited: true, Refresh: 15 * time.Second, Expiry: 30 * time.Second,
			PerPerson: true,
		},
	}
}

// Close tells the apps to come back later and ends their sockets.
func (a *ChatwootAPI) Close(ctx context.Context) error { return a.cable.close(ctx) }
