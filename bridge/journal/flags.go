package journal

import (
	"context"
	"fmt"
)

// flagWrite writes a flag.
type flagWrite struct {
	wait
	name, value string
}

func (s *flagWrite) apply(t *transaction) error {
	_, err := t.exec(upsertFlag, s.name, s.value)
	return err
}

// Flag implements [bridge.Journal].
func (j *Journal) Flag(ctx context.Context, name string) (string, error) {
	var value string
	if _, err := j.find(ctx, flagOf, []any{name}, &value); err != nil {
		return "", fmt.Errorf("journal: flag: %w", err)
	}
	return value, nil
}

// SetFlag implements [bridge.Journal].
func (j *Journal) SetFlag(ctx context.Context, name, value string) error {
	if err := j.w.do(ctx, &flagWrite{wait: newWait(), name: name, value: value}); err != nil {
		return fmt.Errorf("journal: set flag: %w", err)
	}
	return nil
}
