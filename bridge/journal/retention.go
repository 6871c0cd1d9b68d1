package journal

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// ledgerRetention is how long the position of a consumer's message is kept: a
	// receipt that comes later finds nothing.
	ledgerRetention = 30 * 24 * time.Hour
	// unclaimedRetention is how long a change is kept that nobody claimed or
	// dropped: as long as LivePerson repeats a notification.
	unclaimedRetention = 72 * time.Hour
	// longRetention is how long a consumer is kept whom nobody has seen, so that
	// LivePerson meets the same one, and a conversation that seems open though
	// nothing was heard of it.
	longRetention = 365 * 24 * time.Hour
	// epochRetention is how long processes are told apart that were cut off.
	epochRetention = 30 * 24 * time.Hour
)

// rule says which rows of a table are forgotten when they are old.
type rule struct {
	what string
	// find lists keys of old rows after a key, drop forgets one. Both decide by
	// themselves what is old enough and in use: rows change between the two.
	find, drop statement
	// first is the key before all others. What find returns besides a key is
	// handed on with it.
	first  []any
	beside int
	age    time.Duration
	// also, if set, does what else belongs to forgetting a row.
	also func(t *transaction, key []any) error
}

// purgePage is how many rows one transaction forgets.
const purgePage = 200

// rules are in the order in which rows come free: a conversation holds its
// thread while it is open, a thread its conversation and its consumer.
func (p *purger) rules() []rule {
	list := []rule{{
		what: "unclaimed changes", find: oldUnclaimed, drop: forgetUnclaimed, first: []any{int64(0)}, beside: 1,
		age: unclaimedRetention, also: countForgotten,
	}, {
		what: "open conversations", find: oldOpenConversations, drop: forgetOpenConversation, first: []any{""},
		age: longRetention, also: forgetDialogs,
	}}
	if history := p.opts.HistoryRetention; history > 0 {
		list = append(list, rule{
			what: "threads", find: oldThreads, drop: forgetThread, first: []any{"", ""}, age: history,
		}, rule{
			what: "conversations", find: oldConversations, drop: forgetConversation, first: []any{""}, age: history,
			also: forgetDialogs,
		}, rule{
			what: "texts of dead letters", find: oldDead, drop: expireDead, first: []any{int64(0)}, age: history,
		})
	}
	return append(list, rule{
		what: "consumers", find: oldConsumers, drop: forgetConsumer, first: []any{"", ""}, age: longRetention,
	})
}

// countForgotten corrects the count of unclaimed changes, whose size is
// found beside the key.
func countForgotten(t *transaction, key []any) error {
	size, ok := key[1].(int64)
	if !ok {
		return fmt.Errorf("read the size of a change: got %T", key[1])
	}
	t.unclaimed.add(volume{-1, -size})
	return nil
}

func forgetDialogs(t *transaction, key []any) error {
	_, err := t.exec(deleteDialogs, key...)
	return err
}

// purgeRows forgets what the rules say. now is the database's time.
func (p *purger) purgeRows(ctx context.Context, now int64) error {
	for _, r := range p.rules() {
		n, err := p.follow(ctx, &r, now-r.age.Microseconds())
		if err != nil {
			return fmt.Errorf("%s: %w", r.what, err)
		}
		if n > 0 && r.find == oldUnclaimed {
			p.log.Warn("journal: changes nobody claimed were dropped", "changes", n)
		}
	}
	return nil
}

// follow forgets what one rule says and returns how many rows that were.
func (p *purger) follow(ctx context.Context, r *rule, cutoff int64) (int64, error) {
	var total int64
	after := r.first
	for {
		keys, err := p.oldKeys(ctx, r, after, cutoff)
		if err != nil || len(keys) == 0 {
			return total, err
		}
		s := &ruleWrite{wait: newWait(), rule: r, keys: keys, cutoff: cutoff}
		if err := p.w.do(ctx, s); err != nil {
			return total, err
		}
		total += s.forgotten
		if len(keys) < purgePage {
			return total, nil
		}
		after = keys[len(keys)-1][:len(r.first)]
		if err := pauseFor(ctx, purgePause); err != nil {
			return total, err
		}
	}
}

func (p *purger) oldKeys(ctx context.Context, r *rule, after []any, cutoff int64) (keys [][]any, err error) {
	args := append(slices.Clip(after), cutoff, purgePage)
	err = p.each(ctx, r.find, args, func(scan func(...any) error) error {
		key, dest := make([]any, len(after)+r.beside), make([]any, len(after)+r.beside)
		for i := range key {
			dest[i] = &key[i]
		}
		keys = append(keys, key)
		return scan(dest...)
	})
	return keys, err
}

// ruleWrite forgets some rows.
type ruleWrite struct {
	wait
	rule      *rule
	keys      [][]any
	cutoff    int64
	forgotten int64
}

func (s *ruleWrite) apply(t *transaction) error {
	s.forgotten = 0
	for _, key := range s.keys {
		n, err := t.exec(s.rule.drop, append(slices.Clip(key), s.cutoff)...)
		if err != nil {
			return err
		}
		s.forgotten += n
		if n > 0 && s.rule.also != nil {
			if err := s.rule.also(t, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetEpochsWrite forgets processes that were cut off long ago: of those up to
// the newest of them the worst is assumed.
type forgetEpochsWrite struct {
	wait
	cutoff int64
}

func (s *forgetEpochsWrite) apply(t *transaction) error {
	var epoch, found int64
	old, err := t.row(newestOldEpoch, []any{s.cutoff}, &epoch, &found)
	if err != nil || !old {
		return err
	}
	if _, err := t.exec(upsertMeta, metaForgotten, epoch); err != nil {
		return err
	}
	if _, err := t.exec(upsertMeta, metaForgottenAt, found); err != nil {
		return err
	}
	_, err = t.exec(forgetEpochs, epoch)
	return err
}

// purgeEpochs forgets processes that were cut off long ago.
func (p *purger) purgeEpochs(ctx context.Context, now int64) error {
	return p.w.do(ctx, &forgetEpochsWrite{wait: newWait(), cutoff: now - epochRetention.Microseconds()})
}
