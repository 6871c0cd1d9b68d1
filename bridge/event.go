package bridge

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// The identifiers below are opaque to the core: it compares and stores them
// and never looks inside.
type (
	// ThreadID is the channel's id of a conversation, unique within the channel.
	ThreadID string
	// EventID is the source's own id of an event and its idempotency key,
	// unique within one channel and direction. For events that come from
	// LivePerson the core makes it of dialog and sequence, see [AgentEventID].
	EventID string
	// ConsumerID is the channel's own id of a person, unique within the channel.
	ConsumerID string
)

// Direction says which way an event travels.
type Direction uint8

// The two directions.
const (
	ToLivePerson Direction = iota
	ToChannel
)

// String returns the direction as it is written in logs, metrics and the journal.
func (d Direction) String() string {
	if d == ToChannel {
		return "to_channel"
	}
	return "to_liveperson"
}

// Opposite returns the other direction.
func (d Direction) Opposite() Direction {
	if d == ToChannel {
		return ToLivePerson
	}
	return ToChannel
}

// Kind names what an event is about. The words are those of the generic
// channel's envelope.
type Kind string

// The kinds of event.
const (
	KindMessage Kind = "message"
	KindTyping  Kind = "typing"
	KindReceipt Kind = "receipt"
	KindClick   Kind = "click"
	KindClose   Kind = "close"
	KindReopen  Kind = "reopen"
	KindProfile Kind = "profile"
	KindRating  Kind = "rating"
	// KindState tells the channel what became of the conversation. It exists
	// in the direction ToChannel only.
	KindState Kind = "state"
)

// Event is one thing to relay. Exactly the part that belongs to Kind is set.
// The JSON form is what the journal keeps and, but for Channel and Direction,
// the envelope of the generic channel.
type Event struct {
	ID     EventID  `json:"id,omitempty"`
	Kind   Kind     `json:"type"`
	Thread ThreadID `json:"thread"`
	// Inbox is the channel's own id of the inbox, app or brand that the thread belongs
	// to, where it has such; conversations are routed by it.
	Inbox string `json:"inbox,omitempty"`
	// Time is when it happened at the source; acceptance time when unknown.
	Time time.Time `json:"time,omitzero"`

	// Consumer is the person on the channel. ToLivePerson events need its ID.
	Consumer *Consumer `json:"consumer,omitempty"`
	// Agent is who wrote or typed in LivePerson; set in the direction ToChannel.
	Agent *Agent `json:"agent,omitempty"`

	Message *Message `json:"message,omitempty"`
	Typing  *Typing  `json:"typing,omitempty"`
	Receipt *Receipt `json:"receipt,omitempty"`
	Click   *Click   `json:"click,omitempty"`
	Rating  *Rating  `json:"rating,omitempty"`
	State   *State   `json:"state,omitempty"`

	// Position is where the event belongs in LivePerson. The core sets it; events
	// from a channel must not.
	Position *Position `json:"liveperson,omitempty"`
}

// Position is where an event belongs in LivePerson.
type Position struct {
	Conversation string `json:"conversationId,omitempty"`
	Dialog       string `json:"dialogId,omitempty"`
	// Sequences are those of the messages in the dialog that the event is or is
	// about.
	Sequences []int64 `json:"sequences,omitempty"`
	// Metadata is what LivePerson attached, passed on untouched.
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// AgentEventID is the id of an event that LivePerson placed in a dialog. It
// says where the event is, so that a channel's receipt for it needs no lookup.
func AgentEventID(dialog string, sequence int64) EventID {
	return EventID(dialog + ":" + strconv.FormatInt(sequence, 10))
}

// Position takes an id made by [AgentEventID] apart.
func (id EventID) Position() (dialog string, sequence int64, ok bool) {
	i := strings.LastIndexByte(string(id), ':')
	if i <= 0 {
		return "", 0, false
	}
	sequence, err := strconv.ParseInt(string(id[i+1:]), 10, 64)
	return string(id[:i]), sequence, err == nil && sequence >= 0
}

// Consumer is the person on the channel. All but ID may be empty.
type Consumer struct {
	ID ConsumerID `json:"id"`
	// Apart is who the consumer is for certain, such as one browser or one telephone,
	// where ID rests on a proof that may be another's. While a thread of the same ID
	// has a conversation, this one then gets one of its own.
	Apart      ConsumerID        `json:"apart,omitempty"`
	FirstName  string            `json:"firstName,omitempty"`
	LastName   string            `json:"lastName,omitempty"`
	Email      string            `json:"email,omitempty"`
	Phone      string            `json:"phone,omitempty"`
	AvatarURL  string            `json:"avatarUrl,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Agent is somebody on LivePerson's side. Events of LivePerson bring id and role
// only; name and picture are there when the agent's public profile is known.
type Agent struct {
	ID        string `json:"id"`
	Role      string `json:"role,omitempty"`
	Name      string `json:"name,omitempty"`
	AvatarURL string `json:"avatarUrl,omitempty"`
}

// Message is text, attachments, or both.
type Message struct {
	Text         string       `json:"text,omitempty"`
	Attachments  []Attachment `json:"attachments,omitempty"`
	QuickReplies []QuickReply `json:"quickReplies,omitempty"`
	// Rich is LivePerson's structured content as it came; Text then holds a
	// plain rendering of it.
	Rich json.RawMessage `json:"rich,omitempty"`
	// Survey is set when the message belongs to a post-conversation survey.
	Survey bool `json:"survey,omitempty"`
	// TypedChoice says that the consumer could only write where this was written: Text
	// counts as a [Click] when it is the title of a choice that still stands, or its
	// number in a list. It is for the direction ToLivePerson.
	TypedChoice bool `json:"typedChoice,omitempty"`
	// Placeholder says that Text stands for content that cannot be shown outside
	// LivePerson, such as a form. The agent is told that it did not arrive.
	Placeholder bool `json:"placeholder,omitempty"`
}

// UnshownFile stands for a file that the consumer cannot be shown.
const UnshownFile = "[The agent sent a file that cannot be shown here.]"

// Attachment is a file that lies at URL. Towards channels that upload, the URL of a
// file may be a path of ours where no address leads from outside.
type Attachment struct {
	URL         string `json:"url"`
	ContentType string `json:"contentType,omitempty"`
	Name        string `json:"name,omitempty"`
}

// QuickReply is an answer offered with an agent's message, beside it or on an
// element of its structured content, in the order in which they are shown. A
// [Click] with its ID reports that the consumer chose it.
type QuickReply struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Label tells the reply from others of the message with the same title, for
	// clients that show nothing but titles; empty where the title does.
	Label string `json:"label,omitempty"`
	// Text is what choosing the reply publishes; empty when it publishes nothing.
	Text string `json:"text,omitempty"`
}

// Typing is a change of what one person's input field does.
type Typing struct {
	State TypingState `json:"state"`
	// Device tells the consumer's devices apart, each of which may type; empty
	// where the channel does not. It is no more than a name of the channel's own.
	Device string `json:"device,omitempty"`
}

// TypingState is what a source says of a typist.
type TypingState string

// The states of typing, spelled as in the generic channel's envelope.
const (
	Composing TypingState = "composing"
	// Paused means stopped with text left in the field.
	Paused TypingState = "paused"
	// Stopped means nothing is being written.
	Stopped TypingState = "stopped"
)

// Receipt says how far messages got. MessageIDs are ids of events of the other
// direction.
type Receipt struct {
	Status     ReceiptStatus `json:"status"`
	MessageIDs []EventID     `json:"messageIds"`
}

// ReceiptStatus is how far a message got.
type ReceiptStatus string

// The receipt states.
const (
	ReceiptDelivered ReceiptStatus = "delivered"
	ReceiptRead      ReceiptStatus = "read"
	ReceiptFailed    ReceiptStatus = "failed"
)

// Click reports that the consumer chose a quick reply of MessageID.
type Click struct {
	MessageID EventID `json:"messageId"`
	ReplyID   string  `json:"replyId"`
}

// Rating is how a consumer rates a conversation.
type Rating struct {
	// Conversation is LivePerson's id of the conversation that is rated, as a
	// state event told it. Without one it is that which ended last, or the
	// current one when none has ended.
	Conversation string `json:"conversationId,omitempty"`
	// Score is 1 to 5.
	Score int `json:"score"`
	// Resolved says whether the matter was settled; nil when not asked.
	Resolved *bool  `json:"resolved,omitempty"`
	Comment  string `json:"comment,omitempty"`
}

// State tells the channel what became of the conversation.
type State struct {
	Conversation ConversationState `json:"conversation"`
	// By says who caused it: consumer, agent or system; empty when unknown.
	By string `json:"by,omitempty"`
}

// ConversationState is what became of a conversation.
type ConversationState string

// The states of a conversation as a channel sees them.
const (
	StateOpen        ConversationState = "open"
	StateJoined      ConversationState = "joined"
	StateTransferred ConversationState = "transferred"
	StateSurvey      ConversationState = "survey"
	StateSurveyEnded ConversationState = "survey_ended"
	StateClosed      ConversationState = "closed"
)
