package lpsim

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
)

// messagingChange is one change of an ms.MessagingEventNotification (Webhooks Events).
type messagingChange struct {
	Sequence           *int64          `json:"sequence,omitempty"`
	OriginatorID       string          `json:"originatorId"`
	OriginatorMetadata originator      `json:"originatorMetadata"`
	ServerTimestamp    int64           `json:"serverTimestamp,omitempty"`
	Event              any             `json:"event"`
	ConversationID     string          `json:"conversationId,omitempty"`
	DialogID           string          `json:"dialogId"`
	Metadata           json.RawMessage `json:"metadata,omitempty"`
	MessageAudience    string          `json:"messageAudience,omitempty"`
}

type originator struct {
	ID   string `json:"id"`
	Role string `json:"role"`
}

type contentEvent struct {
	Type         string          `json:"type"`
	Message      any             `json:"message"`
	ContentType  string          `json:"contentType"`
	QuickReplies json.RawMessage `json:"quickReplies,omitempty"`
}

type richContentEvent struct {
	Type         string          `json:"type"`
	Content      json.RawMessage `json:"content"`
	QuickReplies json.RawMessage `json:"quickReplies,omitempty"`
}

type acceptStatusEvent struct {
	Type         string  `json:"type"`
	Status       string  `json:"status"`
	SequenceList []int64 `json:"sequenceList"`
}

type chatStateEvent struct {
	Type      string `json:"type"`
	ChatState string `json:"chatState"`
}

// post gives an event its sequence, keeps it, and tells the webhooks. The conversation is locked.
func (s *Sim) post(c *conversation, d *dialog, e Entry, cause *call) int64 {
	if f := s.faults.Load(); f.happens(rollGap, f.SequenceGapRate) {
		d.next++
	}
	e.Sequence, e.DialogID, e.Time = d.next, d.DialogID, s.config.Now()
	d.next++
	c.updated = e.Time
	c.transcript = keep(c.transcript, e, s.config.MaxTranscript)
	if !e.Withheld {
		s.notifyEntry(c, e, cause)
	}
	cause.note(Applied{SendAPI, c.id, e.DialogID, e.Type, e.Sequence, "", e.RequestID})
	s.watchSilence(c, e)
	s.stream.publish("message", func() any { return streamed{c.id, e} })
	return e.Sequence
}

// streamed is an event of /sim/events that belongs to a conversation.
type streamed struct {
	ConversationID string `json:"conversationId"`
	Event          any    `json:"event"`
}

func (s *Sim) notifyEntry(c *conversation, e Entry, cause *call) {
	kind := entryKind(e)
	if !s.hooks.wants(kind) {
		return
	}
	f := s.faults.Load()
	change := messagingChange{
		Sequence: &e.Sequence, OriginatorID: e.OriginatorID, OriginatorMetadata: originator{e.OriginatorID, e.Role},
		ServerTimestamp: e.Time.UnixMilli(), Event: wireEvent(e), ConversationID: c.id, DialogID: e.DialogID,
		Metadata: e.Metadata, MessageAudience: e.Audience,
	}
	if e.Role == RoleConsumer && kind == ContentEvents && !f.ContentEchoMetadata {
		change.Metadata = nil
	}
	if e.Audience == audienceAll && f.happens(rollAudience, f.OmitAudienceRate) {
		change.MessageAudience = ""
	}
	s.notifyChange(c, kind, change, f, cause)
	if f.happens(rollForeign, f.WebhookForeignRate) {
		s.notifyForeign(kind, change)
	}
}

func entryKind(e Entry) EventType {
	switch e.Type {
	case "AcceptStatusEvent":
		return AcceptStatusEvents
	case "RichContentEvent":
		return RichContentEvents
	}
	return ContentEvents
}

func wireEvent(e Entry) any {
	if e.QuickRepliesWithheld {
		e.QuickReplies = nil
	}
	switch {
	case e.Type == "AcceptStatusEvent":
		return acceptStatusEvent{e.Type, e.Status, e.SequenceList}
	case e.Type == "RichContentEvent":
		return richContentEvent{e.Type, e.Content, e.QuickReplies}
	case e.File != nil:
		return contentEvent{e.Type, e.File, e.ContentType, e.QuickReplies}
	}
	return contentEvent{e.Type, e.Text, e.ContentType, e.QuickReplies}
}

func (s *Sim) notifyChange(c *conversation, kind EventType, change messagingChange, f *inForce, cause *call) {
	if f.happens(rollConversationID, f.OmitConversationIDRate) {
		change.ConversationID = ""
	}
	if change.Metadata == nil && f.happens(rollMetadata, f.NullMetadataRate) {
		change.Metadata = json.RawMessage("null")
	}
	s.notifyOne(c.id, kind, change, cause)
}

// notifyOne hands one change to the webhooks, and may make the call that caused it wait for its delivery.
func (s *Sim) notifyOne(conversationID string, kind EventType, change any, cause *call) {
	data, err := json.Marshal(change)
	if err != nil {
		s.config.Logger.Error("notification cannot be written", "kind", kind, "error", err)
		return
	}
	data = s.faults.Load().disfigure(kind, data)
	n := &notification{kind: kind, conversation: conversationID, changes: [][]byte{data}, stored: time.Now()}
	if cause != nil && cause.opensLate {
		n.late = true
	}
	if cause != nil && cause.faults.happens(rollEarly, cause.faults.WebhookEarlyRate) {
		n.tried = make(chan struct{})
		cause.early = append(cause.early, n.tried)
	}
	s.hooks.dispatch(n)
}

// notifyForeign sends the same kind of change for a conversation of somebody else: webhooks are account-wide.
func (s *Sim) notifyForeign(kind EventType, change messagingChange) {
	id := uuid.NewString()
	change.ConversationID, change.DialogID, change.Metadata = id, id, nil
	change.OriginatorID = s.tokens.consumerID("foreign:"+id, false)
	change.OriginatorMetadata.ID = change.OriginatorID
	s.notifyOne(id, kind, change, nil)
}

// setChatState keeps a chat state and tells the webhooks. It has no sequence and no time on the wire.
func (s *Sim) setChatState(c *conversation, d *dialog, who originator, state string, cause *call) {
	record := ChatStateRecord{d.DialogID, who.Role, who.ID, state, s.config.Now()}
	cause.note(Applied{API: SendAPI, ConversationID: c.id, DialogID: d.DialogID, Type: "ChatStateEvent", ChatState: state})
	c.chatStates = keep(c.chatStates, record, s.config.MaxTranscript)
	if who.Role == RoleConsumer {
		c.chatState = state
	}
	if s.hooks.wants(ChatStateEvents) {
		f := s.faults.Load()
		change := messagingChange{
			OriginatorID: who.ID, OriginatorMetadata: who, Event: chatStateEvent{"ChatStateEvent", state},
			ConversationID: c.id, DialogID: d.DialogID,
		}
		s.notifyChange(c, ChatStateEvents, change, f, cause)
	}
	s.stream.publish("typing", func() any { return streamed{c.id, record} })
}

// conversationResult is the complete state of a conversation in a cqm.ExConversationChangeNotification.
type conversationResult struct {
	ConvID       string              `json:"convId"`
	EffectiveTTR int64               `json:"effectiveTTR"`
	Details      conversationDetails `json:"conversationDetails"`
}

type conversationDetails struct {
	SkillID              string          `json:"skillId"`
	Participants         any             `json:"participants"`
	Dialogs              []wireDialog    `json:"dialogs,omitempty"`
	BrandID              string          `json:"brandId"`
	State                string          `json:"state"`
	Stage                string          `json:"stage,omitempty"`
	CloseReason          string          `json:"closeReason,omitempty"`
	StartTs              int64           `json:"startTs"`
	EndTs                int64           `json:"endTs,omitempty"`
	MetaDataLastUpdateTs int64           `json:"metaDataLastUpdateTs"`
	TTR                  TTR             `json:"ttr"`
	CSAT                 *wireCSAT       `json:"csat,omitempty"`
	CampaignInfo         json.RawMessage `json:"campaignInfo,omitempty"`
}

type wireCSAT struct {
	Rate       int    `json:"csatRate"`
	Resolution *bool  `json:"csatResolutionConfirmation,omitempty"`
	Status     string `json:"status"`
}

type wireDialog struct {
	DialogID             string            `json:"dialogId"`
	ParticipantsDetails  []Participant     `json:"participantsDetails"`
	DialogType           string            `json:"dialogType"`
	ChannelType          string            `json:"channelType"`
	MetaData             map[string]string `json:"metaData,omitempty"`
	State                string            `json:"state"`
	CreationTs           int64             `json:"creationTs"`
	EndTs                int64             `json:"endTs,omitempty"`
	MetaDataLastUpdateTs int64             `json:"metaDataLastUpdateTs"`
	ClosedBy             string            `json:"closedBy,omitempty"`
	ClosedCause          string            `json:"closedCause,omitempty"`
}

// notifyConversation sends the complete state, as every such notification does.
func (s *Sim) notifyConversation(c *conversation, cause *call) {
	if s.hooks.wants(ConversationEvents) {
		s.notifyOne(c.id, ConversationEvents, struct {
			Type   string             `json:"type"`
			Result conversationResult `json:"result"`
		}{"UPSERT", s.wireConversation(c)}, cause)
	}
	s.stream.publish("conversation", func() any { return streamed{c.id, c.summary()} })
}

func (s *Sim) wireConversation(c *conversation) conversationResult {
	f := s.faults.Load()
	survey := len(c.dialogs) > 1
	details := conversationDetails{
		SkillID: c.skill, Participants: wireParticipants(c, f), BrandID: s.config.Account, State: c.state, Stage: c.stage,
		CloseReason: c.reason, StartTs: c.started.UnixMilli(), MetaDataLastUpdateTs: c.metaTs, TTR: c.ttr, CampaignInfo: c.campaign,
	}
	// Old payloads knew no surveys, so they cannot leave out what only a survey makes necessary.
	if c.stage == c.state && f.happens(rollStage, f.OmitStageRate) {
		details.Stage = ""
	}
	if survey || !f.happens(rollDialogs, f.OmitDialogsRate) {
		details.Dialogs = s.wireDialogs(c, f)
	}
	if c.ended != nil && !f.happens(rollEndTs, f.OmitEndTsRate) {
		details.EndTs = c.ended.UnixMilli()
	}
	if c.csat != nil {
		details.CSAT = (*wireCSAT)(c.csat)
	}
	result := conversationResult{ConvID: c.id, EffectiveTTR: -1, Details: details}
	if c.state == stateOpen {
		result.EffectiveTTR = c.started.Add(time.Duration(c.ttr.Value) * time.Second).UnixMilli()
	}
	return result
}

// wireParticipants has no states: they are in the dialogs, and a suggested agent is listed all the same.
func wireParticipants(c *conversation, f *inForce) any {
	if f.happens(rollParticipants, f.ParticipantsMapRate) {
		roles := map[string][]string{}
		for _, p := range c.members {
			roles[p.Role] = append(roles[p.Role], p.ID)
		}
		return roles
	}
	list := make([]originator, 0, len(c.members))
	for _, p := range c.members {
		list = append(list, originator{p.ID, p.Role})
	}
	return list
}

func (s *Sim) wireDialogs(c *conversation, f *inForce) []wireDialog {
	var list []wireDialog
	for _, d := range c.dialogs {
		w := wireDialog{
			DialogID: d.DialogID, ParticipantsDetails: d.members, DialogType: d.DialogType, ChannelType: "MESSAGING",
			State: d.State, CreationTs: d.Created.UnixMilli(), MetaDataLastUpdateTs: d.metaTs, ClosedBy: d.ClosedBy, ClosedCause: d.ClosedCause,
		}
		if d.DialogType == dialogMain {
			w.ParticipantsDetails = c.members
		} else if d.DialogType == dialogPCS {
			w.MetaData = map[string]string{"appInstallId": s.config.ClientID}
		}
		if d.Ended != nil {
			w.EndTs = d.Ended.UnixMilli()
		}
		list = append(list, w)
	}
	if f.happens(rollReversed, f.DialogsReversedRate) {
		slices.Reverse(list)
	}
	return list
}
