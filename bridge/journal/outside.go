package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// errDamaged is what [Inspect] finds wrong with a database whose pages do not fit
// together.
var errDamaged = errors.New("the database is damaged")

// Inspect looks a database through from another process, whether or not a bridge
// has it: that its pages fit together, and that no newer release wrote it. It
// changes nothing; where a process left its log, SQLite makes its index anew, which
// the next start does anyway. It reads every page, so that ctx should bound it; one that ends
// too early gives ctx's error. Without a database there is nothing wrong.
func Inspect(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	db, err := openOutside(path)
	if err != nil {
		return err
	}
	defer db.Close()
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return outsideError(ctx, "read the schema version", err)
	}
	if err := knownLayout(version, len(migrations)); err != nil {
		return err
	}
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return outsideError(ctx, "look the database through", err)
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, strings.TrimSpace(found))
	}
	return nil
}

// outsideError tells that time was up from what is wrong.
func outsideError(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// openOutside opens a database to read. One without a log is not in use, and read
// without the files SQLite would make beside it.
func openOutside(path string) (*sql.DB, error) {
	mode := "&mode=ro"
	if _, err := os.Stat(path + "-wal"); errors.Is(err, os.ErrNotExist) {
		mode += "&immutable=1"
	}
	db, err := sql.Open("sqlite", dsn(path, busyPragma)+mode)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// Backup writes a copy of a database as it is at one moment to a file that must
// not exist, from another process, whether or not a bridge has it. What a bridge
// accepts meanwhile is not in it and not held up. The copy is on disk, and was
// looked through, when Backup returns without an error; with one there is no file.
func Backup(ctx context.Context, path, to string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	// SQLite would give the copy the mode of any new file.
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(copyInto(ctx, path, to), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	if err := errors.Join(Inspect(ctx, to), syncFolder(filepath.Dir(to))); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

func copyInto(ctx context.Context, path, to string) error {
	db, err := openOutside(path)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return outsideError(ctx, "copy the database", err)
	}
	return nil
}

// syncFolder has the name of a new file survive a power cut.
func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
