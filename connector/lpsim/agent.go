package lpsim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

var (
	// ErrUnknownConversation is returned for a conversation that does not exist.
	ErrUnknownConversation = errors.New("no such conversation")
	// ErrConversationClosed is returned for what only an open dialog allows.
	ErrConversationClosed = errors.New("the conversation is closed")
)

// Agent is who acts. The zero value is the assigned agent; if there is none, a new one joins first.
type Agent struct {
	ID string `json:"agentId"`
	// Role is ASSIGNED_AGENT by default; MANAGER, AGENT, CONTROLLER and READER act beside the assigned agent.
	Role string `json:"role"`
}

// Sent is where an agent's event went.
type Sent struct {
	ConversationID string `json:"conversationId"`
	DialogID       string `json:"dialogId"`
	Sequence       int64  `json:"sequence"`
}

// AgentMessage is what an agent writes: exactly one of Text, Rich, File, Files and Message.
type AgentMessage struct {
	Agent
	Text string `json:"text"`
	// ContentType goes with Text, which is text/plain otherwise, and must go with Message: text/html, external/file,
	// forms/secure-invitation or whatever else (Webhooks Events names these without payloads).
	ContentType string `json:"contentType"`
	// Message is the message of a content of any other type, sent as it is.
	Message json.RawMessage `json:"message"`
	// Rich is structured content: an object with a type, or such an object as a string of JSON.
	Rich json.RawMessage `json:"rich"`
	File *AgentFile      `json:"file"`
	// Files are sent as one content whose message is an array.
	Files []AgentFile `json:"files"`
	// QuickReplies go with text or rich content: LivePerson's object, or a list of plain titles.
	QuickReplies json.RawMessage `json:"quickReplies"`
	// Metadata is LivePerson's array of objects with a type.
	Metadata json.RawMessage `json:"metadata"`
	// Private makes it a note to agents and managers only.
	Private bool `json:"private"`
	// Audience is messageAudience in any spelling; empty means ALL, or AGENTS_AND_MANAGERS with Private.
	Audience string `json:"messageAudience"`
}

// AgentFile is a file an agent sends; its bytes become fetchable by the consumer.
type AgentFile struct {
	Caption       string `json:"caption"`
	FileType      string `json:"fileType"`
	ContentBase64 string `json:"contentBase64"`
	Preview       string `json:"preview"`
}

// agentActs runs an agent's action on the main dialog of an open conversation. Someone who writes is in the conversation,
// so whoever is not yet joins first.
func (s *Sim) agentActs(id string, who Agent, do func(*conversation, *dialog, originator) (int64, error)) (Sent, error) {
	c := s.find(id)
	if c == nil {
		return Sent{}, ErrUnknownConversation
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.main()
	if c.lost != "" {
		return Sent{}, ErrUnknownConversation
	}
	if d.State != stateOpen {
		return Sent{}, ErrConversationClosed
	}
	from, err := s.enter(c, who)
	if err != nil {
		return Sent{}, err
	}
	sequence, err := do(c, d, from)
	return Sent{c.id, d.DialogID, sequence}, err
}

// enter finds the acting agent among the participants or lets it join.
func (s *Sim) enter(c *conversation, who Agent) (originator, error) {
	role := orElse(who.Role, RoleAssignedAgent)
	if !slices.Contains(agentRoles, role) {
		return originator{}, &FieldError{"role", "not an agent's role"}
	}
	for _, p := range c.members {
		if p.Role == role && p.State == "ACTIVE" && (who.ID == "" || who.ID == p.ID) {
			return originator{p.ID, p.Role}, nil
		}
	}
	who.ID, who.Role = orElse(who.ID, uuid.NewString()), role
	s.join(c, who, "ACTIVE")
	return originator{who.ID, role}, nil
}

// join adds a participant. There is one assigned agent: a new active one takes the place of the former.
func (s *Sim) join(c *conversation, who Agent, state string) {
	c.members = slices.DeleteFunc(c.members, func(p Participant) bool {
		return p.ID == who.ID || who.Role == RoleAssignedAgent && p.Role == RoleAssignedAgent && (state == "ACTIVE" || p.State == state)
	})
	c.members = append(c.members, Participant{who.ID, who.Role, state})
	c.main().metaTs = c.touch(s.config.Now())
	s.notifyConversation(c, nil)
}

// AgentJoin adds a participant: by default an assigned agent, ACTIVE or only SUGGESTED. It gives the agent's id.
func (s *Sim) AgentJoin(id string, who Agent, state string) (string, error) {
	state = orElse(state, "ACTIVE")
	if state != "ACTIVE" && state != "SUGGESTED" {
		return "", &FieldError{"state", "want ACTIVE or SUGGESTED"}
	}
	who.Role, who.ID = orElse(who.Role, RoleAssignedAgent), orElse(who.ID, uuid.NewString())
	if !slices.Contains(agentRoles, who.Role) {
		return "", &FieldError{"role", "not an agent's role"}
	}
	return who.ID, s.withOpen(id, func(c *conversation) { s.join(c, who, state) })
}

// AgentLeave removes a participant, by default every assigned agent, as a transfer back to the queue does. A skill,
// if given, becomes the conversation's.
func (s *Sim) AgentLeave(id string, who Agent, skillID string) error {
	who.Role = orElse(who.Role, RoleAssignedAgent)
	return s.withOpen(id, func(c *conversation) {
		c.members = slices.DeleteFunc(c.members, func(p Participant) bool {
			return p.Role == who.Role && (who.ID == "" || who.ID == p.ID)
		})
		c.skill = orElse(skillID, c.skill)
		c.main().metaTs = c.touch(s.config.Now())
		s.notifyConversation(c, nil)
	})
}

func (s *Sim) withOpen(id string, do func(*conversation)) error {
	c := s.find(id)
	if c == nil {
		return ErrUnknownConversation
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.lost != "":
		return ErrUnknownConversation
	case c.state != stateOpen:
		return ErrConversationClosed
	}
	do(c)
	return nil
}

// AgentTyping sends an agent's chat state: COMPOSING, and ACTIVE when it stops.
func (s *Sim) AgentTyping(id, chatState string, who Agent) error {
	if !slices.Contains(ChatStates, chatState) && chatState != "BACKGROUND" {
		return &FieldError{"chatState", "not a chat state"}
	}
	_, err := s.agentActs(id, who, func(c *conversation, d *dialog, from originator) (int64, error) {
		s.setChatState(c, d, from, chatState, nil)
		return 0, nil
	})
	return err
}

// AgentMessage sends what an agent writes.
func (s *Sim) AgentMessage(id string, m AgentMessage) (Sent, error) {
	if err := m.validate(); err != nil {
		return Sent{}, err
	}
	return s.agentActs(id, m.Agent, func(c *conversation, d *dialog, from originator) (int64, error) {
		entry, err := s.agentEntry(c, &m)
		if err != nil {
			return 0, err
		}
		entry.Role, entry.OriginatorID = from.Role, from.ID
		return s.post(c, d, entry, nil), nil
	})
}

func (m *AgentMessage) validate() error {
	given := 0
	for _, yes := range []bool{m.Text != "", m.Rich != nil, m.File != nil, m.Files != nil, m.Message != nil} {
		if yes {
			given++
		}
	}
	switch {
	case given != 1:
		return &FieldError{"text", "give exactly one of text, rich, file, files and message"}
	case m.Rich != nil && !hasType(m.Rich):
		return &FieldError{"rich", "want an object with a type, or such an object as a string"}
	case m.Message != nil && m.ContentType == "":
		return &FieldError{"contentType", "is missing beside message"}
	case m.ContentType != "" && m.Message == nil && m.Text == "":
		return &FieldError{"contentType", "goes with text or message only"}
	case m.Private && m.Audience != "":
		return &FieldError{"messageAudience", "cannot go with private"}
	case m.Metadata != nil && !isArray(m.Metadata):
		return &FieldError{"metadata", "want an array"}
	case (m.File != nil || m.Files != nil) && m.QuickReplies != nil:
		return &FieldError{"quickReplies", "cannot go with a file"}
	case m.File != nil && m.File.FileType == "":
		return &FieldError{"file.fileType", "is missing"}
	case m.Files != nil && (len(m.Files) == 0 || slices.ContainsFunc(m.Files, func(f AgentFile) bool { return f.FileType == "" })):
		return &FieldError{"files", "want one or more, each with its fileType"}
	}
	return nil
}

func hasType(data json.RawMessage) bool {
	var text string
	if json.Unmarshal(data, &text) == nil {
		data = json.RawMessage(text)
	}
	var object struct {
		Type string `json:"type"`
	}
	return isObject(data) && json.Unmarshal(data, &object) == nil && object.Type != ""
}

func (s *Sim) agentEntry(c *conversation, m *AgentMessage) (Entry, error) {
	entry := Entry{
		Type: "ContentEvent", ContentType: orElse(m.ContentType, "text/plain"), Text: m.Text, File: m.Message,
		Metadata: m.Metadata, Audience: orElse(m.Audience, audienceAll),
	}
	if m.Private {
		entry.Audience = audienceOwn
	}
	if m.QuickReplies != nil {
		replies, err := readQuickReplies(m.QuickReplies)
		if err != nil {
			return Entry{}, err
		}
		entry.QuickReplies, entry.QuickRepliesWithheld = replies, s.withholds(c, "QUICK_REPLIES")
	}
	switch {
	case m.Rich != nil:
		entry.Type, entry.ContentType, entry.Content = "RichContentEvent", "", m.Rich
		entry.Withheld = s.withholds(c, "RICH_CONTENT")
	case m.File != nil:
		message, err := s.attach(c, m.File, "file")
		entry.ContentType, entry.File = hostedFile, message
		return entry, err
	case m.Files != nil:
		message, err := s.attachAll(c, m.Files)
		entry.ContentType, entry.File = hostedFile, message
		return entry, err
	}
	return entry, nil
}

// attach stores one file of an agent's, if the consumer's client takes files.
func (s *Sim) attach(c *conversation, f *AgentFile, field string) (json.RawMessage, error) {
	data, err := base64.StdEncoding.DecodeString(f.ContentBase64)
	if err != nil || len(data) == 0 {
		return nil, &FieldError{field + ".contentBase64", "want base64 of at least one byte"}
	}
	photo := slices.Contains(uploadTypes, strings.ToUpper(f.FileType)) && c.has("PHOTO_SHARING")
	if s.faults.Load().FileFeatureGate == "enforce" && !photo && !c.has("FILE_SHARING") {
		return nil, &FieldError{field, "the consumer's client did not declare FILE_SHARING"}
	}
	return s.keepAgentFile(c, f, data), nil
}

func (s *Sim) attachAll(c *conversation, files []AgentFile) (json.RawMessage, error) {
	messages := make([]json.RawMessage, 0, len(files))
	for i := range files {
		message, err := s.attach(c, &files[i], "files["+strconv.Itoa(i)+"]")
		if err != nil {
			return nil, err
		}
		messages = append(messages, message)
	}
	return json.Marshal(messages)
}

// withholds tells whether content is kept from a client that did not declare its feature.
func (s *Sim) withholds(c *conversation, feature string) bool {
	return !c.has(feature) && s.faults.Load().FeatureGate == "enforce"
}

// AgentRead sends an agent's receipt for the consumer's messages: READ by default, or ACCEPT, VIEWED (seen in the wild),
// ACCESS or NACK. Without sequences it is for all of the dialog's consumer messages still in the transcript.
func (s *Sim) AgentRead(id, status string, sequences []int64, who Agent) (Sent, error) {
	status = orElse(status, "READ")
	if !slices.Contains([]string{"READ", "ACCEPT", "VIEWED", "ACCESS", "NACK"}, status) {
		return Sent{}, &FieldError{"status", "want READ, ACCEPT, VIEWED, ACCESS or NACK"}
	}
	return s.agentActs(id, who, func(c *conversation, d *dialog, from originator) (int64, error) {
		if len(sequences) == 0 {
			sequences = consumerSequences(c, d)
		}
		if len(sequences) == 0 {
			return 0, &FieldError{"sequenceList", "there is no message of the consumer to read"}
		}
		return s.post(c, d, Entry{
			Role: from.Role, OriginatorID: from.ID, Type: "AcceptStatusEvent", Status: status, SequenceList: sequences,
		}, nil), nil
	})
}

func consumerSequences(c *conversation, d *dialog) []int64 {
	var list []int64
	for _, e := range c.transcript {
		if e.DialogID == d.DialogID && e.Role == RoleConsumer && e.Type == "ContentEvent" {
			list = append(list, e.Sequence)
		}
	}
	return list
}

// AgentClose is how a conversation is closed from LivePerson's side.
type AgentClose struct {
	// By is the closeReason: AGENT by default; LivePerson does not list all it may be.
	By string `json:"by"`
	// Survey asks for a survey or for none. Without it, one follows if the account has one and it is possible.
	Survey *bool `json:"survey"`
}

// AgentClose closes the conversation. A survey that was asked for must be possible: an assigned agent, and a client
// that declared MULTI_DIALOG.
func (s *Sim) AgentClose(id string, how AgentClose) error {
	c := s.find(id)
	if c == nil {
		return ErrUnknownConversation
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	by := orElse(how.By, "AGENT")
	switch {
	case c.stage != stateOpen:
		return ErrConversationClosed
	case c.state != stateOpen:
		s.endSurvey(c, by, "Completed", nil)
		return nil
	case how.Survey != nil && *how.Survey:
		return s.closeWithSurvey(c, by)
	}
	s.closeMain(c, by, "", how.Survey == nil, nil)
	return nil
}

func (s *Sim) closeWithSurvey(c *conversation, by string) error {
	if _, assigned := c.assigned(); !assigned {
		return &FieldError{"survey", "needs an assigned agent"}
	}
	if !c.has("MULTI_DIALOG") {
		return &FieldError{"survey", "the consumer's client did not declare MULTI_DIALOG"}
	}
	survey := s.config.Survey
	if survey == nil {
		survey = DefaultSurvey()
	}
	s.endDialog(c, c.main(), by, "")
	c.state, c.reason = stateClose, by
	s.startSurvey(c, survey, nil)
	return nil
}

// watchSilence closes a conversation that waits for its consumer for too long, without a survey, as LivePerson's
// automatic close does. An agent's message begins the wait, and anything later of the consumer's ends it.
func (s *Sim) watchSilence(c *conversation, e Entry) {
	limit := s.faults.Load().AutoCloseMs
	if limit == 0 || e.Type == "AcceptStatusEvent" {
		return
	}
	c.spoken++
	if e.Role == RoleConsumer {
		return
	}
	spoken := c.spoken
	s.agenda.after(time.Duration(limit)*time.Millisecond, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.spoken == spoken {
			s.closeAll(c, "SYSTEM", nil)
		}
	})
}

// StartForeign opens a conversation of a consumer that belongs to another connector. Its notifications come to our
// webhooks all the same.
func (s *Sim) StartForeign(text string) string {
	ext := "foreign:" + uuid.NewString()
	claims := consumerClaims{s.config.Account, ext, s.tokens.consumerID(ext, false)}
	c := newConversation(claims, nil, s.config.Now())
	c.foreign = true
	s.begin(c, nil)
	if text != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lastText = text
		s.post(c, c.main(), Entry{
			Role: RoleConsumer, OriginatorID: claims.LPConsumerID, Type: "ContentEvent", ContentType: "text/plain", Text: text, Audience: audienceAll,
		}, nil)
	}
	return c.id
}

// quickReply is one button below a message (Quick Replies Template).
type quickReply struct {
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Tooltip string          `json:"tooltip"`
	Click   quickReplyClick `json:"click"`
}

type quickReplyClick struct {
	Actions  []map[string]string `json:"actions"`
	Metadata []any               `json:"metadata"`
}

const maxQuickReplies = 24

func newQuickReply(title, publish string, metadata any) quickReply {
	return quickReply{"button", title, title, quickReplyClick{[]map[string]string{{"type": "publishText", "text": publish}}, []any{metadata}}}
}

func quickReplies(replies []quickReply) json.RawMessage {
	data, _ := json.Marshal(struct {
		Type        string       `json:"type"`
		ItemsPerRow int          `json:"itemsPerRow"`
		Replies     []quickReply `json:"replies"`
	}{"quickReplies", 8, replies})
	return data
}

// readQuickReplies takes LivePerson's object as it is, or makes one from a list of titles.
func readQuickReplies(data json.RawMessage) (json.RawMessage, error) {
	var object struct {
		Type    string            `json:"type"`
		Replies []json.RawMessage `json:"replies"`
	}
	if isObject(data) {
		if json.Unmarshal(data, &object) != nil || object.Type != "quickReplies" || len(object.Replies) < 1 || len(object.Replies) > maxQuickReplies {
			return nil, &FieldError{"quickReplies", "want type quickReplies and 1 to 24 replies"}
		}
		return data, nil
	}
	var titles []string
	if json.Unmarshal(data, &titles) != nil || len(titles) < 1 || len(titles) > maxQuickReplies {
		return nil, &FieldError{"quickReplies", "want an object or a list of 1 to 24 titles"}
	}
	var replies []quickReply
	for _, title := range titles {
		id := map[string]string{"type": "ExternalId", "id": "reply-" + uuid.NewString()[:8]}
		replies = append(replies, newQuickReply(title, title, id))
	}
	return quickReplies(replies), nil
}
