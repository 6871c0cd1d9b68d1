package journal_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

// crashTransfer is where a process to be killed moves the journal of crashStore to, crashStep the step at
// which it waits for that.
const (
	crashTransfer = "JOURNAL_CRASH_TRANSFER"
	crashStep     = "JOURNAL_CRASH_STEP"
)

// transferUpTo moves a journal until a step, and waits to be killed.
func transferUpTo(from, to, step string) error {
	last, err := strconv.Atoi(step)
	if err != nil {
		return err
	}
	opts := transferring(from, to)
	opts.Step = func(s journal.TransferStep) {
		if last--; last == 0 {
			fmt.Println(s.Table, s.Compared)
			select {}
		}
	}
	_, err = journal.Transfer(context.Background(), opts)
	return err
}

// filled is a journal with events in many batches, and one in each table it can easily have.
func filled(t *testing.T, store string) {
	t.Helper()
	j := open(t, on(store))
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		var ids []bridge.EventID
		for n := range 1000 {
			ids = append(ids, bridge.EventID(fmt.Sprint(i, "-", n)))
		}
		accept(t, j, ids...)
	}
	if err := j.SetFlag(t.Context(), "f", "1"); err != nil {
		t.Fatal(err)
	}
	if err := j.SetComposing(t.Context(), bridge.ComposingMark{Thread: bridge.ThreadKey{Channel: "webhook", Thread: "t"}, Conversation: "c"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKilledTransfer: one that is killed at any step leaves a target that nothing starts on and a source that is
// what it was; done again it makes the same journal as one that was not disturbed.
func TestKilledTransfer(t *testing.T) {
	t.Parallel()
	file := "sqlite:" + filepath.Join(memoryDir(t), "journal.db")
	filled(t, file)
	before := rowsOf(t, file)
	there := pgcluster.Schema(t)
	want := transfer(t, file, there)
	for _, of := range []struct {
		name, from string
		to         func(t *testing.T) string
	}{
		{"to PostgreSQL", file, func(t *testing.T) string { return pgcluster.Schema(t) }},
		{"to a file", there, func(t *testing.T) string { return "sqlite:" + filepath.Join(memoryDir(t), "journal.db") }},
	} {
		t.Run(of.name, func(t *testing.T) {
			to := of.to(t)
			t.Parallel()
			for step, in := range map[string]string{"1": "composing false", "3": "events false", "25": "threads true"} {
				said := killAt(t, 1, crashStore+"="+of.from, crashTransfer+"="+to, crashStep+"="+step)
				if said[0] != in {
					t.Errorf("step %s is %s, want %s", step, said[0], in)
				}
				if j, err := journal.Open(t.Context(), on(to)); err == nil || !strings.Contains(err.Error(), "migrate-store began to fill this database") {
					t.Fatalf("after step %s the target was opened: %v, %v", step, j, err)
				}
			}
			same(t, "what was carried over", transfer(t, of.from, to), want)
			same(t, "the file", rowsOf(t, file), before)
			j := open(t, on(to))
			defer j.Close()
			if n := j.PendingCount(); n != 12000 {
				t.Errorf("%d events wait, want 12000", n)
			}
		})
	}
}

// TestCancelledTransfer: one that is told to stop says so, and leaves what a killed one leaves, which every command
// that looks at a store tells.
func TestCancelledTransfer(t *testing.T) {
	t.Parallel()
	file := "sqlite:" + filepath.Join(memoryDir(t), "journal.db")
	filled(t, file)
	there := pgcluster.Schema(t)
	back := filepath.Join(memoryDir(t), "journal.db")
	for _, of := range []struct {
		from, to string
		inspect  func() error
	}{
		{file, there, func() error {
			_, err := journal.InspectPostgres(t.Context(), there, "")
			return err
		}},
		{there, "sqlite:" + back, func() error { return journal.Inspect(t.Context(), back) }},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		opts := transferring(of.from, of.to)
		opts.Step = func(s journal.TransferStep) {
			if s.Table == "events" {
				cancel()
			}
		}
		if _, err := journal.Transfer(ctx, opts); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
		if err := of.inspect(); err == nil || !strings.Contains(err.Error(), "migrate-store began to fill this database") {
			t.Errorf("a check says %v", err)
		}
		transfer(t, of.from, of.to)
		if err := of.inspect(); err != nil {
			t.Errorf("afterwards a check says %v", err)
		}
	}
}
