package journal

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

// How much may be unclaimed. These are changes of a few hundred bytes that wait
// for minutes; more than this means that they will never be claimed.
const (
	maxUnclaimed      = 20_000
	maxUnclaimedBytes = 64 << 20
)

// volume counts rows and their bytes.
type volume struct{ rows, bytes int64 }

func (v *volume) add(o volume) { v.rows += o.rows; v.bytes += o.bytes }

func (v volume) full() bool { return v.rows > maxUnclaimed || v.bytes > maxUnclaimedBytes }

func volumeOf(list []bridge.Unclaimed) volume {
	v := volume{rows: int64(len(list))}
	for i := range list {
		v.bytes += int64(len(list[i].Body))
	}
	return v
}

// roomFor reports whether changes may be added.
func (t *transaction) roomFor(list []bridge.Unclaimed) bool {
	if len(list) == 0 {
		return true
	}
	v := t.w.unclaimed
	v.add(t.unclaimed)
	v.add(volumeOf(list))
	return !v.full()
}

func (t *transaction) addUnclaimed(list []bridge.Unclaimed) error {
	for i := range list {
		u := &list[i]
		var there int64
		known, err := t.row(sameUnclaimed, []any{u.Conversation, u.Body}, &there)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		id, err := t.revision.next(t)
		if err != nil {
			return err
		}
		received := u.Received
		if received.IsZero() {
			received = t.now
		}
		_, err = t.exec(insertUnclaimed, id, u.Conversation, u.Dialog, u.Sequence, t.shift.steady(received), bytesOf(u.Body))
		if err != nil {
			return err
		}
		t.unclaimed.add(volumeOf(list[i : i+1]))
	}
	return nil
}

// dropWrite removes unclaimed changes.
type dropWrite struct {
	wait
	ids []int64
}

// DropUnclaimed implements [bridge.Journal].
func (j *Journal) DropUnclaimed(ctx context.Context, ids ...int64) error {
	if len(ids) == 0 {
		return nil
	}
	if err := j.w.do(ctx, &dropWrite{wait: newWait(), ids: ids}); err != nil {
		return fmt.Errorf("journal: drop unclaimed: %w", err)
	}
	return nil
}

func (s *dropWrite) apply(t *transaction) error {
	for _, id := range s.ids {
		var size int64
		found, err := t.row(sizeOfUnclaimed, []any{id}, &size)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if _, err := t.exec(deleteUnclaimed, id); err != nil {
			return err
		}
		t.unclaimed.add(volume{-1, -size})
	}
	return nil
}

// UnclaimedOf implements [bridge.Journal].
func (j *Journal) UnclaimedOf(ctx context.Context, conversation string) ([]bridge.Unclaimed, error) {
	return j.listUnclaimed(ctx, unclaimedOf, conversation)
}

// AllUnclaimed implements [bridge.Journal].
func (j *Journal) AllUnclaimed(ctx context.Context, after int64, limit int) ([]bridge.Unclaimed, error) {
	return j.listUnclaimed(ctx, allUnclaimed, after, limit)
}

func (j *Journal) listUnclaimed(ctx context.Context, st statement, args ...any) ([]bridge.Unclaimed, error) {
	var list []bridge.Unclaimed
	s, now := j.clock.shift(), j.clock.read()
	err := j.each(ctx, st, args, func(scan func(...any) error) error {
		var u bridge.Unclaimed
		var received int64
		err := scan(&u.ID, &u.Conversation, &u.Dialog, &u.Sequence, &received, &u.Body)
		u.Received = s.past(received, now)
		list = append(list, u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("journal: unclaimed: %w", err)
	}
	return list, nil
}
