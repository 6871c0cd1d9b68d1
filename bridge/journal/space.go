package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What was accepted must be delivered though the disk is full, and the end of a
// delivery is written too. So space is set aside before it is needed: for the
// log to start over in, and for the database to take all that the log may hold
// and what settlements add to it. Once no more can be set aside nothing is
// accepted any more, and what was set aside serves the rest.

const (
	// logReserve is what the log has at least.
	logReserve = 8 << 20
	// headroom is by how much the database may grow before more is set aside:
	// twice what the log may hold while readers overlap, and half a log for what
	// is written when nothing is accepted any more.
	headroom = (2*checkpointPages + checkpointPages/2) * pageSize
	// reserveUnit is how much is set aside at a time.
	reserveUnit = checkpointPages * pageSize / 2
	// lockReserve is the space of the lock file, which is given up for SQLite's
	// shared memory when a database is opened.
	lockReserve = 128 << 10
	// scarcePages is how long the log may grow while nothing is accepted.
	scarcePages = 256
	// scarceEvery is how often it is looked whether there is space again.
	scarceEvery = 5 * time.Second
)

const pageSize = 4096

// errMoved is what a journal says whose files are not where they were opened:
// what is written there is gone when the process ends.
var errMoved = errors.New("the database's files were deleted or replaced while it is open")

// files are the database's, open beside SQLite. They must be closed after it:
// the end of any descriptor gives up SQLite's locks on the file.
type files struct {
	lock, data, log *os.File
	// seen is the last seq the lock file tells of.
	seen int64
	// reserved is what was set aside for the database.
	reserved int64
	// cannot says that the file system sets nothing aside.
	cannot bool
}

// openFiles opens the database's files beside SQLite, which has made them.
func (s *sqliteEngine) openFiles() error {
	var err error
	if s.log, err = os.OpenFile(s.path+"-wal", os.O_RDWR, 0); err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	return nil
}

// verify reports an error when the files are not where they were.
func (s *sqliteEngine) verify() error {
	for _, f := range []*os.File{s.data, s.log} {
		there, err := os.Stat(f.Name())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("look at the database's files: %w", err)
		}
		held, heldErr := f.Stat()
		if heldErr != nil {
			return fmt.Errorf("look at the database's files: %w", heldErr)
		}
		if err != nil || !os.SameFile(there, held) {
			return errMoved
		}
	}
	return nil
}

// reserve implements upkeep.
func (s *sqliteEngine) reserve(ctx context.Context, doubted bool) error {
	if doubted {
		// Some file systems set nothing aside, and a limit of this process may have
		// become narrower than what was.
		if err := s.try(tryBytes); noSpace(err) {
			return err
		}
	}
	if s.cannot {
		return nil
	}
	var pages int64
	if err := s.conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return fmt.Errorf("read page_count: %w", err)
	}
	need := pages*pageSize + headroom
	if need <= s.reserved {
		return nil
	}
	if s.reserved == 0 {
		can, err := preallocate(s.log, logReserve)
		if err != nil {
			return fmt.Errorf("the log: %w", err)
		}
		s.cannot = !can
	}
	if s.cannot {
		return nil
	}
	need += reserveUnit
	if _, err := preallocate(s.data, need); err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	s.reserved = need
	return nil
}

// giveBack frees the space kept for SQLite's shared memory, keepBack takes it
// again when there is some.
func (s *sqliteEngine) giveBack() error { return s.lock.Truncate(0) }

func (s *sqliteEngine) keepBack() {
	// Without it a restart on a full disk may fail, nothing else.
	_, _ = preallocate(s.lock, lockReserve)
	seen := s.seen
	s.seen = 0
	s.note(seen)
}

// severityOf implements statements.
func (s *sqliteEngine) severityOf(err error) severity {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		switch {
		case noSpace(err):
			return full
		case errors.Is(err, errMoved):
			return later
		}
		return broken
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return full
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return later
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return faulty
	}
	// SQLite knows a full disk, and takes a quota or a limit of this process for
	// a broken one. A flush that failed is another error and stays one.
	if e.Code() == sqlite3.SQLITE_IOERR_WRITE && s.probe() {
		return full
	}
	return broken
}

// probe reports whether a file as long as the longest of the database's finds no
// space for another page.
func (s *sqliteEngine) probe() bool { return noSpace(s.try(pageSize)) }

// tryBytes is what there must be space for when it is not known.
const tryBytes = 64 * pageSize

// try writes some bytes behind the end that the longest of the database's files has, in
// a file of its own.
func (s *sqliteEngine) try(bytes int) error {
	database, log := s.sizes()
	f, err := os.OpenFile(s.path+".probe", os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("try to write: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err = f.WriteAt(make([]byte, bytes), max(database, log)); err != nil {
		return fmt.Errorf("try to write: %w", err)
	}
	return nil
}
