package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// fileEnd is a file of SQLite at one end of a transfer.
type fileEnd struct{ *sqliteEngine }

func openFileEnd(ctx context.Context, path string, as role) (end, error) {
	layout := (*sqliteEngine).makeRoom
	if as == source {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoStore, err)
		}
		layout = (*sqliteEngine).requireLayout
	}
	s, err := openSQLiteAs(ctx, path, layout)
	if err != nil {
		return nil, err
	}
	return &fileEnd{s}, nil
}

// requireLayout fails unless the schema is this release's.
func (s *sqliteEngine) requireLayout(ctx context.Context) error {
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	return transferable(version, len(migrations))
}

// transferable says what keeps a schema's version from being read as this release's.
func transferable(version, known int) error {
	if version == 0 {
		return errNoStore
	}
	if version < known {
		return fmt.Errorf("an earlier release wrote this database (schema version %d of %d): start this release on it once, stop it, and move it then", version, known)
	}
	return knownLayout(version, known)
}

// notEmpty is what a target is refused with that has rows.
func notEmpty(table string) error {
	return fmt.Errorf("the target holds a journal already, for its table %s has rows: name a file that there is not, or a schema without tables (search_path), or remove what is there", table)
}

// makeRoom leaves empty tables and the mark of a journal that is not finished.
func (s *sqliteEngine) makeRoom(ctx context.Context) error {
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if version != unfinishedLayout {
		if err := knownLayout(version, len(migrations)); err != nil {
			return err
		}
		if err := checkEmpty(ctx, tx); err != nil {
			return err
		}
	}
	if err := makeTables(ctx, tx); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	// What another journal noted beside a file of this name says nothing of this one.
	s.seen = 0
	return tx.Commit()
}

// makeTables makes empty tables in place of those that are there, and the mark.
func makeTables(ctx context.Context, tx *sql.Tx) error {
	if err := withTables(ctx, tx, "DROP TABLE "); err != nil {
		return err
	}
	for _, m := range migrations {
		// Without rows there is nothing that a time would be filled in for.
		if _, err := tx.ExecContext(ctx, strings.ReplaceAll(m, nowToken, "0")); err != nil {
			return err
		}
	}
	// Migrations write a first row here and there.
	if err := withTables(ctx, tx, "DELETE FROM "); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(unfinishedLayout))
	return err
}

// withTables does something with each table.
func withTables(ctx context.Context, tx *sql.Tx, what string) error {
	names, err := tableNames(ctx, tx)
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, what+name); err != nil {
			return err
		}
	}
	return err
}

func tableNames(ctx context.Context, tx *sql.Tx) (names []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func checkEmpty(ctx context.Context, tx *sql.Tx) error {
	names, err := tableNames(ctx, tx)
	for _, name := range names {
		var full bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+name+")").Scan(&full); err != nil {
			return err
		}
		if full {
			return notEmpty(name)
		}
	}
	return err
}

// sqliteForms are the values of columns by their declared type.
var sqliteForms = map[string]form{"INTEGER": asNumber, "TEXT": asText, "BLOB": asBytes}

// layout implements tableReader.
func (f *fileEnd) layout(ctx context.Context) (tables []table, err error) {
	rows, err := f.readDB.QueryContext(ctx, `SELECT m.name, c.name, c.type, c.pk FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.name, c.name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var of, kind string
		var c column
		if err := rows.Scan(&of, &c.name, &kind, &c.key); err != nil {
			return nil, err
		}
		var known bool
		if c.form, known = sqliteForms[kind]; !known {
			return nil, fmt.Errorf("the column %s of %s has the type %s", c.name, of, kind)
		}
		tables = withColumn(tables, of, c)
	}
	return tables, rows.Err()
}

// withColumn adds a column to the last table, or to a new one.
func withColumn(tables []table, name string, c column) []table {
	if n := len(tables); n == 0 || tables[n-1].name != name {
		tables = append(tables, table{name: name})
	}
	last := &tables[len(tables)-1]
	last.columns = append(last.columns, c)
	return tables
}

// count implements tableReader.
func (f *fileEnd) count(ctx context.Context, t *table) (n int64, err error) {
	err = f.readDB.QueryRowContext(ctx, "SELECT count(*) FROM "+t.name).Scan(&n)
	return n, err
}

// scan implements tableReader.
func (f *fileEnd) scan(ctx context.Context, t *table, row func([]any) error) error {
	rows, err := f.readDB.QueryContext(ctx, "SELECT "+t.names()+" FROM "+t.name) //nolint:gosec // names of our own layout
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer rows.Close()
	raw, dest := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range raw {
		dest[i] = &raw[i]
	}
	for n := 1; rows.Next(); n++ {
		if err := rows.Scan(dest...); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		values := make([]any, len(raw))
		for i := range raw {
			if values[i], err = t.columns[i].value(raw[i]); err != nil {
				return fmt.Errorf("read: row %d as SQLite lists them: %w", n, err)
			}
		}
		if err := row(values); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// insert implements tableWriter.
func (f *fileEnd) insert(ctx context.Context, t *table, rows [][]any) error {
	tx, err := f.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(t.columns)), ", ")
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+t.names()+") VALUES ("+marks+")") //nolint:gosec // names of our own layout
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, row := range rows {
		if _, err := stmt.ExecContext(ctx, row...); err != nil {
			return fmt.Errorf("%s: %w", t.rowName(row), err)
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = f.checkpoint(ctx, checkpointPages)
	return err
}

// finish implements tableWriter.
func (f *fileEnd) finish(ctx context.Context, seq int64) error {
	tx, err := f.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if seq > 0 {
		if _, err := tx.ExecContext(ctx, text[upsertMeta], metaSeq, seq); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(len(migrations))); err != nil {
		return err
	}
	return errors.Join(tx.Commit(), syncFolder(filepath.Dir(f.path)))
}
