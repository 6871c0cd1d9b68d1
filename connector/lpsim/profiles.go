package lpsim

import (
	"encoding/json"
	"maps"
	"net/http"
	"sync"
)

// AgentProfile is what LivePerson tells anybody about an agent (Get Agent Public Profile).
type AgentProfile struct {
	Nickname   string `json:"nickname"`
	FullName   string `json:"fullName"`
	PictureURL string `json:"pictureUrl"`
}

// profiles are those of all agents, by id. Agents without one are answered 404.
type profiles struct {
	account string

	mu   sync.Mutex
	byID map[string]AgentProfile
}

// maxProfiles bounds what a test can leave behind.
const maxProfiles = 10_000

// SetAgentProfile gives an agent a public profile.
func (s *Sim) SetAgentProfile(agentID string, p AgentProfile) error {
	if agentID == "" {
		return &FieldError{"id", "is empty"}
	}
	s.profiles.set(agentID, p)
	return nil
}

// AgentProfiles are all public profiles, by the agent's id.
func (s *Sim) AgentProfiles() map[string]AgentProfile { return s.profiles.all() }

func (p *profiles) set(agentID string, profile AgentProfile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil || len(p.byID) >= maxProfiles {
		p.byID = map[string]AgentProfile{}
	}
	p.byID[agentID] = profile
}

func (p *profiles) all() map[string]AgentProfile {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		return map[string]AgentProfile{}
	}
	return maps.Clone(p.byID)
}

func (p *profiles) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID = nil
}

// serve answers without any login, as LivePerson's examples ask.
func (p *profiles) serve(c *call) answer {
	if c.path[2] != p.account {
		return plainError(http.StatusNotFound)
	}
	found, ok := p.all()[c.path[len(c.path)-1]]
	if !ok || c.faults.AgentProfiles == "missing" {
		c.because("nobody gave this agent a profile with PUT /sim/agents, or agentProfiles is missing", pageProfile)
		return plainError(http.StatusNotFound)
	}
	body, _ := json.Marshal(found)
	return jsonAnswer(http.StatusOK, body)
}
