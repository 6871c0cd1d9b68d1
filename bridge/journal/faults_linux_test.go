package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"modernc.org/sqlite"

	"lpbridge/bridge"
)

// redirect makes this process's write-ahead log /dev/null, which takes writes
// and refuses to flush, and returns a function that undoes it.
func redirect(t *testing.T, path string) (restore func()) {
	t.Helper()
	dev, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	type moved struct{ fd, saved int }
	var all []moved
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range fds {
		var fd int
		if _, err := fmt.Sscan(entry.Name(), &fd); err != nil {
			t.Fatal(err)
		}
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err != nil || target != path+"-wal" {
			continue
		}
		saved, err := syscall.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Dup3(int(dev.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		all = append(all, moved{fd, saved})
	}
	if len(all) == 0 {
		t.Fatal("the process has no write-ahead log open")
	}
	return func() {
		for _, m := range all {
			if err := syscall.Dup3(m.saved, m.fd, syscall.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			syscall.Close(m.saved)
		}
	}
}

// TestFlushFails makes an fsync fail once and then work again: the journal must
// not take the second for the truth.
func TestFlushFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, options(path))
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	seqs, err := j.Append(t.Context(), batch("m-1"))
	if err != nil {
		t.Fatal(err)
	}
	restore := redirect(t, path)
	_, err = j.Append(t.Context(), batch("m-2"))
	restore()
	if !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("append without flush: error %v, want ErrStorage", err)
	}
	<-j.Failed()
	const ioerrFsync = 1034
	if cause, ok := errors.AsType[*sqlite.Error](j.Err()); !ok || cause.Code() != ioerrFsync {
		t.Errorf("failed for %v, want for an fsync", j.Err())
	}
	if _, err := j.Append(t.Context(), batch("m-3")); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("append afterwards: error %v, want ErrStorage", err)
	}
	if _, err := j.Flag(t.Context(), "f"); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("read afterwards: error %v, want ErrStorage", err)
	}
	durable := make(chan error, 1)
	j.Settle(bridge.Settlement{Seq: seqs[0], Final: bridge.Done, Durable: func(err error) { durable <- err }})
	if err := <-durable; !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("settlement afterwards: error %v, want ErrStorage", err)
	}
	if err := j.Close(); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("close: error %v, want ErrStorage", err)
	}

	j = open(t, options(path))
	defer j.Close()
	seqs, err = j.Append(t.Context(), batch("m-1", "m-2", "m-3"))
	if err != nil {
		t.Fatal(err)
	}
	if seqs[0] != 0 || seqs[1] == 0 || seqs[2] == 0 {
		t.Errorf("seqs %v, want only the acknowledged event to be known", seqs)
	}
}
