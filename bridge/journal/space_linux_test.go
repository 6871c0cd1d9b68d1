//go:build mount

package journal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lpbridge/bridge"
)

var spaceLane = bridge.LaneKey{Channel: "webhook", Thread: "t", Direction: bridge.ToLivePerson}

// fill appends until the journal refuses, and returns how many were accepted.
func fill(ctx context.Context, j bridge.Journal) (int, error) {
	payload := []byte(strings.Repeat("x", 20_000))
	for n := range 100_000 {
		_, err := j.Append(ctx, bridge.Batch{Entries: []bridge.Entry{{
			Lane: spaceLane, ID: bridge.EventID(fmt.Sprint("m-", time.Now().UnixNano())), Kind: bridge.KindMessage, Payload: payload,
		}}})
		switch {
		case errors.Is(err, bridge.ErrStorage):
			return n, nil
		case err != nil:
			return n, err
		}
	}
	return 0, errors.New("never refused")
}

// deliver settles up to limit pending events as delivered, one after the other.
func deliver(ctx context.Context, j bridge.Journal, limit int) (int, error) {
	list, err := j.PendingOf(ctx, spaceLane, 0, limit)
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		durable := make(chan error, 1)
		j.Settle(bridge.Settlement{
			Seq: e.Seq, Lane: e.Lane, Final: bridge.Done, Dialog: "8b2c1f1e-0000-4000-8000-000000000000", Sequence: e.Seq,
			Source: e.ID, Follow: []bridge.Entry{{
				Lane: bridge.LaneKey{Channel: "webhook", Thread: "t", Direction: bridge.ToChannel}, Kind: bridge.KindReceipt,
			}},
			Durable: func(err error) { durable <- err },
		})
		select {
		case err := <-durable:
			if err != nil {
				return 0, err
			}
		case <-time.After(10 * time.Second):
			return 0, fmt.Errorf("settlement of %d is not written", e.Seq)
		}
	}
	return len(list), nil
}

// fillDisk writes files until there is no byte left.
func fillDisk(t *testing.T, dir string) (remove func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk fills the disk another program shares with the journal: nothing
// new is accepted, what was accepted is delivered and that is written, and a
// restart comes up. It mounts a disk of its own to fill, which takes root:
// go test -tags mount.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=160m"); err != nil {
		t.Fatalf("mount a disk to fill: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	opts := options(filepath.Join(dir, "journal.db"))
	j := open(t, opts)
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), batch("first")); err != nil {
		t.Fatal(err)
	}
	remove := fillDisk(t, dir)
	accepted := 0
	// The log starts over a few times before there is nowhere to copy it to.
	for round := 0; j.Check(t.Context()) == nil; round++ {
		n, err := fill(t.Context(), j)
		if accepted += n; err != nil || round == 100 {
			t.Fatalf("a full disk counts as ready after %d rounds: %v", round, err)
		}
	}
	t.Logf("%d events accepted after the disk was full", accepted)
	if err := j.Check(t.Context()); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("check: error %v, want ErrStorage", err)
	}
	if n, err := deliver(t.Context(), j, accepted/2); err != nil {
		t.Fatalf("after %d: %v", n, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	// The space the log gave up may be gone by now.
	if f, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_APPEND|os.O_WRONLY, 0); err == nil {
		_, _ = io.Copy(f, zeros{})
		f.Close()
	}
	j = open(t, opts)
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatalf("start on a full disk: %v", err)
	}
	if n, err := deliver(t.Context(), j, 1_000_000); err != nil || n == 0 {
		t.Fatalf("after the restart: %d delivered: %v", n, err)
	}
	if _, err := fill(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	remove()
	eventually(t, "append after there was space again", func() error {
		_, err := j.Append(t.Context(), batch(bridge.EventID(fmt.Sprint("new-", time.Now().UnixNano()))))
		return err
	})
	if err := j.Err(); err != nil {
		t.Errorf("a full disk counts as failed: %v", err)
	}
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestFileSizeLimit has a process that may not write long files: that is a full
// disk, not a broken one.
func TestFileSizeLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	for _, life := range []string{"fill", "deliver the rest"} {
		lines := killAt(t, 1, crashStore+"=sqlite:"+path, crashLife+"="+life, crashFileLimit+"=67108864")
		if len(lines) != 1 || lines[0] != "lived" {
			t.Fatalf("%s: the process said %q", life, lines)
		}
	}
	j := open(t, options(path))
	defer j.Close()
	if list, err := j.PendingOf(t.Context(), spaceLane, 0, 10); err != nil || len(list) > 0 {
		t.Errorf("%d events still pending, error %v", len(list), err)
	}
	if _, err := j.Append(t.Context(), batch("new")); err != nil {
		t.Error(err)
	}
}

func init() {
	moreLives["fill"] = fillAndDie
	moreLives["deliver the rest"] = deliverTheRest
	moreLives["lower the limit"] = lowerTheLimit
}

func fillAndDie(j bridge.Journal) error {
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		return err
	}
	accepted, err := fill(context.Background(), j)
	if err != nil || accepted == 0 {
		return fmt.Errorf("%d accepted: %w", accepted, err)
	}
	_, err = deliver(context.Background(), j, accepted/2)
	return err
}

func deliverTheRest(j bridge.Journal) error {
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		return err
	}
	n, err := deliver(context.Background(), j, 1_000_000)
	if err != nil || n == 0 {
		return fmt.Errorf("%d delivered: %w", n, err)
	}
	return nil
}

// TestFileSizeLimitLowered has writes fail in the midst of a transaction, as a
// quota that is used up makes them: SQLite calls that an input/output error.
func TestFileSizeLimitLowered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	if lines := killAt(t, 1, crashStore+"=sqlite:"+path, crashLife+"=lower the limit"); len(lines) != 1 || lines[0] != "lived" {
		t.Fatalf("the process said %q", lines)
	}
}

func lowerTheLimit(j bridge.Journal) error {
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		return err
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 3 << 20, Max: before.Max}); err != nil {
		return err
	}
	accepted, err := fill(context.Background(), j)
	if err != nil {
		return fmt.Errorf("%d accepted: %w", accepted, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		_, err := j.Append(context.Background(), batch(bridge.EventID(fmt.Sprint("new-", time.Now().UnixNano()))))
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
