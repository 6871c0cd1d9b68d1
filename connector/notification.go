package connector

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxNotificationBytes is the largest notification ParseNotification looks at.
const MaxNotificationBytes = 1 << 20

// The event types of messaging notifications ("Webhooks Events" page).
const (
	TypeContentEvent      = "ContentEvent"
	TypeRichContentEvent  = "RichContentEvent"
	TypeChatStateEvent    = "ChatStateEvent"
	TypeAcceptStatusEvent = "AcceptStatusEvent"
)

// The content types of a ContentEvent.
const (
	ContentTypeText = "text/plain"
	ContentTypeFile = "hosted/file"
)

// The roles this package decides by. LivePerson has more: MANAGER (also many
// bots), AGENT (the survey bot), CONTROLLER (automatic messages), READER.
const (
	RoleConsumer      = "CONSUMER"
	RoleAssignedAgent = "ASSIGNED_AGENT"
)

// AudienceAgents marks a private note between agents. It must never reach the consumer.
const AudienceAgents = "AGENTS_AND_MANAGERS"

// The dialog types this package decides by.
const (
	DialogMain   = "MAIN"
	DialogSurvey = "POST_SURVEY"
)

const stateClosed = "CLOSE"

// Notification is what a webhook brings: *[MessagingEventNotification],
// *[ExConversationChangeNotification] or *[UnknownNotification].
type Notification interface{ notification() }

// MessagingEventNotification brings messages, typing and receipts, of the whole
// account and of our own consumers too.
type MessagingEventNotification struct {
	Changes []MessagingChange
	// Unreadable says of each change that is not in Changes what is wrong with it.
	Unreadable []error
}

// ExConversationChangeNotification brings the complete new state of conversations.
type ExConversationChangeNotification struct {
	Changes []ConversationChange
	// Unreadable says of each change that is not in Changes what is wrong with it.
	Unreadable []error
}

// UnknownNotification is of a type this package does not know.
type UnknownNotification struct {
	// Type is LivePerson's, possibly empty.
	Type string
	// Body is the notification's body as it came.
	Body json.RawMessage
}

func (*MessagingEventNotification) notification()       {}
func (*ExConversationChangeNotification) notification() {}
func (*UnknownNotification) notification()              {}

// MessagingChange is one event of a dialog.
type MessagingChange struct {
	// Sequence is NoSequence on chat states.
	Sequence     Sequence
	OriginatorID string
	// OriginatorRole is who did it; RoleConsumer is our own side's echo.
	OriginatorRole string
	// ServerTimestamp is zero on chat states.
	ServerTimestamp time.Time
	// ConversationID is that of the dialog where LivePerson's older payloads
	// leave it out, which is right for main dialogs only; then Guessed is set.
	ConversationID ConversationID
	Guessed        bool
	DialogID       DialogID
	Event          MessagingEvent
	// Metadata is the raw array, nil when absent or null.
	Metadata json.RawMessage
	// MessageAudience is "ALL", AudienceAgents, or empty for all.
	MessageAudience string
}

// FromConsumer tells that the event comes from the consumer's side: our echo,
// or the same consumer through another app.
func (c *MessagingChange) FromConsumer() bool { return c.OriginatorRole == RoleConsumer }

// Private tells that the event is between agents and not for the consumer.
func (c *MessagingChange) Private() bool { return c.MessageAudience == AudienceAgents }

// MessagingEvent is what happened. Which fields are set depends on Type and, for
// contents, ContentType; unknown ones keep only Raw.
type MessagingEvent struct {
	// Type is LivePerson's, such as TypeContentEvent.
	Type string
	// ContentType is set on contents; it may be one this package does not know.
	ContentType string
	// Text is the message of a text content.
	Text string
	// File is set on hosted files.
	File *ReceivedFile
	// RichContent is the raw element of a rich content event.
	RichContent json.RawMessage
	// QuickReplies is raw, beside a text or rich content.
	QuickReplies json.RawMessage
	// ChatState is set on chat states; LivePerson also sends BACKGROUND.
	ChatState ChatState
	// Status and SequenceList are set on accept statuses.
	Status       AcceptStatus
	SequenceList []Sequence
	// Raw is the whole event as it came.
	Raw json.RawMessage
}

// ReceivedFile is a hosted file of a notification; see [Client.Download].
type ReceivedFile = HostedFile

// FallbackText is the event for a channel that shows only text: the text itself,
// or rich content and quick replies flattened. It is empty for events that are
// not contents and for contents this package does not know.
func (e *MessagingEvent) FallbackText() string {
	if e.Type != TypeContentEvent && e.Type != TypeRichContentEvent {
		return ""
	}
	return fallbackText(e.Text, e.RichContent, e.QuickReplies)
}

// ConversationChange is a conversation's new state, always complete.
type ConversationChange struct {
	// Type is "UPSERT", or "DELETE" when the conversation leaves the subscription.
	Type           string
	ConversationID ConversationID
	BrandID        AccountID
	SkillID        string
	// State is that of the main dialog, Stage that of the whole conversation;
	// "OPEN" or "CLOSE". Older payloads have no stage: see Closed.
	State string
	Stage string
	// CloseReason is who closed, such as "CONSUMER", "AGENT" or "SYSTEM".
	CloseReason  string
	Participants []Participant
	// Dialogs are in no particular order, and absent in older payloads.
	Dialogs []Dialog
	// StartTime and EndTime may be zero.
	StartTime time.Time
	EndTime   time.Time
	// LastUpdate is metaDataLastUpdateTs in milliseconds: a change with a lower
	// one than was seen before is out of date. Zero when absent.
	LastUpdate int64
}

// Participant is somebody in a conversation or dialog.
type Participant struct {
	ID   string `json:"id"`
	Role string `json:"role"`
	// State is "ACTIVE" or "SUGGESTED", only within dialogs, often absent.
	State string `json:"state"`
}

// Dialog is a part of a conversation.
type Dialog struct {
	DialogID     DialogID
	DialogType   string
	ChannelType  string
	State        string
	Participants []Participant
	// ClosedBy and ClosedCause say who closed it and why, in LivePerson's words.
	ClosedBy    string
	ClosedCause string
	StartTime   time.Time
	EndTime     time.Time
}

// Closed tells that the dialog has ended.
func (d *Dialog) Closed() bool { return d.State == stateClosed }

// Closed tells that the whole conversation has ended. A closed main dialog
// beside an open survey is not the end yet.
func (c *ConversationChange) Closed() bool {
	if c.Stage != "" {
		return c.Stage == stateClosed
	}
	return c.State == stateClosed
}

// MainDialog gives the main dialog. Where LivePerson's older payloads have no
// dialogs it is made up from the conversation, whose id it shares.
func (c *ConversationChange) MainDialog() (Dialog, bool) {
	if d, ok := c.dialog(DialogMain); ok {
		return d, true
	}
	if len(c.Dialogs) > 0 || c.ConversationID == "" {
		return Dialog{}, false
	}
	return Dialog{
		DialogID: DialogID(c.ConversationID), DialogType: DialogMain, State: c.State,
		Participants: c.Participants, ClosedBy: c.CloseReason, StartTime: c.StartTime, EndTime: c.EndTime,
	}, true
}

// SurveyDialog gives the survey that follows a conversation, open or closed.
func (c *ConversationChange) SurveyDialog() (Dialog, bool) { return c.dialog(DialogSurvey) }

func (c *ConversationChange) dialog(kind string) (Dialog, bool) {
	// There may be several of a kind: the open one counts.
	var found Dialog
	any := false
	for _, d := range c.Dialogs {
		if d.DialogType == kind && (!any || found.Closed()) {
			found, any = d, true
		}
	}
	return found, any
}

// ActiveAgents gives the ids of the agents who have joined. One who is only
// suggested has not accepted yet.
func (c *ConversationChange) ActiveAgents() []string {
	present := slices.Clone(c.Participants)
	if main, ok := c.dialog(DialogMain); ok {
		present = append(present, main.Participants...)
	}
	suggested := make(map[string]bool)
	for _, p := range present {
		if p.State == "SUGGESTED" {
			suggested[p.ID] = true
		}
	}
	var agents []string
	for _, p := range present {
		if p.Role == RoleAssignedAgent && !suggested[p.ID] && !slices.Contains(agents, p.ID) {
			agents = append(agents, p.ID)
		}
	}
	return agents
}

// Consumers gives LivePerson's ids of the conversation's consumers, normally one.
func (c *ConversationChange) Consumers() []ConsumerID {
	var ids []ConsumerID
	for _, p := range c.Participants {
		if p.Role == RoleConsumer {
			ids = append(ids, ConsumerID(p.ID))
		}
	}
	return ids
}

// ParseNotification decodes the body of a webhook, after its signature was
// verified. Types it does not know are kept, not refused; an error means that
// the body is not a notification at all, and names the field that is wrong. It
// never quotes the body.
func ParseNotification(body []byte) (Notification, error) {
	if len(body) > MaxNotificationBytes {
		return nil, fmt.Errorf("notification: larger than %d bytes", MaxNotificationBytes)
	}
	var envelope struct {
		Type string          `json:"type"`
		Body json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, parseError(err)
	}
	switch envelope.Type {
	case "ms.MessagingEventNotification":
		return parseMessaging(envelope.Body)
	case "cqm.ExConversationChangeNotification":
		return parseConversations(envelope.Body)
	}
	return &UnknownNotification{Type: envelope.Type, Body: envelope.Body}, nil
}

// parseError says what is wrong without quoting what was sent, which may be a
// person's words.
func parseError(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("notification: field %q is of the wrong type", kind.Field)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("notification: not json at byte %d", syntax.Offset)
	}
	return errors.New("notification: not the expected json")
}

// decodeEach decodes the changes one by one, so that an odd one does not take
// the others with it.
func decodeEach[T any](raws []json.RawMessage) (decoded []*T, unreadable []error) {
	for i, raw := range raws {
		change := new(T)
		if err := json.Unmarshal(raw, change); err != nil {
			unreadable = append(unreadable, fmt.Errorf("change %d: %w", i, parseError(err)))
			continue
		}
		decoded = append(decoded, change)
	}
	return decoded, unreadable
}

type wireMessagingChange struct {
	Sequence           *int64 `json:"sequence"`
	OriginatorID       string `json:"originatorId"`
	OriginatorMetadata struct {
		ID   string `json:"id"`
		Role string `json:"role"`
	} `json:"originatorMetadata"`
	ServerTimestamp int64           `json:"serverTimestamp"`
	Event           json.RawMessage `json:"event"`
	ConversationID  ConversationID  `json:"conversationId"`
	DialogID        DialogID        `json:"dialogId"`
	Metadata        json.RawMessage `json:"metadata"`
	MessageAudience string          `json:"messageAudience"`
}

func parseMessaging(body json.RawMessage) (Notification, error) {
	var wire struct {
		DialogID DialogID                   `json:"dialogId"`
		Changes  oneOrMany[json.RawMessage] `json:"changes"`
	}
	if err := json.Unmarshal(orNull(body), &wire); err != nil {
		return nil, parseError(err)
	}
	changes, unreadable := decodeEach[wireMessagingChange](wire.Changes)
	n := &MessagingEventNotification{Changes: make([]MessagingChange, 0, len(changes)), Unreadable: unreadable}
	for _, w := range changes {
		if w.DialogID == "" {
			w.DialogID = wire.DialogID
		}
		n.Changes = append(n.Changes, w.change())
	}
	return n, nil
}

func (w *wireMessagingChange) change() MessagingChange {
	c := MessagingChange{
		Sequence: NoSequence, OriginatorID: w.OriginatorID, OriginatorRole: w.OriginatorMetadata.Role,
		ServerTimestamp: milliseconds(w.ServerTimestamp), ConversationID: w.ConversationID, DialogID: w.DialogID,
		Event: parseEvent(w.Event), Metadata: notNull(w.Metadata), MessageAudience: w.MessageAudience,
	}
	if w.Sequence != nil {
		c.Sequence = Sequence(*w.Sequence)
	}
	if c.OriginatorID == "" {
		c.OriginatorID = w.OriginatorMetadata.ID
	}
	switch {
	case c.ConversationID == "":
		c.ConversationID, c.Guessed = ConversationID(c.DialogID), true
	case c.DialogID == "":
		c.DialogID = DialogID(c.ConversationID)
	}
	return c
}

// parseEvent never fails: what it cannot make sense of stays in Raw.
func parseEvent(raw json.RawMessage) MessagingEvent {
	e := MessagingEvent{Raw: raw}
	var wire struct {
		Type         string              `json:"type"`
		ContentType  string              `json:"contentType"`
		Message      json.RawMessage     `json:"message"`
		Content      json.RawMessage     `json:"content"`
		QuickReplies json.RawMessage     `json:"quickReplies"`
		ChatState    ChatState           `json:"chatState"`
		Status       AcceptStatus        `json:"status"`
		SequenceList oneOrMany[Sequence] `json:"sequenceList"`
	}
	if err := json.Unmarshal(orNull(raw), &wire); err != nil {
		// One field of the wrong type must not hide which event it was.
		var kind struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(orNull(raw), &kind)
		e.Type = kind.Type
		return e
	}
	e.Type = wire.Type
	switch wire.Type {
	case TypeContentEvent:
		e.ContentType, e.QuickReplies = wire.ContentType, notNull(wire.QuickReplies)
		e.readMessage(wire.Message)
	case TypeRichContentEvent:
		e.QuickReplies = notNull(wire.QuickReplies)
		// Agents send content; LivePerson's schema has message.
		if e.RichContent = notNull(wire.Content); e.RichContent == nil {
			e.RichContent = notNull(wire.Message)
		}
	case TypeChatStateEvent:
		e.ChatState = wire.ChatState
	case TypeAcceptStatusEvent:
		e.Status, e.SequenceList = wire.Status, wire.SequenceList
	}
	return e
}

// readMessage decodes a content by its content type, and by its look where that
// is missing.
func (e *MessagingEvent) readMessage(message json.RawMessage) {
	switch e.ContentType {
	case "":
		if json.Unmarshal(orNull(message), &e.Text) == nil && e.Text != "" {
			e.ContentType = ContentTypeText
		}
	case ContentTypeText:
		_ = json.Unmarshal(orNull(message), &e.Text)
	case ContentTypeFile:
		var file ReceivedFile
		if json.Unmarshal(orNull(message), &file) == nil && file.RelativePath != "" {
			e.File = &file
		}
	}
}

type wireConversationChange struct {
	Type   string `json:"type"`
	Result struct {
		ConvID              ConversationID `json:"convId"`
		ConversationDetails struct {
			SkillID      loose                  `json:"skillId"`
			BrandID      AccountID              `json:"brandId"`
			State        string                 `json:"state"`
			Stage        string                 `json:"stage"`
			CloseReason  string                 `json:"closeReason"`
			Participants participants           `json:"participants"`
			Dialogs      oneOrMany[*wireDialog] `json:"dialogs"`
			StartTs      int64                  `json:"startTs"`
			EndTs        int64                  `json:"endTs"`
			LastUpdate   int64                  `json:"metaDataLastUpdateTs"`
		} `json:"conversationDetails"`
	} `json:"result"`
}

type wireDialog struct {
	DialogID            DialogID     `json:"dialogId"`
	DialogType          string       `json:"dialogType"`
	ChannelType         string       `json:"channelType"`
	State               string       `json:"state"`
	ParticipantsDetails participants `json:"participantsDetails"`
	ClosedBy            string       `json:"closedBy"`
	ClosedCause         string       `json:"closedCause"`
	CreationTs          int64        `json:"creationTs"`
	EndTs               int64        `json:"endTs"`
}

func parseConversations(body json.RawMessage) (Notification, error) {
	var wire struct {
		Changes oneOrMany[json.RawMessage] `json:"changes"`
	}
	if err := json.Unmarshal(orNull(body), &wire); err != nil {
		return nil, parseError(err)
	}
	changes, unreadable := decodeEach[wireConversationChange](wire.Changes)
	n := &ExConversationChangeNotification{Changes: make([]ConversationChange, 0, len(changes)), Unreadable: unreadable}
	for _, w := range changes {
		n.Changes = append(n.Changes, w.change())
	}
	return n, nil
}

func (w *wireConversationChange) change() ConversationChange {
	d := &w.Result.ConversationDetails
	c := ConversationChange{
		Type: w.Type, ConversationID: w.Result.ConvID, BrandID: d.BrandID, SkillID: string(d.SkillID),
		State: d.State, Stage: d.Stage, CloseReason: d.CloseReason, Participants: d.Participants,
		StartTime: milliseconds(d.StartTs), EndTime: milliseconds(d.EndTs), LastUpdate: d.LastUpdate,
	}
	for _, dialog := range d.Dialogs {
		if dialog == nil {
			continue
		}
		c.Dialogs = append(c.Dialogs, Dialog{
			DialogID: dialog.DialogID, DialogType: dialog.DialogType, ChannelType: dialog.ChannelType,
			State: dialog.State, Participants: dialog.ParticipantsDetails,
			ClosedBy: dialog.ClosedBy, ClosedCause: dialog.ClosedCause,
			StartTime: milliseconds(dialog.CreationTs), EndTime: milliseconds(dialog.EndTs),
		})
	}
	return c
}

// participants is a list, or in LivePerson's older form ids by role.
type participants []Participant

// UnmarshalJSON takes both forms, and a single participant bare.
func (p *participants) UnmarshalJSON(raw []byte) error {
	var byRole map[string]oneOrMany[string]
	if json.Unmarshal(raw, &byRole) == nil && byRole["id"] == nil {
		*p = nil
		for role, ids := range byRole {
			for _, id := range ids {
				*p = append(*p, Participant{ID: id, Role: role})
			}
		}
		slices.SortFunc(*p, func(a, b Participant) int {
			return slices.Compare([]string{a.Role, a.ID}, []string{b.Role, b.ID})
		})
		return nil
	}
	return json.Unmarshal(raw, (*oneOrMany[Participant])(p))
}

// milliseconds is LivePerson's clock; nothing is said by zero and by -1.
func milliseconds(epoch int64) time.Time {
	if epoch <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(epoch).UTC()
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

func notNull(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}
