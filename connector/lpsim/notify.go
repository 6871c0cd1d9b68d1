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

// notifier tells what happens in conversations, which are locked: to webhooks in LivePerson's form, and to who watches.
type notifier struct {
	*installation
	clients *clients
	stream  *stream
}

// streamed is an event of /sim/events that belongs to a conversation.
type streamed struct {
	ConversationID string `json:"conversationId"`
	Event          any    `json:"event"`
}

// entry tells of an event of the transcript.
func (n *notifier) entry(c *conversation, e Entry, cause *call) {
	if kind := entryKind(e); !e.Withheld && n.clients.want(kind) {
		n.notifyEntry(c, kind, e, cause)
	}
	n.stream.publish("message", func() any { return streamed{c.id, e} })
}

func (n *notifier) notifyEntry(c *conversation, kind EventType, e Entry, cause *call) {
	f := n.faults()
	change := messagingChange{
		Sequence: &e.Sequence, OriginatorID: e.OriginatorID, OriginatorMetadata: originator{e.OriginatorID, e.Role},
		ServerTimestamp: e.Time.UnixMilli(), Event: wireEvent(e), ConversationID: c.id, DialogID: e.DialogID,
		Metadata: e.Metadata, MessageAudience: e.Audience,
	}
	if e.Role == RoleConsumer && kind == ContentEvents && !f.ContentEchoMetadata {
		change.Metadata = nil
	}
	if e.Audience == audienceAll && f.drawAlone(rollAudience, f.OmitAudienceRate) {
		change.MessageAudience = ""
	}
	n.change(c, kind, change, f, cause)
	if f.drawAlone(rollForeign, f.WebhookForeignRate) {
		n.foreign(kind, change)
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

func (n *notifier) change(c *conversation, kind EventType, change messagingChange, f *inForce, cause *call) {
	if f.drawAlone(rollConversationID, f.OmitConversationIDRate) {
		change.ConversationID = ""
	}
	if change.Metadata == nil && f.drawAlone(rollMetadata, f.NullMetadataRate) {
		change.Metadata = json.RawMessage("null")
	}
	n.one(c.id, kind, change, cause)
}

// one hands one change to the webhooks of every app, and may make the call that caused it wait for its delivery.
func (n *notifier) one(conversationID string, kind EventType, change any, cause *call) {
	data, err := json.Marshal(change)
	if err != nil {
		n.Logger.Error("notification cannot be written", "kind", kind, "error", err)
		return
	}
	data = n.faults().disfigure(kind, data)
	for _, client := range n.clients.all() {
		if !client.hooks.wants(kind) {
			continue
		}
		note := &notification{kind: kind, conversation: conversationID, changes: [][]byte{data}, stored: n.due()}
		if cause != nil && cause.opensLate {
			note.late = true
		}
		if cause != nil && cause.faults.drawAlone(rollEarly, cause.faults.WebhookEarlyRate) {
			note.tried = make(chan struct{})
			cause.early = append(cause.early, note.tried)
		}
		client.hooks.dispatch(note)
	}
}

// foreign sends the same kind of change for a conversation of somebody else: webhooks are account-wide.
func (n *notifier) foreign(kind EventType, change messagingChange) {
	id := uuid.NewString()
	change.ConversationID, change.DialogID, change.Metadata = id, id, nil
	change.OriginatorID = n.consumerID("foreign:"+id, "")
	change.OriginatorMetadata.ID = change.OriginatorID
	n.one(id, kind, change, nil)
}

// chatState tells of a chat state, which has no sequence and no time on the wire.
func (n *notifier) chatState(c *conversation, r ChatStateRecord, cause *call) {
	if n.clients.want(ChatStateEvents) {
		n.change(c, ChatStateEvents, messagingChange{
			OriginatorID: r.OriginatorID, OriginatorMetadata: originator{r.OriginatorID, r.Role},
			Event: chatStateEvent{"ChatStateEvent", r.ChatState}, ConversationID: c.id, DialogID: r.DialogID,
		}, n.faults(), cause)
	}
	n.stream.publish("typing", func() any { return streamed{c.id, r} })
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

// conversation tells the complete state, as every such notification does.
func (n *notifier) conversation(c *conversation, cause *call) {
	if n.clients.want(ConversationEvents) {
		n.one(c.id, ConversationEvents, struct {
			Type   string             `json:"type"`
			Result conversationResult `json:"result"`
		}{"UPSERT", n.wireConversation(c)}, cause)
	}
	n.watchers(c)
}

// watchers tells the new state to who watches, and not to webhooks.
func (n *notifier) watchers(c *conversation) {
	n.stream.publish("conversation", func() any { return streamed{c.id, c.summary()} })
}

func (n *notifier) wireConversation(c *conversation) conversationResult {
	f := n.faults()
	survey := len(c.dialogs) > 1
	details := conversationDetails{
		SkillID: c.skill, Participants: wireParticipants(c, f), BrandID: n.Account, State: c.state, Stage: c.stage,
		CloseReason: c.reason, StartTs: c.started.UnixMilli(), MetaDataLastUpdateTs: c.metaTs, TTR: c.ttr, CampaignInfo: c.campaign,
	}
	// Old payloads knew no surveys, so they cannot leave out what only a survey makes necessary.
	if c.stage == c.state && f.drawAlone(rollStage, f.OmitStageRate) {
		details.Stage = ""
	}
	if survey || !f.drawAlone(rollDialogs, f.OmitDialogsRate) {
		details.Dialogs = n.wireDialogs(c, f)
	}
	if c.ended != nil && !f.drawAlone(rollEndTs, f.OmitEndTsRate) {
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
	if f.drawAlone(rollParticipants, f.ParticipantsMapRate) {
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

func (n *notifier) wireDialogs(c *conversation, f *inForce) []wireDialog {
	var list []wireDialog
	for _, d := range c.dialogs {
		w := wireDialog{
			DialogID: d.DialogID, ParticipantsDetails: d.members, DialogType: d.DialogType, ChannelType: "MESSAGING",
			State: d.State, CreationTs: d.Created.UnixMilli(), MetaDataLastUpdateTs: d.metaTs, ClosedBy: d.ClosedBy, ClosedCause: d.ClosedCause,
		}
		if d.DialogType == dialogMain {
			w.ParticipantsDetails = c.members
		} else if d.DialogType == dialogPCS {
			w.MetaData = map[string]string{"appInstallId": n.ClientID}
		}
		if d.Ended != nil {
			w.EndTs = d.Ended.UnixMilli()
		}
		list = append(list, w)
	}
	if f.drawAlone(rollReversed, f.DialogsReversedRate) {
		slices.Reverse(list)
	}
	return list
}
