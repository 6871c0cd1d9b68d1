package journal

import (
	"path/filepath"
	"testing"

	"lpbridge/internal/pgcluster"
)

// OnEngines runs a test on each kind of database, with an empty one.
func OnEngines(t *testing.T, run func(t *testing.T, store string)) {
	if !pgcluster.Alone() {
		t.Run("sqlite", func(t *testing.T) { run(t, "sqlite:"+filepath.Join(t.TempDir(), "journal.db")) })
	}
	t.Run("postgres", func(t *testing.T) { run(t, pgcluster.Schema(t)) })
}
