package journal

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

// The kinds of database.
const (
	engineSQLite   = "sqlite"
	enginePostgres = "postgres"
)

// leased is an engine that a process owns for a time only.
type leased interface {
	tenure() *lease
}

func (e *pgEngine) tenure() *lease { return e.lease }

// Hold implements [bridge.Journal].
func (j *Journal) Hold(ctx context.Context) (context.Context, context.CancelFunc, error) {
	l, ok := j.db.engine.(leased)
	if !ok {
		return ctx, func() {}, nil
	}
	held, cancel, ok := l.tenure().hold(ctx)
	if !ok {
		return ctx, cancel, fmt.Errorf("journal: %w: the lease of the journal has ended", bridge.ErrStorage)
	}
	return held, cancel, nil
}

// Holds reports whether this process may act on the journal.
func (o Owner) Holds() bool { return o.Engine == engineSQLite || o.Left > 0 }

// Owner says whose the journal is.
func (j *Journal) Owner() Owner {
	if l, ok := j.db.engine.(leased); ok {
		return l.tenure().owner()
	}
	return Owner{Engine: engineSQLite}
}

// watchTenure has the journal fail once another process owns it: what this one knows
// may be out of date.
func (j *Journal) watchTenure() {
	if l, ok := j.db.engine.(leased); ok {
		l.tenure().whenLost(func() { j.w.push(checkWrite{newWait()}, 0) })
	}
}
