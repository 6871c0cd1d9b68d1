package journal

import (
	"context"
	"fmt"
	"time"
)

// engine is a kind of database. What both kinds share is in statements.go; what an
// engine does its own way is behind this.
type engine interface {
	statements
	upkeep
	heritage
	// sizes returns how many bytes the database and its log take on disk.
	sizes() (database, log int64)
	// close ends an engine in order, abandon one that failed.
	close() error
	abandon() error
}

// statements runs the statements of statements.go. Those of the writer run in its
// transaction and are its own to ask for once it runs; the others read what is
// committed. Arguments are not kept.
type statements interface {
	// exec runs a statement and returns how many rows it changed.
	exec(ctx context.Context, s statement, args []any) (int64, error)
	// row reads the row a statement may have and reports whether it had.
	row(ctx context.Context, s statement, args, dest []any) (bool, error)
	// each calls row for every row of a statement, which must not read by itself.
	each(ctx context.Context, s statement, args []any, row func(scan func(...any) error) error) error
	// severityOf says what an error of the database means.
	severityOf(err error) severity
}

// upkeep is what the writer has done between transactions.
type upkeep interface {
	// verify reports an error when what is written would not be found again.
	verify() error
	// reserve sets space aside for what may be written before it is called again. Doubted
	// says that something found no space, so that what was set aside before proves nothing.
	reserve(ctx context.Context, doubted bool) error
	// checkpoint shortens the log once it holds limit pages and reports whether it did.
	checkpoint(ctx context.Context, limit int) (bool, error)
	// rewrite leaves nothing in the files of what was deleted. Fatal says that the
	// disk cannot be trusted any more.
	rewrite(ctx context.Context) (fatal bool, err error)
}

// heritage is what one process tells the next besides its rows.
type heritage interface {
	// left is what the process before left behind.
	left() legacy
	// note keeps the last seq where the database's own log cannot lose it.
	note(seq int64)
}

// legacy is what a process leaves behind besides its rows.
type legacy struct {
	// fresh says that there was no database, touched when it was last written.
	fresh   bool
	touched time.Time
	// seen is the last seq that was noted outside of the database, 0 for none.
	seen int64
}

// severity says what an error of the database means for the journal.
type severity int

const (
	// broken is a disk or a database that cannot be trusted any more.
	broken severity = iota
	// later is somebody else's lock, or a database that is away: the transaction was
	// undone and the next may succeed. full is the same for want of space.
	later
	full
	// faulty is one write's values that the database will never take: the
	// transaction was undone and the other writes would have succeeded.
	faulty
)

// store is an engine and what is asked of all alike.
type store struct{ engine }

// find reads the row a statement may have and reports whether it had.
func (s store) find(ctx context.Context, st statement, args []any, dest ...any) (bool, error) {
	found, err := s.row(ctx, st, args, dest)
	return found, readError(err)
}

// scan reads the one row a statement always has.
func (s store) scan(ctx context.Context, st statement, dest ...any) error {
	_, err := s.find(ctx, st, nil, dest...)
	return err
}

// meta reads one of the journal's own numbers and reports whether it is set.
func (s store) meta(ctx context.Context, name string) (int64, bool, error) {
	var value int64
	found, err := s.find(ctx, metaOf, []any{name}, &value)
	if err != nil {
		return 0, false, fmt.Errorf("read %s: %w", name, err)
	}
	return value, found, nil
}

// list calls row for every row of a statement.
func (s store) list(ctx context.Context, st statement, args []any, row func(scan func(...any) error) error) error {
	return readError(s.each(ctx, st, args, row))
}
