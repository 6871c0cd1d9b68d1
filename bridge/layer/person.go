package layer

import (
	"context"
	"errors"
	"slices"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

var _ bridge.Keeper = (*Layer)(nil)

// Known implements [bridge.Keeper].
func (l *Layer) Known(ctx context.Context, p *bridge.Person) error {
	for _, user := range p.Consumers {
		for c, err := range kindConversation.Each(ctx, l.records, string(user), bridge.Page{}) {
			if err != nil {
				return err
			}
			if !slices.Contains(p.Threads, c.thread()) {
				p.Threads = append(p.Threads, c.thread())
			}
		}
	}
	return nil
}

// Kept implements [bridge.Keeper].
func (l *Layer) Kept(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	for _, user := range p.Consumers {
		who, err := l.identityNamed(ctx, string(user))
		if err == nil {
			err = served.Show(channelName, who, who, show)
		}
		if err != nil && !errors.Is(err, bridge.ErrNoRecord) {
			return err
		}
		for _, part := range []func(context.Context, string, func(bridge.Kept) error) error{l.keptSessions, l.keptConversations, l.keptChanges, l.keptContent} {
			if err := part(ctx, string(user), show); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Layer) keptSessions(ctx context.Context, user string, show func(bridge.Kept) error) error {
	for s, err := range kindSession.Each(ctx, l.records, user, bridge.Page{}) {
		if err != nil {
			return err
		}
		shown := *s
		shown.TokenHash, shown.NonceHash = bridge.Hidden, bridge.Hidden
		if err := served.Show(channelName, s, &shown, show); err != nil {
			return err
		}
	}
	return nil
}

func (l *Layer) keptConversations(ctx context.Context, user string, show func(bridge.Kept) error) error {
	for c, err := range kindConversation.Each(ctx, l.records, user, bridge.Page{}) {
		if err != nil {
			return err
		}
		if err := served.Show(channelName, c, c, show); err != nil {
			return err
		}
		for m, err := range kindMessage.Each(ctx, l.records, parentOf(c.ID), bridge.Page{}) {
			if err != nil {
				return err
			}
			if err := served.Show(channelName, m, m, show); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Layer) keptChanges(ctx context.Context, user string, show func(bridge.Kept) error) error {
	for c, err := range kindChange.Each(ctx, l.records, user, bridge.Page{}) {
		if err != nil {
			return err
		}
		if err := served.Show(channelName, c, c, show); err != nil {
			return err
		}
	}
	return nil
}

// keptContent shows files, whose address is all it takes to read them.
func (l *Layer) keptContent(ctx context.Context, user string, show func(bridge.Kept) error) error {
	return kindContent.Show(ctx, l.records, channelName, user, func(c *content) { c.UUID = bridge.Hidden }, show)
}

// Erase implements [bridge.Keeper]. The person's sessions end, and their nonces
// stay used.
func (l *Layer) Erase(ctx context.Context, p *bridge.Person, erase func() error) error {
	users := slices.Clone(p.Consumers)
	slices.Sort(users)
	var sessions []*session
	// Who takes several takes them in one order.
	for _, id := range slices.Compact(users) {
		u, leave := l.users.enter(string(id))
		defer leave()
		defer u.describe(nil)
		list, err := kindSession.All(ctx, l.records, string(id))
		if err != nil {
			return err
		}
		sessions = append(sessions, list...)
	}
	for _, s := range sessions {
		l.nonces.spend(s.NonceHash)
	}
	if err := erase(); err != nil {
		return err
	}
	for _, s := range sessions {
		l.users.endSession(s.User, s.ID)
	}
	return nil
}
