//go:build unix

package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
)

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}

// TestReadersWhileFilesAreMoved: who reads while the files are gone or are others gets an
// error, and does them no harm. SQLite deletes the log of a database that it finds empty.
func TestReadersWhileFilesAreMoved(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		t.Run(fmt.Sprintf("replaced=%v", replaced), func(t *testing.T) {
			dir := t.TempDir()
			file, aside := filepath.Join(dir, "journal.db"), filepath.Join(dir, "aside")
			j := open(t, options(file))
			defer j.Close()
			if err := j.Start(func([]bridge.Entry) {}); err != nil {
				t.Fatal(err)
			}
			if _, err := j.Append(t.Context(), batch("m-1")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file, aside); err != nil {
				t.Fatal(err)
			}
			if replaced {
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var reading sync.WaitGroup
			for range 64 {
				reading.Go(func() {
					_, _ = j.Lanes(t.Context(), bridge.LaneKey{}, 10)
					_, _ = j.Thread(t.Context(), bridge.ThreadKey{Channel: "webhook", Thread: "t"})
				})
			}
			reading.Wait()
			if err := os.Rename(aside, file); err != nil {
				t.Fatal(err)
			}
			eventually(t, "append after the files are back", func() error {
				_, err := j.Append(t.Context(), batch(bridge.EventID(fmt.Sprint("m-", time.Now().UnixNano()))))
				return err
			})
			if lanes, err := j.Lanes(t.Context(), bridge.LaneKey{}, 10); err != nil || len(lanes) == 0 {
				t.Errorf("lanes %v, %v", lanes, err)
			}
		})
	}
}

// TestFilesMoved takes the journal's files away while it is open: what is
// written there would be gone with the process, so nothing is accepted and the
// process does not count as ready.
func TestFilesMoved(t *testing.T) {
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		for _, replaced := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s replaced=%v", name, replaced), func(t *testing.T) {
				dir := t.TempDir()
				file, aside := filepath.Join(dir, name), filepath.Join(dir, "aside")
				j := open(t, options(filepath.Join(dir, "journal.db")))
				defer j.Close()
				if err := j.Start(func([]bridge.Entry) {}); err != nil {
					t.Fatal(err)
				}
				seqs, err := j.Append(t.Context(), batch("m-1"))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(file, aside); err != nil {
					t.Fatal(err)
				}
				if replaced {
					if err := os.WriteFile(file, nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				err = j.Check(t.Context())
				if !errors.Is(err, bridge.ErrStorage) || !strings.Contains(err.Error(), "deleted or replaced") {
					t.Errorf("check: error %v, want ErrStorage and why", err)
				}
				durable := make(chan error, 1)
				eventually(t, "append is refused", func() error {
					_, err := j.Append(t.Context(), batch(bridge.EventID(fmt.Sprint("m-", time.Now().UnixNano()))))
					if !errors.Is(err, bridge.ErrStorage) {
						return fmt.Errorf("error %w, want ErrStorage", err)
					}
					return nil
				})
				j.Settle(bridge.Settlement{Seq: seqs[0], Final: bridge.Done, Durable: func(err error) { durable <- err }})

				if err := os.Rename(aside, file); err != nil {
					t.Fatal(err)
				}
				if err := j.Check(t.Context()); err != nil {
					t.Errorf("check after the file is back: %v", err)
				}
				if err := <-durable; err != nil {
					t.Errorf("settlement after the file is back: %v", err)
				}
			})
		}
	}
}
