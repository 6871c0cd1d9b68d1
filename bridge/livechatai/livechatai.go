package livechatai

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

// name is the channel's name in LPBRIDGE_CHANNELS, events, metrics and logs.
const name = "livechatai"

const path = "/channels/livechatai"

// The numbers of the page "Send an agent is typing indicator": true at most
// once every 5 s, hidden 10 s after the last.
const (
	typingEvery  = 5 * time.Second
	typingHidden = 10 * time.Second
)

// typingTimeout keeps a slow LiveChatAI from having messages wait for typing
// that is worthless by then.
const typingTimeout = 2 * time.Second

// LiveChatAI is the adapter of the channel.
type LiveChatAI struct {
	core  bridge.Core
	log   *slog.Logger
	far   *client
	users users
	store *store
	poll  *poller
	door  *door // nil when nothing can be pushed
	cfg   Config

	flight flights
}

var (
	_ bridge.Adapter = (*LiveChatAI)(nil)
	_ bridge.Typist  = (*LiveChatAI)(nil)
	_ bridge.Settler = (*LiveChatAI)(nil)
	_ bridge.Poller  = (*LiveChatAI)(nil)
	_ bridge.Checker = (*LiveChatAI)(nil)
)

// New returns the adapter. The error is that of [Config.Validate].
func New(cfg Config, core bridge.Core, client *farside.Client, log *slog.Logger) (*LiveChatAI, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("livechatai: %w", err)
	}
	u, err := newUsers(cfg)
	if err != nil {
		return nil, fmt.Errorf("livechatai: %w", err)
	}
	l := &LiveChatAI{
		core: core, log: log, far: newClient(cfg, client), users: u, store: newStore(core), cfg: cfg,
		flight: flights{texts: map[flight]int{}},
	}
	l.poll = newPoller(l)
	if len(cfg.Secret) > 0 {
		l.door = newDoor(cfg.Secret)
	}
	if farside.Exposed(cfg.base()) {
		log.Warn("LIVECHATAI_BASE_URL is plain http to another machine: messages and the key travel unencrypted")
	}
	return l, nil
}

// Channel implements [bridge.Adapter].
//
// Visitors' typing is known from pushes only: polling shows none, and none is
// made up. The widget merges all operators into one indicator unless agents are
// mapped to users.
func (l *LiveChatAI) Channel() bridge.Channel {
	c := bridge.Channel{
		Name:     name,
		Reports:  []bridge.Kind{bridge.KindMessage, bridge.KindClose},
		Delivers: []bridge.Kind{bridge.KindMessage, bridge.KindState},
		TypingOut: bridge.TypingTarget{
			Shown: true, MinInterval: typingEvery, StopUnlimited: true, Refresh: typingEvery, Expiry: typingHidden,
			PerPerson: len(l.users.byAgent) > 0,
		},
	}
	if l.door != nil {
		c.Reports = append(c.Reports, bridge.KindTyping)
		c.TypingIn = bridge.TypingSource{Reported: true, Hold: l.cfg.hold()}
	}
	return c
}

// Routes implements [bridge.Adapter]. An address is copied with or without its
// final slash.
func (l *LiveChatAI) Routes() []bridge.Route {
	if l.door == nil {
		return nil
	}
	door := &bridge.Door{Limit: maxBody, Verify: l.door.verify, Challenge: "Signature", Take: l.receive, Log: l.log}
	// A push names what it is about by LiveChatAI's ids, or only says that there is news.
	return []bridge.Route{{Pattern: path, Handler: door, Repeatable: true}, {Pattern: path + "/{$}", Handler: door, Repeatable: true}}
}

// ShowTyping implements [bridge.Typist]. A pause is a stop for the widget.
func (l *LiveChatAI) ShowTyping(ctx context.Context, cue bridge.TypingCue) error {
	ctx, cancel := context.WithTimeout(ctx, min(typingTimeout, l.cfg.timeout()))
	defer cancel()
	return l.far.typing(ctx, string(cue.Thread), typingRequest{
		IsTyping: cue.State == bridge.Composing, UserID: l.users.of(cue.Agent.ID),
	})
}

// Poll implements [bridge.Poller].
func (l *LiveChatAI) Poll(ctx context.Context) (time.Duration, error) { return l.poll.poll(ctx) }

// isConsumer reports whether a message of the role is the visitor's.
func (l *LiveChatAI) isConsumer(role string) bool {
	return slices.Contains(l.cfg.consumerRoles(), role)
}

// flight is a reply whose answer is awaited.
type flight struct{ conversation, text string }

// flights are the replies that LiveChatAI may show before it told us their ids.
type flights struct {
	mu    sync.Mutex
	texts map[flight]int
}

// begin takes note of a reply. The result ends it.
func (f *flights) begin(conversation, text string) (end func()) {
	key := flight{conversation, text}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts[key]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.texts[key]--; f.texts[key] == 0 {
			delete(f.texts, key)
		}
	}
}

func (f *flights) has(conversation, text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.texts[flight{conversation, text}] > 0
}
