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

// recall reads what earlier processes knew.
func (b *Bridge) recall(ctx context.Context) (lane.Replay, error) {
	if err := b.recallNotified(ctx); err != nil {
		return lane.Replay{}, err
	}
	if err := b.identity.recall(ctx, b.journal); err != nil {
		return lane.Replay{}, err
	}
	replay, err := b.recallReplay(ctx)
	if err != nil {
		return lane.Replay{}, err
	}
	if err := b.denied.recall(ctx); err != nil {
		return lane.Replay{}, fmt.Errorf("read the journal: %w", err)
	}
	if err := b.openings.recall(ctx, b.opts.UnclaimedFor); err != nil {
		return lane.Replay{}, fmt.Errorf("read the journal: %w", err)
	}
	return replay, nil
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
	b.replay.Store(&replay)
	if err := b.rememberReplay(ctx, replay); err != nil {
		b.log.Warn("the journal did not remember until when LivePerson repeats", "error", err)
	}
	return replay, nil
}

// beats is how often it is said that somebody is there while LivePerson's next try
// is awaited, relative to how long that may take.
const beats = 10

// outliveReplay says that somebody is there until LivePerson's next try must have
// been made, or a notification came: a process that ends before is part of the
// absence, and a journal to which nobody writes does not know when that was.
func (b *Bridge) outliveReplay(ctx context.Context, r lane.Replay) {
	first := b.replay.Load()
	beat := time.NewTicker(max(time.Second, r.Next.Sub(b.started)/beats))
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
		awaited := b.replay.Load()
		if awaited == nil || awaited != first {
			// It was met, or refuses what comes.
			return
		}
		if over := !time.Now().Before(r.Next); over {
			b.metByLivePerson(ctx)
			return
		}
		if err := b.rememberReplay(ctx, *awaited); err != nil {
			b.log.Warn("the journal did not remember that lpbridge lives", "error", err)
		}
	}
}

// metByLivePerson remembers that an absence that comes now is another one.
func (b *Bridge) metByLivePerson(ctx context.Context) {
	replay := b.replay.Swap(nil)
	if replay == nil {
		return
	}
	if err := b.rememberReplay(ctx, replay.Met()); err != nil {
		b.replay.CompareAndSwap(nil, replay)
		b.log.Warn("the journal did not remember that LivePerson found us", "error", err)
	}
}

func (b *Bridge) rememberReplay(ctx context.Context, r lane.Replay) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return b.journal.SetFlag(ctx, replayFlag, string(value))
}

// refusedNow notes that a notification was refused. What the next process must know
// of it is written as soon as the journal takes it.
func (b *Bridge) refusedNow() {
	left, news := b.reach.Refused()
	if !news {
		return
	}
	b.replay.Store(&left)
	b.background.spawn(func(ctx context.Context) {
		for over := false; b.replay.Load() == &left; over = !pause(ctx, time.Second) {
			err := b.rememberReplay(context.WithoutCancel(ctx), left)
			if err == nil || over {
				return
			}
			b.log.Debug("the journal did not remember that a notification was refused", "error", err)
		}
	})
}

func (b *Bridge) recallNotified(ctx context.Context) error {
	seen, err := b.journal.Flag(ctx, notifiedFlag)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	b.notified.Store(b.opts.Notifications == NotificationsOn || b.opts.Notifications != NotificationsOff && seen != "")
	return nil
}

// notifiedNow remembers that a notification came: that they come at all, and that
// LivePerson found somebody after the absence before this start.
func (b *Bridge) notifiedNow(ctx context.Context) {
	if b.reach.Taken() {
		b.toLivePerson.Reached()
	}
	b.metByLivePerson(ctx)
	if b.opts.Notifications != NotificationsAuto || b.notified.Swap(true) {
		return
	}
	if err := b.journal.SetFlag(ctx, notifiedFlag, time.Now().UTC().Format(time.RFC3339)); err != nil {
		b.log.Warn("the journal did not remember that notifications come", "error", err)
	}
}
