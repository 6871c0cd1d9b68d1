//go:build unix

package journal_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"log/slog"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// BenchmarkOpen is a start on 100 000 pending events of 1000 lanes.
func BenchmarkOpen(b *testing.B) {
	opts := journal.Options{
		Store: "sqlite:" + filepath.Join(b.TempDir(), "journal.db"), Logger: slog.New(slog.DiscardHandler), MaxPending: 1 << 40,
	}
	j, err := journal.Open(b.Context(), opts)
	if err != nil {
		b.Fatal(err)
	}
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		b.Fatal(err)
	}
	payload := []byte(strings.Repeat("x", 300))
	for n := range 1000 {
		var batch bridge.Batch
		for i := range 100 {
			batch.Entries = append(batch.Entries, bridge.Entry{
				Lane: bridge.LaneKey{Channel: "webhook", Thread: bridge.ThreadID(fmt.Sprintf("thread-%06d", (n*100+i)%1000))},
				ID:   bridge.EventID(fmt.Sprintf("e-%d-%d", n, i)), Kind: bridge.KindMessage, Payload: payload,
			})
		}
		if _, err := j.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	before := cpuTime(b)
	for b.Loop() {
		j, err := journal.Open(b.Context(), opts)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64((cpuTime(b)-before)/time.Duration(b.N))/1e6, "cpu-ms/op")
}
