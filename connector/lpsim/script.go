package lpsim

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Script lets agents act by themselves: for each event the first rule that fits is carried out.
type Script struct {
	Rules []Rule `json:"rules"`
}

// Rule is what an agent does when something happens.
type Rule struct {
	// On is message (of a consumer, in the main dialog), open or close.
	On string `json:"on"`
	// Match, if given, must be part of the consumer's text; case does not count.
	Match string `json:"match"`
	Agent
	// Join, Accept and Read happen at once.
	Join   bool `json:"join"`
	Accept bool `json:"accept"`
	Read   bool `json:"read"`
	// AfterMs is how long the agent thinks before anything else, TypeMs how long it then types; both in ms.
	AfterMs int `json:"afterMs"`
	TypeMs  int `json:"typeMs"`
	// Reply is what it writes, with {text} standing for the consumer's text and {conversation} for its id.
	Reply   string `json:"reply"`
	Private bool   `json:"private"`
	// Close closes the conversation at last, with a survey if Survey is set.
	Close  bool `json:"close"`
	Survey bool `json:"survey"`
}

// Echo is a script that answers every message after typing for a while.
func Echo(typing time.Duration) Script {
	return Script{Rules: []Rule{{On: "message", Join: true, Read: true, TypeMs: int(typing / time.Millisecond), Reply: "You wrote: {text}"}}}
}

const longestAct = 24 * 60 * 60 * 1000

// Validate reports the first rule that cannot be carried out.
func (s Script) Validate() error {
	for i, r := range s.Rules {
		name := fmt.Sprintf("rules[%d].", i)
		switch {
		case !slices.Contains([]string{"message", "open", "close"}, r.On):
			return &FieldError{name + "on", "want message, open or close"}
		case r.AfterMs < 0 || r.AfterMs > longestAct:
			return &FieldError{name + "afterMs", "want 0 to 86400000"}
		case r.TypeMs < 0 || r.TypeMs > longestAct:
			return &FieldError{name + "typeMs", "want 0 to 86400000"}
		case r.Role != "" && !slices.Contains(agentRoles, r.Role):
			return &FieldError{name + "role", "not an agent's role"}
		case r.On == "close" && (r.Reply != "" || r.Close || r.Join || r.TypeMs > 0):
			return &FieldError{name + "on", "nothing can be done in a closed conversation"}
		}
	}
	return nil
}

func (r *Rule) fits(event, text string) bool {
	return r.On == event && (r.Match == "" || strings.Contains(strings.ToLower(text), strings.ToLower(r.Match)))
}

// script is what the agents do by themselves at present.
type script struct {
	rules  atomic.Pointer[Script]
	agenda *agenda
	agents *agents
}

func newScript(s Script, a *agenda, acting *agents) *script {
	scripted := &script{agenda: a, agents: acting}
	scripted.set(s)
	return scripted
}

func (s *script) set(rules Script) { s.rules.Store(&rules) }

func (s *script) get() Script { return *s.rules.Load() }

// perform makes the appointments of the first fitting rule. The conversation is locked, so everything, even what
// happens at once, is left to the agenda.
func (s *script) perform(c *conversation, event, text string) {
	rules := s.get().Rules
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.fits(event, text) })
	if i < 0 {
		return
	}
	id, r := c.id, rules[i]
	if r.Join || r.Accept || r.Read {
		s.agenda.after(0, func() { s.greet(id, &r) })
	}
	think := time.Duration(r.AfterMs) * time.Millisecond
	if r.TypeMs > 0 {
		s.agenda.after(think, func() { s.agents.AgentTyping(id, "COMPOSING", r.Agent) })
	}
	if r.Reply != "" || r.TypeMs > 0 || r.Close {
		s.agenda.after(think+time.Duration(r.TypeMs)*time.Millisecond, func() { s.finish(id, &r, text) })
	}
}

// A conversation may close before an appointment; then there is nothing left to do, and errors mean just that.

func (s *script) greet(id string, r *Rule) {
	if r.Join && s.agents.unassigned(id) {
		s.agents.AgentJoin(id, r.Agent, "ACTIVE")
	}
	if r.Accept {
		s.agents.AgentRead(id, "ACCEPT", nil, r.Agent)
	}
	if r.Read {
		s.agents.AgentRead(id, "READ", nil, r.Agent)
	}
}

func (s *script) finish(id string, r *Rule, text string) {
	if r.Reply != "" {
		reply := strings.NewReplacer("{text}", text, "{conversation}", id).Replace(r.Reply)
		s.agents.AgentMessage(id, AgentMessage{Agent: r.Agent, Text: reply, Private: r.Private})
	}
	if r.TypeMs > 0 {
		s.agents.AgentTyping(id, "ACTIVE", r.Agent)
	}
	if r.Close {
		survey := r.Survey
		s.agents.AgentClose(id, AgentClose{Survey: &survey})
	}
}
