package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// transferTime bounds a transaction of a transfer.
const transferTime = time.Hour

// transferTries is how often PostgreSQL is asked for a connection before it counts as away.
const transferTries = 6

// lasting reports whether an error will be the same in a moment.
func lasting(err error) bool { return hopeless(err) || errors.Is(err, errReadOnly) }

// connectAtLast makes a connection to a server that may be busy.
func (e *pgEngine) connectAtLast(ctx context.Context) (*pgSession, error) {
	for failed := 0; ; {
		s, err := e.connect(ctx)
		if err == nil {
			return s, nil
		}
		if failed++; failed == transferTries || lasting(err) || pauseFor(ctx, watchEvery) != nil {
			return nil, err
		}
	}
}

// errInUse means that a process has the database.
var errInUse = errors.New("stop every lpbridge that uses this database, standbys too, and try again")

// claim takes the lease as a process does that cannot wait for an owner who lives.
func (l *lease) claim(ctx context.Context) error {
	defer func() {
		if l.stop == nil && l.session != nil {
			l.session.close()
		}
	}()
	var seen sighting
	failed := 0
	for limit := time.Now().Add(3 * leaseTime); ; {
		before := seen
		taken, reason, err := l.approach(ctx, &seen)
		switch {
		case err != nil:
			if failed++; failed == transferTries || lasting(err) {
				return explain(err)
			}
			seen = sighting{}
		case taken:
			return nil
		case !before.first.IsZero() && !before.first.Equal(seen.first) || time.Now().After(limit):
			return fmt.Errorf("%s: %w", strings.TrimPrefix(reason, "standby: "), errInUse)
		}
		if err := pauseFor(ctx, watchEvery); err != nil {
			return err
		}
	}
}

// postgresEnd is a database of PostgreSQL at one end of a transfer.
type postgresEnd struct {
	*pgEngine
	// reads is the connection that tables are read on.
	reads *pgSession
}

func openPostgresEnd(ctx context.Context, opts *Options, as role) (end, error) {
	e, err := newPostgres(opts)
	if err != nil {
		return nil, err
	}
	e.refill = as == target
	if as == source {
		if err := e.lookForJournal(ctx); err != nil {
			return nil, err
		}
	}
	if err := e.lease.claim(ctx); err != nil {
		return nil, err
	}
	p := &postgresEnd{pgEngine: e}
	p.reads, err = e.connectAtLast(ctx)
	if err == nil && as == target {
		err = p.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(explain(err), p.close())
	}
	return p, nil
}

// prepare makes a target ready to be filled.
func (p *postgresEnd) prepare(ctx context.Context) (err error) {
	if p.writing, err = p.connectAtLast(ctx); err != nil {
		return err
	}
	return p.transact(ctx, p.makeRoom)
}

// lookForJournal fails unless there is a journal of this release, and makes nothing.
func (e *pgEngine) lookForJournal(ctx context.Context) error {
	s, err := e.connectAtLast(ctx)
	if err != nil {
		return explain(err)
	}
	defer s.close()
	var there bool
	if _, err := s.ask(ctx, `SELECT to_regclass('layout') IS NOT NULL`, nil, &there); err != nil {
		return explain(err)
	}
	if !there {
		return fmt.Errorf("%w in the schema %s of this database", errNoStore, s.searchPath)
	}
	version, err := readVersion(ctx, s)
	if err != nil {
		return explain(err)
	}
	return transferable(version, len(pgMigrations))
}

// close implements engine.
func (p *postgresEnd) close() error {
	if p.reads != nil {
		p.reads.close()
	}
	return p.pgEngine.close()
}

// transact runs a part of a transfer in one transaction of the owner.
func (e *pgEngine) transact(ctx context.Context, do func(context.Context, *pgSession) error) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	err := e.writing.within(transferTime)
	if err == nil {
		err = do(ctx, e.writing)
	}
	if err != nil {
		return errors.Join(away(e.writing, err), e.rollback(ctx))
	}
	if err = e.commit(ctx); !errors.Is(err, errUnanswered) {
		return err
	}
	return e.learnFate(ctx, err)
}

// learnFate finds out how a commit ended, if PostgreSQL says so soon.
func (e *pgEngine) learnFate(ctx context.Context, cause error) error {
	for limit := time.Now().Add(transactionTime); ; {
		committed, err := e.fate(ctx)
		switch {
		case err == nil && committed:
			return nil
		case err == nil || e.severityOf(err) == broken || time.Now().After(limit):
			return errors.Join(cause, err)
		}
		if err := pauseFor(ctx, retryPatience); err != nil {
			return errors.Join(cause, err)
		}
	}
}

// makeRoom leaves empty tables and the mark of a journal that is not finished.
func (e *pgEngine) makeRoom(ctx context.Context, s *pgSession) error {
	if err := s.run(ctx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrationLock)); err != nil {
		return err
	}
	version, err := readVersion(ctx, s)
	if err != nil {
		return err
	}
	if version != unfinishedLayout {
		if err := knownLayout(version, len(pgMigrations)); err != nil {
			return err
		}
		if err := checkEmptyTables(ctx, s); err != nil {
			return err
		}
	}
	if err := s.run(ctx, "DROP TABLE IF EXISTS peer, "+strings.Join(tables, ", ")); err != nil {
		return fmt.Errorf("empty the target: %w", err)
	}
	for _, m := range pgMigrations {
		if err := s.run(ctx, strings.ReplaceAll(m, nowToken, "0")); err != nil {
			return fmt.Errorf("make the tables: %w", err)
		}
	}
	return s.run(ctx, fmt.Sprintf(`UPDATE layout SET version = %d`, unfinishedLayout))
}

func checkEmptyTables(ctx context.Context, s *pgSession) error {
	for _, name := range tables {
		var there, full bool
		if _, err := s.ask(ctx, `SELECT to_regclass($1) IS NOT NULL`, []string{name}, &there); err != nil {
			return err
		}
		if !there {
			continue
		}
		if _, err := s.ask(ctx, `SELECT EXISTS (SELECT 1 FROM `+name+`)`, nil, &full); err != nil {
			return err
		}
		if full {
			return notEmpty(name)
		}
	}
	return nil
}

// pgForms are the values of columns by the name of their type.
var pgForms = map[string]form{"int8": asNumber, "int4": asNumber, "int2": asNumber, "text": asText, "bytea": asBytes}

// layout implements tableReader.
func (p *postgresEnd) layout(ctx context.Context) (list []table, err error) {
	rows := p.reads.conn.ExecParams(ctx, `SELECT c.relname::text, a.attname::text, t.typname::text, a.atttypid::bigint, coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
		WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY (string_to_array($1, ','))
		ORDER BY c.relname COLLATE "C", a.attname COLLATE "C"`, [][]byte{[]byte(strings.Join(tables, ","))}, nil, nil, binaryForm)
	_, err = readRows(rows, func(scan func(...any) error) error {
		var of, kind string
		var oid int64
		var c column
		if err := scan(&of, &c.name, &kind, &oid, &c.key); err != nil {
			return err
		}
		c.oid = uint32(oid)
		var known bool
		if c.form, known = pgForms[kind]; !known {
			return fmt.Errorf("the column %s of %s has the type %s", c.name, of, kind)
		}
		list = withColumn(list, of, c)
		return nil
	})
	return list, err
}

// count implements tableReader.
func (p *postgresEnd) count(ctx context.Context, t *table) (n int64, err error) {
	_, err = p.reads.ask(ctx, "SELECT count(*) FROM "+t.name, nil, &n)
	return n, err
}

// scan implements tableReader. It ends with the lease.
func (p *postgresEnd) scan(ctx context.Context, t *table, row func([]any) error) error {
	held, cancel, ok := p.lease.hold(ctx)
	defer cancel()
	if !ok {
		return fmt.Errorf("read: %w", errDeposed)
	}
	var failed error
	s := p.reads
	rows := s.conn.ExecParams(held, "SELECT "+t.names()+" FROM "+t.name, nil, nil, nil, binaryForm)
	for failed == nil && rows.NextRow() {
		var values []any
		if values, failed = readTuple(rows); failed == nil {
			failed = row(values)
		}
	}
	if failed != nil {
		// What the server would still send is not waited for.
		s.close()
		return failed
	}
	if _, err := rows.Close(); err != nil {
		return fmt.Errorf("read: %w", away(s, err))
	}
	return nil
}

func readTuple(rows *pgconn.ResultReader) ([]any, error) {
	raw, fields := rows.Values(), rows.FieldDescriptions()
	values := make([]any, len(raw))
	for i := range raw {
		if err := readValue(&values[i], raw[i], fields[i].DataTypeOID); err != nil {
			return nil, fmt.Errorf("read: the column %s: %w", fields[i].Name, err)
		}
	}
	return values, nil
}

// insert implements tableWriter. When PostgreSQL refuses a row it is found.
func (p *postgresEnd) insert(ctx context.Context, t *table, rows [][]any) error {
	// The transaction must not stand still: the server would end it.
	data, err := packRows(t, rows)
	if err == nil {
		err = p.transact(ctx, func(ctx context.Context, s *pgSession) error { return copyIn(ctx, s, t, data, len(rows)) })
	}
	if err == nil || p.severityOf(err) != faulty {
		return err
	}
	if len(rows) == 1 {
		return fmt.Errorf("PostgreSQL does not take %s: %w", t.rowName(rows[0]), err)
	}
	half := len(rows) / 2
	if err := p.insert(ctx, t, rows[:half]); err != nil {
		return err
	}
	return p.insert(ctx, t, rows[half:])
}

// packRows writes rows as PostgreSQL's COPY takes them in its binary form.
func packRows(t *table, rows [][]any) ([]byte, error) {
	data := append([]byte("PGCOPY\n\xff\r\n\x00"), make([]byte, 8)...)
	for _, row := range rows {
		data = binary.BigEndian.AppendUint16(data, uint16(len(row)))
		for i, v := range row {
			at := len(data)
			data = append(data, 0, 0, 0, 0)
			var err error
			if data, err = appendValue(data, v, t.columns[i].oid); err != nil {
				return nil, fmt.Errorf("the column %s: %w", t.columns[i].name, err)
			}
			binary.BigEndian.PutUint32(data[at:], uint32(len(data)-at-4))
		}
	}
	return binary.BigEndian.AppendUint16(data, 0xffff), nil
}

// copyIn has PostgreSQL take packed rows.
func copyIn(ctx context.Context, s *pgSession, t *table, packed []byte, rows int) error {
	tag, err := s.conn.CopyFrom(ctx, bytes.NewReader(packed), "COPY "+t.name+" ("+t.names()+") FROM STDIN (FORMAT binary)")
	if err == nil && tag.RowsAffected() != int64(rows) {
		err = fmt.Errorf("%w: %d rows of %d", errUnequal, tag.RowsAffected(), rows)
	}
	return err
}

// finish implements tableWriter.
func (p *postgresEnd) finish(ctx context.Context, seq int64) error {
	err := p.transact(ctx, func(ctx context.Context, s *pgSession) error {
		// What nobody knows anything of is read in a bad way.
		for _, name := range tables {
			if err := s.run(ctx, "ANALYZE "+name); err != nil {
				return err
			}
		}
		if seq > 0 {
			if _, err := s.query(ctx, upsertMeta, []any{metaSeq, seq}, nil); err != nil {
				return err
			}
		}
		return s.run(ctx, fmt.Sprintf(`UPDATE layout SET version = %d`, len(pgMigrations)))
	})
	if err != nil {
		return explain(err)
	}
	return nil
}
