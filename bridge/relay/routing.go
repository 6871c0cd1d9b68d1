package relay

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"lpbridge/connector"
)

const (
	// monitoringTime is how long a conversation's opening waits for the Monitoring API.
	monitoringTime = 2 * time.Second
	// monitoringPause is how long nobody asks after it failed: each first message
	// would wait for it.
	monitoringPause = 30 * time.Second
	// visitsKept is how many Monitoring sessions are remembered. When one is over,
	// LivePerson begins another for the same visitor.
	visitsKept = 10_000
)

// Route is where new conversations go. What is empty is left to LivePerson.
type Route struct {
	SkillID      string
	CampaignID   string
	EngagementID string
	// Language is an IETF tag such as "pt-PT".
	Language string
	// Context names where consumers come from; agents and reports see it.
	Context string
	// EntryPoints are told to the Monitoring API, such as "sec://Sport".
	EntryPoints []string
}

// RouteKey says whose conversations a route is for: a channel's, those of one of
// its inboxes, or everybody's when both are empty.
type RouteKey struct{ Channel, Inbox string }

// Routing has the routes, of which the more special one counts, member by member.
type Routing struct {
	Routes map[RouteKey]Route
	// Monitoring asks the Monitoring API which engagement a consumer is eligible for.
	// Its answer counts before a route's campaign.
	Monitoring bool
}

// of is the route of an inbox's conversations.
func (r Routing) of(channel, inbox string) Route {
	route := r.Routes[RouteKey{Channel: channel, Inbox: inbox}]
	for _, wider := range []RouteKey{{Channel: channel}, {}} {
		route = route.or(r.Routes[wider])
	}
	return route
}

// or fills what is empty from another route. Campaign and engagement go together.
func (r Route) or(other Route) Route {
	if r.CampaignID == "" {
		r.CampaignID, r.EngagementID = other.CampaignID, other.EngagementID
	}
	r.SkillID = cmp.Or(r.SkillID, other.SkillID)
	r.Language = cmp.Or(r.Language, other.Language)
	r.Context = cmp.Or(r.Context, other.Context)
	if len(r.EntryPoints) == 0 {
		r.EntryPoints = other.EntryPoints
	}
	return r
}

// request asks for a conversation as the route says, without the Monitoring API.
func (r Route) request(profile connector.UserProfile) connector.ConversationRequest {
	ask := connector.ConversationRequest{
		Profile: profile, SkillID: r.SkillID,
		CampaignInfo: connector.CampaignInfo{CampaignID: r.CampaignID, EngagementID: r.EngagementID},
	}
	switch {
	case r.Context != "":
		// As LivePerson's own connectors name theirs.
		ask.Context = &connector.ConversationContext{Type: "CustomContext", Name: r.Context, Lang: r.Language}
	case r.Language != "":
		ask.Context = &connector.ConversationContext{Lang: r.Language}
	}
	return ask
}

// visit is a consumer's session with the Monitoring API, which later calls go on with.
type visit struct{ visitor, session string }

// router says where new conversations go.
type router struct {
	routing Routing
	ask     func(context.Context, connector.EngagementRequest) (connector.Engagement, error)
	visits  *lru.Cache[string, visit]
	metrics *metrics
	log     *slog.Logger

	mu sync.Mutex
	// resting is until when the Monitoring API is not asked.
	resting time.Time
}

func newRouter(routing Routing, ask func(context.Context, connector.EngagementRequest) (connector.Engagement, error), m *metrics, log *slog.Logger) *router {
	return &router{routing: routing, ask: ask, metrics: m, log: log, visits: lastUsed[string, visit](visitsKept)}
}

// request is how a consumer's conversation is asked for. Nothing that is wrong with
// the Monitoring API keeps a conversation from being opened.
func (r *router) request(ctx context.Context, channel, inbox, ext string, profile connector.UserProfile) connector.ConversationRequest {
	route := r.routing.of(channel, inbox)
	ask := route.request(profile)
	if !r.routing.Monitoring || r.rests() {
		return ask
	}
	engagement, err := r.engagement(ctx, ext, profile, route.EntryPoints)
	if err != nil {
		if ctx.Err() == nil {
			r.rest()
			r.metrics.engagements.WithLabelValues("failed").Inc()
			r.log.Warn("the Monitoring API was not to be had, conversations are routed as configured", "error", err, "retry_after", monitoringPause)
		}
		return ask
	}
	ask.Context = engagement.Context()
	ask.Context.Lang = route.Language
	if info := engagement.CampaignInfo(); info != (connector.CampaignInfo{}) {
		ask.CampaignInfo = info
		r.metrics.engagements.WithLabelValues("engaged").Inc()
	} else {
		r.metrics.engagements.WithLabelValues("none").Inc()
	}
	return ask
}

func (r *router) engagement(ctx context.Context, ext string, profile connector.UserProfile, entries []string) (connector.Engagement, error) {
	ctx, cancel := context.WithTimeout(ctx, monitoringTime)
	defer cancel()
	before, _ := r.visits.Get(ext)
	engagement, err := r.ask(ctx, connector.EngagementRequest{
		ConsumerID: ext, VisitorID: before.visitor, SessionID: before.session, EntryPoints: entries, Profile: profile,
	})
	if err == nil && engagement.VisitorID != "" {
		r.visits.Add(ext, visit{engagement.VisitorID, engagement.SessionID})
	}
	return engagement, err
}

func (r *router) rests() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.resting)
}

func (r *router) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resting = time.Now().Add(monitoringPause)
}
