package connector

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxNotificationBytes is a limit for the bodies of webhooks that leaves room for
// anything LivePerson sends, previews and large cards included. It is for whoever
// reads the body: ParseNotification takes bodies of any size.
const MaxNotificationBytes = 8 << 20

// The event types of messaging notifications ("Webhooks Events" page).
const (
	TypeContentEvent      = "ContentEvent"
	TypeRichContentEvent  = "RichContentEvent"
	TypeChatStateEvent    = "ChatStateEvent"
	TypeAcceptStatusEvent = "AcceptStatusEvent"
)

// The content types of a ContentEvent. LivePerson's "Webhooks Events" page names
// external files and secure forms without saying what they hold.
const (
	ContentTypeText           = "text/plain"
	ContentTypeHTML           = "text/html"
	ContentTypeFile           = "hosted/file"
	ContentTypeExternalFile   = "external/file"
	ContentTypeFormInvitation = "forms/secure-invitation"
	ContentTypeFormSubmission = "forms/secure-submission"
)

// The roles this package decides by. LivePerson has more: MANAGER (also many
// bots), AGENT (the survey bot), CONTROLLER (automatic messages), READER.
const (
	RoleConsumer      = "CONSUMER"
	RoleAssignedAgent = "ASSIGNED_AGENT"
)

// AudienceAll is the one audience that is for consumers; an event without any is
// for them too. AudienceAgents marks a private note between agents; LivePerson has
// other words for such notes, and none of them must reach the consumer.
const (
	AudienceAll    = "ALL"
	AudienceAgents = "AGENTS_AND_MANAGERS"
)

// The dialog types this package decides by. LivePerson has more: COBROWSE,
// VOICE_CALL, VIDEO_CALL.
const (
	DialogMain   = "MAIN"
	DialogSurvey = "POST_SURVEY"
)

// The states of dialogs and conversations. LOCKED, seen in other clients, takes no
// messages and has not ended.
const (
	StateOpen   = "OPEN"
	StateClosed = "CLOSE"
	StateLocked = "LOCKED"
)

// Notification is what a webhook brings: *[MessagingEventNotification],
// *[ExConversationChangeNotification] or *[UnknownNotification].
type Notification interface{ notification() }

// MessagingEventNotification brings messages, typing and receipts, of the whole
// account and of our own consumers too ("Webhooks Events" page).
type MessagingEventNotification struct {
	// Changes of one dialog are in the order of their sequences, whatever order
	// they came in.
	Changes []MessagingChange
	// Unreadable are the changes that are not in Changes.
	Unreadable []*UnreadableChange
}

// ExConversationChangeNotification brings the complete new state of conversations
// ("Webhooks Events" page).
type ExConversationChangeNotification struct {
	Changes []ConversationChange
	// Unreadable are the changes that are not in Changes.
	Unreadable []*UnreadableChange
}

// UnreadableChange is a change that makes no sense, as it came, for whoever keeps
// such things aside.
type UnreadableChange struct {
	// Index counts it within the notification.
	Index int
	Raw   json.RawMessage
	Err   error
}

// Error says what is wrong, without quoting what was sent.
func (u *UnreadableChange) Error() string { return fmt.Sprintf("change %d: %v", u.Index, u.Err) }

// Unwrap gives the cause.
func (u *UnreadableChange) Unwrap() error { return u.Err }

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

// MessagingChange is one event of a dialog ("Webhooks Events" page).
type MessagingChange struct {
	// Sequence is NoSequence on chat states, and where LivePerson left it out.
	Sequence     Sequence
	OriginatorID string
	// OriginatorRole is who did it; RoleConsumer is our own side's echo.
	OriginatorRole string
	// ServerTimestamp is zero on chat states, and where LivePerson's was no time
	// of this century.
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
	// Raw is the whole change as it came.
	Raw json.RawMessage `json:"-"`
}

// FromConsumer tells that the event comes from the consumer's side: our echo,
// or the same consumer through another app. Some payloads have no role; then the
// shape of the id tells, which for consumers is that of a ConsumerJWS's
// lp_consumer_id, 64 hex digits ("Authorization and Authentication" page).
func (c *MessagingChange) FromConsumer() bool {
	if c.OriginatorRole == "" {
		return consumerIDShape.MatchString(c.OriginatorID)
	}
	return c.OriginatorRole == RoleConsumer
}

var consumerIDShape = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Private tells that the event is not for the consumer: only the audience ALL,
// or none at all, is.
func (c *MessagingChange) Private() bool {
	return c.MessageAudience != "" && c.MessageAudience != AudienceAll
}

// Key tells events apart that have no sequence: it is made of who did what, of
// what kind, with which status and content, and when. The same event has the same
// key each time it is delivered.
func (c *MessagingChange) Key() string {
	if c.Sequence != NoSequence {
		return strconv.FormatInt(int64(c.Sequence), 10)
	}
	sum := sha256.New()
	for _, part := range []string{
		c.OriginatorID, c.Event.Type, c.Event.ContentType, string(c.Event.ChatState), string(c.Event.Status),
		fmt.Sprint(c.Event.SequenceList), strconv.FormatInt(c.ServerTimestamp.UnixMilli(), 10), string(compacted(c.Event.Raw)),
	} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return "x" + hex.EncodeToString(sum.Sum(nil)[:12])
}

func compacted(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// MessagingEvent is what happened ("Webhooks Events" page). Which fields are set
// depends on Type and, for contents, ContentType; unknown ones keep only Raw.
type MessagingEvent struct {
	// Type is LivePerson's, such as TypeContentEvent.
	Type string
	// ContentType is set on contents, in lower case and without parameters; it
	// may be one this package does not know.
	ContentType string
	// Text is the message of a text content; of HTML, the words.
	Text string
	// File is the first of a hosted file content, Files are all of them.
	File  *ReceivedFile
	Files []ReceivedFile
	// ExternalFiles are set on external files.
	ExternalFiles []ExternalFile
	// Form is set on secure forms, which only LivePerson's own clients can show.
	Form *SecureForm
	// RichContent is the raw element of a rich content event, also where it came
	// as a string of JSON.
	RichContent json.RawMessage
	// QuickReplies is raw, beside a text or rich content.
	QuickReplies json.RawMessage
	// ChatState is set on chat states; LivePerson also sends BACKGROUND.
	ChatState ChatState
	// Status and SequenceList are set on accept statuses. VIEWED, which some
	// clients send, is given as READ.
	Status       AcceptStatus
	SequenceList []Sequence
	// Raw is the whole event as it came.
	Raw json.RawMessage
}

// ReceivedFile is a hosted file of a notification ("File Sharing" page); see
// [Client.Download].
type ReceivedFile = HostedFile

// ExternalFile is a file that lies elsewhere. The "Webhooks Events" page names it
// and not its fields, so the usual names are all tried.
type ExternalFile struct {
	URL      string
	Caption  string
	FileType string
}

// SecureForm is a form that was sent, or answered, both of which the "Webhooks
// Events" page names without their fields.
type SecureForm struct {
	InvitationID string
	FormID       string
	Title        string
	// Submitted tells an answer from an invitation.
	Submitted bool
}

// FallbackText is the event for a channel that shows only text: the text itself,
// links to external files, or rich content and quick replies in words. It is empty
// for events that are not contents, for hosted files and secure forms, and for
// contents this package does not know.
func (e *MessagingEvent) FallbackText() string {
	if e.Type != TypeContentEvent && e.Type != TypeRichContentEvent {
		return ""
	}
	var text strings.Builder
	text.WriteString(e.Text)
	for _, file := range e.ExternalFiles {
		text.WriteString("\n" + labelled(file.Caption, file.URL))
	}
	return fallbackText(strings.TrimPrefix(text.String(), "\n"), e.RichContent, e.QuickReplies)
}

// ConversationChange is a conversation's new state, always complete ("Webhooks
// Events" page).
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
	// one than was seen before is out of date. Zero when absent or no time.
	LastUpdate int64
	// Raw is the whole change as it came.
	Raw json.RawMessage `json:"-"`
}

// Participant is somebody in a conversation or dialog ("Webhooks Events" page).
type Participant struct {
	ID   string `json:"id"`
	Role string `json:"role"`
	// State is "ACTIVE" or "SUGGESTED", only within dialogs, often absent.
	State string `json:"state"`
}

// Dialog is a part of a conversation ("Webhooks Events" page).
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
func (d *Dialog) Closed() bool { return d.State == StateClosed }

// Open tells that the main dialog takes messages: neither closed nor locked.
func (c *ConversationChange) Open() bool {
	return c.State == StateOpen && (c.Stage == "" || c.Stage == StateOpen)
}

// Closed tells that the whole conversation has ended. A closed main dialog
// beside an open survey is not the end yet.
func (c *ConversationChange) Closed() bool {
	if c.Stage != "" {
		return c.Stage == StateClosed
	}
	return c.State == StateClosed
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
