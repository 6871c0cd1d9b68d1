package bridgetest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"lpbridge/bridge"
)

// Save implements [bridge.Journal].
func (j *Journal) Save(ctx context.Context, s bridge.Standing) error {
	if len(s.Threads) == 0 && len(s.Conversations) == 0 {
		return nil
	}
	return j.do(ctx, func() ([]bridge.Entry, error) {
		for _, t := range s.Threads {
			j.mem.saveThread(t)
		}
		for i := range s.Conversations {
			j.mem.saveConversation(&s.Conversations[i])
		}
		return nil, nil
	})
}

func (m *memory) saveThread(t bridge.Thread) {
	m.saved++
	m.threads[bridge.ThreadKey{Channel: t.Channel, Thread: t.ID}] = &savedThread{t, m.saved}
}

func (m *memory) saveConversation(c *bridge.Conversation) {
	m.saved++
	row := &savedConversation{Conversation: *c, created: m.saved, saved: m.saved}
	if old := m.conversations[c.ID]; old != nil {
		row.created = old.created
	}
	for _, dialog := range append(slices.Clone(c.Dialogs), c.Dialog, c.Survey) {
		if dialog != "" {
			m.dialogs[dialog] = c.ID
		}
	}
	row.Dialogs = nil
	m.conversations[c.ID] = row
}

// Thread implements [bridge.Journal].
func (j *Journal) Thread(_ context.Context, k bridge.ThreadKey) (*bridge.Thread, error) {
	var found *bridge.Thread
	err := j.read(func() {
		if t := j.mem.threads[k]; t != nil {
			held := t.Thread
			found = &held
		}
	})
	return found, err
}

// ThreadsOf implements [bridge.Journal].
func (j *Journal) ThreadsOf(_ context.Context, lpConsumer string) ([]bridge.Thread, error) {
	var list []bridge.Thread
	err := j.read(func() {
		byAge := slices.SortedFunc(maps.Values(j.mem.threads), func(a, b *savedThread) int { return cmp.Compare(b.saved, a.saved) })
		for _, t := range byAge {
			if lpConsumer != "" && t.LPConsumer == lpConsumer {
				list = append(list, t.Thread)
			}
		}
	})
	return list, err
}

// Conversation implements [bridge.Journal].
func (j *Journal) Conversation(_ context.Context, id string) (*bridge.Conversation, error) {
	return first(j.conversations(func(c *savedConversation) bool { return c.ID == id }, bySaved))
}

// ConversationOfDialog implements [bridge.Journal].
func (j *Journal) ConversationOfDialog(_ context.Context, dialog string) (*bridge.Conversation, error) {
	return first(j.conversations(func(c *savedConversation) bool {
		owner, known := j.mem.dialogs[dialog]
		return known && c.ID == owner
	}, bySaved))
}

// ConversationsOf implements [bridge.Journal].
func (j *Journal) ConversationsOf(_ context.Context, k bridge.ThreadKey, limit int) ([]bridge.Conversation, error) {
	list, err := j.conversations(func(c *savedConversation) bool { return c.Channel == k.Channel && c.Thread == k.Thread }, byBegin)
	return list[:min(len(list), limit)], err
}

// HeldBy implements [bridge.Journal].
func (j *Journal) HeldBy(_ context.Context, lpConsumer string) (*bridge.Conversation, error) {
	return first(j.conversations(func(c *savedConversation) bool {
		return c.Open && lpConsumer != "" && c.LPConsumer == lpConsumer
	}, bySaved))
}

func bySaved(a, b *savedConversation) int { return cmp.Compare(b.saved, a.saved) }

func byBegin(a, b *savedConversation) int {
	return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(b.created, a.created))
}

func first(list []bridge.Conversation, err error) (*bridge.Conversation, error) {
	if len(list) == 0 {
		return nil, err
	}
	return &list[0], err
}

func (j *Journal) conversations(
	match func(*savedConversation) bool, order func(a, b *savedConversation) int,
) ([]bridge.Conversation, error) {
	var list []bridge.Conversation
	err := j.read(func() {
		for _, c := range slices.SortedFunc(maps.Values(j.mem.conversations), order) {
			if !match(c) {
				continue
			}
			read := c.Conversation
			for dialog, owner := range j.mem.dialogs {
				if owner == c.ID {
					read.Dialogs = append(read.Dialogs, dialog)
				}
			}
			slices.Sort(read.Dialogs)
			list = append(list, read)
		}
	})
	return list, err
}

// enter writes a settlement's position to the ledger.
func (m *memory) enter(s *bridge.Settlement) {
	if s.Dialog == "" {
		return
	}
	m.ledger[position{s.Dialog, s.Sequence}] = bridge.LedgerEntry{
		Sequence: s.Sequence, Channel: s.Lane.Channel, Thread: s.Lane.Thread, Source: s.Source,
	}
}

// MessagesAt implements [bridge.Journal].
func (j *Journal) MessagesAt(_ context.Context, dialog string, sequences []int64) ([]bridge.LedgerEntry, error) {
	var list []bridge.LedgerEntry
	err := j.read(func() {
		for _, sequence := range sequences {
			if e, ok := j.mem.ledger[position{dialog, sequence}]; ok {
				list = append(list, e)
			}
		}
	})
	return list, err
}

// LastOf implements [bridge.Journal].
func (j *Journal) LastOf(_ context.Context, dialog string) (int64, error) {
	last := int64(-1)
	err := j.read(func() {
		for p := range j.mem.ledger {
			if p.dialog == dialog {
				last = max(last, p.sequence)
			}
		}
	})
	return last, err
}

// LastOfThread implements [bridge.Journal].
func (j *Journal) LastOfThread(_ context.Context, dialog string, of bridge.ThreadKey) (int64, error) {
	last := int64(-1)
	err := j.read(func() {
		for p, e := range j.mem.ledger {
			if p.dialog == dialog && e.Channel == of.Channel && e.Thread == of.Thread {
				last = max(last, p.sequence)
			}
		}
	})
	return last, err
}

func (m *memory) addUnclaimed(list []bridge.Unclaimed) {
	for _, u := range list {
		known := slices.ContainsFunc(m.unclaimed, func(o bridge.Unclaimed) bool {
			return o.Conversation == u.Conversation && slices.Equal(o.Body, u.Body)
		})
		if known {
			continue
		}
		m.saved++
		u.ID = m.saved
		u.Received = cmp.Or(u.Received.UTC(), clock())
		u.Body = slices.Clone(u.Body)
		m.unclaimed = append(m.unclaimed, u)
	}
}

// UnclaimedOf implements [bridge.Journal].
func (j *Journal) UnclaimedOf(_ context.Context, conversation string) ([]bridge.Unclaimed, error) {
	return j.listUnclaimed(func(u bridge.Unclaimed) bool { return u.Conversation == conversation })
}

// AllUnclaimed implements [bridge.Journal].
func (j *Journal) AllUnclaimed(_ context.Context, after int64, limit int) ([]bridge.Unclaimed, error) {
	list, err := j.listUnclaimed(func(u bridge.Unclaimed) bool { return u.ID > after })
	return list[:min(len(list), limit)], err
}

func (j *Journal) listUnclaimed(match func(bridge.Unclaimed) bool) ([]bridge.Unclaimed, error) {
	var list []bridge.Unclaimed
	err := j.read(func() {
		for _, u := range j.mem.unclaimed {
			if match(u) {
				list = append(list, u)
			}
		}
	})
	return list, err
}

// DropUnclaimed implements [bridge.Journal].
func (j *Journal) DropUnclaimed(ctx context.Context, ids ...int64) error {
	if len(ids) == 0 {
		return nil
	}
	return j.do(ctx, func() ([]bridge.Entry, error) {
		j.mem.unclaimed = slices.DeleteFunc(j.mem.unclaimed, func(u bridge.Unclaimed) bool { return slices.Contains(ids, u.ID) })
		return nil, nil
	})
}

// SetComposing implements [bridge.Journal].
func (j *Journal) SetComposing(ctx context.Context, m bridge.ComposingMark) error {
	return j.do(ctx, func() ([]bridge.Entry, error) {
		if !slices.ContainsFunc(j.mem.composing, sameMark(m)) {
			m.Since = clock()
			j.mem.composing = append(j.mem.composing, m)
		}
		return nil, nil
	})
}

// ClearComposing implements [bridge.Journal].
func (j *Journal) ClearComposing(m bridge.ComposingMark) {
	j.push(&memoryWrite{
		apply: func() ([]bridge.Entry, error) {
			j.mem.composing = slices.DeleteFunc(j.mem.composing, sameMark(m))
			return nil, nil
		},
		done: func(error) {},
	})
}

func sameMark(m bridge.ComposingMark) func(bridge.ComposingMark) bool {
	return func(o bridge.ComposingMark) bool {
		return o.Direction == m.Direction && o.Thread == m.Thread && o.Conversation == m.Conversation && o.Agent == m.Agent
	}
}

// Composing implements [bridge.Journal].
func (j *Journal) Composing(context.Context) ([]bridge.ComposingMark, error) {
	var list []bridge.ComposingMark
	err := j.read(func() { list = slices.Clone(j.mem.composing) })
	return list, err
}

func (m *memory) saveConsumer(c bridge.ConsumerRow) {
	c.Profile = slices.Clone(c.Profile)
	m.consumers[consumerKey{c.Channel, c.ID}] = c
}

// SaveConsumer implements [bridge.Journal].
func (j *Journal) SaveConsumer(ctx context.Context, c bridge.ConsumerRow) error {
	return j.do(ctx, func() ([]bridge.Entry, error) {
		j.mem.saveConsumer(c)
		return nil, nil
	})
}

// Consumer implements [bridge.Journal].
func (j *Journal) Consumer(_ context.Context, channel string, id bridge.ConsumerID) (*bridge.ConsumerRow, error) {
	var found *bridge.ConsumerRow
	err := j.read(func() {
		if c, ok := j.mem.consumers[consumerKey{channel, id}]; ok {
			found = &c
		}
	})
	return found, err
}

// Flag implements [bridge.Journal].
func (j *Journal) Flag(_ context.Context, name string) (string, error) {
	var value string
	err := j.read(func() { value = j.mem.flags[name] })
	return value, err
}

// SetFlag implements [bridge.Journal].
func (j *Journal) SetFlag(ctx context.Context, name, value string) error {
	return j.do(ctx, func() ([]bridge.Entry, error) {
		j.mem.flags[name] = value
		return nil, nil
	})
}
