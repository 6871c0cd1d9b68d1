package relay

import (
	"context"
	"fmt"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
)

// awaitCutOff gives deliveries whose context has ended the time to say so: the
// journal is closed next, and must know which are in doubt.
func (b *Bridge) awaitCutOff(ctx context.Context, clean bool) {
	ctx, cancel := context.WithTimeout(ctx, cutOffWait)
	defer cancel()
	settled := true
	for _, l := range b.allLanes() {
		if err := l.Stop(ctx); err != nil {
			b.log.Error("a delivery does not end", "error", err)
			settled = false
		}
		settled = settled && (clean || l.RecoveredAll())
	}
	if settled == clean {
		return
	}
	if err := b.journal.SetFlag(context.WithoutCancel(ctx), doubtFlag, doubtValue(settled)); err != nil {
		b.log.Error("the journal did not remember what is in doubt", "error", err)
	}
}

// recallDoubt reports whether no delivery of an earlier process may have been
// cut off, and remembers it until all were looked at.
func (b *Bridge) recallDoubt(ctx context.Context) (clean bool, err error) {
	doubt, err := b.journal.Flag(ctx, doubtFlag)
	if err != nil {
		return false, fmt.Errorf("read the journal: %w", err)
	}
	clean = b.journal.Clean() && doubt == ""
	if !clean && doubt == "" {
		if err := b.journal.SetFlag(ctx, doubtFlag, doubtValue(false)); err != nil {
			return false, fmt.Errorf("write the journal: %w", err)
		}
	}
	return clean, nil
}

func doubtValue(settled bool) string {
	if settled {
		return ""
	}
	return "yes"
}

// recoverLanes finds the lanes that hold entries of an earlier process.
func (b *Bridge) recoverLanes(ctx context.Context) {
	var after bridge.LaneKey
	for {
		page, err := b.journal.Lanes(ctx, after, lanesPage)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			b.log.Error("the journal cannot list what is pending", "error", err)
			pause(ctx, lane.LoadRetry)
			continue
		}
		for _, key := range page {
			// A channel that is no longer configured keeps its entries.
			if l := b.lanesOf(key); l != nil {
				l.Recover(key)
			}
			after = key
		}
		if len(page) < lanesPage {
			break
		}
	}
	for _, l := range b.allLanes() {
		l.RecoveryDone()
	}
}

func (b *Bridge) recallNotified(ctx context.Context) error {
	seen, err := b.journal.Flag(ctx, notifiedFlag)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	b.notified.Store(b.opts.Notifications == NotificationsOn || b.opts.Notifications != NotificationsOff && seen != "")
	return nil
}

// notifiedNow remembers that a notification came.
func (b *Bridge) notifiedNow(ctx context.Context) {
	if b.opts.Notifications != NotificationsAuto || b.notified.Swap(true) {
		return
	}
	if err := b.journal.SetFlag(ctx, notifiedFlag, time.Now().UTC().Format(time.RFC3339)); err != nil {
		b.log.Warn("the journal did not remember that notifications come", "error", err)
	}
}

// loaded is told of every entry of an earlier process.
func (b *Bridge) loaded(e *bridge.Entry) { b.messageOnItsWay(e) }

// markInDoubt treats an entry as sent and not answered, because the process
// that may have sent it ended first.
func (b *Bridge) markInDoubt(e *bridge.Entry) {
	if e.Kind != bridge.KindMessage {
		return
	}
	e.Attempts = max(e.Attempts, 1)
	e.Last = bridge.Unknown
	if e.Lane.Direction == bridge.ToLivePerson && b.notified.Load() && e.NextTry.Before(b.inDoubt) {
		e.NextTry = b.inDoubt
	}
}
