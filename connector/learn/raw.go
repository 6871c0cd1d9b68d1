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
	Code string          `json:"code"`
	Body json.RawMessage `json:"body"`
}

func (r reply) ok() bool { return r.Code == "OK" }

// reply reads the answer of SEND. Its code is a number where LivePerson refuses a token.
func (a answer) reply() (r reply) {
	_ = json.Unmarshal(a.body, &r)
	return r
}

// succeeded reports whether a SEND was applied.
func (a answer) succeeded() bool { return a.status/100 == 2 && a.reply().ok() }

// refused reports whether LivePerson said no, and not something else or nobody.
func (a answer) refused() bool {
	return a.status/100 == 4 && a.status != http.StatusTooManyRequests || a.status/100 == 2 && a.reply().Code != "" && !a.reply().ok()
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

func (l *Learner) messaging(ctx context.Context, who speaker, m messaging) (answer, error) {
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
	return l.call(ctx, http.MethodPost, base+"/api/account/"+account+"/messaging/consumer/conversation"+m.path+"?v=3", body, header)
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
	return l.messaging(ctx, who, messaging{path: "/send", body: body, change: change})
}

// open asks for a conversation with a batch and returns its replies.
func (l *Learner) open(ctx context.Context, who speaker, batch []object, change func(http.Header)) (answer, []reply, error) {
	a, err := l.messaging(ctx, who, messaging{body: batch, change: change})
	if err != nil {
		return a, nil, err
	}
	var replies []reply
	_ = json.Unmarshal(a.body, &replies)
	return a, replies, nil
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

// close ends a conversation without a survey.
func (l *Learner) close(ctx context.Context, who speaker, id string) error {
	a, err := l.send(ctx, who, request("cm.UpdateConversationField", object{
		"conversationId": id, "conversationField": object{"field": "Stage", "conversationState": "CLOSE"},
	}), nil)
	if err == nil && !a.succeeded() {
		err = fmt.Errorf("LivePerson answered %d", a.status)
	}
	if err != nil {
		return fmt.Errorf("a test conversation could not be closed, an agent must: %w", err)
	}
	return nil
}
