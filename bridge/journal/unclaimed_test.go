package journal

import (
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
)

// TestUnclaimedOfOneConversation: whether a change is known is found out without
// reading all others of its conversation. One of another connector's may have
// thousands while ours are being opened, and all writes would wait for that.
func TestUnclaimedOfOneConversation(t *testing.T) {
	j, err := Open(t.Context(), Options{
		Store: "sqlite:" + filepath.Join(t.TempDir(), "journal.db"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for st, want := range map[statement]string{
		sameUnclaimed: "SEARCH unclaimed USING COVERING INDEX unclaimed_same (conversation=? AND body=?)",
		unclaimedOf:   "SEARCH unclaimed USING INDEX unclaimed_conversation (conversation=?)",
	} {
		if got := plan(t, j, text[st]); !slices.Equal(got, []string{want}) {
			t.Errorf("%s\n\tis answered by %q, want %q", text[st], got, want)
		}
	}
}
