package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lpbridge/connector/lpsim"
)

// filesUpTo bounds the files that a running process may write, which is to it what a full
// disk is.
func (p *process) filesUpTo(bytes uint64) {
	p.t.Helper()
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil); err != nil {
		p.t.Fatal(err)
	}
}

func TestRunbookJournalNoSpace(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	m := watched(t, p)
	s.post(p, message("a", "a1", "text 1"))
	s.awaitTexts("a", "text 1")
	m.quiet("LpbridgeJournalNoSpace")
	// One is on its way, and who is new gets no token.
	s.wire.hold("text 2")
	s.post(p, message("a", "a2", "text 2"))
	if err := s.sim.SetFaults(lpsim.Faults{ErrorRate: lpsim.Rates{lpsim.IDPAPI: 1}, ErrorStatus: http.StatusServiceUnavailable}); err != nil {
		t.Fatal(err)
	}
	// What is set aside at the start fits in.
	p.filesUpTo(64 << 20)
	refused := ""
	await(t, "that nothing more is taken", func() bool {
		for n := range 200 {
			refused = message("b", fmt.Sprint("b", n), strings.Repeat("x", 900_000))
			if a := do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, refused), refused); a.status == http.StatusServiceUnavailable {
				return true
			}
		}
		return false
	})
	m.fires("LpbridgeJournalNoSpace")
	await(t, "that it is not ready", func() bool { return get(t, p.admin+"/readyz").status == http.StatusServiceUnavailable })
	s.wire.release()
	s.awaitTexts("a", "text 1", "text 2")
	p.filesUpTo(unix.RLIM_INFINITY)
	await(t, "that it is taken now", func() bool {
		a, err := try(http.MethodPost, p.public+"/channels/webhook", signed(t, refused), refused)
		return err == nil && a.status == http.StatusOK
	})
	m.ends("LpbridgeJournalNoSpace")
	await(t, "that it is ready", func() bool { return get(t, p.admin+"/readyz").status == http.StatusOK })
	p.kill()
}
