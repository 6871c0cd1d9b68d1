package learn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"lpbridge/connector"
	"lpbridge/lpauth"
)

// callTime bounds one call.
const callTime = 15 * time.Second

// answer is what came back, as far as it can be told to anybody.
type answer struct {
	status int
	body   []byte
}

// reply is an answer of SEND, or an element of one of CONVERSATION.
type reply struct {
	Code code            `json:"code"`
	Body json.RawMessage `json:"body"`
}

// code is LivePerson's word for an outcome, or its number where it refuses a token.
type code string

func (c *code) UnmarshalJSON(text []byte) error {
	if word := ""; json.Unmarshal(text, &word) == nil {
		*c = code(word)
		return nil
	}
	var number json.Number
	err := json.Unmarshal(text, &number)
	*c = code(number)
	return err
}

func (r reply) ok() bool { return r.Code == "OK" }

// reply reads the answer of SEND.
func (a answer) reply() (r reply) {
	_ = json.Unmarshal(a.body, &r)
	return r
}

// replies reads the answer of CONVERSATION.
func (a answer) replies() (all []reply) {
	_ = json.Unmarshal(a.body, &all)
	return all
}

// page reports whether it is a page for people, such as a proxy's, and so not LivePerson's.
func (a answer) page() bool { return bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<")) }

// livePersons reports whether it is in LivePerson's form. What is not may come from anything in between, whatever its status.
func (a answer) livePersons() bool {
	all := a.replies()
	return a.reply().Code != "" || a.errorCode() != 0 || len(all) > 0 && all[0].Code != ""
}

// succeeded reports whether a SEND was applied.
func (a answer) succeeded() bool { return a.status/100 == 2 && a.reply().ok() }

// refused reports whether LivePerson said no, and not something else or nobody.
func (a answer) refused() bool {
	if !a.livePersons() || a.status == http.StatusTooManyRequests {
		return false
	}
	return a.status/100 == 4 || a.status/100 == 2 && a.reply().Code != "" && !a.reply().ok()
}

// errorCode is LivePerson's number of a refused token, 0 without one.
func (a answer) errorCode() int {
	var e struct {
		Body struct {
			ErrorCode int `json:"errorCode"`
		} `json:"body"`
	}
	_ = json.Unmarshal(a.body, &e)
	return e.Body.ErrorCode
}

// call makes one request and reads the answer.
func (l *Learner) call(ctx context.Context, method, at string, body []byte, header http.Header) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return answer{}, errors.New("the address is not usable")
	}
	req.Header = header.Clone()
	req.Header.Set("User-Agent", l.opts.UserAgent)
	resp, err := l.opts.Transport.RoundTrip(req)
	if err != nil {
		return answer{}, fmt.Errorf("no answer: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answer{resp.StatusCode, text}, err
}

// withoutURL keeps what a URL may hold out of errors.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// speaker is a consumer we invented.
type speaker struct {
	identity connector.ConsumerIdentity
	known    lpauth.Consumer
}

func (l *Learner) speaker(ctx context.Context) (speaker, error) {
	identity := connector.ConsumerIdentity("lpbridge-learn-" + uuid.NewString())
	known, err := l.opts.Consumers.Consumer(ctx, identity)
	return speaker{identity, known}, err
}

// messaging is a call of the Connector API.
type messaging struct {
	path   string
	body   any
	change func(h http.Header)
	// account, when set, takes the place of the account in the path.
	account *string
}

// message makes one call on behalf of a consumer.
func (l *Learner) message(ctx context.Context, who speaker, m messaging) (answer, error) {
	base, err := l.opts.Domains.BaseURL(ctx, lpauth.ServiceMessaging)
	if err != nil {
		return answer{}, err
	}
	app, err := l.opts.AppTokens.Token(ctx)
	if err != nil {
		return answer{}, err
	}
	body, err := json.Marshal(m.body)
	if err != nil {
		return answer{}, err
	}
	account := string(l.opts.AccountID)
	if m.account != nil {
		account = *m.account
	}
	header := http.Header{
		"Content-Type": {"application/json"}, "Authorization": {app}, "X-Lp-On-Behalf": {who.known.Token},
		"Client-Properties": {`{"type":".ClientProperties","features":[]}`},
	}
	if m.change != nil {
		m.change(header)
	}
	a, err := l.call(ctx, http.MethodPost, base+"/api/account/"+account+"/messaging/consumer/conversation"+m.path+"?v=3", body, header)
	if id := opened(a.replies()); id != "" {
		l.left[id] = who
	}
	return a, err
}

// object spares types for requests that are made once.
type object = map[string]any

func request(kind string, body any) object {
	return object{"kind": "req", "id": strings.ReplaceAll(uuid.NewString(), "-", "")[:16], "type": kind, "body": body}
}

// event is a SEND of an event into a conversation.
func event(conversation string, e object) object {
	return request("ms.PublishEvent", object{"conversationId": conversation, "dialogId": conversation, "event": e})
}

func words(text string) object {
	return object{"type": "ContentEvent", "contentType": "text/plain", "message": text}
}

func state(s string) object { return object{"type": "ChatStateEvent", "chatState": s} }

func (l *Learner) send(ctx context.Context, who speaker, body any, change func(http.Header)) (answer, error) {
	return l.message(ctx, who, messaging{path: "/send", body: body, change: change})
}

// open asks for a conversation with a batch and returns its replies. It is not interrupted: an answer that nobody waits
// for is a conversation that nobody closes.
func (l *Learner) open(ctx context.Context, who speaker, batch []object, change func(http.Header)) (answer, []reply, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, nil, err
	}
	a, err := l.message(context.WithoutCancel(ctx), who, messaging{body: batch, change: change})
	return a, a.replies(), err
}

func profile(sdes ...object) object {
	return request("userprofile.SetUserProfile", object{"authenticatedData": object{"lp_sdes": append([]object{}, sdes...)}})
}

// conversation asks for one with some fields besides the mandatory one.
func (l *Learner) conversation(fields object) object {
	body := object{"brandId": string(l.opts.AccountID)}
	maps.Copy(body, fields)
	return request("cm.ConsumerRequestConversation", body)
}

// opened is the id of the conversation a batch opened, empty when it did not.
func opened(replies []reply) string {
	if len(replies) < 2 || !replies[1].ok() {
		return ""
	}
	var body struct {
		ConversationID string `json:"conversationId"`
	}
	_ = json.Unmarshal(replies[1].Body, &body)
	return body.ConversationID
}

// closeTries is how often a conversation is closed, closePause what lies between the first two; it doubles.
const (
	closeTries = 4
	closePause = 250 * time.Millisecond
)

// close ends a conversation without a survey, also for whoever has lost patience.
func (l *Learner) close(ctx context.Context, who speaker, id string) error {
	ctx = context.WithoutCancel(ctx)
	var failed error
	for try := range closeTries {
		if try > 0 {
			<-time.After(closePause << (try - 1))
		}
		a, err := l.send(ctx, who, request("cm.UpdateConversationField", object{
			"conversationId": id, "conversationField": object{"field": "Stage", "conversationState": "CLOSE"},
		}), nil)
		if err == nil && a.succeeded() {
			delete(l.left, id)
			return nil
		}
		if failed = err; failed == nil {
			failed = fmt.Errorf("LivePerson answered %d", a.status)
		}
	}
	return fmt.Errorf("a test conversation could not be closed, an agent must: %w", failed)
}

// closeLeft closes what is still open, whatever kept it from being closed before.
func (l *Learner) closeLeft(ctx context.Context) error {
	var failed []error
	for id, who := range l.left {
		failed = append(failed, l.close(ctx, who, id))
	}
	return errors.Join(failed...)
}
