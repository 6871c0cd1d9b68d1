package journal

import (
	"context"
	"fmt"
	"slices"

	"lpbridge/bridge"
)

// standings are the rows of threads and conversations, which are saved together.
// They are the journal's [bridge.ThreadMap] and [bridge.ConversationMap].
type standings struct{ access }

// standingWrite saves threads and conversations.
type standingWrite struct {
	wait
	standing bridge.Standing
}

// Save implements [bridge.Journal].
func (s *standings) Save(ctx context.Context, st bridge.Standing) error {
	if len(st.Threads) == 0 && len(st.Conversations) == 0 {
		return nil
	}
	if err := s.w.do(ctx, &standingWrite{wait: newWait(), standing: st}); err != nil {
		return fmt.Errorf("journal: save: %w", err)
	}
	return nil
}

func (s *standingWrite) apply(t *transaction) error {
	for i := range s.standing.Threads {
		if err := t.saveThread(&s.standing.Threads[i]); err != nil {
			return err
		}
	}
	for i := range s.standing.Conversations {
		if err := t.saveConversation(&s.standing.Conversations[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) saveThread(th *bridge.Thread) error {
	saved, err := t.revision.next(t)
	if err != nil {
		return err
	}
	_, err = t.exec(saveThread, th.Channel, string(th.ID), string(th.Consumer), th.ExtConsumer, th.LPConsumer,
		th.Conversation, saved, t.stamp)
	return err
}

func (t *transaction) saveConversation(c *bridge.Conversation) error {
	saved, err := t.revision.next(t)
	if err != nil {
		return err
	}
	_, err = t.exec(saveConversation, c.ID, c.Channel, string(c.Thread), c.ExtConsumer, c.LPConsumer, c.Dialog, c.Survey,
		c.Open, c.Announced, c.Updated, c.Joined, micros(c.Began), micros(c.Ended), saved, saved, t.stamp)
	if err != nil {
		return err
	}
	for _, dialog := range append(slices.Clip(c.Dialogs), c.Dialog, c.Survey) {
		if dialog == "" {
			continue
		}
		if _, err := t.exec(saveDialog, dialog, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// Thread implements [bridge.Journal].
func (s *standings) Thread(ctx context.Context, k bridge.ThreadKey) (*bridge.Thread, error) {
	return s.thread(ctx, threadByKey, k.Channel, string(k.Thread))
}

func (s *standings) thread(ctx context.Context, st statement, args ...any) (*bridge.Thread, error) {
	var th bridge.Thread
	found, err := s.find(ctx, st, args, threadDest(&th)...)
	if err != nil {
		return nil, fmt.Errorf("journal: read thread: %w", err)
	}
	if !found {
		return nil, nil
	}
	return &th, nil
}

// ThreadsOf implements [bridge.Journal].
func (s *standings) ThreadsOf(ctx context.Context, lpConsumer string) ([]bridge.Thread, error) {
	list, err := s.threadList(ctx, threadsOf, lpConsumer)
	if err != nil {
		return nil, fmt.Errorf("journal: threads of a consumer: %w", err)
	}
	return list, nil
}

func (s *standings) threadList(ctx context.Context, st statement, args ...any) ([]bridge.Thread, error) {
	var list []bridge.Thread
	err := s.each(ctx, st, args, func(scan func(...any) error) error {
		var th bridge.Thread
		if err := scan(threadDest(&th)...); err != nil {
			return err
		}
		list = append(list, th)
		return nil
	})
	return list, err
}

// threadDest is where threadColumns go.
func threadDest(th *bridge.Thread) []any {
	return []any{
		&th.Channel, &th.ID, &th.Consumer, &th.ExtConsumer, &th.LPConsumer, &th.Conversation,
	}
}

// Conversation implements [bridge.Journal].
func (s *standings) Conversation(ctx context.Context, id string) (*bridge.Conversation, error) {
	return s.conversation(ctx, conversationByID, id)
}

// ConversationOfDialog implements [bridge.Journal].
func (s *standings) ConversationOfDialog(ctx context.Context, dialog string) (*bridge.Conversation, error) {
	return s.conversation(ctx, conversationByDialog, dialog)
}

// HeldBy implements [bridge.Journal].
func (s *standings) HeldBy(ctx context.Context, lpConsumer string) (*bridge.Conversation, error) {
	return s.conversation(ctx, conversationHeld, lpConsumer)
}

func (s *standings) conversation(ctx context.Context, st statement, args ...any) (*bridge.Conversation, error) {
	list, err := s.conversations(ctx, st, args...)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// ConversationsOf implements [bridge.Journal].
func (s *standings) ConversationsOf(ctx context.Context, k bridge.ThreadKey, limit int) ([]bridge.Conversation, error) {
	return s.conversations(ctx, conversationsOf, k.Channel, string(k.Thread), limit)
}

func (s *standings) conversations(ctx context.Context, st statement, args ...any) ([]bridge.Conversation, error) {
	var list []bridge.Conversation
	err := s.each(ctx, st, args, func(scan func(...any) error) error {
		var c bridge.Conversation
		var began, ended int64
		err := scan(&c.ID, &c.Channel, &c.Thread, &c.ExtConsumer, &c.LPConsumer, &c.Dialog, &c.Survey, &c.Open, &c.Announced,
			&c.Updated, &c.Joined, &began, &ended)
		c.Began, c.Ended = fromMicros(began), fromMicros(ended)
		list = append(list, c)
		return err
	})
	for i := range list {
		if err == nil {
			err = s.addDialogs(ctx, &list[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("journal: read conversation: %w", err)
	}
	return list, nil
}

func (s *standings) addDialogs(ctx context.Context, c *bridge.Conversation) error {
	return s.each(ctx, dialogsOf, []any{c.ID}, func(scan func(...any) error) error {
		var dialog string
		err := scan(&dialog)
		c.Dialogs = append(c.Dialogs, dialog)
		return err
	})
}
