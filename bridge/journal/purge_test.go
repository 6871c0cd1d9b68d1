package journal

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

// count counts the rows of a table.
func (j *Journal) count(t *testing.T, table string) int {
	t.Helper()
	var n int
	var err error
	ask := "SELECT count(*) FROM " + table
	if pg, ok := j.db.engine.(*pgEngine); ok {
		if strings.HasPrefix(table, "(") {
			ask += " AS these"
		}
		var s *pgSession
		if s, err = pg.connect(t.Context()); err == nil {
			defer s.close()
			_, err = s.ask(t.Context(), ask, nil, &n)
		}
	} else {
		err = sqliteOf(j).readDB.QueryRowContext(t.Context(), ask).Scan(&n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPurge has more rows than one range holds, of which some must stay.
func TestPurge(t *testing.T) { OnEngines(t, purgeOn) }

func purgeOn(t *testing.T, store string) {
	const many = 1100
	j, err := Open(t.Context(), Options{
		Store: store, Logger: slog.New(slog.DiscardHandler),
		Retention: time.Hour, HistoryRetention: 24 * time.Hour,
		Expire: map[string][]string{"layer": {"message", "none"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	lane := bridge.LaneKey{Channel: "webhook", Thread: "t"}
	var b bridge.Batch
	for i := range many {
		b.Entries = append(b.Entries, bridge.Entry{Lane: lane, ID: bridge.EventID(fmt.Sprint("m-", i))})
		b.Records = append(b.Records,
			bridge.ChannelRecord{Channel: "layer", Record: bridge.Record{Kind: "message", ID: int64(i + 1), Keys: []string{fmt.Sprint("k-", i)}}},
		)
	}
	b.Records = append(b.Records, bridge.ChannelRecord{Channel: "layer", Record: bridge.Record{Kind: "contact", ID: 1}})
	seqs, err := j.Append(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i, seq := range seqs {
		s := bridge.Settlement{Seq: seq, Lane: lane, Final: bridge.Done, Dialog: fmt.Sprint("d-", i), Source: "s"}
		switch i % 100 {
		case 1:
			s.Final = bridge.Dead
		case 2:
			s.Final = bridge.Pending
		}
		j.Settle(s)
	}
	if err := j.Check(t.Context()); err != nil {
		t.Fatal(err)
	}

	expect := func(when string, events, known, ledger, records, keys int) {
		t.Helper()
		for table, want := range map[string]int{
			"events": events, "key_runs": known, "(SELECT 1 FROM ledger UNION ALL SELECT 1 FROM positions)": ledger, "records": records, "record_keys": keys,
		} {
			if n := j.count(t, table); n != want {
				t.Errorf("%s: %d rows in %s, want %d", when, n, table, want)
			}
		}
	}
	purge := func(later time.Duration, withKeys bool) {
		t.Helper()
		// What the first moves, the second forgets.
		for range 2 {
			if err := j.purger.purge(t.Context(), micros(time.Now().Add(later)), withKeys); err != nil {
				t.Fatal(err)
			}
			j.background.Wait()
		}
	}
	purge(59*time.Minute, true)
	expect("before any retention", many, 0, many, many+1, many)
	// Events stand in for their keys until these are in a run.
	purge(2*time.Hour, true)
	for deadline := time.Now().Add(10 * time.Second); j.count(t, "key_runs") == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	purge(2*time.Hour, true)
	expect("after that of delivered events", many/50, 1, many, many+1, many)
	purge(25*time.Hour, true)
	expect("after that of history", many/50, 1, many, 1, 0)
	purge(73*time.Hour, false)
	expect("after that of keys", many/50, 0, many, 1, 0)
	purge(31*24*time.Hour, true)
	expect("after that of positions", many/50, 0, 0, 1, 0)
	if n := j.PendingCount(); n != many/100 {
		t.Errorf("pending count %d, want %d", n, many/100)
	}
}

// TestPlans makes sure that what runs often finds its rows through an index.
func TestPlans(t *testing.T) {
	j, err := Open(t.Context(), Options{
		Store: "sqlite:" + filepath.Join(t.TempDir(), "journal.db"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	// Some read all of an index that holds nothing else, or of what they
	// gathered themselves.
	harmless := map[string]bool{
		"SCAN CONSTANT ROW": true,
		"SCAN events USING COVERING INDEX events_pending": true,
		"SCAN events USING COVERING INDEX events_dead":    true,
		"SCAN threads USING INDEX threads_composing":      true,
		"SCAN epochs":    true,
		"SCAN positions": true,
		"SCAN key_runs":  true,
		"SCAN composing": true,
		"SCAN unclaimed": true,
		"SCAN unclaimed USING COVERING INDEX unclaimed_same": true,
		"SCAN waiting": true,
		"SCAN w":       true,
		"SCAN named":   true,
	}
	for i, sql := range text {
		if statement(i) <= rollback {
			continue
		}
		for _, step := range plan(t, j, sql) {
			if strings.HasPrefix(step, "SCAN") && !harmless[step] {
				t.Errorf("%s\n\treads a whole table: %s", sql, step)
			}
		}
	}
}

func plan(t *testing.T, j *Journal, sql string) []string {
	t.Helper()
	args := make([]any, 0, 16)
	for _, c := range sql {
		if c == '?' {
			args = append(args, 0)
		}
	}
	rows, err := sqliteOf(j).readDB.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
