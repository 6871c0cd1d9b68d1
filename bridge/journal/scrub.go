package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"lpbridge/bridge"
)

// SQLite overwrites what it deletes in pages that stay in use, and not in pages that
// come free: what was in them stands there until they are full of something else, also
// behind the end of something shorter. So after an erasure the database is written
// anew. Its log has pages as they were, and is emptied.

// errRead means that another program keeps the log from being emptied.
var errRead = errors.New("another program reads the database")

// Scrub rewrites the database, so that nothing is left in its files of what was
// deleted. Nothing is written meanwhile, so that whoever asks for that waits; it
// needs free space of twice the database's size.
func (j *Journal) Scrub(ctx context.Context) error {
	for _, s := range []waited{&rewriteWrite{newWait(), j.w}, scrubbedWrite{newWait()}} {
		if err := j.w.do(ctx, s); err != nil {
			return fmt.Errorf("journal: scrub: %w", err)
		}
	}
	return nil
}

// rewriteWrite rewrites the database once everything before it is committed.
type rewriteWrite struct {
	wait
	w *writer
}

func (*rewriteWrite) apply(*transaction) error { return nil }

// finish runs on the writer, between two transactions.
func (s *rewriteWrite) finish(err error) {
	if err == nil {
		err = s.w.rewrite()
	}
	s.wait.finish(err)
}

// scrubbedWrite notes that nothing is owed.
type scrubbedWrite struct{ wait }

func (scrubbedWrite) apply(t *transaction) error {
	_, err := t.exec(upsertMeta, metaScrub, 0)
	return err
}

func (w *writer) rewrite() error {
	fatal, err := w.j.db.rewrite(context.Background())
	if err == nil {
		w.reserve()
		return nil
	}
	if fatal {
		w.fail(nil, err)
	}
	return fmt.Errorf("%w: %w", bridge.ErrStorage, err)
}

// fatalRewrite reports whether an error says that the disk cannot be trusted. All
// others leave the database as it was.
func fatalRewrite(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == sqlite3.SQLITE_IOERR_FSYNC || e.Code()&0xff == sqlite3.SQLITE_CORRUPT)
}

// rewrite copies the database into a temporary file beside it and back, and empties
// the log.
func (s *sqliteEngine) rewrite(ctx context.Context) (fatal bool, err error) {
	dir := strings.ReplaceAll(filepath.Dir(s.path), "'", "''")
	err = s.pragmas(ctx, "temp_store_directory = '"+dir+"'", "temp_store = FILE")
	if err == nil {
		if _, err = s.conn.ExecContext(ctx, "VACUUM"); err != nil {
			err = fmt.Errorf("rewrite the database: %w", err)
		}
	}
	err = errors.Join(err, s.pragmas(ctx, "temp_store = MEMORY"), s.emptyLog(ctx))
	return fatalRewrite(err), err
}

// emptyLog copies the log into the database and makes it a file without content.
func (s *sqliteEngine) emptyLog(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	var busy, log, copied int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &copied); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	// Space that was set aside behind the end of the files is gone.
	s.reserved = 0
	if busy != 0 {
		return errRead
	}
	return nil
}

// pragmas set something of the writing connection.
func (s *sqliteEngine) pragmas(ctx context.Context, list ...string) error {
	for _, what := range list {
		if _, err := s.conn.ExecContext(ctx, "PRAGMA "+what); err != nil {
			return fmt.Errorf("set %s: %w", what, err)
		}
	}
	return nil
}

// resumeScrub scrubs after an erasure that the process before did not finish.
func (j *Journal) resumeScrub() error {
	owed, _, err := j.db.meta(context.Background(), metaScrub)
	if err != nil || owed == 0 {
		return err
	}
	j.background.Go(func() {
		if err := j.Scrub(context.Background()); err != nil {
			j.log.Error("journal: what an erasure left in the database's files is still there, it is tried again at the next start", "error", err)
		}
	})
	return nil
}
