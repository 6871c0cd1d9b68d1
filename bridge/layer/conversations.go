package layer

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"lpbridge/bridge"
)

const (
	// maxParticipants is the most participants of a request (Client API,
	// Conversations).
	maxParticipants = 25
	// maxConversations is how many one user may create. All of them are read to
	// list some.
	maxConversations = 2000
	// maxPageSize is the longest page of a list.
	maxPageSize = 100
)

// conversationRequest asks for a conversation, over REST or a socket.
type conversationRequest struct {
	ID           string         `json:"id"`
	Participants []string       `json:"participants"`
	Distinct     *bool          `json:"distinct"`
	Metadata     map[string]any `json:"metadata"`
}

// conversationNamed returns a conversation of the user, also one they no longer
// see, or [bridge.ErrNoRecord].
func (h *history) conversationNamed(ctx context.Context, user, uuid string) (*conversation, error) {
	c, err := kindConversation.Find(ctx, h.records, uuidKey(uuid))
	if err == nil && c.Owner != user {
		return nil, bridge.ErrNoRecord
	}
	return c, err
}

// conversationOf returns a conversation that the user sees.
func (h *history) conversationOf(ctx context.Context, user, uuid string) (*conversation, error) {
	c, err := h.conversationNamed(ctx, user, uuid)
	if err == nil && !c.visible() {
		return nil, bridge.ErrNoRecord
	}
	return c, err
}

// showConversation shows a conversation with its newest message.
func (h *history) showConversation(ctx context.Context, v view, c *conversation) (conversationObject, error) {
	var last *message
	if c.LastMessage != 0 {
		var err error
		last, err = kindMessage.Get(ctx, h.records, c.LastMessage)
		// The history may have been deleted in the meantime.
		if err != nil && !errors.Is(err, bridge.ErrNoRecord) {
			return conversationObject{}, err
		}
	}
	return v.conversation(c, last), nil
}

// createConversation answers POST /conversations.
func (api *restAPI) createConversation(ctx context.Context, c *call) (response, error) {
	var req conversationRequest
	if err := decodeBody(c.body, &req); err != nil {
		return response{}, err
	}
	var body conversationObject
	created, err := api.makeConversation(ctx, c.view, &req, func(made conversationObject) { body = made })
	if err != nil {
		return response{}, err
	}
	if created {
		return response{status: http.StatusCreated, body: body}, nil
	}
	return response{status: http.StatusOK, body: body}, nil
}

// makeConversation creates a conversation, or finds the distinct one, and hands
// it to done before anybody else is told. It reports whether it is new.
func (h *history) makeConversation(ctx context.Context, v view, req *conversationRequest, done func(conversationObject)) (created bool, err error) {
	if err := h.checkConversation(v, req); err != nil {
		return false, err
	}
	var made conversationObject
	err = h.inTransaction(ctx, v.viewer.User, func(t *transaction) error {
		c, err := h.distinctMatch(ctx, t, v, req)
		if c == nil && err == nil {
			created = true
			c, err = h.newConversation(ctx, t, v, req)
		}
		if err != nil {
			return err
		}
		made, err = h.showConversation(ctx, v, c)
		return err
	}, func(*transaction) { done(made) })
	return created, err
}

// checkConversation checks a request. Participants can be the user and the
// agent; both are added when missing.
func (h *history) checkConversation(v view, req *conversationRequest) error {
	if _, ok := uuidOf(req.ID, prefixConversation); req.ID != "" && !ok {
		return invalidProperty("id", "must be "+prefixConversation+"UUID")
	}
	if len(req.Participants) > maxParticipants {
		return invalidProperty("participants", "are more than "+strconv.Itoa(maxParticipants))
	}
	for _, id := range req.Participants {
		if err := h.checkParticipant(v, id); err != nil {
			return err
		}
	}
	return h.checkMetadata(req.Metadata)
}

func (h *history) checkParticipant(v view, id string) error {
	user, ok := userOf(id, v.version)
	if !ok {
		return invalidProperty("participants", "must be ids of identities")
	}
	if user != v.viewer.User && !h.cfg.isAgent(user) {
		return invalidProperty("participants", "can be the user and the agent only")
	}
	return nil
}

// distinctMatch returns the distinct conversation that a request matches, nil
// when there is none or none is asked for. The agent and the user are always
// the participants, so that a user has one distinct conversation at most.
func (h *history) distinctMatch(ctx context.Context, t *transaction, v view, req *conversationRequest) (*conversation, error) {
	if !isDistinct(req) {
		return nil, nil
	}
	c, err := kindConversation.Find(ctx, h.records, keyDistinct+t.user.id)
	if errors.Is(err, bridge.ErrNoRecord) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(req.Metadata) > 0 && !reflect.DeepEqual(req.Metadata, c.Metadata) {
		shown, err := h.showConversation(ctx, v, c)
		if err != nil {
			return nil, err
		}
		return nil, conflict(shown)
	}
	if c.Hidden {
		c.Hidden = false
		t.keep(c)
		t.tellCreated(objectConversation, c.UUID, c)
	}
	return c, nil
}

// isDistinct reports whether a request wants the one conversation between its
// participants, as it does by default.
func isDistinct(req *conversationRequest) bool { return req.Distinct == nil || *req.Distinct }

func (h *history) newConversation(ctx context.Context, t *transaction, v view, req *conversationRequest) (*conversation, error) {
	if t.identity.Conversations >= maxConversations {
		return nil, errCrowded
	}
	own, err := h.newConversationID(ctx, v, req.ID)
	if err != nil {
		return nil, err
	}
	id, err := kindConversation.NextID(ctx, h.records)
	if err != nil {
		return nil, err
	}
	c := &conversation{
		ID: id, UUID: own, Owner: t.user.id, Distinct: isDistinct(req), Metadata: req.Metadata, Created: t.at,
	}
	p := *t.identity
	p.Conversations++
	t.identity = &p
	t.keep(c, &p)
	t.tellCreated(objectConversation, c.UUID, c)
	return c, nil
}

// newConversationID is the UUID asked for, or a new one. A request repeated
// gets the conversation that it made before.
func (h *history) newConversationID(ctx context.Context, v view, asked string) (string, error) {
	if asked == "" {
		return uuid.NewString(), nil
	}
	own, _ := uuidOf(asked, prefixConversation)
	taken, err := kindConversation.Find(ctx, h.records, uuidKey(own))
	switch {
	case errors.Is(err, bridge.ErrNoRecord):
		return own, nil
	case err != nil:
		return "", err
	case taken.Owner != v.viewer.User || !taken.visible():
		return "", errIDTaken
	}
	shown, err := h.showConversation(ctx, v, taken)
	if err != nil {
		return "", err
	}
	return "", idInUse(shown)
}

// listConversations answers GET /conversations.
func (api *restAPI) listConversations(ctx context.Context, c *call) (response, error) {
	query, err := c.listQuery(prefixConversation)
	if err != nil {
		return response{}, err
	}
	all, err := api.visibleConversations(ctx, c.view.viewer.User)
	if err != nil {
		return response{}, err
	}
	switch c.URL.Query().Get("sort_by") {
	case "", "created_at":
	case "last_message":
		slices.SortStableFunc(all, func(a, b *conversation) int { return b.active().Compare(a.active()) })
	default:
		return response{}, invalidProperty("sort_by", "must be created_at or last_message")
	}
	page := all
	if query.from != "" {
		i := slices.IndexFunc(all, func(c *conversation) bool { return strings.EqualFold(c.UUID, query.from) })
		if i < 0 {
			return response{}, invalidProperty("from_id", "is not a conversation of the user")
		}
		page = all[i+1:]
	}
	shown := []conversationObject{}
	for _, one := range page[:min(len(page), query.size)] {
		a, err := api.showConversation(ctx, c.view, one)
		if err != nil {
			return response{}, err
		}
		shown = append(shown, a)
	}
	return response{status: http.StatusOK, body: shown, count: new(len(all))}, nil
}

// visibleConversations are all conversations a user sees, the newest first.
func (h *history) visibleConversations(ctx context.Context, user string) ([]*conversation, error) {
	var all []*conversation
	for c, err := range kindConversation.Each(ctx, h.records, user, bridge.Page{Newest: true}) {
		if err != nil {
			return nil, err
		}
		if c.visible() {
			all = append(all, c)
		}
	}
	return all, nil
}

// showOneConversation answers GET /conversations/UUID.
func (api *restAPI) showOneConversation(ctx context.Context, c *call) (response, error) {
	found, err := api.conversationOf(ctx, c.view.viewer.User, c.PathValue("uuid"))
	if err != nil {
		return response{}, err
	}
	shown, err := api.showConversation(ctx, c.view, found)
	return response{status: http.StatusOK, body: shown}, err
}

// The modes of deleting (Client API, Conversations and Messages).
const (
	modeAll  = "all_participants"
	modeMine = "my_devices"
)

// deleteConversation answers DELETE /conversations/UUID. With my_devices alone
// the consumer stays in the conversation, which comes back when the agent
// writes; everything else is the end of it for the agent too.
func (api *restAPI) deleteConversation(ctx context.Context, c *call) (response, error) {
	query := c.URL.Query()
	mode, leave := query.Get("mode"), query.Get("leave") == "true"
	if mode != modeAll && mode != modeMine {
		return response{}, invalidProperty("mode", "must be all_participants or my_devices")
	}
	err := api.inTransaction(ctx, c.view.viewer.User, func(t *transaction) error {
		found, err := api.conversationOf(ctx, t.user.id, c.PathValue("uuid"))
		if err != nil {
			return err
		}
		if mode == modeMine && !leave {
			t.hide(found)
		} else {
			t.leave(found, mode)
		}
		return nil
	}, nil)
	return response{status: http.StatusNoContent}, err
}

// hide deletes what was said so far for the consumer only.
func (t *transaction) hide(c *conversation) {
	c.Hidden, c.HiddenTo, c.ReadTo = true, c.LastMessage, max(c.ReadTo, c.LastMessage)
	c.LastMessage, c.LastUUID, c.Total, c.Unread = 0, "", 0, 0
	t.keep(c)
	t.tellDeleted(objectConversation, c.UUID, modeMine)
}

// leave ends the conversation, here and in LivePerson.
func (t *transaction) leave(c *conversation, mode string) {
	c.Gone = true
	t.user.typesNoMore(c.thread())
	t.keep(c)
	t.tellDeleted(objectConversation, c.UUID, mode)
	t.report(bridge.EventID("close:"+string(c.thread())), bridge.KindClose, c.thread())
}

// patchConversation answers PATCH /conversations/UUID.
func (api *restAPI) patchConversation(ctx context.Context, c *call) (response, error) {
	var operations []patchOperation
	if err := decodeBody(c.body, &operations); err != nil {
		return response{}, err
	}
	err := api.inTransaction(ctx, c.view.viewer.User, func(t *transaction) error {
		found, err := api.conversationOf(ctx, t.user.id, c.PathValue("uuid"))
		if err != nil {
			return err
		}
		return api.patch(t, c.view, found, operations)
	}, nil)
	return response{status: http.StatusNoContent}, err
}

// patch applies all operations or none.
func (h *history) patch(t *transaction, v view, c *conversation, operations []patchOperation) error {
	if len(operations) > maxPatchOperations {
		return errTooLarge
	}
	metadata := cloneMetadata(c.Metadata)
	var told []operation
	leaves := false
	for _, s := range operations {
		keys := splitProperty(s.Property)
		if keys[0] == "participants" {
			left, err := h.patchParticipants(v, s, keys)
			if err != nil {
				return err
			}
			leaves = leaves || left
			continue
		}
		if err := h.patchMetadata(&metadata, s, keys); err != nil {
			return err
		}
		told = append(told, operation{Do: s.Operation, Property: s.Property, Value: s.Value})
	}
	if err := h.checkMetadata(metadata); err != nil {
		return err
	}
	c.Metadata = metadata
	switch {
	case leaves:
		t.leave(c, modeMine)
	case len(told) > 0:
		t.keep(c)
		t.tellUpdated(objectConversation, c.UUID, told...)
	}
	return nil
}

// patchParticipants takes an operation about participants. The user may leave; there
// is nobody else to add, and without the agent it is no conversation.
func (h *history) patchParticipants(v view, s patchOperation, keys []string) (leaves bool, err error) {
	id := s.ID
	if text, ok := s.Value.(string); ok && id == "" {
		id = text
	}
	if len(keys) != 1 || s.Operation != "add" && s.Operation != "remove" {
		return false, invalidProperty("participants", "can be added and removed only")
	}
	if err := h.checkParticipant(v, id); err != nil {
		return false, err
	}
	user, _ := userOf(id, v.version)
	if s.Operation == "add" {
		return false, nil
	}
	if user != v.viewer.User {
		return false, invalidProperty("participants", "must keep the agent")
	}
	return true, nil
}

// active is when something was last said, or when the conversation began.
func (c *conversation) active() time.Time {
	if c.LastAt.IsZero() {
		return c.Created
	}
	return c.LastAt
}

// setState takes note of what happened to the conversation and tells apps by a
// key of the metadata.
func (h *history) setState(t *transaction, c *conversation, state bridge.ConversationState) {
	if c.State == state {
		return
	}
	c.State = state
	t.keep(c)
	if c.visible() {
		t.tellUpdated(objectConversation, c.UUID, operation{Do: "set", Property: "metadata." + escapeKey(h.cfg.StateKey), Value: string(state)})
	}
}

// cloneMetadata copies metadata to its depth.
func cloneMetadata(metadata map[string]any) map[string]any {
	copied := maps.Clone(metadata)
	for k, v := range copied {
		if inner, ok := v.(map[string]any); ok {
			copied[k] = cloneMetadata(inner)
		}
	}
	return copied
}

// threadOf is the core's id of the conversation with the UUID.
func threadOf(uuid string) bridge.ThreadID { return bridge.ThreadID(strings.ToLower(uuid)) }
