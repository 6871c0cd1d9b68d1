package journal

import (
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"lpbridge/internal/pgcluster"
)

// TestLayoutsAgree: schema.go and pgschema.go say the same of tables, columns and keys, and a transfer knows of all.
func TestLayoutsAgree(t *testing.T) {
	t.Parallel()
	opts := &TransferOptions{Logger: slog.New(slog.DiscardHandler)}
	file, err := openEnd(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "journal.db"), opts, target)
	if err != nil {
		t.Fatal(err)
	}
	defer file.close()
	there, err := openEnd(t.Context(), pgcluster.Schema(t), opts, target)
	if err != nil {
		t.Fatal(err)
	}
	defer there.close()
	a, err := file.layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := there.layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(a, b, func(a, b table) bool { return a.equal(&b) }) {
		t.Errorf("SQLite has %+v\nPostgreSQL has %+v", a, b)
	}
	var names []string
	for i := range a {
		names = append(names, a[i].name)
		if !slices.ContainsFunc(a[i].columns, func(c column) bool { return c.key == 1 }) {
			t.Errorf("%s has no key", a[i].name)
		}
	}
	known := slices.Sorted(slices.Values(tables))
	if !slices.Equal(names, known) {
		t.Errorf("SQLite has the tables %v, known are %v", names, known)
	}
}
