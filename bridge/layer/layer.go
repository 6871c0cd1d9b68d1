// Package layer serves the client API and the WebSocket of Layer, whose service
// has ended while its SDKs and the apps made with them have not. The published
// SDKs, @layerhq/web-xdk 4.0.6 (API 3.0) and layer-websdk 3.4.18 (API 2.0), run
// against it unchanged, so that their users talk to LivePerson's agents. Here we
// are the server: identities, conversations and the history of messages are
// ours, kept in the channel's records.
//
// A conversation has one consumer, who created it, and one further participant,
// the agent, whoever that is in LivePerson. Everything of a consumer changes in
// transactions, one at a time, and a transaction is one durable write: what
// LivePerson is told, the objects, and the change packets that a socket which
// comes back later asks for with Event.replay.
//
// It is assumed that one process serves the channel, for changes reach the
// sockets of this process only; that all configured providers vouch for one set
// of users, so that a user id means the same person whichever signed; and that
// session tokens in URLs, which the SDKs put there, are kept out of logs by
// logging routes by their pattern.
//
// Sources are Layer's documentation (Client API 3.0, REST and WebSocket) and the
// two SDKs.
package layer

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

const (
	// channelName is the channel's name in LPBRIDGE_CHANNELS.
	channelName = "layer"
	// mount is where the API lives on the public listener.
	mount = "/layer"
	// agentMark sets off what tells agents of one conversation apart.
	agentMark = ":"
)

// Layer is the channel: it shows the consumers' apps what LivePerson's agents
// write, do and type. It implements [bridge.Adapter], [bridge.Typist] and
// [bridge.Closer].
//
// What apps ask of us is beneath it, each type standing on the one below:
// restAPI, socketAPI, admission, history, addresses. None knows those above.
type Layer struct {
	*restAPI
}

// restAPI answers the requests of the REST API.
type restAPI struct {
	*socketAPI
	// bodies bounds the requests that are being read, of which sources that are not
	// logged in have shares; logins bounds how many one source may begin or try.
	bodies       *served.Budget
	sourceShares *served.Shares
	logins       *served.Rates
	sandbox      *sandbox // nil when switched off
}

// socketAPI serves the WebSockets of users' devices: their requests, their
// typing and how they end.
type socketAPI struct {
	*admission
	sockets *served.Sockets
	// userShares are what one user may have of everything.
	userShares *served.Shares
}

// admission lets users in by identity tokens, nonces and sessions, and words
// what they are refused.
type admission struct {
	*history
	keys   map[keyName]*rsa.PublicKey
	nonces nonceStore
}

// history is what users said and have: their conversations, messages and
// content as they are stored, and the transactions that change them.
type history struct {
	addresses
	cfg     Config
	core    bridge.Core
	records bridge.Records
	log     *slog.Logger
	users   users
}

// addresses names the URLs at which clients find our objects.
type addresses struct {
	base string // of all URLs
}

var (
	_ bridge.Adapter = (*Layer)(nil)
	_ bridge.Typist  = (*Layer)(nil)
	_ bridge.Closer  = (*Layer)(nil)
)

// errNoPublicURL names the variable without the channel's name, as all errors of a configuration do.
var errNoPublicURL = errors.New("PUBLIC_URL: is required, here or as LPBRIDGE_PUBLIC_URL, for the addresses that apps are told")

// New returns the channel. Errors name what is wrong with the configuration.
func New(cfg Config, core bridge.Core, logger *slog.Logger) (*Layer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", channelName, err)
	}
	if cfg.PublicURL == nil {
		return nil, fmt.Errorf("%s: %w", channelName, errNoPublicURL)
	}
	keys, err := cfg.providerKeys()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", channelName, err)
	}
	stored := &history{
		addresses: addresses{strings.TrimRight(cfg.PublicURL.String(), "/") + mount},
		cfg:       cfg, core: core, records: core.Records(), log: logger,
		users: users{devices: served.PartOf(core.Slots(), maxDevices, ownPart)},
	}
	entry := &admission{history: stored, keys: keys, nonces: nonceStore{records: stored.records}}
	l := &Layer{&restAPI{
		socketAPI: &socketAPI{admission: entry, sockets: newSockets(logger, core.ConnectionClosed), userShares: served.NewShares(served.ShareLimits{
			AtOnce: served.PartOf(core.Slots(), userAtOnce, ownPart), Bytes: max(bodiesInFlight/ownPart, cfg.MaxContent), PerMinute: cfg.Requests,
		})},
		bodies: served.NewBudget(bodiesInFlight), logins: served.NewRates(cfg.Logins, cfg.ClientHeader),
		sourceShares: served.NewShares(served.ShareLimits{AtOnce: served.PartOf(core.Slots(), sourceAtOnce, sourcePart), Bytes: bodiesInFlight / ownPart}),
	}}
	if cfg.SandboxIdentities {
		if l.sandbox, err = newSandbox(); err != nil {
			return nil, fmt.Errorf("%s: %w", channelName, err)
		}
		l.keys[sandboxKey] = &l.sandbox.key.PublicKey
		l.log.Warn("identity tokens are signed for anybody who asks: LAYER_SANDBOX_IDENTITIES is on")
	}
	return l, nil
}

// Channel implements [bridge.Adapter]. The typing clocks are those of Layer's
// own clients: they repeat a state every 2.5 s, and no longer show one that was
// not repeated for 6 s.
func (l *Layer) Channel() bridge.Channel {
	return bridge.Channel{
		Name:     channelName,
		Reports:  []bridge.Kind{bridge.KindMessage, bridge.KindTyping, bridge.KindReceipt, bridge.KindClose},
		Delivers: []bridge.Kind{bridge.KindMessage, bridge.KindReceipt, bridge.KindState},
		// The SDKs send a delivery receipt for every message they get.
		ReportsDelivery: true, Served: true,
		TypingIn: bridge.TypingSource{Reported: true, Repeats: true, Hold: 6 * time.Second},
		TypingOut: bridge.TypingTarget{
			Shown: true, MinInterval: 2500 * time.Millisecond, StopUnlimited: true, Refresh: 2500 * time.Millisecond,
			Expiry: 6 * time.Second, HasPaused: true, PerPerson: true,
		},
	}
}

// Close ends all sockets and waits for them; the SDKs come back by themselves.
func (l *Layer) Close(ctx context.Context) error { return l.sockets.Close(ctx, restart) }
