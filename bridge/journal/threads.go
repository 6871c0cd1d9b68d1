package journal

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

// threadStep saves a thread.
type threadStep struct {
	wait
	thread bridge.Thread
}

// SaveThread implements [bridge.Journal].
func (j *Journal) SaveThread(ctx context.Context, th bridge.Thread) error {
	if err := j.w.do(ctx, &threadStep{wait: newWait(), thread: th}); err != nil {
		return fmt.Errorf("journal: save thread: %w", err)
	}
	return nil
}

func (s *threadStep) apply(t *transaction) error {
	th := &s.thread
	if err := t.flushPlace(bridge.ThreadKey{Channel: th.Channel, Thread: th.ID}); err != nil {
		return err
	}
	// Two threads saved within a microsecond still have a newest.
	t.w.saved = max(t.w.saved+1, micros(t.now))
	_, err := t.exec(upsertThread, th.Channel, string(th.ID), string(th.Consumer), th.ExtConsumer, th.LPConsumer,
		th.Conversation, th.Dialog, th.Survey, th.Former, th.Open, th.Announced, th.Sequence, th.Updated, th.Joined, t.w.saved)
	return err
}

// markStep notes whether LivePerson was told COMPOSING.
type markStep struct {
	key       bridge.ThreadKey
	composing bool
}

// MarkComposing implements [bridge.Journal]. A mark is committed within about
// 20 ms.
func (j *Journal) MarkComposing(k bridge.ThreadKey, composing bool) {
	j.w.push(&markStep{k, composing}, markPatience)
}

func (s *markStep) apply(t *transaction) error {
	t.marks[s.key] = s.composing
	return nil
}

func (*markStep) finish(error) {}

func (*markStep) kept() bool { return true }

// Thread implements [bridge.Journal].
func (j *Journal) Thread(ctx context.Context, k bridge.ThreadKey) (*bridge.Thread, error) {
	return j.thread(ctx, threadByKey, k.Channel, string(k.Thread))
}

// ThreadByConversation implements [bridge.Journal].
func (j *Journal) ThreadByConversation(ctx context.Context, conversation string) (*bridge.Thread, error) {
	return j.thread(ctx, threadByConversation, conversation, conversation, conversation, conversation)
}

// ThreadByConsumer implements [bridge.Journal].
func (j *Journal) ThreadByConsumer(ctx context.Context, lpConsumer string) (*bridge.Thread, error) {
	return j.thread(ctx, threadByConsumer, lpConsumer)
}

func (j *Journal) thread(ctx context.Context, s statement, args ...any) (*bridge.Thread, error) {
	var th bridge.Thread
	found, err := j.scanFound(ctx, s, args, threadDest(&th)...)
	if err != nil {
		return nil, fmt.Errorf("journal: read thread: %w", err)
	}
	if !found {
		return nil, nil
	}
	return &th, nil
}

// ComposingThreads implements [bridge.Journal].
func (j *Journal) ComposingThreads(ctx context.Context) ([]bridge.Thread, error) {
	var list []bridge.Thread
	err := j.each(ctx, composingThreads, nil, func(scan func(...any) error) error {
		var th bridge.Thread
		if err := scan(threadDest(&th)...); err != nil {
			return err
		}
		list = append(list, th)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("journal: composing threads: %w", err)
	}
	return list, nil
}

// threadDest is where threadColumns go.
func threadDest(th *bridge.Thread) []any {
	return []any{
		&th.Channel, &th.ID, &th.Consumer, &th.ExtConsumer, &th.LPConsumer, &th.Conversation, &th.Dialog,
		&th.Survey, &th.Former, &th.Open, &th.Announced, &th.Sequence, &th.Updated, &th.Joined, &th.ToldComposing,
	}
}
