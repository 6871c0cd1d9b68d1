package livechatai

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/config"
)

// The headers that sign a push.
const (
	headerSignature = "X-Bridge-Signature"
	headerTimestamp = "X-Bridge-Timestamp"
)

// signaturePrefix names the algorithm in front of the hexadecimal digest.
const signaturePrefix = "sha256="

// tolerance is how far a push's timestamp may be from our clock.
const tolerance = 5 * time.Minute

// maxBody is the longest push taken, in bytes.
const maxBody = 1 << 20

// Why a push is not believed. The texts go to a stranger and to the log.
var (
	errUnsigned     = errors.New(headerSignature + " and " + headerTimestamp + " are required")
	errBadTimestamp = errors.New(headerTimestamp + " is not a number of seconds since 1970")
	errOutOfTime    = errors.New(headerTimestamp + " is more than five minutes from now")
	errBadSignature = errors.New(headerSignature + " matches none of the secrets")
)

// door believes pushes that are signed with one of its keys.
type door struct{ keys [][]byte }

func newDoor(secrets []config.Secret) *door {
	d := &door{}
	for _, s := range secrets {
		d.keys = append(d.keys, []byte(s.Reveal()))
	}
	return d
}

// verify reports why a push is not believed. It looks at the body as it came.
func (d *door) verify(r *http.Request, body []byte) error {
	signature, stamp := r.Header.Get(headerSignature), r.Header.Get(headerTimestamp)
	if signature == "" || stamp == "" {
		return errUnsigned
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errBadTimestamp
	}
	if age := time.Now().Unix() - seconds; seconds < 0 || age > int64(tolerance/time.Second) || age < -int64(tolerance/time.Second) {
		return errOutOfTime
	}
	digest, found := strings.CutPrefix(signature, signaturePrefix)
	got, err := hex.DecodeString(digest)
	if err != nil || !found {
		return errBadSignature
	}
	for _, key := range d.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		if hmac.Equal(got, mac.Sum(nil)) {
			return nil
		}
	}
	return errBadSignature
}

// receive takes a push that is believed.
func (l *LiveChatAI) receive(ctx context.Context, _ *http.Request, body []byte) (bridge.Accepted, error) {
	p, err := decodePush(body)
	if err != nil {
		return bridge.Accepted{}, err
	}
	return l.takePush(ctx, p)
}

// The types of push.
const (
	pushMessage  = "message"
	pushTyping   = "typing"
	pushResolved = "resolved"
	// pushChanged only says that there is something to read.
	pushChanged = "changed"
)

// push is what another system tells of a conversation. README.md describes it.
type push struct {
	ID             string
	Type           string
	ConversationID string
	MessageID      string
	MessageType    string
	Contact        *contact
	Text           string
	CreatedAt      time.Time
	IsTyping       *bool
}

// pushWire is a push as it is written.
type pushWire struct {
	ID             written   `json:"id"`
	Type           string    `json:"type"`
	ConversationID written   `json:"conversationId"`
	MessageID      written   `json:"messageId"`
	MessageType    string    `json:"messageType"`
	Contact        *pushedBy `json:"contact"`
	Text           string    `json:"text"`
	CreatedAt      time.Time `json:"createdAt"`
	IsTyping       *bool     `json:"isTyping"`
}

type pushedBy struct {
	ID         written                    `json:"id"`
	Name       string                     `json:"name"`
	Phone      written                    `json:"phone"`
	Email      string                     `json:"email"`
	Attributes map[string]json.RawMessage `json:"attributes"`
}

// written is an id or a telephone number, which systems that pass LiveChatAI's on
// may write as a number.
type written string

// UnmarshalJSON implements [json.Unmarshaler].
func (n *written) UnmarshalJSON(data []byte) error {
	var number json.Number
	if json.Unmarshal(data, &number) == nil && data[0] != '"' {
		*n = written(number)
		return nil
	}
	var text string
	err := json.Unmarshal(data, &text)
	*n = written(text)
	return err
}

// decodePush reads a push. Errors are *[bridge.Problem] and name the member.
func decodePush(body []byte) (push, error) {
	var w pushWire
	if err := bridge.DecodeStrict(body, &w); err != nil {
		return push{}, err
	}
	p := push{
		ID: string(w.ID), Type: w.Type, ConversationID: string(w.ConversationID), MessageID: string(w.MessageID),
		MessageType: w.MessageType, Text: w.Text, CreatedAt: w.CreatedAt, IsTyping: w.IsTyping,
	}
	if c := w.Contact; c != nil {
		p.Contact = &contact{ID: string(c.ID), Name: c.Name, Phone: string(c.Phone), Email: c.Email, Attributes: c.Attributes}
	}
	return p, p.validate()
}

// validate asks for what each type needs.
func (p *push) validate() error {
	needs := map[string]bool{"conversationId": p.ConversationID == ""}
	switch p.Type {
	case pushMessage:
		needs["messageId"], needs["text"] = p.MessageID == "", p.Text == ""
	case pushTyping:
		needs["isTyping"] = p.IsTyping == nil
	case pushResolved:
		needs["id"] = p.ID == ""
	case pushChanged:
	case "":
		return bridge.BadRequest("type", "is required")
	default:
		return bridge.BadRequest("type", "is not one of message, typing, resolved, changed")
	}
	for _, field := range slices.Sorted(maps.Keys(needs)) {
		if needs[field] {
			return bridge.BadRequest(field, "is required")
		}
	}
	if p.MessageType != "" && p.MessageType != typeText && p.MessageType != typeImage {
		return bridge.BadRequest("messageType", "is not one of TEXT, IMAGE")
	}
	return p.check()
}

// pushFields are the names that the parts of an event have in a push.
var pushFields = map[string]string{
	"thread": "conversationId", "consumer.id": "contact.id", "message.text": "text", "message.attachments[0].url": "text",
}

// check asks the core's own rules, and names what they refuse in our words.
func (p *push) check() error {
	e := p.event(&known{ID: p.ConversationID, Contact: p.contactID()})
	err := e.Validate()
	field, ok := errors.AsType[*bridge.FieldError](err)
	if !ok {
		return err
	}
	named := pushFields[field.Field]
	switch {
	case named != "":
	case p.Type == pushMessage:
		named = "messageId"
	default:
		named = "id"
	}
	return bridge.BadRequest(named, field.Reason)
}

func (p *push) contactID() string {
	if p.Contact == nil {
		return ""
	}
	return p.Contact.ID
}

// event makes the event of a push; that of a changed one is a typing that nobody
// is told of.
func (p *push) event(k *known) bridge.Event {
	e := bridge.Event{
		Thread: bridge.ThreadID(p.ConversationID), Inbox: k.Agent, Time: p.CreatedAt.UTC(), Consumer: visitor(k.consumer(), p.Contact),
	}
	if p.CreatedAt.IsZero() {
		e.Time = time.Time{}
	}
	switch p.Type {
	case pushMessage:
		e.Kind, e.ID, e.Message = bridge.KindMessage, bridge.EventID(p.MessageID), content(p.MessageType, p.Text)
	case pushResolved:
		e.Kind, e.ID = bridge.KindClose, bridge.EventID("resolved:"+p.ID)
	default:
		e.Kind, e.Typing = bridge.KindTyping, &bridge.Typing{State: bridge.Stopped}
		if p.IsTyping != nil && *p.IsTyping {
			e.Typing.State = bridge.Composing
		}
	}
	return e
}

func (l *LiveChatAI) takePush(ctx context.Context, p push) (bridge.Accepted, error) {
	switch p.Type {
	case pushMessage:
		return l.takePushedMessage(ctx, p)
	case pushResolved:
		return l.takePushedEnd(ctx, p)
	case pushChanged:
		return l.takeHint(ctx, p)
	}
	return l.core.Accept(ctx, []bridge.Event{p.event(&known{ID: p.ConversationID, Contact: p.contactID()})})
}

// takePushedMessage accepts a message. Its id is that of polling, so whichever
// comes second is a duplicate; how far polling got does not change.
func (l *LiveChatAI) takePushedMessage(ctx context.Context, p push) (bridge.Accepted, error) {
	defer l.store.lock(p.ConversationID)()
	k, err := l.store.conversation(ctx, p.ConversationID)
	if err != nil {
		return bridge.Accepted{}, err
	}
	if id := p.contactID(); id != "" {
		k.Contact = id
	}
	k.Open, k.Wrote = true, time.Now()
	record, err := l.store.recordOf(ctx, k)
	if err != nil {
		return bridge.Accepted{}, err
	}
	accepted, err := l.core.Accept(ctx, []bridge.Event{p.event(k)}, record)
	if accepted.Events > 0 && len(l.cfg.AgentIDs) > 0 {
		l.poll.traffic()
		l.poll.pushed.add(p.ConversationID)
	}
	return accepted, err
}

// takePushedEnd accepts an end, if the visitor has not written since.
func (l *LiveChatAI) takePushedEnd(ctx context.Context, p push) (bridge.Accepted, error) {
	defer l.store.lock(p.ConversationID)()
	k, err := l.store.conversation(ctx, p.ConversationID)
	if err != nil {
		return bridge.Accepted{}, err
	}
	if !k.Open || !p.CreatedAt.IsZero() && k.Wrote.After(p.CreatedAt.Add(tolerance)) {
		return bridge.Accepted{}, nil
	}
	accepted, err := l.core.Accept(ctx, []bridge.Event{p.event(k)})
	if err != nil || accepted.Events == 0 {
		return accepted, err
	}
	k.end(time.Now())
	return accepted, l.store.save(ctx, k)
}

// takeHint reads the conversation at once, by the rules of polling. When that
// fails the sender is asked to repeat.
func (l *LiveChatAI) takeHint(ctx context.Context, p push) (bridge.Accepted, error) {
	result, err := l.fetch(ctx, listed{ID: p.ConversationID, Contact: p.Contact}, "", nil)
	if err == nil {
		return result.accepted, nil
	}
	problem := bridge.ProblemOf(errors.New("not read"))
	problem.Detail = "the conversation could not be read, send it again"
	if failed, ok := errors.AsType[*bridge.DeliveryError](err); ok {
		l.log.InfoContext(ctx, "a conversation that changed could not be read", "error", failed)
		problem.RetryAfter = max(problem.RetryAfter, failed.RetryAfter)
		return bridge.Accepted{}, problem
	}
	return bridge.Accepted{}, err
}

// isWebAddress reports whether text is an absolute http or https address.
func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}
