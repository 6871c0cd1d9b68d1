package relay

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// Events of one agent that come together cost one lookup, also where its answer comes
// between two of them.
func TestAgentIsLookedUpOnceForEventsTogether(t *testing.T) {
	var lookups atomic.Int64
	var under sync.WaitGroup
	p := newAgentProfiles(
		func(context.Context, string) (connector.AgentProfile, error) {
			lookups.Add(1)
			return connector.AgentProfile{Nickname: "Bo"}, nil
		},
		func(f func(context.Context)) bool {
			under.Go(func() { f(t.Context()) })
			return true
		},
		slog.New(slog.DiscardHandler), newMetrics(prometheus.NewRegistry()))
	const agents, events = 20_000, 3
	for i := range agents {
		start := make(chan struct{})
		var all sync.WaitGroup
		for range events {
			all.Go(func() {
				<-start
				p.expect(bridge.Agent{ID: fmt.Sprint("agent-", i)})
			})
		}
		close(start)
		all.Wait()
		under.Wait()
	}
	if n := lookups.Load(); n != agents {
		t.Errorf("%d lookups of %d agents", n, agents)
	}
}
