package lpsim

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Roles of originators and participants (Webhooks Events).
const (
	RoleConsumer      = "CONSUMER"
	RoleAssignedAgent = "ASSIGNED_AGENT"
	RoleManager       = "MANAGER"
	RoleAgent         = "AGENT"
	RoleController    = "CONTROLLER"
	RoleReader        = "READER"
)

var agentRoles = []string{RoleAssignedAgent, RoleManager, RoleAgent, RoleController, RoleReader}

// ChatStates are those of ChatStateEvent (Send API Examples).
var ChatStates = []string{"COMPOSING", "PAUSE", "ACTIVE", "INACTIVE", "GONE"}

const (
	stateOpen   = "OPEN"
	stateClose  = "CLOSE"
	stateLocked = "LOCKED"
	dialogMain  = "MAIN"
	dialogPCS   = "POST_SURVEY"
	audienceAll = "ALL"
	audienceOwn = "AGENTS_AND_MANAGERS"
)

// Entry is one event of a transcript. Chat states are not part of it: LivePerson keeps none.
type Entry struct {
	Sequence int64  `json:"sequence"`
	DialogID string `json:"dialogId"`
	// Role and OriginatorID say who wrote it.
	Role         string `json:"role"`
	OriginatorID string `json:"originatorId"`
	// Type is ContentEvent, RichContentEvent or AcceptStatusEvent.
	Type        string `json:"type"`
	ContentType string `json:"contentType,omitempty"`
	Text        string `json:"text,omitempty"`
	// File is the message of a content that is not text (a hosted file, an external file, a form), Content the structured content, QuickReplies those attached, as LivePerson writes them.
	File         json.RawMessage `json:"file,omitempty"`
	Content      json.RawMessage `json:"content,omitempty"`
	QuickReplies json.RawMessage `json:"quickReplies,omitempty"`
	// Status and SequenceList are those of an AcceptStatusEvent.
	Status       string          `json:"status,omitempty"`
	SequenceList []int64         `json:"sequenceList,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	// Audience is ALL, or AGENTS_AND_MANAGERS for a private note.
	Audience string `json:"messageAudience,omitempty"`
	// RequestID is the id of the consumer's request.
	RequestID string `json:"requestId,omitempty"`
	// Submitted is what the consumer's client sent, where LivePerson keeps and echoes something else: a masked card
	// number, a filtered word, trimmed white space.
	Submitted string `json:"submitted,omitempty"`
	// Withheld means the consumer's client did not declare the feature this content needs, so it was not sent to it.
	Withheld bool `json:"withheld,omitempty"`
	// QuickRepliesWithheld means the same of the quick replies alone.
	QuickRepliesWithheld bool      `json:"quickRepliesWithheld,omitempty"`
	Time                 time.Time `json:"time"`
}

// ChatStateRecord is one chat state that was received.
type ChatStateRecord struct {
	DialogID     string    `json:"dialogId"`
	Role         string    `json:"role"`
	OriginatorID string    `json:"originatorId"`
	ChatState    string    `json:"chatState"`
	Time         time.Time `json:"time"`
}

// Receipt is a consumer's ACCEPT, READ, ACCESS, NACK or ACTION for one event.
type Receipt struct {
	DialogID string    `json:"dialogId"`
	Sequence int64     `json:"sequence"`
	Status   string    `json:"status"`
	Time     time.Time `json:"time"`
}

// AgentSees is what an agent's screen shows of the consumer.
type AgentSees struct {
	// ConsumerTyping holds from COMPOSING until any other chat state; a message does not end it.
	ConsumerTyping bool `json:"consumerTyping"`
	// ChatState is the last one received, empty before the first.
	ChatState string    `json:"chatState"`
	Receipts  []Receipt `json:"receipts"`
}

// Participant is one member of a conversation.
type Participant struct {
	ID   string `json:"id"`
	Role string `json:"role"`
	// State is ACTIVE or SUGGESTED; a suggested agent has not accepted yet.
	State string `json:"state,omitempty"`
}

// Dialog is one thread inside a conversation.
type Dialog struct {
	DialogID    string     `json:"dialogId"`
	DialogType  string     `json:"dialogType"`
	State       string     `json:"state"`
	ClosedBy    string     `json:"closedBy,omitempty"`
	ClosedCause string     `json:"closedCause,omitempty"`
	Created     time.Time  `json:"creationTime"`
	Ended       *time.Time `json:"endTime,omitempty"`
}

// SurveyAnswer is what a consumer answered to a survey question.
type SurveyAnswer struct {
	QuestionID string `json:"questionId"`
	Text       string `json:"text"`
	// AnswerID is empty for free text.
	AnswerID string `json:"answerId,omitempty"`
	// Clicked means an ACTION event with the reply's own metadata came first.
	Clicked bool `json:"clicked"`
}

// CSAT is the legacy rating of a conversation.
type CSAT struct {
	Rate       int    `json:"csatRate"`
	Resolution *bool  `json:"csatResolutionConfirmation,omitempty"`
	Status     string `json:"status"`
}

// Summary is what a list of conversations shows.
type Summary struct {
	ConversationID string `json:"conversationId"`
	ExtConsumerID  string `json:"extConsumerId"`
	ConsumerID     string `json:"consumerId"`
	// State is that of the main dialog, Stage that of the whole conversation: OPEN or CLOSE.
	State       string    `json:"state"`
	Stage       string    `json:"stage"`
	CloseReason string    `json:"closeReason,omitempty"`
	Started     time.Time `json:"startTime"`
	Updated     time.Time `json:"updateTime"`
	SkillID     string    `json:"skillId"`
	Foreign     bool      `json:"foreign,omitempty"`
	// Lost is "forgotten" when LivePerson no longer knows the conversation, "disowned" when it is somebody else's.
	Lost         string        `json:"lost,omitempty"`
	Participants []Participant `json:"participants"`
	Dialogs      []Dialog      `json:"dialogs"`
	// ConsumerTyping is repeated from AgentSees, so that a list can show it.
	ConsumerTyping bool   `json:"consumerTyping"`
	LastText       string `json:"lastText,omitempty"`
	// ConsumerMessages were accepted in all, also those no longer in the transcript.
	ConsumerMessages  int64 `json:"consumerMessages"`
	DuplicateRequests int64 `json:"duplicateRequests"`
	DuplicateTexts    int64 `json:"duplicateTexts"`
}

// Conversation is a copy of everything known of one.
type Conversation struct {
	Summary
	Transcript []Entry   `json:"transcript"`
	AgentSees  AgentSees `json:"agentSees"`
	// chatStates are all that came, of both sides, oldest first.
	ChatStates    []ChatStateRecord `json:"chatStates"`
	Profile       json.RawMessage   `json:"profile,omitempty"`
	Campaign      json.RawMessage   `json:"campaignInfo,omitempty"`
	Context       json.RawMessage   `json:"conversationContext,omitempty"`
	Features      []string          `json:"features"`
	TTR           TTR               `json:"ttr"`
	CSAT          *CSAT             `json:"csat,omitempty"`
	SurveyAnswers []SurveyAnswer    `json:"surveyAnswers,omitempty"`
}

// TTR is the time an agent has to respond, in seconds, and its name.
type TTR struct {
	Type  string `json:"ttrType"`
	Value int    `json:"value"`
}

type dialog struct {
	Dialog
	next    int64 // sequence of the next event
	metaTs  int64
	members []Participant
}

// conversation is the state behind [Conversation]. Its lock is taken before those of hooks and stream.
type conversation struct {
	mu         sync.Mutex
	id         string
	consumer   consumerClaims
	foreign    bool
	lost       string
	features   []string
	state      string
	stage      string
	reason     string
	dialogs    []*dialog
	members    []Participant
	skill      string
	ttr        TTR
	csat       *CSAT
	started    time.Time
	ended      *time.Time
	updated    time.Time
	metaTs     int64
	profile    json.RawMessage
	campaign   json.RawMessage
	context    json.RawMessage
	transcript []Entry
	chatStates []ChatStateRecord
	receipts   []Receipt
	chatState  string
	lastText   string
	messages   int64
	spoken     int64 // messages of both sides, to tell whether one was the last
	requests   map[uint64]struct{}
	texts      map[uint64]struct{}
	dupRequest int64
	dupText    int64
	survey     *surveyRun
	answers    []SurveyAnswer
}

func newConversation(claims consumerClaims, features []string, now time.Time) *conversation {
	c := &conversation{
		id: uuid.NewString(), consumer: claims, features: features, state: stateOpen, stage: stateOpen, skill: "-1",
		ttr: ttrs["PRIORITIZED"], started: now, members: []Participant{{claims.LPConsumerID, RoleConsumer, "ACTIVE"}},
	}
	main := &dialog{Dialog: Dialog{DialogID: c.id, DialogType: dialogMain, State: stateOpen, Created: now}}
	main.metaTs = c.touch(now)
	c.dialogs = []*dialog{main}
	return c
}

// busy tells whether a consumer's last conversation stands in the way of a new one.
func busy(current *conversation, f *inForce) bool {
	if current == nil {
		return false
	}
	current.mu.Lock()
	defer current.mu.Unlock()
	if current.lost != "" {
		return false
	}
	if f.NewDuringSurvey == "allow" {
		return current.state == stateOpen
	}
	return current.stage == stateOpen
}

func (c *conversation) dialog(id string) *dialog {
	for _, d := range c.dialogs {
		if d.DialogID == id {
			return d
		}
	}
	return nil
}

func (c *conversation) main() *dialog { return c.dialogs[0] }

// surveyDialog is the open survey, if any.
func (c *conversation) surveyDialog() *dialog {
	if last := c.dialogs[len(c.dialogs)-1]; last.DialogType == dialogPCS && last.State == stateOpen {
		return last
	}
	return nil
}

func (c *conversation) assigned() (Participant, bool) {
	i := slices.IndexFunc(c.members, func(p Participant) bool { return p.Role == RoleAssignedAgent && p.State == "ACTIVE" })
	if i < 0 {
		return Participant{}, false
	}
	return c.members[i], true
}

func (c *conversation) has(feature string) bool { return slices.Contains(c.features, feature) }

// touch gives a change its time stamp. They must grow for clients to order notifications, so two changes within one
// millisecond still differ.
func (c *conversation) touch(now time.Time) int64 {
	c.updated = now
	c.metaTs = max(now.UnixMilli(), c.metaTs+1)
	return c.metaTs
}

// keep appends to a bounded list and drops the oldest tenth when it is full, so that dropping stays cheap.
func keep[T any](list []T, item T, most int) []T {
	if len(list) >= most {
		list = slices.Delete(list, 0, max(1, most/10))
	}
	return append(list, item)
}

// noteText counts requests and texts that were seen before in this conversation.
func (c *conversation) noteText(requestID, text string, most int, s *stats) {
	c.messages++
	s.messages.Add(1)
	c.lastText = text
	if seen(&c.requests, requestID, most) {
		c.dupRequest++
		s.duplicateRequests.Add(1)
	}
	if text != "" && seen(&c.texts, text, most) {
		c.dupText++
		s.duplicateTexts.Add(1)
	}
}

func seen(set *map[uint64]struct{}, text string, most int) bool {
	sum := maphash.String(textSeed, text)
	if _, ok := (*set)[sum]; ok {
		return true
	}
	if *set == nil || len(*set) >= most {
		*set = map[uint64]struct{}{}
	}
	(*set)[sum] = struct{}{}
	return false
}

func (c *conversation) summary() Summary {
	out := Summary{
		ConversationID: c.id, ExtConsumerID: c.consumer.ExtConsumerID, ConsumerID: c.consumer.LPConsumerID,
		State: c.state, Stage: c.stage, CloseReason: c.reason, Started: c.started, Updated: c.updated, SkillID: c.skill,
		Foreign: c.foreign, Lost: c.lost, Participants: slices.Clone(c.members), ConsumerTyping: c.chatState == "COMPOSING",
		LastText: c.lastText, ConsumerMessages: c.messages, DuplicateRequests: c.dupRequest, DuplicateTexts: c.dupText,
	}
	for _, d := range c.dialogs {
		out.Dialogs = append(out.Dialogs, d.Dialog)
	}
	return out
}

func (c *conversation) snapshot() Conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Conversation{
		Summary: c.summary(), Transcript: nonNil(slices.Clone(c.transcript)), ChatStates: nonNil(slices.Clone(c.chatStates)),
		AgentSees: AgentSees{c.chatState == "COMPOSING", c.chatState, nonNil(slices.Clone(c.receipts))},
		Profile:   c.profile, Campaign: c.campaign, Context: c.context, Features: nonNil(slices.Clone(c.features)),
		TTR: c.ttr, CSAT: c.csat, SurveyAnswers: slices.Clone(c.answers),
	}
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
