package relay

import (
	"context"

	"lpbridge/bridge"
)

// Status reports how the bridge is doing. It must be called after Run began.
func (b *Bridge) Status() bridge.Status {
	s := bridge.Status{
		Started: b.started, Ready: b.ready.Load(), Notified: b.notified.Load(),
		Pending: b.journal.PendingCount(), LivePerson: b.stalls.describe(b.toLivePerson.Status()),
	}
	for _, ch := range b.Channels() {
		s.Channels = append(s.Channels, bridge.ChannelStatus{
			Name: ch.Name, Reports: ch.Reports, Delivers: ch.Delivers,
			TypingIn: ch.TypingIn.Reported, TypingOut: ch.TypingOut.Shown, Flow: b.toChannel[ch.Name].Status(),
		})
	}
	return s
}

// Ready returns nil when the bridge takes events: it runs, and the journal
// takes writes. LivePerson or a channel being down does not count, because what
// is accepted meanwhile is kept.
func (b *Bridge) Ready(ctx context.Context) error {
	if !b.ready.Load() {
		return errNotRunning
	}
	err := b.journal.Check(ctx)
	if err != nil {
		// Who asks may be a balancer, which answers LivePerson in our stead from now on.
		b.refusedNow()
	}
	return err
}
