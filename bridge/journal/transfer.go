package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// A journal moves between a file and PostgreSQL table by table, as it is: what was
// pending, in doubt, dead, known or composing is just that afterwards, and numbers go on
// where they were. The one at the source is only read. The other is marked as
// unfinished before anything is in it, and no process starts on it, until what it holds was read
// again and has the same rows.

// How much of a table is written with one transaction.
const (
	transferRows  = 5000
	transferBytes = 4 << 20
)

var (
	errSameKind = errors.New("one store must be a file, sqlite:PATH, and the other PostgreSQL's, postgres://USER@HOST/DATABASE; lpbridge backup copies a file, pg_dump a database")
	errNoStore  = errors.New("there is no journal")
	errUnequal  = errors.New("what was written is not what was read")
)

// TransferOptions are what a journal is moved with.
type TransferOptions struct {
	// From and To are stores as Options.Store is, Password the database's, instead of one in
	// its address.
	From, To, Password string
	// Logger gets what happens to the lease of the database; it must not be nil.
	Logger *slog.Logger
	// Step, if set, is told how far it is. It must not block.
	Step func(TransferStep)
}

// TransferStep is how far a transfer is.
type TransferStep struct {
	// Compared says that the rows of a table are read again, and before that they are
	// written. Rows of all its Of rows are done.
	Compared bool
	Table    string
	Rows, Of int64
}

// Transferred is what a transfer carried over.
type Transferred struct {
	Tables []TransferredTable
	// Lost is how many accepted events may have been missing at the source already, for
	// its log had lost its end; see Stats.
	Lost int64
}

// TransferredTable is a table of which both ends have the same rows.
type TransferredTable struct {
	Name string
	Rows int64
	// Sum is a checksum of all rows, whatever their order, in hexadecimal digits.
	Sum string
}

// Transfer copies a journal from a file to PostgreSQL or back, and compares both. No process
// may have either. The target must be new or empty, or what an earlier transfer
// left unfinished, which is begun again. The journal at the source stays as it is, and must not be
// started again once that at the target was. After an error the target is either untouched or one that
// [Open] refuses.
func Transfer(ctx context.Context, opts TransferOptions) (*Transferred, error) {
	if isFile(opts.From) == isFile(opts.To) {
		return nil, fmt.Errorf("journal: transfer: %w", errSameKind)
	}
	from, err := openEnd(ctx, opts.From, &opts, source)
	if err != nil {
		return nil, fmt.Errorf("journal: transfer: from: %w", err)
	}
	to, err := openEnd(ctx, opts.To, &opts, target)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal: transfer: to: %w", err), from.close())
	}
	t := transfer{from: from, to: to, step: opts.Step}
	if t.step == nil {
		t.step = func(TransferStep) {}
	}
	done, err := t.run(ctx)
	if err = errors.Join(err, from.close(), to.close()); err != nil {
		return nil, fmt.Errorf("journal: transfer: %w", err)
	}
	return done, nil
}

func isFile(store string) bool { return strings.HasPrefix(store, "sqlite:") }

// role is which end of a transfer a database is.
type role bool

const (
	source role = false
	target role = true
)

// end is a database at one end of a transfer.
type end interface {
	engine
	tableReader
	tableWriter
}

// tableReader reads tables as they are.
type tableReader interface {
	// layout lists the tables of the journal, in the order of their names.
	layout(ctx context.Context) ([]table, error)
	count(ctx context.Context, t *table) (int64, error)
	// scan calls row for every row of a table, which may keep it.
	scan(ctx context.Context, t *table, row func([]any) error) error
}

// tableWriter fills empty tables.
type tableWriter interface {
	// insert adds rows with a transaction of their own.
	insert(ctx context.Context, t *table, rows [][]any) error
	// finish makes a journal of what was filled. Unless seq is 0 no number up to it is
	// given again.
	finish(ctx context.Context, seq int64) error
}

// openEnd takes a store for this process alone. A target is empty then, and marked.
func openEnd(ctx context.Context, store string, opts *TransferOptions, as role) (end, error) {
	if path, ok := strings.CutPrefix(store, "sqlite:"); ok {
		return openFileEnd(ctx, path, as)
	}
	return openPostgresEnd(ctx, &Options{Store: store, Password: opts.Password, Logger: opts.Logger}, as)
}

type transfer struct {
	from, to end
	step     func(TransferStep)
}

func (t *transfer) run(ctx context.Context) (*Transferred, error) {
	tables, err := t.sameLayout(ctx)
	if err != nil {
		return nil, err
	}
	seq, lost, err := t.lastSeen(ctx)
	if err != nil {
		return nil, err
	}
	sums := make([]rowSum, len(tables))
	for i := range tables {
		if sums[i], err = t.copyTable(ctx, &tables[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", tables[i].name, err)
		}
	}
	done := &Transferred{Lost: lost}
	for i := range tables {
		if err := t.compareTable(ctx, &tables[i], &sums[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", tables[i].name, err)
		}
		done.Tables = append(done.Tables, TransferredTable{Name: tables[i].name, Rows: sums[i].rows, Sum: sums[i].String()})
	}
	return done, t.to.finish(ctx, seq)
}

// sameLayout lists the tables, as the target describes them. Both ends must have the same.
func (t *transfer) sameLayout(ctx context.Context) ([]table, error) {
	from, err := t.from.layout(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the tables at the source: %w", err)
	}
	to, err := t.to.layout(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the tables at the target: %w", err)
	}
	if !slices.EqualFunc(from, to, func(a, b table) bool { return a.equal(&b) }) {
		return nil, fmt.Errorf("the tables of both ends are not the same: %v and %v", from, to)
	}
	return to, nil
}

// lastSeen returns the highest seq that was noted beside the source, when that is
// higher than all it holds, and how many events may be missing.
func (t *transfer) lastSeen(ctx context.Context) (seq, lost int64, err error) {
	var last, given int64
	db := store{t.from}
	if err = db.scan(ctx, lastEvent, &last); err != nil {
		return 0, 0, fmt.Errorf("read the last event: %w", err)
	}
	mark, _, err := db.meta(ctx, metaKeys)
	if err != nil {
		return 0, 0, err
	}
	if given, _, err = db.meta(ctx, metaSeq); err != nil {
		return 0, 0, err
	}
	seen := t.from.left().seen
	if seen > max(last, mark) {
		lost = seen - max(last, mark)
	}
	if seen > given {
		seq = seen
	}
	return seq, lost, nil
}

func (t *transfer) copyTable(ctx context.Context, of *table) (sum rowSum, err error) {
	total, err := t.from.count(ctx, of)
	if err != nil {
		return sum, fmt.Errorf("count: %w", err)
	}
	step := TransferStep{Table: of.name, Of: total}
	var rows [][]any
	size := 0
	write := func() error {
		if len(rows) == 0 {
			return nil
		}
		if err := t.to.insert(ctx, of, rows); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		step.Rows += int64(len(rows))
		t.step(step)
		clear(rows)
		rows, size = rows[:0], 0
		return nil
	}
	err = t.from.scan(ctx, of, func(row []any) error {
		sum.add(of, row)
		rows = append(rows, row)
		if size += sizeOf(row); len(rows) < transferRows && size < transferBytes {
			return nil
		}
		return write()
	})
	if err != nil {
		return sum, err
	}
	return sum, write()
}

// compareTable reads a table of the target again.
func (t *transfer) compareTable(ctx context.Context, of *table, want *rowSum) error {
	var found rowSum
	step := TransferStep{Compared: true, Table: of.name, Of: want.rows}
	err := t.to.scan(ctx, of, func(row []any) error {
		found.add(of, row)
		if step.Rows = found.rows; found.rows%transferRows == 0 {
			t.step(step)
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.step(step)
	if found != *want {
		return fmt.Errorf("%w: %d rows with the checksum %s, and there are %d with %s", errUnequal, want.rows, want, found.rows, &found)
	}
	return nil
}
