package journal_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/journal"
)

func options(path string) journal.Options {
	return journal.Options{Store: "sqlite:" + path, Logger: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, opts journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func batch(ids ...bridge.EventID) bridge.Batch {
	var b bridge.Batch
	for _, id := range ids {
		b.Entries = append(b.Entries, bridge.Entry{
			Lane: bridge.LaneKey{Channel: "webhook", Thread: "t"}, ID: id, Kind: bridge.KindMessage,
			Payload: []byte(strings.Repeat("x", 100)),
		})
	}
	return b
}

func TestJournal(t *testing.T) {
	for _, c := range []struct {
		name      string
		retention time.Duration
	}{{"delivered events deleted", 0}, {"delivered events kept", time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bridgetest.TestJournal(t, func(t *testing.T) func() bridge.Journal {
				opts := options(filepath.Join(t.TempDir(), "new", "odd ?name%41", "journal.db"))
				opts.Retention = c.retention
				return func() bridge.Journal { return open(t, opts) }
			})
		})
	}
}
