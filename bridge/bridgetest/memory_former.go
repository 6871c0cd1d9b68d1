package bridgetest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"lpbridge/bridge"
)

// SaveThread implements [bridge.Journal].
func (j *Journal) SaveThread(ctx context.Context, t bridge.Thread) error {
	return j.do(ctx, func() ([]bridge.Entry, error) {
		m := j.mem
		k := bridge.ThreadKey{Channel: t.Channel, Thread: t.ID}
		t.ToldComposing = false
		if old := m.threads[k]; old != nil {
			t.ToldComposing = old.ToldComposing
			if old.Dialog == t.Dialog {
				t.Sequence = max(t.Sequence, old.Sequence)
			}
		}
		m.saved++
		m.threads[k] = &savedThread{t, m.saved}
		return nil, nil
	})
}

// MarkComposing implements [bridge.Journal].
func (j *Journal) MarkComposing(k bridge.ThreadKey, composing bool) {
	j.push(&memoryWrite{
		apply: func() ([]bridge.Entry, error) {
			if th := j.mem.threads[k]; th != nil {
				th.ToldComposing = composing
			}
			return nil, nil
		},
		done: func(error) {},
	})
}

// raise lifts a thread's high-water mark.
func (m *memory) raise(s *bridge.Settlement) {
	th := m.threads[bridge.ThreadKey{Channel: s.Lane.Channel, Thread: s.Lane.Thread}]
	if th != nil && th.Dialog == s.Dialog {
		th.Sequence = max(th.Sequence, s.Sequence)
	}
}

// ThreadByConversation implements [bridge.Journal].
func (j *Journal) ThreadByConversation(_ context.Context, conversation string) (*bridge.Thread, error) {
	return j.newest(func(t *savedThread) bool {
		return conversation != "" &&
			(t.Conversation == conversation || t.Dialog == conversation || t.Survey == conversation || t.Former == conversation)
	})
}

// ThreadByConsumer implements [bridge.Journal].
func (j *Journal) ThreadByConsumer(_ context.Context, lpConsumer string) (*bridge.Thread, error) {
	return j.newest(func(t *savedThread) bool { return lpConsumer != "" && t.LPConsumer == lpConsumer })
}

// newest returns the thread saved last of those that match.
func (j *Journal) newest(match func(*savedThread) bool) (*bridge.Thread, error) {
	var found *savedThread
	err := j.read(func() {
		for _, t := range j.mem.threads {
			if match(t) && (found == nil || t.saved > found.saved) {
				held := *t
				found = &held
			}
		}
	})
	if found == nil {
		return nil, err
	}
	return &found.Thread, err
}

// ComposingThreads implements [bridge.Journal].
func (j *Journal) ComposingThreads(context.Context) ([]bridge.Thread, error) {
	var list []bridge.Thread
	err := j.read(func() {
		byAge := slices.SortedFunc(maps.Values(j.mem.threads), func(a, b *savedThread) int {
			return cmp.Compare(a.saved, b.saved)
		})
		for _, t := range byAge {
			if t.ToldComposing {
				list = append(list, t.Thread)
			}
		}
	})
	return list, err
}

// SentAs implements [bridge.Journal].
func (j *Journal) SentAs(_ context.Context, dialog string, sequences []int64) ([]bridge.EventID, error) {
	var list []bridge.EventID
	err := j.read(func() {
		for _, sequence := range sequences {
			if e, ok := j.mem.ledger[position{dialog, sequence}]; ok && e.Source != "" {
				list = append(list, e.Source)
			}
		}
	})
	return list, err
}

// Clean implements [bridge.Journal].
func (j *Journal) Clean() bool { return j.clean }
