package bridge

import (
	"errors"
	"slices"

	"lpbridge/connector"
)

// TakesChatStates reports whether the thread's conversation shows chat states;
// survey dialogs reject them.
func (t *Thread) TakesChatStates() bool {
	return t.Open && t.Conversation != "" && t.Survey == ""
}

// Outdates reports whether the thread knows something newer than the change.
func (t *Thread) Outdates(c *connector.ConversationChange) bool {
	id := string(c.ConversationID)
	switch {
	case c.LastUpdate != 0 && c.LastUpdate < t.Updated:
		return true
	case c.LastUpdate != 0 && c.LastUpdate == t.Updated && id == t.Conversation:
		// The end may come in the same millisecond.
		return !c.Closed() || !t.Open && !t.Announced
	case id == t.Former && !c.Closed():
		// Late news, unless a survey keeps open what we found closed.
		return id != t.Conversation || !inSurvey(c)
	default:
		return id != t.Conversation && c.Closed()
	}
}

// inSurvey reports whether only a survey keeps a conversation open.
func inSurvey(c *connector.ConversationChange) bool {
	main, has := c.MainDialog()
	survey, follows := c.SurveyDialog()
	return has && main.Closed() && follows && !survey.Closed()
}

// Advance brings a row up to a conversation's state, which may be a new
// conversation, and returns what changed.
func (t *Thread) Advance(c *connector.ConversationChange) []State {
	if t.Conversation != string(c.ConversationID) || !t.Open && !c.Closed() {
		t.Begin(string(c.ConversationID))
	}
	opens := !t.Announced && !c.Closed()
	steps := t.apply(c)
	if opens {
		steps = slices.Insert(steps, 0, State{Conversation: StateOpen})
		t.Announced = true
	}
	return steps
}

// apply brings a row up to the conversation's state and returns what changed.
func (t *Thread) apply(c *connector.ConversationChange) []State {
	var steps []State
	t.Updated = max(t.Updated, c.LastUpdate)
	if main, ok := c.MainDialog(); ok {
		t.Dialog = string(main.DialogID)
	}
	agent := JoinedAgent(c, t.Joined)
	switch {
	case agent != "" && agent != t.Joined:
		steps = append(steps, State{Conversation: StateJoined, By: "agent"})
	case agent == "" && t.Joined != "" && !c.Closed():
		steps = append(steps, State{Conversation: StateTransferred, By: "agent"})
	}
	if agent != "" || !c.Closed() {
		t.Joined = agent
	}
	survey, has := c.SurveyDialog()
	switch {
	case has && !survey.Closed() && t.Survey == "":
		t.Survey = string(survey.DialogID)
		steps = append(steps, State{Conversation: StateSurvey})
	case t.Survey != "" && (!has || survey.Closed()):
		t.Survey = ""
		steps = append(steps, State{Conversation: StateSurveyEnded})
	}
	if c.Closed() {
		if t.Open || t.Announced {
			steps = append(steps, State{Conversation: StateClosed, By: closer(c)})
		}
		t.Open, t.Survey, t.Former, t.Announced = false, "", t.Conversation, false
	}
	return steps
}

// JoinedAgent is the agent who serves the conversation: the one we knew while
// still there, else the first.
func JoinedAgent(c *connector.ConversationChange, known string) string {
	agents := c.ActiveAgents()
	if len(agents) == 0 {
		return ""
	}
	if slices.Contains(agents, known) {
		return known
	}
	return agents[0]
}

// closer says in our words who closed a conversation.
func closer(c *connector.ConversationChange) string {
	by := c.CloseReason
	if main, ok := c.MainDialog(); ok && main.ClosedBy != "" {
		by = main.ClosedBy
	}
	switch by {
	case "CONSUMER":
		return "consumer"
	case "AGENT", "ASSIGNED_AGENT", "MANAGER":
		return "agent"
	case "":
		return ""
	default:
		return "system"
	}
}

// Identity is who a thread's consumer is towards LivePerson.
func (t *Thread) Identity() connector.ConsumerIdentity {
	return connector.ConsumerIdentity(t.ExtConsumer)
}

// ExternalConsumer is the ext_consumer_id of the thread's consumer, who is the
// one that wrote first. A channel that tells consumers apart which were one
// before names another one; the thread is theirs from its next conversation on.
func (t *Thread) ExternalConsumer(c *Consumer) (string, error) {
	another := c != nil && t.Consumer != "" && c.ID != t.Consumer && !t.Open
	switch {
	case t.ExtConsumer != "" && !another:
		return t.ExtConsumer, nil
	case c == nil:
		return "", &connector.Error{Op: "open", Outcome: Invalid, Err: errors.New("the event names no consumer")}
	}
	return ExtConsumerID(t.Channel, c.ID), nil
}

// Begin makes a conversation the thread's own. One that it had before goes on.
func (t *Thread) Begin(conversation string) {
	t.Open = true
	if t.Former == conversation {
		t.Former = ""
	}
	if t.Conversation == conversation {
		return
	}
	t.Conversation, t.Dialog, t.Survey = conversation, conversation, ""
	t.Sequence, t.Joined, t.Announced = -1, "", false
}

// Target is where a call about a dialog of the conversation goes.
func (t *Thread) Target(dialog string) connector.Target {
	return connector.Target{ConversationID: connector.ConversationID(t.Conversation), DialogID: connector.DialogID(dialog)}
}
