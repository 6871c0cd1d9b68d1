//go:build unix

package journal_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

func openBench(b *testing.B, retention time.Duration) *journal.Journal {
	b.Helper()
	j, err := journal.Open(b.Context(), journal.Options{
		Store: "sqlite:" + filepath.Join(b.TempDir(), "journal.db"), Logger: slog.New(slog.DiscardHandler),
		MaxPending: 1 << 40, Retention: retention,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := j.Close(); err != nil {
			b.Error(err)
		}
	})
	return j
}

// BenchmarkAppend is the cost of making an event of 300 bytes durable.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j := openBench(b, 0)
			if err := j.Start(func([]bridge.Entry) {}); err != nil {
				b.Fatal(err)
			}
			run(b, j, callers)
		})
	}
}

// BenchmarkCycle is an event's whole stay in the journal: appended as begun,
// settled as delivered with its position in the dialog.
func BenchmarkCycle(b *testing.B) {
	for _, retention := range []time.Duration{0, 24 * time.Hour} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("retention=%v/callers=%d", retention, callers), func(b *testing.B) {
				j := openBench(b, retention)
				saveThreads(b, j)
				var settled sync.WaitGroup
				err := j.Start(func(entries []bridge.Entry) {
					for _, e := range entries {
						settled.Go(func() {
							j.Settle(bridge.Settlement{
								Seq: e.Seq, Lane: e.Lane, Final: bridge.Done, Dialog: dialogOf(e.Lane.Thread),
								Sequence: e.Seq, Source: e.ID,
							})
						})
					}
				})
				if err != nil {
					b.Fatal(err)
				}
				run(b, j, callers)
				settled.Wait()
			})
		}
	}
}

const benchThreads = 1000

// dialogOf names a thread's dialog as LivePerson does: at random.
func dialogOf(th bridge.ThreadID) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(th)).String()
}

func saveThreads(b *testing.B, j *journal.Journal) {
	b.Helper()
	var all sync.WaitGroup
	for i := range benchThreads {
		all.Go(func() {
			th := bridge.ThreadID(fmt.Sprintf("thread-%06d", i))
			err := j.Save(b.Context(), bridge.Standing{
				Threads: []bridge.Thread{{
					Channel: "webhook", ID: th, Consumer: "consumer", ExtConsumer: strings.Repeat("e", 40),
					LPConsumer: "lp" + string(th), Conversation: dialogOf(th),
				}},
				Conversations: []bridge.Conversation{{
					ID: dialogOf(th), Channel: "webhook", Thread: th, Dialog: dialogOf(th), LPConsumer: "lp" + string(th), Open: true,
				}},
			})
			if err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
}

func run(b *testing.B, j *journal.Journal, callers int) {
	payload := []byte(strings.Repeat("x", 300))
	var next atomic.Int64
	var all sync.WaitGroup
	commits := j.Commits()
	cpu, written := cpuTime(b), bytesWritten(b)
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				_, err := j.Append(b.Context(), bridge.Batch{Entries: []bridge.Entry{{
					Lane: bridge.LaneKey{Channel: "webhook", Thread: bridge.ThreadID(fmt.Sprintf("thread-%06d", n%benchThreads))},
					ID:   bridge.EventID(fmt.Sprintf("%08x-1c2d-4e5f-8a9b-000000000000", n*2654435761)), Kind: bridge.KindMessage,
					Payload: payload, Accepted: time.Now(), Begun: true,
				}}})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(j.Commits()-commits)/float64(b.N), "commits/op")
	b.ReportMetric(float64(bytesWritten(b)-written)/float64(b.N), "written-B/op")
	b.ReportMetric(float64(cpuTime(b)-cpu)/1e3/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bytesWritten is what this process has handed to the kernel to write, where the
// kernel tells.
func bytesWritten(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	var n int64
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	return 0
}
