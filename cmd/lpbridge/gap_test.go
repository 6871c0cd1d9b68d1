//go:build unix

package main

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"lpbridge/connector/lpsim"
)

// postLater reports an event to a replica and tells its answer later.
func (s *stage) postLater(p *process, body string) chan answer {
	s.t.Helper()
	got := make(chan answer, 1)
	header := signed(s.t, body)
	go func() {
		a, err := try(http.MethodPost, p.public+"/channels/webhook", header, body)
		if err != nil {
			a.body = err.Error()
		}
		got <- a
	}()
	return got
}

// awaitHeld waits until a replica holds so many requests.
func (p *process) awaitHeld(n int) {
	p.t.Helper()
	await(p.t, fmt.Sprint(n, " requests that are held"), func() bool {
		return strings.Contains(get(p.t, p.admin+"/metrics").body, fmt.Sprintf("lpbridge_held_requests %d\n", n))
	})
}

// TestHeldWhileTheOwnerIsGone: requests that come to a standby while the owner was killed and
// none is there yet are answered 2xx by the next one, once and in the order in which they
// came.
func TestHeldWhileTheOwnerIsGone(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	owner := s.run(nil)
	standby := s.standBy(nil)
	standby.awaitReady()
	s.post(standby, message("t-1", "m-0", "text 0"))
	s.awaitTexts("t-1", "text 0")
	s.awaitSettled(owner)
	// Until it is gone, nobody takes its place.
	owner.signal(syscall.SIGSTOP)
	s.lead(standby)
	want := []string{"text 0"}
	var answers []chan answer
	for i := 1; i <= 5; i++ {
		want = append(want, fmt.Sprint("text ", i))
		answers = append(answers, s.postLater(standby, message("t-1", fmt.Sprint("m-", i), want[i])))
	}
	owner.kill()
	for i, got := range answers {
		if a := <-got; a.status != http.StatusOK {
			t.Errorf("message %d was answered %d: %s", i+1, a.status, a.body)
		}
	}
	standby.awaitStart()
	await(t, "all messages", func() bool { return len(s.texts("t-1")) >= len(want) })
	s.awaitSettled(standby)
	seen := map[string]int{}
	for _, text := range s.texts("t-1") {
		seen[text]++
	}
	for _, text := range want {
		if seen[text] != 1 {
			t.Errorf("%q arrived %d times", text, seen[text])
		}
	}
	// One after the other, the order is that of their coming.
	third := s.standBy(nil)
	third.awaitReady()
	standby.kill()
	answers, want = nil, nil
	for i := range 5 {
		want = append(want, fmt.Sprint("later ", i))
		answers = append(answers, s.postLater(third, message("t-2", fmt.Sprint("l-", i), want[i])))
		third.awaitHeld(i + 1)
	}
	s.lead(third)
	for i, got := range answers {
		if a := <-got; a.status != http.StatusOK {
			t.Errorf("later message %d was answered %d: %s", i, a.status, a.body)
		}
	}
	s.awaitTexts("t-2", want...)
	third.awaitStart()
	third.terminate()
}

// TestFrozenInTheMidst: an owner that freezes with a request of a standby under way loses it
// to the next owner, and does nothing with it when it wakes.
func TestFrozenInTheMidst(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	owner := s.run(nil)
	standby := s.standBy(nil)
	standby.awaitReady()
	s.post(standby, message("t-1", "m-1", "one"))
	s.awaitTexts("t-1", "one")
	s.awaitSettled(owner)
	owner.signal(syscall.SIGSTOP)
	// It goes into the connection that is there, which the kernel still takes.
	got := s.postLater(standby, message("t-1", "m-2", "two"))
	standby.awaitStart()
	s.lead(standby)
	if a := <-got; a.status != http.StatusOK {
		t.Errorf("answered %d %s", a.status, a.body)
	}
	owner.signal(syscall.SIGCONT)
	if code := owner.exit(); code != exitFailed {
		t.Errorf("the deposed owner ended with %d, want %d", code, exitFailed)
	}
	s.post(standby, message("t-1", "m-3", "three"))
	s.awaitTexts("t-1", "one", "two", "three")
	metrics := get(t, standby.admin+"/metrics").body
	if !strings.Contains(metrics, "lpbridge_forwarded_requests_repeated_total 1\n") {
		t.Error("the request was not sent again, it did not reach the frozen owner")
	}
	standby.terminate()
}

// TestPostgresAwayAtAStandby: while PostgreSQL is away for longer than the lease lasts, a
// standby holds what comes to it, and it goes to the same owner when that can act again; a
// notification is taken at a standby too.
func TestPostgresAwayAtAStandby(t *testing.T) {
	t.Parallel()
	s, c := newReplicas(t)
	owner := s.run(nil)
	standby := s.standBy(nil)
	standby.awaitReady()
	s.lead(standby)
	s.post(standby, message("t-1", "m-1", "one"))
	s.awaitTexts("t-1", "one")
	s.awaitSettled(owner)
	c.Kill()
	await(t, "the end of the lease", func() bool { return strings.Contains(get(t, owner.admin+"/metrics").body, "lpbridge_journal_owner 0") })
	got := s.postLater(standby, message("t-1", "m-2", "two"))
	standby.awaitHeld(1)
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.status != http.StatusOK {
		t.Errorf("answered %d %s", a.status, a.body)
	}
	s.awaitTexts("t-1", "one", "two")
	if _, err := s.sim.AgentMessage(s.conversations("t-1")[0].ConversationID, lpsim.AgentMessage{Text: "an answer"}); err != nil {
		t.Fatal(err)
	}
	await(t, "the agent's words", func() bool {
		_, found := s.far.find(func(e farEvent) bool { return e.Message.Text == "an answer" })
		return found
	})
	// Whoever owned it before may have been overtaken meanwhile.
	standby.kill()
	owner.kill()
}
