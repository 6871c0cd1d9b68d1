package layer

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"lpbridge/bridge"
)

// requestID is the form of request_id (Client API, WebSocket requests).
var requestID = regexp.MustCompile(`^[a-zA-Z0-9.-]{1,128}$`)

// frame is what a client sends: a request or a signal.
type frame struct {
	Type string `json:"type"`
	Body struct {
		RequestID *string         `json:"request_id"`
		Method    string          `json:"method"`
		ObjectID  string          `json:"object_id"`
		Data      json.RawMessage `json:"data"`

		Type   string `json:"type"`
		Object struct {
			ID string `json:"id"`
		} `json:"object"`
	} `json:"body"`
}

// result is the body of a response packet.
type result struct {
	RequestID string `json:"request_id"`
	Method    string `json:"method"`
	Success   bool   `json:"success"`
	Data      any    `json:"data,omitempty"`
}

// ask is one request over a socket.
type ask struct {
	socket *socket
	view   view
	id     string // empty when no answer is wanted
	method string
	object string
	data   json.RawMessage
}

// succeed answers the request.
func (a *ask) succeed(data any) {
	if a.id != "" {
		a.socket.push(packetResponse, result{a.id, a.method, true, data})
	}
}

// handleFrame takes one frame. What cannot be read is dropped: without a
// request_id there is nobody to answer.
func (api *socketAPI) handleFrame(ctx context.Context, s *socket, raw []byte) {
	var f frame
	if !utf8.Valid(raw) || json.Unmarshal(raw, &f) != nil {
		s.End(nonsense)
		return
	}
	switch f.Type {
	case "request":
		api.handleRequest(ctx, s, &f)
	case "signal":
		if err := api.handleSignal(ctx, s, &f); err != nil {
			// A signal has no response; that it is logged is all.
			_ = api.refusalOf(ctx, err, "signal")
		}
	}
}

func (api *socketAPI) handleRequest(ctx context.Context, s *socket, f *frame) {
	a := &ask{socket: s, method: f.Body.Method, object: f.Body.ObjectID, data: f.Body.Data}
	err := api.prepare(ctx, a, f.Body.RequestID)
	if err == nil {
		err = api.carryOut(ctx, a)
	}
	if err == nil {
		return
	}
	if refused := api.refusalOf(ctx, err, "websocket"); a.id != "" {
		s.push(packetResponse, result{a.id, a.method, false, api.errorObject(refused)})
	}
}

// prepare checks the request's id and finds out who asks.
func (api *socketAPI) prepare(ctx context.Context, a *ask, id *string) error {
	if id != nil {
		if !requestID.MatchString(*id) {
			return errRequestID
		}
		a.id = *id
	}
	if err := api.userShares.Spend(ctx, a.socket.user.id); err != nil {
		return err
	}
	p, err := api.identityOf(ctx, a.socket.user)
	a.view = view{api.history, a.socket.version, p, a.socket.session.app()}
	return err
}

func (h *history) identityOf(ctx context.Context, u *user) (*identity, error) {
	if p := u.who(); p != nil {
		return p, nil
	}
	p, err := h.identityNamed(ctx, u.id)
	if err == nil {
		u.describe(p)
	}
	return p, err
}

// carryOut does what a method asks for (Client API, WebSocket requests).
func (api *socketAPI) carryOut(ctx context.Context, a *ask) error {
	switch a.method {
	case "Conversation.create":
		return api.requestConversation(ctx, a)
	case "Message.create":
		return api.requestMessage(ctx, a)
	case "Counter.read":
		api.readCounter(a)
	case "Event.replay":
		return api.replay(ctx, a)
	case "Presence.subscribe", "Presence.update":
		// There is no presence: agents are not told apart.
		a.succeed(nil)
	case "Presence.sync":
		a.succeed(struct {
			Changes []any `json:"changes"`
		}{[]any{}})
	default:
		return errNoEndpoint
	}
	return nil
}

func (api *socketAPI) requestConversation(ctx context.Context, a *ask) error {
	var req conversationRequest
	if err := decodeBody(a.data, &req); err != nil {
		return err
	}
	_, err := api.makeConversation(ctx, a.view, &req, func(made conversationObject) { a.succeed(made) })
	return err
}

func (api *socketAPI) requestMessage(ctx context.Context, a *ask) error {
	uuid, ok := uuidOf(a.object, prefixConversation)
	if !ok {
		return errNotFound
	}
	var req messageRequest
	if err := decodeBody(a.data, &req); err != nil {
		return err
	}
	return api.makeMessage(ctx, a.view, uuid, &req, func(made messageObject) { a.succeed(made) })
}

// readCounter tells the counter of the packet before the response.
func (api *socketAPI) readCounter(a *ask) {
	if a.id == "" {
		return
	}
	a.socket.pushNumbered(packetResponse, func(counter int64) any {
		return result{a.id, a.method, true, map[string]int64{"counter": counter - 1}}
	})
}

const (
	// replayHorizon is how far back changes are replayed. The SDKs start anew
	// after 30 h.
	replayHorizon = 48 * time.Hour
	// maxReplay is how many bytes of changes one replay brings, more or less:
	// the newest.
	maxReplay = 4 << 20
)

// replay sends the changes since a time, and then the response. It takes the
// user's transaction, so that no change is told twice or out of order.
func (api *socketAPI) replay(ctx context.Context, a *ask) error {
	var req struct {
		From string `json:"from_timestamp"`
	}
	if err := decodeBody(a.data, &req); err != nil {
		return err
	}
	if req.From == "" {
		return missingProperty("from_timestamp")
	}
	from, err := time.Parse(time.RFC3339, req.From)
	if err != nil {
		return invalidProperty("from_timestamp", "is not an ISO 8601 time")
	}
	if horizon := time.Now().Add(-replayHorizon); from.Before(horizon) {
		from = horizon
	}
	u, leave := api.users.enter(a.socket.user.id)
	defer leave()
	missed, err := api.changesSince(ctx, a.view, u, from.Truncate(time.Millisecond))
	if err != nil {
		return err
	}
	for _, body := range missed {
		a.socket.push(packetChange, body)
	}
	a.succeed(nil)
	return nil
}

// changesSince shows the changes since a time, oldest first. Those at that very
// time are among them: the client may have seen only some.
func (h *history) changesSince(ctx context.Context, v view, u *user, from time.Time) ([]json.RawMessage, error) {
	var bodies []json.RawMessage // the newest first
	size := 0
	for set, err := range kindChange.Each(ctx, h.records, u.id, bridge.Page{Newest: true}) {
		if err != nil {
			return nil, err
		}
		if set.At.Before(from) || size > maxReplay {
			break
		}
		for _, c := range slices.Backward(set.Changes) {
			body, err := h.encodedChange(ctx, v, c)
			if err != nil {
				return nil, err
			}
			if body != nil {
				bodies = append(bodies, body)
				size += len(body)
			}
		}
	}
	slices.Reverse(bodies)
	return bodies, nil
}

func (h *history) encodedChange(ctx context.Context, v view, c change) (json.RawMessage, error) {
	body, err := h.changeBody(ctx, v, c)
	if err != nil || body == nil {
		return nil, err
	}
	return encode(body)
}

// handleSignal takes typing. A signal that makes no sense, or is one of too many, gets
// no answer.
func (api *socketAPI) handleSignal(ctx context.Context, s *socket, f *frame) error {
	var data struct {
		Action string `json:"action"`
	}
	if f.Body.Type != "typing_indicator" || json.Unmarshal(f.Body.Data, &data) != nil {
		return nil
	}
	state, known := stateOf(data.Action)
	uuid, named := uuidOf(f.Body.Object.ID, prefixConversation)
	if !known || !named {
		return nil
	}
	if err := api.userShares.Spend(ctx, s.user.id); err != nil {
		api.core.LeftOut("too_many")
		return nil
	}
	thread := threadOf(uuid)
	if had := s.user.types(thread, s.device, state != bridge.Stopped); !had {
		c, err := api.conversationOf(ctx, s.user.id, uuid)
		if err != nil {
			s.user.types(thread, s.device, false)
			return err
		}
		thread = c.thread()
	}
	return api.reportTyping(ctx, s, thread, state)
}

func (api *socketAPI) reportTyping(ctx context.Context, s *socket, thread bridge.ThreadID, state bridge.TypingState) error {
	_, err := api.core.Accept(ctx, []bridge.Event{{
		Kind: bridge.KindTyping, Thread: thread, Consumer: &bridge.Consumer{ID: bridge.ConsumerID(s.user.id)},
		Typing: &bridge.Typing{State: state, Device: s.device},
	}})
	return err
}

// hangUp ends the typing of a device that is gone.
func (api *socketAPI) hangUp(ctx context.Context, s *socket) {
	threads, last := s.user.part(s)
	for _, thread := range threads {
		if last {
			api.core.Disconnected(thread)
		} else if err := api.reportTyping(ctx, s, thread, bridge.Stopped); err != nil {
			api.log.WarnContext(ctx, "the end of typing was not told", "thread", thread, "error", err)
		}
	}
}
