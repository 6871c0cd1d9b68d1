package journal

import (
	"path/filepath"
	"testing"

	"lpbridge/internal/pgcluster"
)

// OnEngines runs a test on each kind of database, with an empty one. Where only PostgreSQL is asked
// for, such tests run side by side, for they wait for it more than they work.
func OnEngines(t *testing.T, run func(t *testing.T, store string)) {
	if pgcluster.Alone() {
		t.Parallel()
	} else {
		t.Run("sqlite", func(t *testing.T) { run(t, "sqlite:"+filepath.Join(t.TempDir(), "journal.db")) })
	}
	t.Run("postgres", func(t *testing.T) { run(t, pgcluster.Schema(t)) })
}
