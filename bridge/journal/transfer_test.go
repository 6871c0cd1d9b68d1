package journal_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

func transferring(from, to string) journal.TransferOptions {
	return journal.TransferOptions{From: from, To: to, Logger: slog.New(slog.DiscardHandler)}
}

func transfer(t *testing.T, from, to string) *journal.Transferred {
	t.Helper()
	done, err := journal.Transfer(t.Context(), transferring(from, to))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestMovedAgainstMemory moves a journal between a file and PostgreSQL again and again in
// the middle of a life, and compares all that can be seen with a journal that was only closed.
func TestMovedAgainstMemory(t *testing.T) {
	t.Parallel()
	pgcluster.Shared(t)
	file := files(t)
	againstMemory(t, file, func(p *pair) func(*rapid.T) {
		return func(*rapid.T) {
			to := file()
			if strings.HasPrefix(p.opts.Store, "sqlite:") {
				to = pgcluster.Schema(t)
			}
			p.must(p.disk.Close())
			p.must(p.memory.Close())
			_, err := journal.Transfer(p.t.Context(), transferring(p.opts.Store, to))
			p.must(err)
			p.opts.Store = to
			disk, err := journal.Open(p.t.Context(), p.opts)
			p.must(err)
			p.disk, p.memory = disk, p.memory.Reopen()
			p.start()
		}
	})
}

// rowsOf reads all rows of a file by the words of SQLite's own shell, table by table.
func rowsOf(t *testing.T, store string) map[string][]string {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(store, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list := func(query string) (values []string) {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var v string
			if err := rows.Scan(&v); err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		return values
	}
	found := map[string][]string{"": list("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql")}
	for _, table := range list("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'") {
		columns := list("SELECT 'hex(CAST(' || name || ' AS BLOB))' FROM pragma_table_info('" + table + "') ORDER BY name")
		rows := list("SELECT " + strings.Join(columns, " || ',' || ") + " FROM " + table)
		slices.Sort(rows)
		found[table] = rows
	}
	return found
}

// TestRoundTripChangesNothing: text that PostgreSQL has no form for, which ids of strangers may
// be, comes back from there as it was, row for row, and so does what a killed process left.
func TestRoundTripChangesNothing(t *testing.T) {
	t.Parallel()
	first := "sqlite:" + filepath.Join(memoryDir(t), "journal.db")
	if lines := killAt(t, 2000, crashStore+"="+first, "JOURNAL_CRASH_ROUND=000"); len(lines) < 2000 {
		t.Fatalf("%d lines", len(lines))
	}
	j := open(t, on(first))
	for i, odd := range []string{"a\x00b", "\xff\xfe", "\x01", "\x01\x01\x02\x03ff", "é\xc3", "\xed\xa0\x80", ""} {
		b := bridge.Batch{
			Entries: []bridge.Entry{{Lane: bridge.LaneKey{Channel: "webhook", Thread: bridge.ThreadID("t" + odd)}, ID: bridge.EventID(fmt.Sprint(i, odd)), Kind: bridge.KindMessage, Payload: []byte(odd)}},
			Records: []bridge.ChannelRecord{{Channel: "layer", Record: bridge.Record{Kind: "contact", ID: int64(i + 1), Parent: odd, Keys: []string{fmt.Sprint(i, odd)}, Data: []byte(odd)}}},
		}
		if _, err := j.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before := rowsOf(t, first)
	there := pgcluster.Schema(t)
	out := transfer(t, first, there)
	same(t, "the source afterwards", rowsOf(t, first), before)
	second := "sqlite:" + filepath.Join(t.TempDir(), "new", "journal.db")
	back := transfer(t, there, second)
	same(t, "what came back", rowsOf(t, second), before)
	same(t, "what was told of both ways", back, out)
	if len(out.Tables) != 18 || out.Tables[slices.IndexFunc(out.Tables, func(c journal.TransferredTable) bool { return c.Name == "events" })].Rows < 500 {
		t.Errorf("transferred %+v", out)
	}
	for _, table := range out.Tables {
		if table.Rows != int64(len(before[table.Name])) {
			t.Errorf("%s: %d rows are told of, there are %d", table.Name, table.Rows, len(before[table.Name]))
		}
	}
}

// refusedTransfer wants a transfer to fail with some words, and the source to stay what it was.
func refusedTransfer(t *testing.T, from, to, want string) {
	t.Helper()
	_, err := journal.Transfer(t.Context(), transferring(from, to))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "cluster-password") {
		t.Errorf("the error shows the password: %v", err)
	}
}

// TestTransferRefusals: what cannot be moved, and where to nothing can be, is said before
// anything is written.
func TestTransferRefusals(t *testing.T) {
	t.Parallel()
	c := pgcluster.Shared(t)
	dir := t.TempDir()
	file := func(name string) string { return "sqlite:" + filepath.Join(dir, name) }
	opened := func(store string) string {
		j := open(t, on(store))
		if _, err := j.Append(t.Context(), batch("m-1")); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		return store
	}
	versioned := func(store string, version int) string {
		opened(store)
		if schema, found := strings.CutPrefix(store, c.URL("postgres", "postgres")+"&search_path="); found {
			if _, err := c.Run("postgres", fmt.Sprintf("UPDATE %s.layout SET version = %d", schema, version)); err != nil {
				t.Fatal(err)
			}
			return store
		}
		execute(t, strings.TrimPrefix(store, "sqlite:"), fmt.Sprintf("PRAGMA user_version = %d", version))
		return store
	}
	full, fullThere := opened(file("full.db")), opened(pgcluster.Schema(t))
	unfinished := 1 << 30
	good := c.URL("postgres", "postgres")
	for _, of := range []struct{ name, from, to, want string }{
		{"two files", full, file("other.db"), "lpbridge backup copies a file"},
		{"two databases", fullThere, pgcluster.Schema(t), "pg_dump a database"},
		{"no file", file("none.db"), pgcluster.Schema(t), "from: there is no journal: stat "},
		{"an empty schema", pgcluster.Schema(t), file("other.db"), "from: there is no journal in the schema s"},
		{"a full database", full, fullThere, "to: the target holds a journal already, for its table events has rows"},
		{"a full file", fullThere, full, "to: the target holds a journal already, for its table events has rows"},
		{"an older file", versioned(file("older.db"), 2), pgcluster.Schema(t), "an earlier release wrote this database (schema version 2 of 3): start this release on it once"},
		{"an older database", versioned(pgcluster.Schema(t), 1), file("other.db"), "an earlier release wrote this database (schema version 1 of 2): start this release on it once"},
		{"a newer file", versioned(file("newer.db"), 4), pgcluster.Schema(t), "from: the database has schema version 4"},
		{"a newer database", versioned(pgcluster.Schema(t), 1000), file("other.db"), "from: the database has schema version 1000"},
		{"to a newer database", full, versioned(pgcluster.Schema(t), 1000), "to: the database has schema version 1000"},
		{"to a newer file", fullThere, versioned(file("newer2.db"), 4), "to: the database has schema version 4"},
		{"an unfinished file", versioned(file("half.db"), unfinished), pgcluster.Schema(t), "from: lpbridge migrate-store began to fill this database"},
		{"an unfinished database", versioned(pgcluster.Schema(t), unfinished), file("other.db"), "from: lpbridge migrate-store began to fill this database"},
		{"wrong password", full, strings.Replace(good, "cluster-password", "guess-password", 1), "check the user in LPBRIDGE_STORE"},
		{"no such database", full, c.URL("postgres", "elsewhere"), "create the database that LPBRIDGE_STORE names"},
		{"no address", full, "postgres://u:cluster-password%@127.0.0.1/x", "to: is no address that can be read"},
		{"nobody there", full, "postgres://u:cluster-password@127.0.0.1:1/x?sslmode=disable", "to: connect: "},
	} {
		t.Run(of.name, func(t *testing.T) { refusedTransfer(t, of.from, of.to, of.want) })
	}
	if n := open(t, on(fullThere)).PendingCount(); n != 1 {
		t.Errorf("%d events wait in the target that was refused, want 1", n)
	}
}

// TestTransferOfAJournalInUse: a journal that a process has is not moved, nor is one moved over it. An owner that was
// killed is no reason: its lease is waited for.
func TestTransferOfAJournalInUse(t *testing.T) {
	t.Parallel()
	file, there := "sqlite:"+filepath.Join(t.TempDir(), "journal.db"), pgcluster.Schema(t)
	other := pgcluster.Schema(t)
	onFile, onPostgres := open(t, on(file)), open(t, on(there))
	accept(t, onFile, "m-1")
	refusedTransfer(t, file, other, "another process has ")
	refusedTransfer(t, there, "sqlite:"+filepath.Join(t.TempDir(), "new.db"), "from: "+onPostgres.Owner().Name+" owns the journal (epoch 1): stop every lpbridge that uses this database")
	if err := onFile.Close(); err != nil {
		t.Fatal(err)
	}
	refusedTransfer(t, file, there, "to: "+onPostgres.Owner().Name+" owns the journal (epoch 1): stop every lpbridge")
	if err := onPostgres.Close(); err != nil {
		t.Fatal(err)
	}
	schema := other[strings.LastIndex(other, "=")+1:]
	if _, err := pgcluster.Shared(t).Run("postgres", "UPDATE "+schema+".lease SET owner = 'somebody who was killed', epoch = 5"); err == nil {
		t.Fatal("the schema has tables though the source was refused")
	}
	transfer(t, file, other)
	if _, err := pgcluster.Shared(t).Run("postgres", "UPDATE "+schema+".lease SET owner = 'somebody who was killed', epoch = 5"); err != nil {
		t.Fatal(err)
	}
	transfer(t, other, "sqlite:"+filepath.Join(t.TempDir(), "new.db"))
}

// TestTransferNamesWhatIsNotTaken: a row that PostgreSQL has no room for is named, and nothing is changed to make it fit.
func TestTransferNamesWhatIsNotTaken(t *testing.T) {
	t.Parallel()
	file, there := "sqlite:"+filepath.Join(t.TempDir(), "journal.db"), pgcluster.Schema(t)
	j := open(t, on(file))
	accept(t, j, "m-1", "m-2")
	long := batch("m-3", "m-4")
	long.Entries[0].Lane.Thread = bridge.ThreadID(randomText(6000))
	if _, err := j.Append(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before := rowsOf(t, file)
	refusedTransfer(t, file, there, "events: write: PostgreSQL does not take the row with seq 3: ")
	same(t, "the source", rowsOf(t, file), before)
	if _, err := journal.Open(t.Context(), on(there)); err == nil || !strings.Contains(err.Error(), "migrate-store began to fill this database") {
		t.Errorf("the target was opened: %v", err)
	}
	j = open(t, on(file))
	defer j.Close()
	if n := j.PendingCount(); n != 4 {
		t.Errorf("%d events wait in the source, want 4", n)
	}
}

// randomText is text that cannot be packed.
func randomText(length int) string {
	source := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, length)
	for i := range b {
		b[i] = byte('!' + source.IntN(90))
	}
	return string(b)
}

// TestTransferKnowsOfALostEnd: when the file's log lost its end, no number is given again at the target either,
// and it is told how many events may be missing.
func TestTransferKnowsOfALostEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, options(path))
	accept(t, j, "m-1", "m-2")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, "DELETE FROM events WHERE seq = 2; UPDATE meta SET value = 1 WHERE name = 'seq'")
	there := pgcluster.Schema(t)
	if done := transfer(t, "sqlite:"+path, there); done.Lost != 1 {
		t.Errorf("%d events lost, want 1", done.Lost)
	}
	j = open(t, on(there))
	defer j.Close()
	if seqs, err := j.Append(t.Context(), batch("m-3")); err != nil || seqs[0] != 3 {
		t.Errorf("the next number is %v, error %v, want 3", seqs, err)
	}
}
