package chatwootapi

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"lpbridge/bridge/served"
)

// command is a frame from a client. Data is a JSON text in a string; Chatwoot's
// Flutter SDK sends an object, which is taken too.
type command struct {
	Command    string          `json:"command"`
	Identifier string          `json:"identifier"`
	Data       json.RawMessage `json:"data"`
}

// channelParams are the parameters in an identifier, which is JSON in a string.
type channelParams struct {
	Channel string
	Token   string
	UserID  string
}

// parseCommand reads a frame. A frame that is none is ignored, as Rails does.
func parseCommand(frame []byte) (cmd command, ok bool) {
	if !utf8.Valid(frame) || served.DecodeJSON(frame, &cmd) != nil {
		return command{}, false
	}
	return cmd, cmd.Identifier != ""
}

func parseIdentifier(identifier string) (p channelParams, ok bool) {
	var given params
	if served.DecodeJSON([]byte(identifier), &given) != nil {
		return p, false
	}
	p.Channel, _ = given.text("channel")
	p.Token = given.present("pubsub_token")
	p.UserID = given.present("user_id")
	return p, true
}

// action is what a message command asks for; empty when it asks for nothing.
func (cmd *command) action() string {
	data := []byte(cmd.Data)
	var text string
	if json.Unmarshal(data, &text) == nil {
		data = []byte(text)
	}
	var asked params
	if served.DecodeJSON(data, &asked) != nil {
		return ""
	}
	action, _ := asked.text("action")
	return action
}

// handle takes one frame. What is no command is ignored, as Rails does.
func (c *cable) handle(ctx context.Context, l *line, frame []byte) {
	cmd, ok := parseCommand(frame)
	if !ok || l.commands.Wait(ctx) != nil {
		return
	}
	switch cmd.Command {
	case "subscribe":
		c.subscribe(ctx, l, cmd.Identifier)
	case "unsubscribe":
		c.unsubscribe(l, cmd.Identifier)
	case "message":
		c.perform(ctx, l, &cmd)
	}
}

// subscribe confirms a known token and says nothing at all to any other.
func (c *cable) subscribe(ctx context.Context, l *line, identifier string) {
	if !c.fresh(l, identifier) {
		return
	}
	p, ok := parseIdentifier(identifier)
	// A user id belongs to Chatwoot's own agents, who are not served here.
	if !ok || p.Channel != "RoomChannel" || p.Token == "" || p.UserID != "" {
		return
	}
	known, err := c.admit(ctx, p.Token)
	if err != nil {
		c.log.WarnContext(ctx, "subscription not looked up", "error", err)
		// The client is to come back: silence would mean a wrong token.
		l.End(restart)
		return
	}
	if !known {
		p.Token = ""
	}
	c.join(l, identifier, p.Token)
	if known {
		c.sendPresence(ctx, p.Token)
	}
}

// fresh says whether an identifier is new on the line and may be added.
func (c *cable) fresh(l *line, identifier string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := l.subscriptions[identifier]
	return !known && len(l.subscriptions) < maxSubscriptions && len(identifier) <= maxIdentifier
}

// join adds a subscription. Its confirmation is queued before any event can be.
func (c *cable) join(l *line, identifier, token string) {
	quoted, err := json.Marshal(identifier)
	if err != nil {
		return
	}
	s := &subscription{line: l, token: token}
	s.head = append(append([]byte(`{"identifier":`), quoted...), `,"message":`...)
	c.mu.Lock()
	defer c.mu.Unlock()
	l.subscriptions[identifier] = s
	if token == "" {
		return
	}
	l.Belongs(token)
	r := c.rooms[token]
	if r == nil {
		r = &room{members: map[*subscription]struct{}{}, typing: map[int64]struct{}{}}
		c.rooms[token] = r
	}
	c.joined++
	s.nth = c.joined
	r.members[s] = struct{}{}
	for _, s := range r.tooOld(c.listeners) {
		s.line.End(tooManyLines)
	}
	l.Send(append(append([]byte(`{"identifier":`), quoted...), `,"type":"confirm_subscription"}`...))
}

// tooOld are the subscriptions beyond those that a contact may have, of which some may
// be ending. The cable's lock must be held.
func (r *room) tooOld(most int) []*subscription {
	more := len(r.members) - most
	if more <= 0 {
		return nil
	}
	byAge := slices.SortedFunc(maps.Keys(r.members), func(a, b *subscription) int { return cmp.Compare(a.nth, b.nth) })
	return byAge[:more]
}

func (c *cable) unsubscribe(l *line, identifier string) {
	c.mu.Lock()
	var left []int64
	if s := l.subscriptions[identifier]; s != nil {
		delete(l.subscriptions, identifier)
		left = c.leave(s)
	}
	c.mu.Unlock()
	c.tellHungUp(left)
}

// perform does what a message command asks for: update_presence, or nothing.
func (c *cable) perform(ctx context.Context, l *line, cmd *command) {
	c.mu.Lock()
	s := l.subscriptions[cmd.Identifier]
	c.mu.Unlock()
	if s == nil || s.token == "" || cmd.action() != "update_presence" {
		return
	}
	c.sendPresence(ctx, s.token)
}

func (c *cable) sendPresence(ctx context.Context, token string) {
	data, err := c.presence(ctx, token)
	if err != nil {
		c.log.WarnContext(ctx, "presence not read", "error", err)
		return
	}
	c.send([]string{token}, "presence.update", data)
}
