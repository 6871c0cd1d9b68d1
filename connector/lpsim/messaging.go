package lpsim

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// messaging is the life of conversations: they begin, keep what is said in them, and end, and whatever changes is told.
// Who asks has locked the conversation, where nothing else is said.
type messaging struct {
	*installation
	registry *registry
	tell     *notifier
	agenda   *agenda
	// happened is asked what the scripted agents do about an event: open, message or close.
	happened func(c *conversation, event, text string)
}

// begin makes a conversation known, first to look-ups and then to the world, which may answer at once. It locks the
// conversation itself.
func (m *messaging) begin(c *conversation, cause *call) {
	m.registry.add(c)
	m.stats.conversations.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	cause.note(Applied{API: ConversationAPI, ConversationID: c.id, DialogID: c.id, Type: "cm.ConsumerRequestConversation"})
	m.tell.conversation(c, cause)
	m.happened(c, "open", "")
}

// post gives an event its sequence, keeps it, and tells the webhooks.
func (m *messaging) post(c *conversation, d *dialog, e Entry, cause *call) int64 {
	if f := m.faults(); f.drawAlone(rollGap, f.SequenceGapRate) {
		d.next++
	}
	e.Sequence, e.DialogID, e.Time = d.next, d.DialogID, m.Now()
	d.next++
	c.updated = e.Time
	c.transcript = keep(c.transcript, e, m.MaxTranscript)
	m.tell.entry(c, e, cause)
	cause.note(Applied{SendAPI, c.id, e.DialogID, e.Type, e.Sequence, "", e.RequestID})
	m.watchSilence(c, e)
	return e.Sequence
}

// setChatState keeps a chat state and tells it.
func (m *messaging) setChatState(c *conversation, d *dialog, who originator, state string, cause *call) {
	record := ChatStateRecord{d.DialogID, who.Role, who.ID, state, m.Now()}
	cause.note(Applied{API: SendAPI, ConversationID: c.id, DialogID: d.DialogID, Type: "ChatStateEvent", ChatState: state})
	c.chatStates = keep(c.chatStates, record, m.MaxTranscript)
	if who.Role == RoleConsumer {
		c.chatState = state
	}
	m.tell.chatState(c, record, cause)
}

// watchSilence closes a conversation that waits for its consumer for too long, without a survey, as LivePerson's
// automatic close does. An agent's message begins the wait, and anything later of the consumer's ends it.
func (m *messaging) watchSilence(c *conversation, e Entry) {
	limit := m.faults().AutoCloseMs
	if limit == 0 || e.Type == "AcceptStatusEvent" {
		return
	}
	c.spoken++
	if e.Role == RoleConsumer {
		return
	}
	spoken := c.spoken
	m.agenda.after(time.Duration(limit)*time.Millisecond, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.spoken == spoken {
			m.closeAll(c, "SYSTEM", nil)
		}
	})
}

// withholds tells whether content is kept from a client that did not declare its feature.
func (m *messaging) withholds(c *conversation, feature string) bool {
	return !c.has(feature) && m.faults().DeclaredFeatures == "enforce"
}

func (m *messaging) openDialog(c *conversation, dialogType string) string {
	now := m.Now()
	d := &dialog{
		Dialog: Dialog{DialogID: uuid.NewString(), DialogType: dialogType, State: stateOpen, Created: now},
		metaTs: c.touch(now), members: slices.Clone(c.members),
	}
	c.dialogs = append(c.dialogs, d)
	m.registry.addDialog(d.DialogID, c)
	m.tell.conversation(c, nil)
	return d.DialogID
}

// changed stamps a conversation and announces it.
func (m *messaging) changed(c *conversation, cause *call) {
	c.touch(m.Now())
	m.tell.conversation(c, cause)
}

// closeMain closes the main dialog; a survey follows when one is wanted and possible, and ends all otherwise.
func (m *messaging) closeMain(c *conversation, by, cause string, survey bool, call *call) {
	if c.state != stateOpen {
		return
	}
	main := c.main()
	m.endDialog(c, main, by, cause)
	c.state, c.reason = stateClose, by
	if survey && m.surveyPossible(c) {
		m.startSurvey(c, m.Survey, call)
		return
	}
	m.end(c, call)
}

// closeAll closes every dialog at once, without a survey.
func (m *messaging) closeAll(c *conversation, by string, call *call) {
	if c.stage != stateOpen {
		return
	}
	for _, d := range c.dialogs {
		if d.State == stateOpen {
			m.endDialog(c, d, by, "")
		}
	}
	c.state, c.reason, c.survey = stateClose, orElse(c.reason, by), nil
	m.end(c, call)
}

func (m *messaging) endDialog(c *conversation, d *dialog, by, cause string) {
	now := m.Now()
	d.State, d.ClosedBy, d.ClosedCause, d.Ended, d.metaTs = stateClose, by, cause, &now, c.touch(now)
}

// end closes the conversation as a whole.
func (m *messaging) end(c *conversation, call *call) {
	now := m.Now()
	c.stage, c.ended = stateClose, &now
	c.touch(now)
	if m.faults().AgentLeavesOnClose {
		c.members = slices.DeleteFunc(c.members, func(p Participant) bool { return p.Role == RoleAssignedAgent })
	}
	m.tell.conversation(c, call)
	m.happened(c, "close", "")
}

// lose locks the conversation itself.
func (m *messaging) lose(id, how string) error {
	c := m.registry.find(id)
	if c == nil {
		return ErrUnknownConversation
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.markLost(c, how)
	return nil
}

func (m *messaging) markLost(c *conversation, how string) {
	if c.lost == "" {
		m.stats.forgotten.Add(1)
	}
	c.lost = how
	m.tell.watchers(c)
}

// loseByChance applies the rates of the faults to a SEND's conversation.
func (m *messaging) loseByChance(c *call, conv *conversation) {
	switch {
	case c.faults.drawAlone(rollForget, c.faults.ForgetConversationRate):
		m.markLost(conv, forgotten)
	case c.faults.drawAlone(rollDisown, c.faults.DisownConversationRate):
		m.markLost(conv, disowned)
	}
}
