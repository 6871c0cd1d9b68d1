package lpsim

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	sessionLife = 6 * time.Hour
	sessionIdle = 30 * time.Minute
	maxVisits   = 100_000
)

// The one campaign every consumer is eligible for.
const (
	campaignID   = 2695999112
	engagementID = 2696029112
	connectorID  = 2696029012
)

type visit struct {
	visitor    string
	page       string
	begun      time.Time
	seen       time.Time
	engagement int
}

// monitoring keeps the sessions of visitors, and knows which campaign is for them.
type monitoring struct {
	*installation
	clients  *clients
	registry *registry

	mu     sync.Mutex
	visits map[string]*visit // by session
}

func newMonitoring(app *installation, known *clients, r *registry) *monitoring {
	return &monitoring{installation: app, clients: known, registry: r, visits: map[string]*visit{}}
}

func (m *monitoring) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.visits)
}

// enter continues a session that is still alive, or begins one; isNew tells which.
func (m *monitoring) enter(visitor, session string, now time.Time) (id string, found visit, isNew bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.visits[session]
	if known == nil || known.visitor != visitor || now.Sub(known.begun) > sessionLife || now.Sub(known.seen) > sessionIdle {
		if len(m.visits) >= maxVisits {
			clear(m.visits)
		}
		known = &visit{visitor: orElse(visitor, rand.Text()), page: rand.Text()[:10], begun: now}
		session, isNew = rand.Text()[:22], true
		m.visits[session] = known
	}
	known.seen = now
	known.engagement++
	return session, *known, isNew
}

type engagementRequest struct {
	ConsumerID string `json:"consumerId"`
	Identities []struct {
		Issuer  string `json:"iss"`
		Level   string `json:"acr"`
		Subject string `json:"sub"`
	} `json:"identities"`
	ClientProperties json.RawMessage   `json:"clientProperties"`
	EntryPoints      []string          `json:"entryPoints"`
	Attributes       []json.RawMessage `json:"engagementAttributes"`
}

func (r *engagementRequest) valid() bool {
	for _, identity := range r.Identities {
		if identity.Issuer == "" || identity.Subject == "" || identity.Level != "loa1" {
			return false
		}
	}
	return r.ClientProperties == nil || isObject(r.ClientProperties)
}

// consumers are the names under which an open conversation may be found.
func (r *engagementRequest) consumers() []string {
	list := []string{r.ConsumerID}
	for _, identity := range r.Identities {
		list = append(list, identity.Subject)
	}
	return list
}

// serve answers Monitoring's only call: it gives ids that route a conversation.
func (m *monitoring) serve(c *call) answer {
	var body engagementRequest
	switch {
	case c.path[2] != m.Account || m.clients.find(c.path[4]) == nil:
		c.because("there is no such account or app installation", pageMonitoring)
		return plainError(http.StatusNotFound)
	case !isJSON(c) || c.URL.Query().Get("v") != "1.0" || json.Unmarshal(c.body, &body) != nil || !isObject(c.body) || !body.valid():
		c.because("v=1.0, Content-Type application/json, or a body of the documented shape is missing", pageMonitoring)
		return jsonAnswer(http.StatusBadRequest, []byte(`{"message":"Bad Request","internalCode":1}`))
	case c.faults.Engagement == "loading":
		c.because("fault: engagement", pageMonitoring)
		data, _ := json.Marshal(map[string]any{
			"time": m.Now().UnixMilli(), "message": "Loading account: " + m.Account + ", vid: null", "internalCode": 20,
		})
		return jsonAnswer(http.StatusInternalServerError, data)
	case c.faults.Engagement == "unavailable":
		c.because("fault: engagement", pageMonitoring)
		return plainError(http.StatusServiceUnavailable)
	}
	query := c.URL.Query()
	session, seen, isNew := m.enter(query.Get("vid"), query.Get("sid"), m.Now())
	reply := map[string]any{"sessionId": session, "visitorId": seen.visitor, "pageId": seen.page}
	if needs := c.faults.EngagementNeeds; c.faults.Engagement == "eligible" && (needs == "" || slices.Contains(body.EntryPoints, needs)) {
		reply["engagementDetails"] = []map[string]any{m.details(c, &body)}
	}
	data, _ := json.Marshal(reply)
	status := http.StatusOK
	if isNew {
		status = http.StatusCreated
	}
	return jsonAnswer(status, data)
}

// appOf is the app whose part in lp_consumer_id a call asks for, empty if apps take none.
func (m *monitoring) appOf(c *call) string {
	if !c.faults.IdentityIncludesApp {
		return ""
	}
	return c.path[4]
}

func (m *monitoring) details(c *call, r *engagementRequest) map[string]any {
	details := map[string]any{
		"campaignId": campaignID, "engagementId": engagementID, "engagementRevision": 3, "connectorId": connectorID,
	}
	if c.faults.EngagementIDs == "strings" {
		details["campaignId"], details["engagementId"] = strconv.Itoa(campaignID), strconv.Itoa(engagementID)
	}
	for _, name := range r.consumers() {
		if name == "" {
			continue
		}
		if id := m.registry.open(m.consumerID(name, m.appOf(c)), c.faults); id != "" {
			details["conversationId"], details["status"] = id, c.faults.EngagementWord
			return details
		}
	}
	details["contextId"], details["status"] = "1", "expose"
	return details
}
