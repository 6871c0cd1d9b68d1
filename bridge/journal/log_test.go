package journal

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lpbridge/bridge"
)

// TestLogUnderOverlappingReaders writes much while there is never a moment
// without a reader.
func TestLogUnderOverlappingReaders(t *testing.T) {
	j, err := Open(t.Context(), Options{
		Store: "sqlite:" + filepath.Join(t.TempDir(), "journal.db"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	lane := bridge.LaneKey{Channel: "webhook", Thread: "t", Direction: bridge.ToLivePerson}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if _, err := j.PendingOf(ctx, lane, int64((i*37+n)%100), 20); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	payload := []byte(strings.Repeat("x", 20_000))
	var longest int64
	for n := range 70 {
		var b bridge.Batch
		for i := range 50 {
			b.Entries = append(b.Entries, bridge.Entry{Lane: lane, ID: bridge.EventID(fmt.Sprint(n, "-", i)), Payload: payload})
		}
		if _, err := j.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, j.Stats().LogBytes)
	}
	stop()
	all.Wait()
	t.Logf("the log grew to %d MiB, %d checkpoints", longest>>20, j.Checkpoints())
	if longest > 3*checkpointPages*4096 {
		t.Errorf("the log grew to %d MiB", longest>>20)
	}
}
