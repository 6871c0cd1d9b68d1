package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

// cutter is a way to PostgreSQL that can be cut at the moment of the commit of the event
// m-2.
type cutter struct {
	t      *testing.T
	to     string
	listen net.Listener

	mu sync.Mutex
	// cut is what becomes of the next commit, and away lets nobody through until it is
	// called back.
	cut  string
	away bool
}

// The ways of cutting.
const (
	// cutBefore keeps the commit from PostgreSQL, cutAfter the answer from us.
	cutBefore = "before"
	cutAfter  = "after"
)

func newCutter(t *testing.T, port int) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{t: t, to: fmt.Sprint("127.0.0.1:", port), listen: l}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return c
}

func (c *cutter) set(cut string, away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut, c.away = cut, away
}

func (c *cutter) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.away
}

// commits says what becomes of bytes with a commit in them, once.
func (c *cutter) commits(data []byte) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut == "" || !bytes.Contains(data, []byte("COMMIT\x00")) {
		return ""
	}
	how := c.cut
	c.cut, c.away = "", true
	return how
}

func (c *cutter) serve(conn net.Conn) {
	defer conn.Close()
	if c.closed() {
		return
	}
	server, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer server.Close()
	var back sync.WaitGroup
	answers := conn
	var muted sync.Mutex
	mute := false
	back.Go(func() {
		defer conn.Close()
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			muted.Lock()
			if n > 0 && !mute {
				_, _ = answers.Write(buf[:n])
			}
			quiet := mute
			muted.Unlock()
			if err != nil || quiet {
				return
			}
		}
	})
	defer back.Wait()
	defer server.Close()
	buf, marked := make([]byte, 1<<16), false
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		// The purger commits too.
		marked = marked || bytes.Contains(buf[:n], []byte("m-2"))
		how := ""
		if marked {
			how = c.commits(buf[:n])
		}
		switch how {
		case cutBefore:
			return
		case cutAfter:
			muted.Lock()
			mute = true
			muted.Unlock()
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
			// PostgreSQL has carried it out when it answers.
			back.Wait()
			return
		}
		if _, err := io.Copy(server, bytes.NewReader(buf[:n])); err != nil {
			return
		}
	}
}

// TestAnswerToACommitIsLost: a commit whose answer is lost did or did not take place, and
// the journal finds out which, now or when PostgreSQL is there again. What was accepted
// reaches its lane once, nothing is accepted twice, and no number is given twice.
func TestAnswerToACommitIsLost(t *testing.T) {
	t.Parallel()
	c := pgcluster.Shared(t)
	for _, cut := range []string{cutBefore, cutAfter} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("cut %s, away %t", cut, away), func(t *testing.T) {
				way := newCutter(t, c.Port)
				direct := pgcluster.Schema(t)
				address := strings.Replace(direct, fmt.Sprint(":", c.Port, "/"), fmt.Sprint(":", way.listen.Addr().(*net.TCPAddr).Port, "/"), 1)
				loseAnswer(t, way, address, direct, cut, away)
			})
		}
	}
}

func loseAnswer(t *testing.T, way *cutter, address, direct, cut string, away bool) {
	opts := on(address)
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	j := open(t, opts)
	var mu sync.Mutex
	handed := map[bridge.EventID]int{}
	err := j.Start(func(entries []bridge.Entry) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range entries {
			handed[e.ID]++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := j.Append(t.Context(), batch("m-1"))
	if err != nil {
		t.Fatal(err)
	}
	way.set(cut, false)
	appended := make(chan error, 1)
	go func() {
		_, err := j.Append(t.Context(), batch("m-2"))
		appended <- err
	}()
	if away {
		// It is told before PostgreSQL is back.
		if err := <-appended; !errors.Is(err, bridge.ErrStorage) {
			t.Errorf("append: error %v, want ErrStorage", err)
		}
	}
	for !way.closed() {
		runtime.Gosched()
	}
	way.set("", false)
	if !away {
		// Either answer is true.
		if err := <-appended; err != nil && !errors.Is(err, bridge.ErrStorage) {
			t.Errorf("append: error %v, want ErrStorage or none", err)
		}
	}
	again := appendAtLast(t, j, "m-2")
	if cut == cutAfter && again != 0 || cut == cutBefore && away && again == 0 {
		t.Errorf("the repeated event got the number %d", again)
	}
	third := appendAtLast(t, j, "m-3")
	if third <= first[0]+1 {
		t.Errorf("numbers %d and %d, want another between them", first[0], third)
	}
	if n := j.PendingCount(); n != 3 {
		t.Errorf("%d events wait, want 3", n)
	}
	mu.Lock()
	for _, id := range []bridge.EventID{"m-1", "m-2", "m-3"} {
		if handed[id] != 1 {
			t.Errorf("%s reached its lane %d times", id, handed[id])
		}
	}
	mu.Unlock()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, on(direct))
	defer next.Close()
	list, err := next.PendingOf(t.Context(), batch("m-1").Entries[0].Lane, 0, 10)
	if err != nil || len(list) != 3 || next.PendingCount() != 3 {
		t.Errorf("the next process finds %d events, error %v, want 3", len(list), err)
	}
}

// appendAtLast appends an event once PostgreSQL answers.
func appendAtLast(t *testing.T, j *journal.Journal, id bridge.EventID) int64 {
	t.Helper()
	for {
		seqs, err := j.Append(t.Context(), batch(id))
		if err == nil {
			return seqs[0]
		}
		if !errors.Is(err, bridge.ErrStorage) || t.Context().Err() != nil || j.Err() != nil {
			t.Fatal(err)
		}
	}
}
