//go:build unix

package journal_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

// crashStore, when set, makes the test binary the process that is killed.
const crashStore = "JOURNAL_CRASH_STORE"

// crashLife names one of the suite's lives for that process to lead.
const crashLife = "JOURNAL_CRASH_LIFE"

const crashCallers = 8

func TestMain(m *testing.M) {
	if store := os.Getenv(crashTransfer); store != "" {
		if err := transferUpTo(os.Getenv(crashStore), store, os.Getenv(crashStep)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if store := os.Getenv(crashStore); store != "" {
		run := work
		if os.Getenv(crashLife) != "" {
			run = live
		}
		if err := run(store); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// A check opens a database and flushes often; the command line may ask for
	// more.
	if err := flag.Set("rapid.checks", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	pgcluster.EndShared()
	os.Exit(code)
}

// moreLives are lives besides those of the suite.
var moreLives = map[string]func(bridge.Journal) error{}

// crashFileLimit is how long the files of that process may be, in bytes.
const crashFileLimit = "JOURNAL_CRASH_FILE_LIMIT"

// live leads a life of the suite and waits to be killed.
func live(store string) error {
	if text := os.Getenv(crashFileLimit); text != "" {
		limit, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	j, err := journal.Open(context.Background(), on(store))
	if err != nil {
		return err
	}
	life, known := bridgetest.CrashLives[os.Getenv(crashLife)]
	if !known {
		life = moreLives[os.Getenv(crashLife)]
	}
	if err := life(j); err != nil {
		return err
	}
	fmt.Println("lived")
	select {}
}

// TestCrashLives runs the suite on processes that are killed.
func TestCrashLives(t *testing.T) { journal.OnEngines(t, crashLivesOn) }

func crashLivesOn(t *testing.T, store string) {
	bridgetest.TestJournalCrash(t, bridgetest.CrashStore{
		Kill: func(t *testing.T, life string) {
			t.Helper()
			lines := killAt(t, 1, crashStore+"="+store, crashLife+"="+life)
			if len(lines) != 1 || lines[0] != "lived" {
				t.Fatalf("the process said %q", lines)
			}
		},
		Open: func(t *testing.T) bridge.Journal { return open(t, on(store)) },
	})
}

// work appends and settles for ever, and says what was acknowledged.
func work(store string) error {
	round := os.Getenv("JOURNAL_CRASH_ROUND")
	j, err := journal.Open(context.Background(), on(store))
	if err != nil {
		return err
	}
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(what string, id bridge.EventID) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	failed := make(chan error, crashCallers)
	for c := range crashCallers {
		go func() {
			lane := crashLane(c)
			for i := 0; ; i++ {
				id := bridge.EventID(fmt.Sprintf("%d/%s/%06d", c, round, i))
				seqs, err := j.Append(context.Background(), bridge.Batch{Entries: []bridge.Entry{{
					Lane: lane, ID: id, Kind: bridge.KindMessage, Payload: []byte(strings.Repeat("x", 600)),
				}}})
				if err != nil || seqs[0] == 0 {
					failed <- fmt.Errorf("append: seqs %v: %w", seqs, err)
					return
				}
				say("accepted", id)
				if i%3 != 0 {
					continue
				}
				say("settling", id)
				j.Settle(bridge.Settlement{
					Seq: seqs[0], Lane: lane, Final: bridge.Done, Dialog: "d", Sequence: seqs[0], Source: id,
					Durable: func(err error) {
						if err == nil {
							say("settled", id)
						}
					},
				})
			}
		}()
	}
	return <-failed
}

func crashLane(caller int) bridge.LaneKey {
	return bridge.LaneKey{Channel: "webhook", Thread: bridge.ThreadID(fmt.Sprint("t-", caller))}
}

// TestKill kills a process that appends and settles, again and again, and looks
// whether the next one finds everything that was acknowledged, once, in order.
func TestKill(t *testing.T) { journal.OnEngines(t, killOn) }

func killOn(t *testing.T, store string) {
	told := map[string]map[bridge.EventID]bool{"accepted": {}, "settling": {}, "settled": {}}
	for round := range 6 {
		killAfter(t, store, round, 50+rand.IntN(1500), told)
		verify(t, store, told)
	}
	if len(told["settled"]) == 0 {
		t.Error("nothing was settled in any round")
	}
}

// killAfter runs the worker until it has said a number of lines, kills it, and
// notes all it said.
func killAfter(t *testing.T, store string, round, lines int, told map[string]map[bridge.EventID]bool) {
	t.Helper()
	for _, line := range killAt(t, lines, crashStore+"="+store, fmt.Sprintf("JOURNAL_CRASH_ROUND=%03d", round)) {
		what, id, complete := strings.Cut(line, " ")
		// The last line may be cut short; then it was not said.
		if complete && strings.Count(id, "/") == 2 && len(id) == len("0/000/000000") {
			told[what][bridge.EventID(id)] = true
		}
	}
}

// killAt runs this binary as the process to be killed, kills it once it has
// said a number of lines, and returns all it said.
func killAt(t *testing.T, lines int, env ...string) (said []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(out); s.Scan(); {
		said = append(said, s.Text())
		if len(said) == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(said) < lines {
		t.Fatalf("the worker ended by itself after %d lines: %v", len(said), err)
	}
	return said
}

// verify opens the journal after a kill.
func verify(t *testing.T, store string, told map[string]map[bridge.EventID]bool) {
	t.Helper()
	j := open(t, on(store))
	defer j.Close()
	found := map[bridge.EventID]bool{}
	var total int64
	for c := range crashCallers {
		entries, err := j.PendingOf(t.Context(), crashLane(c), 0, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		total += int64(len(entries))
		var last bridge.EventID
		for _, e := range entries {
			if e.ID <= last {
				t.Fatalf("event %s after %s", e.ID, last)
			}
			last = e.ID
			found[e.ID] = true
		}
	}
	for id := range told["accepted"] {
		if !found[id] && !told["settling"][id] {
			t.Errorf("event %s was acknowledged and is gone", id)
		}
	}
	for id := range told["settled"] {
		if found[id] {
			t.Errorf("event %s was settled and is pending again", id)
		}
	}
	if n := j.PendingCount(); n != total {
		t.Errorf("pending count %d, want %d", n, total)
	}
	// Whoever sends again what was acknowledged meets a duplicate.
	for id := range told["accepted"] {
		var caller int
		if _, err := fmt.Sscanf(string(id), "%d/", &caller); err != nil {
			t.Fatal(err)
		}
		seqs, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: crashLane(caller), ID: id}}})
		if err != nil {
			t.Fatal(err)
		}
		if seqs[0] != 0 {
			t.Errorf("event %s was acknowledged and is not known", id)
		}
		break
	}
}
