package relay

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	lru "github.com/hashicorp/golang-lru/v2"

	"lpbridge/bridge"
	"lpbridge/connector"
)

const (
	// agentsKept is how many agents' profiles stay in memory.
	agentsKept = 4096
	// agentLookups is how many profiles are looked up at once.
	agentLookups = 8
	// agentWait is how long after its beginning a lookup may hold a delivery up.
	agentWait = 300 * time.Millisecond

	// Agents change names and pictures rarely. Who has no profile may get one; a far
	// side that is unwell is soon asked again.
	agentKnownFor   = 6 * time.Hour
	agentUnknownFor = 15 * time.Minute
	agentFailedFor  = 2 * time.Minute

	agentNameLimit    = 200
	agentPictureLimit = 2048
)

// roleController is the role of LivePerson's own machinery, which has no profile.
const roleController = "CONTROLLER"

// agentProfiles knows agents' names and pictures. They are looked up beside what
// happens: nothing fails for want of a name. Nil knows nobody.
type agentProfiles struct {
	lookup func(ctx context.Context, agentID string) (connector.AgentProfile, error)
	// spawn runs something on a goroutine of its own, and reports whether it does.
	spawn   func(func(context.Context)) bool
	log     *slog.Logger
	metrics *metrics

	known *lru.Cache[string, agentProfile]

	mu       sync.Mutex
	underway map[string]*agentLookup
}

// agentProfile is what is known of an agent, which may be nothing.
type agentProfile struct {
	name    string
	picture string
	until   time.Time
}

type agentLookup struct {
	began time.Time
	done  chan struct{}
}

func newAgentProfiles(lookup func(context.Context, string) (connector.AgentProfile, error), spawn func(func(context.Context)) bool,
	log *slog.Logger, m *metrics) *agentProfiles {
	return &agentProfiles{
		lookup: lookup, spawn: spawn, log: log, metrics: m, underway: map[string]*agentLookup{},
		known: lastUsed[string, agentProfile](agentsKept),
	}
}

// expect begins to look an agent up whose name will be needed.
func (p *agentProfiles) expect(a bridge.Agent) {
	if p != nil && a.ID != "" && a.Role != roleController {
		p.begin(a.ID)
	}
}

// lookUp gives an agent the name and picture that are known now, and has them asked
// for.
func (p *agentProfiles) lookUp(a bridge.Agent) bridge.Agent {
	if p == nil {
		return a
	}
	p.expect(a)
	if known, ok := p.known.Get(a.ID); ok {
		a.Name, a.AvatarURL = known.name, known.picture
	}
	return a
}

// await is as name, and waits a moment for a lookup that has just begun.
func (p *agentProfiles) await(ctx context.Context, a bridge.Agent) bridge.Agent {
	if p == nil {
		return a
	}
	p.expect(a)
	p.mu.Lock()
	lookup := p.underway[a.ID]
	p.mu.Unlock()
	if _, known := p.known.Get(a.ID); lookup != nil && !known {
		timer := time.NewTimer(time.Until(lookup.began.Add(agentWait)))
		defer timer.Stop()
		select {
		case <-lookup.done:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return p.lookUp(a)
}

// begin looks an agent up unless that is known or under way. What is out of date
// is used until there is better.
func (p *agentProfiles) begin(id string) {
	if p.knows(id) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.underway[id] != nil || p.knows(id) {
		// The lookup that was under way a moment ago may have ended since.
		return
	}
	if len(p.underway) >= agentLookups {
		p.metrics.agents.WithLabelValues("busy").Inc()
		return
	}
	lookup := &agentLookup{began: time.Now(), done: make(chan struct{})}
	if p.spawn(func(ctx context.Context) { p.run(ctx, id, lookup) }) {
		p.underway[id] = lookup
	}
}

func (p *agentProfiles) knows(id string) bool {
	known, ok := p.known.Get(id)
	return ok && time.Now().Before(known.until)
}

// run makes one lookup.
func (p *agentProfiles) run(ctx context.Context, id string, lookup *agentLookup) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.underway, id)
		close(lookup.done)
	}()
	found, err := p.lookup(ctx, id)
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	switch {
	case err == nil:
		p.metrics.agents.WithLabelValues("known").Inc()
		p.known.Add(id, agentProfile{nameOf(found), pictureOf(found), now.Add(agentKnownFor)})
	case errors.Is(err, connector.ErrNoProfile):
		p.metrics.agents.WithLabelValues("unknown").Inc()
		p.known.Add(id, agentProfile{until: now.Add(agentUnknownFor)})
	default:
		p.metrics.agents.WithLabelValues("failed").Inc()
		p.log.Info("an agent's public profile was not found out", "agent", id, "error", err)
		before, _ := p.known.Get(id)
		before.until = now.Add(agentFailedFor)
		p.known.Add(id, before)
	}
}

// nameOf is what consumers may call the agent: the nickname is made for them.
func nameOf(p connector.AgentProfile) string {
	name := strings.TrimSpace(p.Nickname)
	if name == "" {
		name = strings.TrimSpace(p.FullName)
	}
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > agentNameLimit {
		name = string(runes[:agentNameLimit])
	}
	return name
}

// pictureOf is the picture's address, empty when no browser should follow it.
func pictureOf(p connector.AgentProfile) string {
	u, err := url.Parse(p.PictureURL)
	if err != nil || len(p.PictureURL) > agentPictureLimit || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return p.PictureURL
}

// introduce returns the event as the channel sees it, with the agent's name. Only what
// shows the name at once waits for it.
func (p *agentProfiles) introduce(ctx context.Context, ev *bridge.Event) *bridge.Event {
	if p == nil || ev.Agent == nil {
		return ev
	}
	agent := *ev.Agent
	if ev.Kind == bridge.KindReceipt {
		agent = p.lookUp(agent)
	} else {
		agent = p.await(ctx, agent)
	}
	shown := *ev
	shown.Agent = &agent
	return &shown
}
