package journal

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

// MessagesAt implements [bridge.Journal].
func (j *Journal) MessagesAt(ctx context.Context, dialog string, sequences []int64) ([]bridge.LedgerEntry, error) {
	var list []bridge.LedgerEntry
	for _, sequence := range sequences {
		e := bridge.LedgerEntry{Sequence: sequence}
		found, err := j.scanFound(ctx, messageAt, []any{dialog, sequence}, &e.Channel, &e.Thread, &e.Source)
		if err != nil {
			return nil, fmt.Errorf("journal: messages at a position: %w", err)
		}
		if found {
			list = append(list, e)
		}
	}
	return list, nil
}

// LastOf implements [bridge.Journal].
func (j *Journal) LastOf(ctx context.Context, dialog string) (int64, error) {
	last := int64(-1)
	if _, err := j.scanFound(ctx, lastOf, []any{dialog}, &last); err != nil {
		return 0, fmt.Errorf("journal: last message of a dialog: %w", err)
	}
	return last, nil
}
