package relay_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// crossing holds up everybody who goes through it while it is shut, and counts
// them by where they go.
type crossing struct {
	mu      sync.Mutex
	open    chan struct{}
	waiting map[string]int
}

func (c *crossing) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.waiting = make(chan struct{}), map[string]int{}
}

func (c *crossing) pass(to string) {
	c.mu.Lock()
	open := c.open
	if open != nil {
		c.waiting[to]++
	}
	c.mu.Unlock()
	if open != nil {
		<-open
	}
}

func (c *crossing) counted() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.waiting)
}

func (c *crossing) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.open)
	c.open = nil
}

// slowChannel is a channel whose deliveries go through a crossing.
type slowChannel struct {
	*channel
	through *crossing
}

func (s slowChannel) Deliver(ctx context.Context, e *bridge.Event) error {
	s.through.pass(s.about.Name)
	return s.channel.Deliver(ctx, e)
}

// TestMaxInFlight shows what LPBRIDGE_MAX_IN_FLIGHT counts: the deliveries to
// LivePerson of all channels together, and besides those to each channel.
func TestMaxInFlight(t *testing.T) {
	const most, threads = 3, 5
	through := &crossing{}
	names := []string{"one", "two"}
	var channels []bridge.Adapter
	for _, name := range names {
		c := newChannel()
		c.about.Name = name
		channels = append(channels, slowChannel{c, through})
	}
	adjust := func(o *relay.Options) { o.MaxInFlight = most }
	inBubble(t, rigOptions{quiet: true, others: channels, adjust: adjust}, func(t *testing.T, r *rig) {
		r.wire.fail(func(req *http.Request, _ string) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/conversation/send") {
				through.pass("LivePerson")
			}
			return nil, nil
		})
		everybodySays := func(what string) {
			for _, name := range names {
				for i := range threads {
					e := event(bridge.KindMessage, fmt.Sprint("t-", i), fmt.Sprint(what, i))
					e.Message = &bridge.Message{Text: what}
					if _, err := r.bridge.Core(name).Accept(t.Context(), []bridge.Event{e}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		everybodySays("first")
		time.Sleep(time.Minute)
		through.shut()
		everybodySays("second")
		for _, c := range r.sim.Conversations() {
			if _, err := r.sim.AgentMessage(c.ConversationID, lpsim.AgentMessage{Text: "an answer"}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		want := map[string]int{"LivePerson": most, "one": most, "two": most}
		if diff := cmp.Diff(want, through.counted()); diff != "" {
			t.Errorf("deliveries at once (-want +got):\n%s", diff)
		}
		through.release()
		r.drained(time.Minute)
	})
}
