package journal_test

import (
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/internal/pgcluster"
)

// TestJournalOnPostgres is the suite of all journals.
func TestJournalOnPostgres(t *testing.T) {
	pgcluster.Shared(t)
	for _, of := range []struct {
		name      string
		retention time.Duration
	}{{"delivered events deleted", 0}, {"delivered events kept", time.Hour}} {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			bridgetest.TestJournal(t, func(t *testing.T) func() bridge.Journal {
				opts := on(pgcluster.Schema(t))
				opts.Retention = of.retention
				return func() bridge.Journal { return open(t, opts) }
			})
		})
	}
}
