package lpsim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

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

// agents act in conversations: whoever writes is in the conversation, and only one that is open can be acted in.
type agents struct {
	*installation
	registry  *registry
	messaging *messaging
	files     *files
}

// acts runs an agent's action on the main dialog of an open conversation. Someone who writes is in the conversation,
// so whoever is not yet joins first.
func (a *agents) acts(id string, who Agent, do func(*conversation, *dialog, originator) (int64, error)) (Sent, error) {
	c, err := a.registry.locked(id)
	if err != nil {
		return Sent{}, err
	}
	defer c.mu.Unlock()
	d := c.main()
	if d.State != stateOpen {
		return Sent{}, ErrConversationClosed
	}
	from, err := a.enter(c, who)
	if err != nil {
		return Sent{}, err
	}
	sequence, err := do(c, d, from)
	return Sent{c.id, d.DialogID, sequence}, err
}

// enter finds the acting agent among the participants or lets it join.
func (a *agents) enter(c *conversation, who Agent) (originator, error) {
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
	a.join(c, who, "ACTIVE")
	return originator{who.ID, role}, nil
}

// join adds a participant. There is one assigned agent: a new active one takes the place of the former.
func (a *agents) join(c *conversation, who Agent, state string) {
	c.members = slices.DeleteFunc(c.members, func(p Participant) bool {
		return p.ID == who.ID || who.Role == RoleAssignedAgent && p.Role == RoleAssignedAgent && (state == "ACTIVE" || p.State == state)
	})
	c.members = append(c.members, Participant{who.ID, who.Role, state})
	c.main().metaTs = c.touch(a.Now())
	a.messaging.tell.conversation(c, nil)
}

// AgentJoin adds a participant: by default an assigned agent, ACTIVE or only SUGGESTED. It gives the agent's id.
func (a *agents) AgentJoin(id string, who Agent, state string) (string, error) {
	state = orElse(state, "ACTIVE")
	if state != "ACTIVE" && state != "SUGGESTED" {
		return "", &FieldError{"state", "want ACTIVE or SUGGESTED"}
	}
	who.Role, who.ID = orElse(who.Role, RoleAssignedAgent), orElse(who.ID, uuid.NewString())
	if !slices.Contains(agentRoles, who.Role) {
		return "", &FieldError{"role", "not an agent's role"}
	}
	return who.ID, a.withOpen(id, func(c *conversation) { a.join(c, who, state) })
}

// AgentLeave removes a participant, by default every assigned agent, as a transfer back to the queue does. A skill,
// if given, becomes the conversation's.
func (a *agents) AgentLeave(id string, who Agent, skillID string) error {
	who.Role = orElse(who.Role, RoleAssignedAgent)
	return a.withOpen(id, func(c *conversation) {
		c.members = slices.DeleteFunc(c.members, func(p Participant) bool {
			return p.Role == who.Role && (who.ID == "" || who.ID == p.ID)
		})
		c.skill = orElse(skillID, c.skill)
		c.main().metaTs = c.touch(a.Now())
		a.messaging.tell.conversation(c, nil)
	})
}

// unassigned tells whether nobody is assigned to a conversation that can be found.
func (a *agents) unassigned(id string) bool {
	c := a.registry.find(id)
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, assigned := c.assigned()
	return !assigned
}

func (a *agents) withOpen(id string, do func(*conversation)) error {
	c, err := a.registry.locked(id)
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return ErrConversationClosed
	}
	do(c)
	return nil
}

// AgentTyping sends an agent's chat state: COMPOSING, and ACTIVE when it stops.
func (a *agents) AgentTyping(id, chatState string, who Agent) error {
	if !slices.Contains(ChatStates, chatState) && chatState != "BACKGROUND" {
		return &FieldError{"chatState", "not a chat state"}
	}
	_, err := a.acts(id, who, func(c *conversation, d *dialog, from originator) (int64, error) {
		a.messaging.setChatState(c, d, from, chatState, nil)
		return 0, nil
	})
	return err
}

// AgentMessage sends what an agent writes.
func (a *agents) AgentMessage(id string, m AgentMessage) (Sent, error) {
	if err := m.validate(); err != nil {
		return Sent{}, err
	}
	return a.acts(id, m.Agent, func(c *conversation, d *dialog, from originator) (int64, error) {
		entry, err := a.entry(c, &m)
		if err != nil {
			return 0, err
		}
		entry.Role, entry.OriginatorID = from.Role, from.ID
		return a.messaging.post(c, d, entry, nil), nil
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

func (a *agents) entry(c *conversation, m *AgentMessage) (Entry, error) {
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
		entry.QuickReplies, entry.QuickRepliesWithheld = replies, a.messaging.withholds(c, "QUICK_REPLIES")
	}
	switch {
	case m.Rich != nil:
		entry.Type, entry.ContentType, entry.Content = "RichContentEvent", "", m.Rich
		entry.Withheld = a.messaging.withholds(c, "RICH_CONTENT")
	case m.File != nil:
		message, err := a.attach(c, m.File, "file")
		entry.ContentType, entry.File = hostedFile, message
		return entry, err
	case m.Files != nil:
		message, err := a.attachAll(c, m.Files)
		entry.ContentType, entry.File = hostedFile, message
		return entry, err
	}
	return entry, nil
}

// attach stores one file of an agent's, if the consumer's client takes files.
func (a *agents) attach(c *conversation, f *AgentFile, field string) (json.RawMessage, error) {
	data, err := base64.StdEncoding.DecodeString(f.ContentBase64)
	if err != nil || len(data) == 0 {
		return nil, &FieldError{field + ".contentBase64", "want base64 of at least one byte"}
	}
	photo := slices.Contains(uploadTypes, strings.ToUpper(f.FileType)) && c.has("PHOTO_SHARING")
	if a.faults().DeclaredFiles == "enforce" && !photo && !c.has("FILE_SHARING") {
		return nil, &FieldError{field, "the consumer's client did not declare FILE_SHARING"}
	}
	return a.files.keepAgents(c.consumer.LPConsumerID, f, data), nil
}

func (a *agents) attachAll(c *conversation, files []AgentFile) (json.RawMessage, error) {
	messages := make([]json.RawMessage, 0, len(files))
	for i := range files {
		message, err := a.attach(c, &files[i], "files["+strconv.Itoa(i)+"]")
		if err != nil {
			return nil, err
		}
		messages = append(messages, message)
	}
	return json.Marshal(messages)
}

// AgentRead sends an agent's receipt for the consumer's messages: READ by default, or ACCEPT, VIEWED (seen in the wild),
// ACCESS or NACK. Without sequences it is for all of the dialog's consumer messages still in the transcript.
func (a *agents) AgentRead(id, status string, sequences []int64, who Agent) (Sent, error) {
	status = orElse(status, "READ")
	if !slices.Contains([]string{"READ", "ACCEPT", "VIEWED", "ACCESS", "NACK"}, status) {
		return Sent{}, &FieldError{"status", "want READ, ACCEPT, VIEWED, ACCESS or NACK"}
	}
	return a.acts(id, who, func(c *conversation, d *dialog, from originator) (int64, error) {
		if len(sequences) == 0 {
			sequences = consumerSequences(c, d)
		}
		if len(sequences) == 0 {
			return 0, &FieldError{"sequenceList", "there is no message of the consumer to read"}
		}
		return a.messaging.post(c, d, Entry{
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
func (a *agents) AgentClose(id string, how AgentClose) error {
	c := a.registry.find(id)
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
		a.messaging.endSurvey(c, by, "Completed", nil)
		return nil
	case how.Survey != nil && *how.Survey:
		return a.closeWithSurvey(c, by)
	}
	a.messaging.closeMain(c, by, "", how.Survey == nil, nil)
	return nil
}

func (a *agents) closeWithSurvey(c *conversation, by string) error {
	if _, assigned := c.assigned(); !assigned {
		return &FieldError{"survey", "needs an assigned agent"}
	}
	if !c.has("MULTI_DIALOG") {
		return &FieldError{"survey", "the consumer's client did not declare MULTI_DIALOG"}
	}
	survey := a.Survey
	if survey == nil {
		survey = DefaultSurvey()
	}
	a.messaging.endDialog(c, c.main(), by, "")
	c.state, c.reason = stateClose, by
	a.messaging.startSurvey(c, survey, nil)
	return nil
}
