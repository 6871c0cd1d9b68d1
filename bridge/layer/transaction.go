package layer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// transaction is one change of a consumer's things, made while nothing else of theirs
// changes. What is stored and what LivePerson is told becomes durable in one
// write, and then the consumer's sockets are told.
type transaction struct {
	user     *user
	identity *identity
	// app is that of the client that asks for the change, empty when none does.
	app string
	// at is the time of everything in the transaction.
	at      time.Time
	events  []bridge.Event
	stored  []served.Thing
	changes []change
}

// The operations of a change.
const (
	changeCreate = "create"
	changeUpdate = "update"
	changeDelete = "delete"
)

// change is one change packet, in a form that fits every version of the API.
type change struct {
	Operation  string      `json:"operation"`
	Object     string      `json:"object"`
	UUID       string      `json:"uuid"`
	Operations []operation `json:"steps,omitempty"`
	// Mode belongs to a delete.
	Mode string `json:"mode,omitempty"`
	// created is the object of a create. It is not stored: a replay shows the
	// object as it is by then.
	created any
}

// operation is one layer-patch operation. User is the last part of a property that
// ends with a user.
type operation struct {
	Do       string `json:"do"`
	Property string `json:"property"`
	User     string `json:"user,omitempty"`
	Value    any    `json:"value,omitempty"`
	ID       string `json:"id,omitempty"`
}

// changeSet is what one transaction changed. Its record's parent is the consumer.
type changeSet struct {
	ID      int64     `json:"id"`
	User    string    `json:"user"`
	At      time.Time `json:"at"`
	Changes []change  `json:"changes"`
}

func (c *changeSet) Record() (bridge.Record, error) {
	return kindChange.Record(c.ID, c.User, nil, c.At, c)
}

// inTransaction makes a change. When do changes nothing, nothing is written. done, if
// not nil, is called once the change is durable and before anybody is told.
func (h *history) inTransaction(ctx context.Context, userID string, do func(*transaction) error, done func(*transaction)) error {
	u, leave := h.users.enter(userID)
	defer leave()
	t, err := h.begin(ctx, u)
	if err != nil {
		return err
	}
	defer u.end()
	if err := do(t); err != nil {
		return err
	}
	if err := h.commit(ctx, t); err != nil {
		return err
	}
	u.describe(t.identity)
	if done != nil {
		done(t)
	}
	// What is durable is told, also when who asked for it went away.
	ctx = context.WithoutCancel(ctx)
	for _, s := range u.online() {
		h.tell(ctx, s, t)
	}
	return nil
}

func (h *history) begin(ctx context.Context, u *user) (*transaction, error) {
	if !u.clockStarted() {
		newest, err := kindChange.Newest(ctx, h.records, u.id, 0, 1)
		if err != nil {
			return nil, fmt.Errorf("read the changes: %w", err)
		}
		var past time.Time
		for _, set := range newest {
			past = set.At
		}
		u.startClock(past)
	}
	p := u.who()
	if p == nil {
		var err error
		if p, err = h.identityNamed(ctx, u.id); err != nil {
			return nil, fmt.Errorf("read the identity: %w", err)
		}
		u.describe(p)
	}
	return &transaction{user: u, identity: p, at: u.begin()}, nil
}

func (h *history) commit(ctx context.Context, t *transaction) error {
	if len(t.changes) > 0 {
		id, err := kindChange.NextID(ctx, h.records)
		if err != nil {
			return err
		}
		t.stored = append(t.stored, &changeSet{ID: id, User: t.user.id, At: t.at, Changes: t.changes})
	}
	return h.keep(ctx, t.events, t.stored...)
}

// tell sends a transaction's changes to a socket.
func (h *history) tell(ctx context.Context, s *socket, t *transaction) {
	v := view{h, s.version, t.identity, s.session.app()}
	for _, c := range t.changes {
		body, err := h.changeBody(ctx, v, c)
		if err != nil {
			// The client comes back and finds the change with Event.replay.
			h.log.WarnContext(ctx, "a change could not be shown", "error", err)
			s.End(ourError)
			return
		}
		if body != nil {
			s.push(packetChange, body)
		}
	}
}

// report adds an event for LivePerson.
func (t *transaction) report(id bridge.EventID, kind bridge.Kind, thread bridge.ThreadID) *bridge.Event {
	t.events = append(t.events, bridge.Event{ID: id, Kind: kind, Thread: thread, Inbox: t.app, Time: t.at, Consumer: t.identity.consumer()})
	return &t.events[len(t.events)-1]
}

// keep stores things.
func (t *transaction) keep(things ...served.Thing) { t.stored = append(t.stored, things...) }

func (t *transaction) tellCreated(object, uuid string, created any) {
	t.changes = append(t.changes, change{Operation: changeCreate, Object: object, UUID: uuid, created: created})
}

func (t *transaction) tellUpdated(object, uuid string, operations ...operation) {
	t.changes = append(t.changes, change{Operation: changeUpdate, Object: object, UUID: uuid, Operations: operations})
}

func (t *transaction) tellDeleted(object, uuid, mode string) {
	t.changes = append(t.changes, change{Operation: changeDelete, Object: object, UUID: uuid, Mode: mode})
}

// changeObject is the body of a change packet.
type changeObject struct {
	Operation string    `json:"operation"`
	Object    reference `json:"object"`
	Data      any       `json:"data"`
}

// deleted is the data of a delete.
type deleted struct {
	Mode string `json:"mode"`
}

// changeBody shows a change; nil when its object is no more.
func (h *history) changeBody(ctx context.Context, v view, c change) (any, error) {
	a := &changeObject{Operation: c.Operation, Object: h.refer(c.Object, c.UUID)}
	switch c.Operation {
	case changeUpdate:
		a.Data = v.operations(c.Operations)
	case changeDelete:
		a.Data = deleted{c.Mode}
	default:
		data, err := h.createdObject(ctx, v, c)
		if errors.Is(err, bridge.ErrNoRecord) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		a.Data = data
	}
	return a, nil
}

// createdObject shows the object of a create, or returns [bridge.ErrNoRecord].
func (h *history) createdObject(ctx context.Context, v view, c change) (any, error) {
	if c.Object == objectAnswered && v.version < version3 {
		return nil, bridge.ErrNoRecord
	}
	switch created := c.created.(type) {
	case *message:
		return v.message(created), nil
	case *conversation:
		return h.showConversation(ctx, v, created)
	}
	if c.Object == objectMessage || c.Object == objectAnswered {
		m, err := h.messageOf(ctx, v.viewer.User, c.UUID)
		if err != nil {
			return nil, err
		}
		return v.message(m), nil
	}
	found, err := h.conversationOf(ctx, v.viewer.User, c.UUID)
	if err != nil {
		return nil, err
	}
	return h.showConversation(ctx, v, found)
}
