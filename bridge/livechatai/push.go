package livechatai

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
func (d *door) verify(h http.Header, body []byte, now time.Time) error {
	signature, stamp := h.Get(headerSignature), h.Get(headerTimestamp)
	if signature == "" || stamp == "" {
		return errUnsigned
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errBadTimestamp
	}
	if age := now.Unix() - seconds; seconds < 0 || age > int64(tolerance/time.Second) || age < -int64(tolerance/time.Second) {
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

// receive serves the door.
func (l *LiveChatAI) receive(rw http.ResponseWriter, r *http.Request) {
	accepted, err := l.accept(rw, r)
	if err != nil {
		bridge.ProblemOf(err).ServeHTTP(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	// A sender that is gone repeats the request and gets the answer then.
	_, _ = fmt.Fprintf(rw, "{\"accepted\":%d,\"duplicates\":%d}\n", accepted.Events, accepted.Duplicates)
}

func (l *LiveChatAI) accept(rw http.ResponseWriter, r *http.Request) (bridge.Accepted, error) {
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		return bridge.Accepted{}, &bridge.Problem{
			Status: http.StatusMethodNotAllowed, Title: "Method Not Allowed", Detail: "events are sent with POST",
		}
	}
	body, err := bridge.ReadJSON(rw, r, maxBody)
	if err != nil {
		return bridge.Accepted{}, err
	}
	if err := l.door.verify(r.Header, body, time.Now()); err != nil {
		l.log.DebugContext(r.Context(), "a push is not believed", "reason", err)
		rw.Header().Set("WWW-Authenticate", "Signature")
		return bridge.Accepted{}, &bridge.Problem{Status: http.StatusUnauthorized, Title: "Unauthorized", Detail: err.Error()}
	}
	p, err := decodePush(body)
	if err != nil {
		return bridge.Accepted{}, err
	}
	return l.takePush(r.Context(), p)
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

// decodePush reads a push, strictly: the form is ours, so what is not known is a
// mistake. Errors are *[bridge.Problem] and name the member.
func decodePush(body []byte) (push, error) {
	if !utf8.Valid(body) {
		return push{}, badPush("the body is not valid UTF-8", "")
	}
	var p push
	var at string
	err := members(body, "", map[string]any{
		"id": &p.ID, "type": &p.Type, "conversationId": &p.ConversationID, "messageId": &p.MessageID,
		"messageType": &p.MessageType, "text": &p.Text, "createdAt": &at, "isTyping": &p.IsTyping,
		"contact": &contactMembers{&p.Contact},
	})
	if err != nil {
		return push{}, err
	}
	if at != "" {
		if p.CreatedAt, err = time.Parse(time.RFC3339, at); err != nil {
			return push{}, badPush("is not a time as of RFC 3339", "createdAt")
		}
	}
	return p, p.validate()
}

// contactMembers reads the contact of a push.
type contactMembers struct{ contact **contact }

// UnmarshalJSON implements [json.Unmarshaler].
func (c *contactMembers) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	read := &contact{}
	*c.contact = read
	return members(data, "contact.", map[string]any{
		"id": &read.ID, "name": &read.Name, "email": &read.Email, "phone": &read.Phone, "attributes": &read.Attributes,
	})
}

// members reads the members of an object by their exact names.
func members(data []byte, prefix string, into map[string]any) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil || raw == nil {
		return badPush("is not one JSON object", strings.TrimSuffix(prefix, "."))
	}
	for _, member := range slices.Sorted(maps.Keys(raw)) {
		target, ok := into[member]
		if !ok {
			return badPush("is not known", prefix+nameable(member))
		}
		if err := json.Unmarshal(raw[member], target); err != nil {
			if p, ok := errors.AsType[*bridge.Problem](err); ok {
				return p
			}
			return badPush("has the wrong type", prefix+member)
		}
	}
	return nil
}

// nameable keeps a long or odd name out of the answer.
func nameable(member string) string {
	if len(member) > 64 || !isWord(member) {
		return "?"
	}
	return member
}

func badPush(reason, field string) *bridge.Problem {
	detail := reason
	if field != "" {
		detail = field + ": " + reason
	}
	return &bridge.Problem{Status: http.StatusBadRequest, Title: "Bad Request", Detail: detail, Field: field}
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
		return badPush("is required", "type")
	default:
		return badPush("is not one of message, typing, resolved, changed", "type")
	}
	for _, field := range slices.Sorted(maps.Keys(needs)) {
		if needs[field] {
			return badPush("is required", field)
		}
	}
	if p.MessageType != "" && p.MessageType != typeText && p.MessageType != typeImage {
		return badPush("is not one of TEXT, IMAGE", "messageType")
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
	return badPush(field.Reason, named)
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
		Thread: bridge.ThreadID(p.ConversationID), Time: p.CreatedAt.UTC(), Consumer: visitor(k.consumer(), p.Contact),
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
	defer l.book.lock(p.ConversationID)()
	k, err := l.book.conversation(ctx, p.ConversationID)
	if err != nil {
		return bridge.Accepted{}, err
	}
	if id := p.contactID(); id != "" {
		k.Contact = id
	}
	k.Open, k.Wrote = true, time.Now()
	record, err := l.book.recordOf(ctx, k)
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
	defer l.book.lock(p.ConversationID)()
	k, err := l.book.conversation(ctx, p.ConversationID)
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
	return accepted, l.book.save(ctx, k)
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
	if failed, ok := errors.AsType[*callError](err); ok {
		l.log.InfoContext(ctx, "a conversation that changed could not be read", "error", failed)
		problem.RetryAfter = max(problem.RetryAfter, failed.retryAfter)
		return bridge.Accepted{}, problem
	}
	return bridge.Accepted{}, err
}

// isWebAddress reports whether text is an absolute http or https address.
func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}
