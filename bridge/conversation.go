package bridge

import (
	"slices"
	"time"

	"lpbridge/connector"
)

// Holder names the thread that has the conversation now.
func (c *Conversation) Holder() ThreadKey { return ThreadKey{c.Channel, c.Thread} }

// Identity is whose conversation it is towards LivePerson.
func (c *Conversation) Identity() connector.ConsumerIdentity {
	return connector.ConsumerIdentity(c.ExtConsumer)
}

// Target is where a call about one of the conversation's dialogs goes.
func (c *Conversation) Target(dialog string) connector.Target {
	return connector.Target{ConversationID: connector.ConversationID(c.ID), DialogID: connector.DialogID(dialog)}
}

// TakesMessages reports whether a consumer's message can go there.
func (c *Conversation) TakesMessages() bool { return c != nil && c.Open }

// TakesChatStates reports whether the conversation shows chat states; survey
// dialogs reject them.
func (c *Conversation) TakesChatStates() bool { return c.TakesMessages() && c.Survey == "" }

// Writes is the dialog the consumer's next message goes to.
func (c *Conversation) Writes() string {
	if c.Survey != "" {
		return c.Survey
	}
	return c.Dialog
}

// Reopen notes that LivePerson says that the conversation is open.
func (c *Conversation) Reopen() { c.Open, c.Ended = true, time.Time{} }

// End notes that a dialog takes no more messages, and with it the conversation,
// unless a survey has begun meanwhile.
func (c *Conversation) End(dialog string, at time.Time) {
	if c.Survey != "" && c.Survey != dialog {
		return
	}
	c.Open, c.Survey = false, ""
	if c.Ended.IsZero() {
		c.Ended = at
	}
}

// Outdates reports whether something newer is known of the conversation than a
// change, which always carries the whole state.
func (c *Conversation) Outdates(n *connector.ConversationChange) bool {
	switch {
	case n.LastUpdate != 0 && n.LastUpdate < c.Updated:
		return true
	case n.LastUpdate != 0 && n.LastUpdate == c.Updated:
		// The end may come in the same millisecond.
		return !n.Closed() || !c.Open && !c.Announced
	case !c.Ended.IsZero() && !n.Closed():
		// Late news, unless a survey keeps open what we found closed.
		return !inSurvey(n)
	}
	return false
}

// inSurvey reports whether only a survey keeps a conversation open.
func inSurvey(n *connector.ConversationChange) bool {
	main, has := n.MainDialog()
	survey, follows := n.SurveyDialog()
	return has && main.Closed() && follows && !survey.Closed()
}

// Advance brings the conversation up to its new state and returns what changed,
// as the channel is told it.
func (c *Conversation) Advance(n *connector.ConversationChange) []State {
	var changes []State
	if !n.Closed() {
		c.Reopen()
		if !c.Announced {
			changes, c.Announced = append(changes, State{Conversation: StateOpen}), true
		}
	}
	c.Updated = max(c.Updated, n.LastUpdate)
	c.meetDialogs(n)
	changes = append(changes, c.meetAgents(n)...)
	changes = append(changes, c.follow(n)...)
	if !n.Closed() {
		return changes
	}
	if !c.Announced && !c.Open {
		// Nobody here ever heard of it.
		changes = nil
	}
	return append(changes, c.close(n)...)
}

func (c *Conversation) meetDialogs(n *connector.ConversationChange) {
	if main, ok := n.MainDialog(); ok {
		c.Dialog = string(main.DialogID)
	}
	if c.Began.IsZero() {
		c.Began = n.StartTime
	}
	for _, d := range n.Dialogs {
		if id := string(d.DialogID); !slices.Contains(c.Dialogs, id) {
			c.Dialogs = append(slices.Clip(c.Dialogs), id)
		}
	}
}

func (c *Conversation) meetAgents(n *connector.ConversationChange) []State {
	agent := servingAgent(n, c.Joined)
	if agent == "" && n.Closed() {
		// Who served it stays known: an agent need not be listed at the end.
		return nil
	}
	before := c.Joined
	c.Joined = agent
	switch {
	case agent == before:
		return nil
	case agent != "":
		return []State{{Conversation: StateJoined, By: "agent"}}
	default:
		return []State{{Conversation: StateTransferred, By: "agent"}}
	}
}

// servingAgent is the agent who serves the conversation: the one we knew while
// still there, else the first.
func servingAgent(n *connector.ConversationChange, known string) string {
	agents := n.ActiveAgents()
	if len(agents) == 0 {
		return ""
	}
	if slices.Contains(agents, known) {
		return known
	}
	return agents[0]
}

// follow notes that a survey began or ended.
func (c *Conversation) follow(n *connector.ConversationChange) []State {
	survey, has := n.SurveyDialog()
	switch {
	case has && !survey.Closed() && c.Survey == "":
		c.Survey = string(survey.DialogID)
		return []State{{Conversation: StateSurvey}}
	case c.Survey != "" && (!has || survey.Closed()):
		c.Survey = ""
		return []State{{Conversation: StateSurveyEnded}}
	}
	return nil
}

func (c *Conversation) close(n *connector.ConversationChange) []State {
	known := c.Announced || c.Open
	c.Open, c.Survey, c.Announced = false, "", false
	switch {
	case !n.EndTime.IsZero():
		c.Ended = n.EndTime
	case c.Ended.IsZero():
		c.Ended = time.Now()
	}
	if !known {
		return nil
	}
	return []State{{Conversation: StateClosed, By: closer(n)}}
}

// closer says in our words who closed a conversation.
func closer(n *connector.ConversationChange) string {
	by := n.CloseReason
	if main, ok := n.MainDialog(); ok && main.ClosedBy != "" {
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
