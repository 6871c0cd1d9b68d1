package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"
)

// Target is where an event goes ("SEND" page). DialogID may be left empty for the main
// dialog, whose id is that of its conversation; ConversationID may be left empty
// when only the dialog is known.
type Target struct {
	ConversationID ConversationID
	DialogID       DialogID
}

// Event is what Send publishes: [ContentEvent], [ChatStateEvent],
// [AcceptStatusEvent], or a [RawEvent] of any other kind.
type Event interface {
	// wire gives the event as LivePerson spells it, its top-level metadata,
	// and what is wrong with it if anything is.
	wire() (event any, metadata json.RawMessage, wrong string)
}

// ContentEvent is a message: text, or a file that was uploaded before ("Send API
// Examples" page).
type ContentEvent struct {
	// Message is the text, below the limit of LivePerson's requests: see [SplitText].
	Message string
	// File, if given, is sent instead of Message.
	File *HostedFile
	// Metadata is a JSON array to send beside the event, such as that of a quick
	// reply the consumer chose.
	Metadata json.RawMessage
}

// HostedFile refers to an uploaded file ("File Sharing" page).
type HostedFile struct {
	// Caption is shown to the agent.
	Caption string `json:"caption"`
	// RelativePath is exactly what [Client.Upload] returned.
	RelativePath string `json:"relativePath"`
	// FileType is JPG, JPEG, PNG or GIF; agents may send others.
	FileType string `json:"fileType"`
	// Preview is an optional data URI below 30 KB.
	Preview string `json:"preview,omitempty"`
}

// ChatState is the presence of one side ("Send API Overview" page).
type ChatState string

// The chat states. Composing sticks: the agent sees "typing" until another
// state is sent, even after a message.
const (
	ChatActive    ChatState = "ACTIVE"
	ChatInactive  ChatState = "INACTIVE"
	ChatGone      ChatState = "GONE"
	ChatPause     ChatState = "PAUSE"
	ChatComposing ChatState = "COMPOSING"
)

// ChatStateEvent tells whether the consumer is typing, there or gone ("Send API
// Examples" page). It has no
// place in survey dialogs, which refuse it, and takes no sequence number.
type ChatStateEvent struct {
	ChatState ChatState
}

// AcceptStatus is what became of a message ("Send API Overview" page).
type AcceptStatus string

// The accept statuses.
const (
	Accept AcceptStatus = "ACCEPT" // delivered to the consumer
	Read   AcceptStatus = "READ"   // read; implies ACCEPT
	Access AcceptStatus = "ACCESS" // file opened
	Nack   AcceptStatus = "NACK"   // will not be delivered
	Action AcceptStatus = "ACTION" // structured content clicked
)

// AcceptStatusEvent is a receipt for the agent's messages with the given
// sequences of the target dialog, or a click on one of them ("Send API Examples"
// and "Rich Messaging Introduction" pages).
type AcceptStatusEvent struct {
	Status       AcceptStatus
	SequenceList []Sequence
	// Metadata is a JSON array; for a click it is the clicked element's
	// click.metadata, unchanged.
	Metadata json.RawMessage
}

type wireContent struct {
	Type        string `json:"type"`
	ContentType string `json:"contentType"`
	Message     any    `json:"message"`
}

func (e ContentEvent) wire() (any, json.RawMessage, string) {
	switch {
	case e.File != nil && e.File.RelativePath == "":
		return nil, nil, "file: relativePath is empty"
	case e.File != nil && e.File.FileType == "":
		return nil, nil, "file: fileType is empty"
	case e.File != nil:
		return wireContent{"ContentEvent", ContentTypeFile, e.File}, e.Metadata, ""
	case e.Message == "":
		return nil, nil, "message is empty"
	}
	return wireContent{"ContentEvent", ContentTypeText, e.Message}, e.Metadata, ""
}

type wireChatState struct {
	Type      string    `json:"type"`
	ChatState ChatState `json:"chatState"`
}

func (e ChatStateEvent) wire() (any, json.RawMessage, string) {
	switch e.ChatState {
	case ChatActive, ChatInactive, ChatGone, ChatPause, ChatComposing:
		return wireChatState{"ChatStateEvent", e.ChatState}, nil, ""
	}
	return nil, nil, "chatState is none of those LivePerson takes"
}

type wireAcceptStatus struct {
	Type         string       `json:"type"`
	Status       AcceptStatus `json:"status"`
	SequenceList []Sequence   `json:"sequenceList"`
}

func (e AcceptStatusEvent) wire() (any, json.RawMessage, string) {
	switch e.Status {
	case Accept, Read, Access, Nack, Action:
	default:
		return nil, nil, "status is none of those LivePerson takes"
	}
	if len(e.SequenceList) == 0 {
		return nil, nil, "sequenceList is empty"
	}
	return wireAcceptStatus{"AcceptStatusEvent", e.Status, e.SequenceList}, e.Metadata, ""
}

type publishEvent struct {
	ConversationID ConversationID `json:"conversationId,omitempty"`
	DialogID       DialogID       `json:"dialogId"`
	Event          any            `json:"event"`
}

const opPublish = "ms.PublishEvent"

// Send publishes one event on the consumer's behalf ("SEND" page). It gives the
// event's sequence in its dialog; for a ChatStateEvent that number means
// nothing. SEND has no idempotency key, so it is tried once, and once more only
// after a 401. Errors are of type *[Error]: with Certainty [MaybeApplied], look
// for the echo before sending again.
func (c *Client) Send(ctx context.Context, consumer ConsumerIdentity, to Target, event Event) (Sequence, error) {
	if to.DialogID == "" {
		to.DialogID = DialogID(to.ConversationID)
	}
	if to.DialogID == "" {
		return NoSequence, invalid(opPublish, "target: conversationId and dialogId are empty")
	}
	if event == nil {
		return NoSequence, invalid(opPublish, "event is missing")
	}
	wire, metadata, wrong := event.wire()
	if wrong != "" {
		return NoSequence, invalid(opPublish, wrong)
	}
	if len(metadata) > 0 && !json.Valid(metadata) {
		return NoSequence, invalid(opPublish, "metadata is not json")
	}
	var body published
	err := c.send(ctx, opPublish, consumer, publishEvent{to.ConversationID, to.DialogID, wire}, metadata, &body)
	if err != nil || body.Sequence == nil {
		return NoSequence, err
	}
	return *body.Sequence, nil
}

// published is the body of the answer to a published event.
type published struct {
	Sequence *Sequence `json:"sequence"`
}

// readPlain reads a whole answer that says nothing but that all is well, as LivePerson
// writes it, and reports whether it is one. All others are [json.Unmarshal]'s.
func (p *published) readPlain(answer []byte) bool {
	rest := bytes.TrimSpace(answer)
	var number Sequence
	var named, accepted, placed bool
	for before := byte('{'); len(rest) > 0 && rest[0] == before; before = ',' {
		name, after, ok := cutPlainString(rest[1:])
		value, colon := bytes.CutPrefix(after, []byte(":"))
		twice := true
		switch {
		case !ok || !colon:
			return false
		case string(name) == "reqId":
			twice, named = named, true
			_, rest, ok = cutPlainString(value)
		case string(name) == "code":
			twice, accepted = accepted, true
			rest, ok = bytes.CutPrefix(value, []byte(`"OK"`))
		case string(name) == "body":
			twice, placed = placed, true
			number, rest, ok = cutSequence(value)
		}
		if twice || !ok {
			return false
		}
	}
	if !accepted || !placed || string(rest) != "}" {
		return false
	}
	p.Sequence = &number
	return true
}

// cutPlainString takes a JSON string off that stands for itself.
func cutPlainString(text []byte) (inner, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return nil, nil, false
	}
	inner, rest, ok = bytes.Cut(text[1:], []byte(`"`))
	return inner, rest, ok && !bytes.ContainsFunc(inner, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' })
}

// cutSequence takes an object off that has a sequence and nothing else.
func cutSequence(text []byte) (number Sequence, rest []byte, ok bool) {
	inner, begins := bytes.CutPrefix(text, []byte(`{"sequence":`))
	digits, rest, ends := bytes.Cut(inner, []byte("}"))
	number, whole := plainNumber(digits)
	return number, rest, begins && ends && whole
}

// plainNumber reads digits; what has as many fits, and zeros in front are not JSON.
func plainNumber(digits []byte) (number Sequence, whole bool) {
	if n := len(digits); n == 0 || n > 18 || n > 1 && digits[0] == '0' {
		return 0, false
	}
	for _, digit := range digits {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		number = 10*number + Sequence(digit-'0')
	}
	return number, true
}

// send makes one SEND and decodes the body of a success into out, if given.
func (c *Client) send(ctx context.Context, op string, consumer ConsumerIdentity, body any, metadata json.RawMessage, out any) error {
	got, err := c.call(ctx, op, &c.sendURL, consumer,
		request{Kind: "req", ID: c.requestID(), Type: op, Body: body, Metadata: metadata})
	if err != nil {
		return err
	}
	defer got.release()
	if published, ok := out.(*published); ok && success(got.status) && published.readPlain(got.body) {
		return nil
	}
	var resp response
	err = json.Unmarshal(got.body, &resp)
	if got.status/100 != 2 {
		return refused(op, got, string(resp.Code), resp.msg(), longText(body))
	}
	if err != nil || resp.Code == "" {
		return notUnderstood(op, got, errNoAnswer)
	}
	if !resp.ok() {
		return refused(op, got, string(resp.Code), resp.msg(), longText(body))
	}
	if out != nil {
		// It was applied; an odd body must not make it look otherwise.
		_ = json.Unmarshal(resp.Body, out)
	}
	return nil
}

// ConversationField is a change to a conversation: [ConversationStateField],
// [DialogChange], [Stage], [CSATRate] or [TTRField].
type ConversationField interface{ field() any }

// ConversationStateField closes a conversation ("Send API Examples" page). Whether a survey follows is
// the account's choice; use Stage or DialogChange to be certain.
type ConversationStateField struct{}

// DialogChange closes one dialog, normally the main one so that a survey may
// follow ("Post Conversation Survey" page).
type DialogChange struct {
	DialogID DialogID
	// ClosedCause may be empty for "Closed by consumer".
	ClosedCause string
}

// Stage closes a conversation with all its dialogs, without a survey ("Post
// Conversation Survey" page).
type Stage struct{}

// CSATStatus tells how much of the rating the consumer gave ("Send API Overview"
// page).
type CSATStatus string

// The CSAT statuses.
const (
	CSATFilled          CSATStatus = "FILLED"
	CSATPartiallyFilled CSATStatus = "PARTIALLY_FILLED"
	CSATSkipped         CSATStatus = "SKIPPED"
)

// CSATRate is the consumer's rating ("Send API Overview" page). LivePerson takes
// it after the close.
type CSATRate struct {
	// Rate is 1 (worst) to 5 (best).
	Rate int
	// ResolutionConfirmation tells whether the issue was resolved; nil says
	// nothing of it.
	ResolutionConfirmation *bool
	// Status may be empty for CSATFilled, or CSATPartiallyFilled where nothing is
	// said of the resolution.
	Status CSATStatus
}

// TTRField changes how urgent a conversation is ("Send API Overview" page).
type TTRField struct {
	// TTRType is URGENT, PRIORITIZED, NORMAL or CUSTOM.
	TTRType string
	// Value is the target time to respond, in seconds.
	Value int
}

type wireState struct {
	Field             string `json:"field"`
	ConversationState string `json:"conversationState"`
}

func (ConversationStateField) field() any { return wireState{"ConversationStateField", "CLOSE"} }

func (Stage) field() any { return wireState{"Stage", "CLOSE"} }

type wireDialogChange struct {
	Field  string `json:"field"`
	Type   string `json:"type"`
	Dialog struct {
		DialogID    DialogID `json:"dialogId"`
		State       string   `json:"state"`
		ClosedCause string   `json:"closedCause"`
	} `json:"dialog"`
}

func (d DialogChange) field() any {
	change := wireDialogChange{Field: "DialogChange", Type: "UPDATE"}
	change.Dialog.DialogID, change.Dialog.State, change.Dialog.ClosedCause = d.DialogID, "CLOSE", d.ClosedCause
	if d.ClosedCause == "" {
		change.Dialog.ClosedCause = "Closed by consumer"
	}
	return change
}

func (r CSATRate) field() any {
	if r.Status == "" {
		r.Status = CSATFilled
		if r.ResolutionConfirmation == nil {
			r.Status = CSATPartiallyFilled
		}
	}
	return struct {
		Field                  string     `json:"field"`
		Rate                   int        `json:"csatRate"`
		ResolutionConfirmation *bool      `json:"csatResolutionConfirmation,omitempty"`
		Status                 CSATStatus `json:"status"`
	}{"CSATRate", r.Rate, r.ResolutionConfirmation, r.Status}
}

func (t TTRField) field() any {
	return struct {
		Field   string `json:"field"`
		TTRType string `json:"ttrType"`
		Value   int    `json:"value"`
	}{"TTRField", t.TTRType, t.Value}
}

const opUpdate = "cm.UpdateConversationField"

// UpdateConversation applies one or several changes ("Send API Examples" page).
// Applying the same change twice does no harm, so a lost answer is a Retry.
func (c *Client) UpdateConversation(ctx context.Context, consumer ConsumerIdentity, id ConversationID, changes ...ConversationField) error {
	if id == "" {
		return invalid(opUpdate, "conversationId is empty")
	}
	fields := make([]any, 0, len(changes))
	for _, change := range changes {
		if wrong := wrongChange(change); wrong != "" {
			return invalid(opUpdate, wrong)
		}
		fields = append(fields, change.field())
	}
	body := struct {
		ConversationID    ConversationID `json:"conversationId"`
		ConversationField any            `json:"conversationField"`
	}{id, fields}
	switch len(fields) {
	case 0:
		return invalid(opUpdate, "no change given")
	case 1:
		body.ConversationField = fields[0]
	}
	return repeatable(c.send(ctx, opUpdate, consumer, body, nil, nil))
}

func wrongChange(change ConversationField) string {
	switch f := change.(type) {
	case nil:
		return "a change is missing"
	case DialogChange:
		if f.DialogID == "" {
			return "dialog: dialogId is empty"
		}
	case CSATRate:
		if f.Status != CSATSkipped && (f.Rate < 1 || f.Rate > 5) {
			return "csatRate is not 1 to 5"
		}
	case TTRField:
		if f.TTRType == "" || f.Value < 0 {
			return "ttr: ttrType is empty or value is negative"
		}
	}
	return ""
}

// SetUserProfile tells LivePerson more about the consumer ("SEND" page). It
// replaces what was told before, so a lost answer is a Retry.
func (c *Client) SetUserProfile(ctx context.Context, consumer ConsumerIdentity, profile UserProfile) error {
	return repeatable(c.send(ctx, opProfile, consumer, profile.wire(), nil, nil))
}

// repeatable turns an uncertain failure of a request that does no harm when
// applied twice into one to be repeated, as if it had not been applied. A refusal
// stays one.
func repeatable(err error) error {
	failed, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	if failed.Outcome == Unknown {
		failed.Outcome = Retry
	}
	if failed.Certainty == MaybeApplied {
		failed.Certainty = NotApplied
	}
	return failed
}

// requestLimit is the longest request LivePerson takes, in characters ("Getting
// started with Connector API" guide).
const requestLimit = 5000

// longText tells that a text is longer than LivePerson takes, of which it says no
// more than "Bad Request".
func longText(body any) bool {
	event, _ := body.(publishEvent)
	content, _ := event.Event.(wireContent)
	text, isText := content.Message.(string)
	return isText && utf8.RuneCountInString(text) > requestLimit-requestOverhead
}

// requestOverhead is the least that surrounds a text in a request.
const requestOverhead = 200

// success tells whether a plain HTTP answer, such as the file storage's, is one.
func success(status int) bool { return status >= http.StatusOK && status < http.StatusMultipleChoices }
