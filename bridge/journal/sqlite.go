package journal

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
)

// minSQLite is the first release without the WAL-reset bug, which could
// corrupt a database that is checkpointed while it is written.
const minSQLite = 3_051_003

// Sizes of page caches, in KiB. Readers look at single rows and short lists.
const (
	writerCacheKiB = 8 << 10
	readerCacheKiB = 1 << 10
)

// readers is how many reading connections there may be.
const readers = 4

// checkpointPages is how long the write-ahead log may grow before its pages are
// copied into the database: 16 MiB. Longer saves rewriting the same pages,
// shorter saves disk and time at the next open after a crash.
const checkpointPages = 4096

// sqliteEngine is an open SQLite database: one connection that writes, some that read.
type sqliteEngine struct {
	path string
	files

	writeDB *sql.DB
	conn    *sql.Conn
	readDB  *sql.DB
	stmts   [allStatements]atomic.Pointer[sql.Stmt]
	// preparing is held while a statement is prepared.
	preparing sync.Mutex
	direct
	// reading is held for reading by whoever reads, so that the readers can be
	// asked to step aside while the log starts over.
	reading sync.RWMutex
	// fresh says that the database was made by this open, touched when its files
	// were last written before it.
	fresh   bool
	touched time.Time
}

// openSQLite opens or creates the database at path and brings its schema up to
// date. It fails when another process has it open.
func openSQLite(ctx context.Context, path string) (*sqliteEngine, error) {
	return openSQLiteAs(ctx, path, (*sqliteEngine).migrate)
}

// openSQLiteAs is openSQLite with another way to see to the schema.
func openSQLiteAs(ctx context.Context, path string, layout func(*sqliteEngine, context.Context) error) (*sqliteEngine, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the database: %w", err)
	}
	// The lock comes first: merely opening and closing the database file would
	// drop the locks SQLite holds on it for this process.
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &sqliteEngine{path: path, files: files{lock: lock}}
	if err := s.open(ctx, layout); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *sqliteEngine) open(ctx context.Context, layout func(*sqliteEngine, context.Context) error) error {
	s.touched = lastWritten(s.path, s.path+"-wal")
	// SQLite gives its log and index files the mode of the database file.
	var err error
	if s.data, err = os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("open the database file: %w", err)
	}
	s.readWitness()
	if err := s.giveBack(); err != nil {
		return fmt.Errorf("open the database file: %w", err)
	}
	if err := s.openWriter(ctx); err != nil {
		return err
	}
	if err := layout(s, ctx); err != nil {
		return err
	}
	if err := s.openFiles(); err != nil {
		return err
	}
	if err := s.openReaders(ctx); err != nil {
		return err
	}
	s.keepBack()
	return nil
}

// lastWritten returns the newest time of modification of the files that exist.
func lastWritten(paths ...string) time.Time {
	var last time.Time
	for _, path := range paths {
		if fi, err := os.Stat(path); err == nil && fi.ModTime().After(last) {
			last = fi.ModTime()
		}
	}
	return last
}

func (s *sqliteEngine) openWriter(ctx context.Context) error {
	var err error
	if s.writeDB, err = sql.Open("sqlite", dsn(s.path, busyPragma)); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	s.writeDB.SetMaxOpenConns(1)
	if s.conn, err = s.writeDB.Conn(ctx); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	for _, p := range []struct{ name, set, want string }{
		{"journal_mode", "WAL", "wal"},
		{"synchronous", "FULL", "2"},
		// We checkpoint ourselves: SQLite's automatic checkpoint swallows errors,
		// and an fsync that failed unseen is data lost.
		{"wal_autocheckpoint", "0", "0"},
		{"cache_size", strconv.Itoa(-writerCacheKiB), strconv.Itoa(-writerCacheKiB)},
		{"journal_size_limit", strconv.Itoa(checkpointPages * pageSize * 2), strconv.Itoa(checkpointPages * pageSize * 2)},
		{"temp_store", "MEMORY", "2"},
		// Deleted messages are overwritten, not merely unlinked.
		{"secure_delete", "FAST", "2"},
	} {
		if err := s.setPragma(ctx, p.name, p.set, p.want); err != nil {
			return err
		}
	}
	return s.keepLog()
}

// keepLog has SQLite empty its log at the end and not delete it, so that the
// space set aside for it stays ours.
func (s *sqliteEngine) keepLog() error {
	err := s.conn.Raw(func(driver any) error {
		control, ok := driver.(sqlite.FileControl)
		if !ok {
			return errors.New("the driver has no file control")
		}
		_, err := control.FileControlPersistWAL("main", 1)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the log: %w", err)
	}
	return nil
}

// setPragma sets a pragma and reads it back: SQLite ignores what it does not
// know and keeps what it cannot change.
func (s *sqliteEngine) setPragma(ctx context.Context, name, value, want string) error {
	var got string
	if _, err := s.conn.ExecContext(ctx, "PRAGMA "+name+" = "+value); err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	if err := s.conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&got); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if got != want {
		return fmt.Errorf("set %s: the database has %q instead of %q", name, got, want)
	}
	return nil
}

func (s *sqliteEngine) checkVersion(ctx context.Context) error {
	var version string
	if err := s.conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return fmt.Errorf("read SQLite's version: %w", err)
	}
	number := 0
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return fmt.Errorf("read SQLite's version: %w", err)
		}
		number = number*1000 + n
	}
	if number < minSQLite {
		return fmt.Errorf("SQLite %s can corrupt its log, 3.51.3 is needed", version)
	}
	return nil
}

// migrate brings the schema up to date in one transaction.
func (s *sqliteEngine) migrate(ctx context.Context) error {
	version, err := s.version(ctx)
	if err == nil {
		err = knownLayout(version, len(migrations))
	}
	if err != nil {
		return err
	}
	s.fresh = version == 0
	if version == len(migrations) {
		return nil
	}
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, m := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, migration(m, time.Now())); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(len(migrations))); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func (s *sqliteEngine) version(ctx context.Context) (version int, err error) {
	if err = s.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	return version, nil
}

// readerConnector makes connections of readers as they are needed. One that was made
// while the database's file is gone or another would find an empty database, and SQLite
// deletes the log beside an empty database.
type readerConnector struct {
	engine *sqliteEngine
	dsn    string
}

// Connect implements [driver.Connector].
func (c readerConnector) Connect(context.Context) (driver.Conn, error) {
	if err := c.engine.verify(); err != nil {
		return nil, err
	}
	return c.Driver().Open(c.dsn)
}

// Driver implements [driver.Connector].
func (c readerConnector) Driver() driver.Driver { return c.engine.writeDB.Driver() }

func (s *sqliteEngine) openReaders(ctx context.Context) error {
	s.readDB = sql.OpenDB(readerConnector{s, dsn(s.path, busyPragma, "query_only(1)",
		"cache_size("+strconv.Itoa(-readerCacheKiB)+")") + "&mode=rw"})
	s.readDB.SetMaxOpenConns(readers)
	s.readDB.SetMaxIdleConns(readers)
	if err := s.readDB.PingContext(ctx); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return nil
}

// prepare returns a statement, which it makes when it is first asked for: most are seldom
// needed, and all of them together take a good part of a start. Statements of the writer
// are the writer's to ask for, once it runs.
func (s *sqliteEngine) prepare(ctx context.Context, st statement) (*sql.Stmt, error) {
	if known := s.stmts[st].Load(); known != nil {
		return known, nil
	}
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if known := s.stmts[st].Load(); known != nil {
		return known, nil
	}
	var made *sql.Stmt
	var err error
	if st < writerStatements {
		made, err = s.conn.PrepareContext(ctx, text[st])
	} else {
		made, err = s.readDB.PrepareContext(ctx, text[st])
	}
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	s.stmts[st].Store(made)
	return made, nil
}

// row implements statements. A reader asks for its turn, so that the log can start over;
// the writer does that itself.
func (s *sqliteEngine) row(ctx context.Context, st statement, args, dest []any) (bool, error) {
	if st >= writerStatements {
		s.reading.RLock()
		defer s.reading.RUnlock()
	}
	stmt, err := s.prepare(ctx, st)
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each implements statements. The rows are closed when it returns: a reader that stays
// open keeps the log from being used again.
func (s *sqliteEngine) each(ctx context.Context, st statement, args []any, row func(scan func(...any) error) error) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	stmt, err := s.prepare(ctx, st)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// left implements engine.
func (s *sqliteEngine) left() legacy { return legacy{fresh: s.fresh, touched: s.touched, seen: s.seen} }

// checkpoint copies the write-ahead log into the database once it holds limit
// pages that were not, and makes the log start over when it is twice as long:
// while one reader after the other looks at its end, it never does by itself.
// It reports whether it copied anything. It runs between transactions, on the
// writing connection.
func (s *sqliteEngine) checkpoint(ctx context.Context, limit int) (bool, error) {
	log, copied, err := s.walCheckpoint(ctx, "NOOP")
	if err != nil || log-copied < limit && log < 2*limit {
		return false, err
	}
	if log, _, err = s.walCheckpoint(ctx, "PASSIVE"); err != nil || log < 2*limit {
		return true, err
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	// Whoever still reads is another program. It is not waited for.
	if err := s.setBusyTimeout(ctx, 0); err != nil {
		return true, err
	}
	_, _, err = s.walCheckpoint(ctx, "RESTART")
	return true, errors.Join(err, s.setBusyTimeout(ctx, busyTimeout))
}

// walCheckpoint runs a checkpoint of the given mode and returns how many pages
// the log has and how many of them are in the database.
func (s *sqliteEngine) walCheckpoint(ctx context.Context, mode string) (log, copied int, err error) {
	var busy int
	err = s.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &log, &copied)
	if err != nil {
		return 0, 0, fmt.Errorf("checkpoint: %w", err)
	}
	return log, copied, nil
}

func (s *sqliteEngine) setBusyTimeout(ctx context.Context, d time.Duration) error {
	if _, err := s.conn.ExecContext(ctx, "PRAGMA busy_timeout = "+strconv.FormatInt(d.Milliseconds(), 10)); err != nil {
		return fmt.Errorf("set busy_timeout: %w", err)
	}
	return nil
}

// busyTimeout is how long another program's lock is waited for.
const busyTimeout = time.Second

var busyPragma = "busy_timeout(" + strconv.FormatInt(busyTimeout.Milliseconds(), 10) + ")"

// close closes the connections and gives up the lock. The last connection to
// close copies the log into the database.
func (s *sqliteEngine) close() error {
	var errs []error
	errs = append(errs, s.closeDirect())
	for i := range s.stmts {
		if stmt := s.stmts[i].Load(); stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	if s.readDB != nil {
		errs = append(errs, s.readDB.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.writeDB != nil {
		errs = append(errs, s.writeDB.Close())
	}
	if s.log != nil && !s.cannot {
		// SQLite gave the log's space up; a disk that is full by now has none.
		_, _ = preallocate(s.log, logReserve)
	}
	for _, f := range []*os.File{s.data, s.log} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// abandon lets go of a database that failed. The writing connection stays open
// until the process ends: closing it would copy the log into the database, as
// if the disk could still be trusted.
func (s *sqliteEngine) abandon() error {
	return errors.Join(s.readDB.Close(), s.lock.Close())
}

// sizes returns how many bytes the database and its log take on disk.
func (s *sqliteEngine) sizes() (database, log int64) {
	if fi, err := os.Stat(s.path); err == nil {
		database = fi.Size()
	}
	if fi, err := os.Stat(s.path + "-wal"); err == nil {
		log = fi.Size()
	}
	return database, log
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": pragmas}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}
