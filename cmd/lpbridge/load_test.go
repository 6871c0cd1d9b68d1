package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestStoppedUnderLoad: the process is stopped while messages pour in. What was
// answered with 200 arrives, in order and once; what was not may be repeated by
// the channel and still arrives once.
func TestStoppedUnderLoad(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	const threads, each = 10, 40
	var accepted atomic.Int64
	var sending sync.WaitGroup
	answered := make([]int, threads)
	for i := range threads {
		sending.Go(func() {
			for n := range each {
				body := loadMessage(i, n)
				a, err := try(http.MethodPost, p.public+"/channels/webhook", signed(t, body), body)
				if err != nil || a.status != http.StatusOK {
					return
				}
				answered[i] = n + 1
				if accepted.Add(1) == threads*each/2 {
					p.signal(syscall.SIGTERM)
				}
			}
		})
	}
	sending.Wait()
	if code := p.exit(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	t.Logf("%d messages were answered before the stop", accepted.Load())
	if accepted.Load() < threads*each/2 {
		t.Error("the messages were not accepted before the stop")
	}

	p = s.run(nil)
	for i := range threads {
		// The channel repeats the last one it got an answer for, the one it got
		// none for, and goes on.
		for n := max(answered[i]-1, 0); n < each; n++ {
			s.post(p, loadMessage(i, n))
		}
	}
	for i := range threads {
		want := make([]string, each)
		for n := range want {
			want[n] = fmt.Sprintf("message %d", n)
		}
		thread := fmt.Sprintf("load-%d", i)
		await(t, "the messages of "+thread, func() bool { return len(s.texts(thread)) >= each })
		if got := s.texts(thread); !slices.Equal(got, want) {
			t.Errorf("%s has %q", thread, got)
		}
		if n := len(s.conversations(thread)); n != 1 {
			t.Errorf("%s has %d conversations", thread, n)
		}
	}
	p.terminate()
}

func loadMessage(thread, n int) string {
	return message(fmt.Sprintf("load-%d", thread), fmt.Sprintf("load-%d-%d", thread, n), fmt.Sprintf("message %d", n))
}

// TestKilledUnderLoad is the same with a power cut.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	const threads, each = 8, 20
	var accepted atomic.Int64
	var sending sync.WaitGroup
	for i := range threads {
		sending.Go(func() {
			for n := range each {
				body := loadMessage(i, n)
				if a, err := try(http.MethodPost, p.public+"/channels/webhook", signed(t, body), body); err != nil || a.status != http.StatusOK {
					return
				}
				if accepted.Add(1) == threads*each/2 {
					p.signal(syscall.SIGKILL)
				}
			}
		})
	}
	sending.Wait()
	p.kill()

	// A busy machine is given time to bring the echoes that nobody was there for.
	p = s.run(map[string]string{"LPBRIDGE_ECHO_WAIT": "10s"})
	for i := range threads {
		for n := range each {
			s.post(p, loadMessage(i, n))
		}
	}
	for i := range threads {
		want := make([]string, each)
		for n := range want {
			want[n] = fmt.Sprintf("message %d", n)
		}
		s.awaitTexts(fmt.Sprintf("load-%d", i), want...)
	}
	p.terminate()
	if n := s.sim.Stats().DuplicateTexts; n != 0 {
		t.Errorf("%d texts arrived twice", n)
	}
}
