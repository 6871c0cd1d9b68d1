package journal

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

// threadWrite saves a thread.
type threadWrite struct {
	wait
	thread bridge.Thread
}

// SaveThread implements [bridge.Journal].
func (j *Journal) SaveThread(ctx context.Context, th bridge.Thread) error {
	if err := j.w.do(ctx, &threadWrite{wait: newWait(), thread: th}); err != nil {
		return fmt.Errorf("journal: save thread: %w", err)
	}
	return nil
}

func (s *threadWrite) apply(t *transaction) error {
	th := &s.thread
	if err := t.flushPlace(bridge.ThreadKey{Channel: th.Channel, Thread: th.ID}); err != nil {
		return err
	}
	saved, err := t.revision.next(t)
	if err != nil {
		return err
	}
	_, err = t.exec(upsertThread, th.Channel, string(th.ID), string(th.Consumer), th.ExtConsumer, th.LPConsumer,
		th.Conversation, th.Dialog, th.Survey, th.Former, th.Open, th.Announced, th.Sequence, th.Updated, th.Joined, saved, t.stamp)
	return err
}

// markWrite notes whether LivePerson was told COMPOSING.
type markWrite struct {
	key       bridge.ThreadKey
	composing bool
}

// MarkComposing implements [bridge.Journal]. A mark is committed within about
// 20 ms.
func (j *Journal) MarkComposing(k bridge.ThreadKey, composing bool) {
	j.w.push(&markWrite{k, composing}, markPatience)
}

func (s *markWrite) apply(t *transaction) error {
	t.marks[s.key] = s.composing
	return nil
}

func (*markWrite) finish(error) {}

func (*markWrite) kept() bool { return true }

// ThreadByConversation implements [bridge.Journal].
func (j *Journal) ThreadByConversation(ctx context.Context, conversation string) (*bridge.Thread, error) {
	return j.thread(ctx, threadByConversation, conversation, conversation, conversation, conversation)
}

// ThreadByConsumer implements [bridge.Journal].
func (j *Journal) ThreadByConsumer(ctx context.Context, lpConsumer string) (*bridge.Thread, error) {
	return j.thread(ctx, threadByConsumer, lpConsumer)
}

// ComposingThreads implements [bridge.Journal].
func (j *Journal) ComposingThreads(ctx context.Context) ([]bridge.Thread, error) {
	list, err := j.threadList(ctx, composingThreads)
	if err != nil {
		return nil, fmt.Errorf("journal: composing threads: %w", err)
	}
	return list, nil
}

// place is a sequence in a dialog.
type place struct {
	dialog   string
	sequence int64
}

// raise notes that a thread's message got a place in a dialog.
func (t *transaction) raise(k bridge.ThreadKey, p place) error {
	if known, ok := t.places[k]; ok {
		if known.dialog != p.dialog {
			// Two dialogs of one thread in one transaction are rare: write the first
			// now.
			if err := t.writePlace(k, known); err != nil {
				return err
			}
		} else if known.sequence >= p.sequence {
			return nil
		}
	}
	t.places[k] = p
	return nil
}

// flushPlace writes what is noted of a thread before the thread itself is saved.
func (t *transaction) flushPlace(k bridge.ThreadKey) error {
	p, ok := t.places[k]
	if !ok {
		return nil
	}
	delete(t.places, k)
	return t.writePlace(k, p)
}

func (t *transaction) writePlaces() error {
	for k, p := range t.places {
		if err := t.writePlace(k, p); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) writePlace(k bridge.ThreadKey, p place) error {
	_, err := t.exec(raiseSequence, p.sequence, k.Channel, string(k.Thread), p.dialog, p.sequence)
	return err
}

func (t *transaction) writeMarks() error {
	for k, composing := range t.marks {
		if _, err := t.exec(markThread, composing, k.Channel, string(k.Thread), composing); err != nil {
			return err
		}
	}
	return nil
}

// SentAs implements [bridge.Journal].
func (j *Journal) SentAs(ctx context.Context, dialog string, sequences []int64) ([]bridge.EventID, error) {
	var list []bridge.EventID
	for _, sequence := range sequences {
		at, err := j.MessagesAt(ctx, dialog, []int64{sequence})
		if err != nil {
			return nil, err
		}
		if len(at) > 0 && at[0].Source != "" {
			list = append(list, at[0].Source)
		}
	}
	return list, nil
}
