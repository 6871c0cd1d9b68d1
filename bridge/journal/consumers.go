package journal

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

// consumerWrite saves a consumer.
type consumerWrite struct {
	wait
	row bridge.ConsumerRow
}

// SaveConsumer implements [bridge.Journal].
func (j *Journal) SaveConsumer(ctx context.Context, c bridge.ConsumerRow) error {
	if err := j.w.do(ctx, &consumerWrite{wait: newWait(), row: c}); err != nil {
		return fmt.Errorf("journal: save consumer: %w", err)
	}
	return nil
}

func (s *consumerWrite) apply(t *transaction) error { return t.saveConsumer(&s.row) }

func (t *transaction) saveConsumer(c *bridge.ConsumerRow) error {
	_, err := t.exec(saveConsumer, c.Channel, string(c.ID), c.ExtConsumer, c.LPConsumer, bytesOf(c.Profile), t.stamp)
	return err
}

// Consumer implements [bridge.Journal].
func (j *Journal) Consumer(ctx context.Context, channel string, id bridge.ConsumerID) (*bridge.ConsumerRow, error) {
	c := bridge.ConsumerRow{Channel: channel, ID: id}
	found, err := j.find(ctx, consumerByID, []any{channel, string(id)}, &c.ExtConsumer, &c.LPConsumer, &c.Profile)
	if err != nil {
		return nil, fmt.Errorf("journal: read consumer: %w", err)
	}
	if !found {
		return nil, nil
	}
	return &c, nil
}

// bytesOf keeps an empty value from being stored as none.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
