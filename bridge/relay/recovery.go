package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"lpbridge/bridge/relay/lane"
)

// awaitCutOff gives deliveries whose context has ended the time to say so: the
// journal is closed next, and must know which are in doubt.
func (b *Bridge) awaitCutOff(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cutOffWait)
	defer cancel()
	for _, l := range b.allLanes() {
		if err := l.Stop(ctx); err != nil {
			b.log.Error("a delivery does not end", "error", err)
			l.Abandon()
		}
	}
}

// recallReplay works out by when LivePerson will have brought what it kept while
// no process was there, and remembers it. That is written at each start, which
// also says that somebody was there.
func (b *Bridge) recallReplay(ctx context.Context) (lane.Replay, error) {
	stored, err := b.journal.Flag(ctx, replayFlag)
	if err != nil {
		return lane.Replay{}, fmt.Errorf("read the journal: %w", err)
	}
	var replay lane.Replay
	// What cannot be read was written by another version; there is nothing to know.
	_ = json.Unmarshal([]byte(stored), &replay)
	from, _ := b.journal.Absence()
	replay = replay.After(from, b.started)
	value, err := json.Marshal(replay)
	if err == nil {
		err = b.journal.SetFlag(ctx, replayFlag, string(value))
	}
	if err != nil {
		b.log.Warn("the journal did not remember until when LivePerson repeats", "error", err)
	}
	return replay, nil
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
