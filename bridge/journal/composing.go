package journal

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

// composingWrite sets a mark.
type composingWrite struct {
	wait
	mark bridge.ComposingMark
}

// SetComposing implements [bridge.Journal].
func (j *Journal) SetComposing(ctx context.Context, m bridge.ComposingMark) error {
	if err := j.w.do(ctx, &composingWrite{wait: newWait(), mark: m}); err != nil {
		return fmt.Errorf("journal: set composing: %w", err)
	}
	return nil
}

func (s *composingWrite) apply(t *transaction) error {
	created, err := t.revision.next(t)
	if err != nil {
		return err
	}
	m := &s.mark
	_, err = t.exec(insertComposing, arrow(m.Direction), m.Thread.Channel, string(m.Thread.Thread), m.Conversation, m.Agent,
		t.stamp, created)
	return err
}

// clearWrite removes a mark. It is not awaited: a mark that stands too long
// costs one call after a restart.
type clearWrite struct{ mark bridge.ComposingMark }

// ClearComposing implements [bridge.Journal].
func (j *Journal) ClearComposing(m bridge.ComposingMark) {
	j.w.push(&clearWrite{m}, markPatience)
}

func (s *clearWrite) apply(t *transaction) error {
	m := &s.mark
	_, err := t.exec(deleteComposing, arrow(m.Direction), m.Thread.Channel, string(m.Thread.Thread), m.Conversation, m.Agent)
	return err
}

func (*clearWrite) finish(error) {}

func (*clearWrite) kept() bool { return true }

// Composing implements [bridge.Journal].
func (j *Journal) Composing(ctx context.Context) ([]bridge.ComposingMark, error) {
	var list []bridge.ComposingMark
	s, now := j.clock.shift(), j.clock.read()
	err := j.each(ctx, composingMarks, nil, func(scan func(...any) error) error {
		var m bridge.ComposingMark
		var direction string
		var since int64
		err := scan(&direction, &m.Thread.Channel, &m.Thread.Thread, &m.Conversation, &m.Agent, &since)
		m.Direction, m.Since = towards(direction), s.past(since, now)
		list = append(list, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("journal: composing: %w", err)
	}
	return list, nil
}
