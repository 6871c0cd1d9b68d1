package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lpbridge/config"
	"lpbridge/connector/lpsim"
)

// TestKilledWithPendingMessages: LivePerson is away, the process dies, and
// everything it had answered for arrives, once and in order.
func TestKilledWithPendingMessages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("a", "a1", "one"))
	s.awaitTexts("a", "one")
	s.away(t, true)
	s.post(p, message("a", "a2", "two"))
	s.post(p, message("b", "b1", "uno"))
	s.post(p, message("a", "a3", "three"))
	s.post(p, "["+message("b", "b2", "dos")+","+message("a", "a4", "four")+"]")
	p.kill()
	s.away(t, false)

	p = s.run(nil)
	s.post(p, message("a", "a5", "five"))
	// The channel did not hear the answer the first time and repeats itself.
	s.post(p, message("a", "a3", "three"))
	s.awaitTexts("a", "one", "two", "three", "four", "five")
	s.awaitTexts("b", "uno", "dos")
	p.terminate()
	if n := s.sim.Stats().DuplicateTexts; n != 0 {
		t.Errorf("%d texts arrived twice", n)
	}
}

// away makes all of LivePerson's APIs fail.
func (s *stage) away(t *testing.T, away bool) {
	t.Helper()
	var faults lpsim.Faults
	if away {
		faults.Outages = []lpsim.Outage{{ForMs: 3_600_000, Status: http.StatusServiceUnavailable}}
	}
	if err := s.sim.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
}

// TestKilledDuringSend: a SEND was on its way when the process died, and nobody
// knows whether it arrived. LivePerson's echo tells, so it is not sent again.
func TestKilledDuringSend(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	// Webhooks cannot reach the bridge until the next one runs.
	s.ingress.Store(nil)
	if err := s.sim.SetFaults(lpsim.Faults{LatencyMinMs: 600_000}); err != nil {
		t.Fatal(err)
	}
	s.post(p, message("a", "a2", "arrived, unanswered"))
	s.awaitTexts("a", "hello", "arrived, unanswered")
	p.kill()
	if err := s.sim.SetFaults(lpsim.Faults{}); err != nil {
		t.Fatal(err)
	}

	// Without the echo the message would wait much longer than this test does.
	p = s.run(map[string]string{"LPBRIDGE_ECHO_WAIT": "10m"})
	await(t, "the echo", func() bool { return p.status(t).Pending == 0 })
	s.post(p, message("a", "a3", "next"))
	s.awaitTexts("a", "hello", "arrived, unanswered", "next")
	p.terminate()
}

// TestSecondProcess: the journal has one writer.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	second := outcome(t, s.with(nil), "run")
	if second.code != exitFailed || !strings.Contains(second.stderr, "another process has") {
		t.Errorf("the second process ended with %d: %s", second.code, second.stderr)
	}
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	p.terminate()
	// The lock goes with the process.
	s.run(nil).terminate()
}

// TestTerminatedDuringSend: a delivery under way ends before the process does.
func TestTerminatedDuringSend(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.wire.hold("slow")
	s.post(p, message("a", "a1", "slow"))
	await(t, "the SEND", func() bool { return s.wire.waiting() == 1 })
	p.signal(syscall.SIGTERM)
	p.awaitLine("stopping")
	s.wire.release()
	if code := p.exit(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	s.awaitTexts("a", "slow")

	p = s.run(nil)
	s.post(p, message("a", "a2", "next"))
	s.awaitTexts("a", "slow", "next")
	p.terminate()
}

// TestStopThatCannotFinish: LivePerson does not answer in the time there is.
// The process says so, and nothing is lost.
func TestStopThatCannotFinish(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_SHUTDOWN_TIMEOUT": "1s"})
	s.wire.hold("stuck")
	s.post(p, message("a", "a1", "stuck"))
	s.post(p, message("a", "a2", "behind"))
	await(t, "the SEND", func() bool { return s.wire.waiting() == 1 })
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if !strings.Contains(p.stderr.String(), "lpbridge run: stop: deliveries were cut off") {
		t.Error("the process did not say that deliveries were cut off")
	}
	s.wire.release()
	p = s.run(nil)
	s.awaitTexts("a", "stuck", "behind")
	p.terminate()
}

// TestSecondSignal: whoever asks twice does not want to wait.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_SHUTDOWN_TIMEOUT": "10m"})
	s.wire.hold("stuck")
	s.post(p, message("a", "a1", "stuck"))
	await(t, "the SEND", func() bool { return s.wire.waiting() == 1 })
	p.signal(syscall.SIGTERM)
	p.awaitLine("stopping")
	// The process lets go of the signal soon after the first one, not with it.
	await(t, "the end", func() bool {
		p.signal(syscall.SIGTERM)
		return p.over()
	})
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("the process ended with %v, want the signal", p.cmd.ProcessState)
	}
}

// TestTypingEndsWithTheProcess: the agent must not go on seeing it.
func TestTypingEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	s.post(p, typing("a", "composing"))
	s.agentSeesTyping("a", true)
	p.terminate()
	if states := s.chatStates("a"); len(states) != 2 || states[0] != "COMPOSING" || states[1] == "COMPOSING" {
		t.Errorf("LivePerson was told %v, want COMPOSING and one end of it", states)
	}
	// Nothing is left to clear.
	s.run(nil).terminate()
	if n := len(s.chatStates("a")); n != 2 {
		t.Errorf("LivePerson was told %d states, want 2", n)
	}
}

// TestCannotStart: what keeps a bridge from starting is named.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, slices.Repeat([]byte("this is no database\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, variable, value string
		want                  []string
	}{
		{"public port in use", "LPBRIDGE_LISTEN", taken.Addr().String(), []string{"LPBRIDGE_LISTEN: ", taken.Addr().String(), "in use"}},
		{"admin port in use", "LPBRIDGE_ADMIN_LISTEN", taken.Addr().String(), []string{"LPBRIDGE_ADMIN_LISTEN: ", "in use"}},
		{"not an address of this machine", "LPBRIDGE_LISTEN", "192.0.2.1:8080", []string{"LPBRIDGE_LISTEN: ", "192.0.2.1:8080"}},
		{"store below a file", "LPBRIDGE_STORE", "sqlite:" + filepath.Join(file, "lpbridge.db"), []string{"LPBRIDGE_STORE: ", "not a directory"}},
		{"store is a directory", "LPBRIDGE_STORE", "sqlite:" + dir, []string{"LPBRIDGE_STORE: ", "is a directory"}},
		{"store is no database", "LPBRIDGE_STORE", "sqlite:" + file, []string{"LPBRIDGE_STORE: ", "not a database"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := outcome(t, s.with(map[string]string{tc.variable: tc.value}), "run")
			if got.code != exitFailed {
				t.Errorf("exit code %d, want %d", got.code, exitFailed)
			}
			for _, want := range tc.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("no %q in: %s", want, got.stderr)
				}
			}
			if strings.Contains(got.stderr, "hunter2") || strings.Contains(got.stderr, `"started"`) {
				t.Errorf("stderr: %s", got.stderr)
			}
		})
	}
}

// TestDurationsHaveUnits: nobody must guess what a number in a log counts.
func TestDurationsHaveUnits(t *testing.T) {
	for format, want := range map[string]string{"json": `"took":"1.5s"`, "text": "took=1.5s"} {
		var out strings.Builder
		log := newLogger(environment{stderr: &out}, config.Bridge{LogFormat: format, LogLevel: "info"})
		log.Info("delivery", "took", 1500*time.Millisecond)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: no %s in %s", format, want, &out)
		}
	}
}
