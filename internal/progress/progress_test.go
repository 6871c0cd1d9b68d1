package progress

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLinesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var done atomic.Int64
		stop := Show(&out, func() string { return fmt.Sprintf("%d of 3", done.Load()) })
		time.Sleep(25 * time.Second) // two lines that would say the same: one is shown
		synctest.Wait()
		done.Store(2)
		time.Sleep(10 * time.Second)
		stop()
		stop()
		if diff := cmp.Diff("10s  0 of 3\n30s  2 of 3\n", out.String()); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
	})
}

func TestOneLineOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := shower{out: &out, words: func() string { return "half" }, terminal: true, began: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		s.run(ctx)
		if diff := cmp.Diff("\r\x1b[K0s  half\r\x1b[K0s  half\r\x1b[K", out.String()); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
	})
}

func TestWhatIsATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if terminal(file) || terminal(&bytes.Buffer{}) {
		t.Error("nobody looks at a file, nor at a buffer")
	}
}
