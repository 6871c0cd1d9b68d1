package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What one message may take of the process, from the channel's request over the SEND, its
// settlement and LivePerson's notification of it to what stays on disk, each commit
// alone and a quarter to spare, also under the race detector, which takes half as many
// bytes again. These are counts: a busy machine does not change them.
const (
	mostAllocations = 700
	mostAllocated   = 76 << 10
)

// TestMessageAllocatesLittle sends messages one after the other and reads from the
// process's own metrics what they took.
func TestMessageAllocatesLittle(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	const threads, warm, counted = 5, 100, 400
	sent := 0
	say := func(n int) {
		for range n {
			s.post(p, loadMessage(sent%threads, sent/threads))
			sent++
		}
		await(t, "what was sent", func() bool {
			texts := 0
			for i := range threads {
				texts += len(s.texts(fmt.Sprintf("load-%d", i)))
			}
			return texts == sent
		})
	}
	say(warm)
	allocations, bytes := p.allocated(t)
	// What a look at the metrics takes is not the messages'.
	again, bytesAgain := p.allocated(t)
	say(counted)
	end, bytesEnd := p.allocated(t)
	each := (end - again - (again - allocations)) / counted
	eachBytes := (bytesEnd - bytesAgain - (bytesAgain - bytes)) / counted
	t.Logf("a message takes %.0f allocations and %.0f bytes", each, eachBytes)
	if each > mostAllocations || eachBytes > mostAllocated {
		t.Errorf("a message takes %.0f allocations and %.0f bytes, more than %d and %d", each, eachBytes, mostAllocations, mostAllocated)
	}
}

// allocated is how often and how many bytes the process has allocated.
func (p *process) allocated(t *testing.T) (allocations, bytes float64) {
	t.Helper()
	text := "\n" + do(t, http.MethodGet, p.admin+"/metrics", nil, "").body
	for name, to := range map[string]*float64{"go_memstats_mallocs_total": &allocations, "go_memstats_alloc_bytes_total": &bytes} {
		_, rest, _ := strings.Cut(text, "\n"+name+" ")
		if _, err := fmt.Sscan(rest, to); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return allocations, bytes
}
