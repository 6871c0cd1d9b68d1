package relay

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
)

const (
	// notificationTime bounds the work on one notification: LivePerson wants an
	// answer within 2.5 s (Webhooks Overview).
	notificationTime = 2 * time.Second
	// maxNotificationSequences is the most messages one receipt is about.
	maxNotificationSequences = 1000
)

// Headers of LivePerson's webhooks (Notification Protocol).
const (
	headerSignature = "X-Liveperson-Signature"
	headerAccount   = "X-Liveperson-Account-Id"
	headerClient    = "X-Liveperson-Client-Id"
)

// typist is a clock of typing, as notifications use it.
type typist interface {
	Observe(key bridge.ThreadKey, who bridge.Agent, state bridge.TypingState, trace string)
	Disconnected(key bridge.ThreadKey)
	Forget(key bridge.ThreadKey, conversation string)
	Present(key bridge.ThreadKey, there func(id string) bool)
}

// newsJournal is what notifications need of the journal.
type newsJournal interface {
	bridge.Ledger
	bridge.UnclaimedChanges
	Append(ctx context.Context, b bridge.Batch) ([]int64, error)
	RecordsOf(channel string) bridge.Records
}

// news takes LivePerson's notifications: it finds out whose each change is, makes
// durable what must not be lost, and lets the rest happen.
type news struct {
	account   connector.AccountID
	clientID  string
	verify    func(header string, body []byte) error
	journal   newsJournal
	directory *directory
	openings  *openings
	files     *files
	offers    *offers
	denied    *denied
	copies    *copies
	// uploaded is the event whose file lies at a path of LivePerson's.
	uploaded func(ctx context.Context, at string) (bridge.EventID, error)
	// wants reports whether a channel takes a kind of event.
	wants func(channel string, k bridge.Kind) bool
	// notified is told that LivePerson's webhooks reach us.
	notified func(context.Context)
	// refused is told that one of them was not taken: LivePerson repeats it later,
	// and holds all others back meanwhile.
	refused func()
	// echoed settles the delivery an arrival proves.
	echoed func(ctx context.Context, keys []bridge.LaneKey, a lane.Arrival) (lane.Finding, error)
	// spawn runs something on a goroutine of its own while the bridge runs.
	spawn func(func(context.Context))
	// expect is told of agents whose names will be shown.
	expect         func(bridge.Agent)
	consumerTyping typist
	agentTyping    typist
	// begin marks entries whose delivery starts when they are on disk.
	begin func([]bridge.Entry)
	// trace is what to keep of a request's trace, empty when there is none.
	trace func(context.Context) string
	// order is told of the numbers of what comes.
	order *lane.Order
	// heard is told when something happened in the conversation of a lane, and wake
	// lets one go on that waits for a conversation.
	heard   func(key bridge.LaneKey, happened time.Time)
	wake    func(bridge.LaneKey)
	log     *slog.Logger
	metrics *metrics

	// taking serves one notification of a conversation at a time, so that what was
	// kept unclaimed and what comes do not overtake each other; see [directory]
	// for the order of locks.
	taking mutexes
}

// ServeHTTP takes LivePerson's webhooks of all five types. It answers 200 once
// the journal has what must not be lost.
func (n *news) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	defer func() { n.metrics.webhookTime.Observe(time.Since(began).Seconds()) }()
	if p := n.serve(w, r); p != nil {
		n.metrics.notifications.WithLabelValues(strconv.Itoa(p.Status)).Inc()
		p.ServeHTTP(w, r)
		return
	}
	n.metrics.notifications.WithLabelValues("200").Inc()
	w.WriteHeader(http.StatusOK)
}

func (n *news) serve(w http.ResponseWriter, r *http.Request) *bridge.Problem {
	body, err := bridge.ReadBody(w, r, connector.MaxNotificationBytes)
	if err != nil {
		return bridge.ProblemOf(err)
	}
	if err := n.verify(r.Header.Get(headerSignature), body); err != nil {
		return &bridge.Problem{Status: http.StatusUnauthorized, Title: "Unauthorized", Detail: err.Error(), Field: headerSignature}
	}
	if p := n.checkAddressee(r.Header); p != nil {
		return p
	}
	ctx, cancel := context.WithTimeout(r.Context(), notificationTime)
	defer cancel()
	if err := n.take(ctx, body); err != nil {
		n.log.Warn("a notification could not be kept", "error", err)
		n.refused()
		return bridge.ProblemOf(err)
	}
	n.notified(ctx)
	return nil
}

// checkAddressee refuses notifications of another account or app.
func (n *news) checkAddressee(h http.Header) *bridge.Problem {
	for _, is := range [...]struct{ header, want string }{{headerAccount, string(n.account)}, {headerClient, n.clientID}} {
		if got := h.Get(is.header); got != "" && got != is.want {
			return &bridge.Problem{Status: http.StatusForbidden, Title: "Forbidden", Detail: "the notification is for another account or app", Field: is.header}
		}
	}
	return nil
}

// take takes a notification that is LivePerson's. One that nobody can ever read
// is set aside: LivePerson would repeat it for days and hold everything else
// back meanwhile (Retry Policy).
func (n *news) take(ctx context.Context, body []byte) error {
	parsed, err := connector.ParseNotification(body)
	if err != nil {
		return n.setAside(ctx, body, err)
	}
	switch parsed := parsed.(type) {
	case *connector.MessagingEventNotification:
		if err := n.unreadable(ctx, parsed.Unreadable); err != nil {
			return err
		}
		return n.takeEvents(ctx, parsed.Changes)
	case *connector.ExConversationChangeNotification:
		if err := n.unreadable(ctx, parsed.Unreadable); err != nil {
			return err
		}
		return n.takeConversations(ctx, parsed.Changes)
	default:
		n.metrics.drop("unknown_type")
		n.log.Info("a notification of a kind we do not know is not taken", "bytes", len(body))
		return nil
	}
}

// unreadable sets changes aside that cannot be read. The others of their
// notification are taken.
func (n *news) unreadable(ctx context.Context, changes []*connector.UnreadableChange) error {
	n.metrics.dropMany("unreadable", len(changes))
	for _, c := range changes {
		if err := n.setAside(ctx, c.Raw, c); err != nil {
			return err
		}
	}
	return nil
}

// takeEvents takes messaging events, those of one conversation together.
func (n *news) takeEvents(ctx context.Context, changes []connector.MessagingChange) error {
	for _, group := range byConversation(changes) {
		if err := n.takeGroup(ctx, group); err != nil {
			return err
		}
	}
	return nil
}

// byConversation parts changes by conversation, in the order in which these come
// up first.
func byConversation(changes []connector.MessagingChange) [][]*connector.MessagingChange {
	var groups [][]*connector.MessagingChange
	index := map[connector.ConversationID]int{}
	for i := range changes {
		id := changes[i].ConversationID
		at, known := index[id]
		if !known {
			at = len(groups)
			index[id] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], &changes[i])
	}
	return groups
}

// takeGroup takes the events of one conversation.
func (n *news) takeGroup(ctx context.Context, group []*connector.MessagingChange) error {
	id := string(group[0].ConversationID)
	release, err := n.taking.lock(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	// Asked before looking: an opening that ends in between has its conversation
	// known by then.
	possible := n.openings.possible()
	var in intake
	for _, c := range group {
		if err := n.takeEvent(ctx, &in, c, possible); err != nil {
			return err
		}
	}
	return n.keep(ctx, &in)
}

// intake collects what must be durable before the answer, and what happens after.
type intake struct {
	batch  bridge.Batch
	echoes []echo
	cues   []cue
}

// cue is an agent's typing.
type cue struct {
	thread bridge.ThreadKey
	agent  bridge.Agent
	state  bridge.TypingState
}

// append journals an event for its thread's lane in a direction.
func (in *intake) append(key bridge.ThreadKey, d bridge.Direction, ev *bridge.Event) error {
	entry, err := newEntry(key.Lane(d), ev, time.Now())
	if err != nil {
		return err
	}
	in.batch.Entries = append(in.batch.Entries, entry)
	return nil
}

// keep makes an intake durable and lets its effects happen.
func (n *news) keep(ctx context.Context, in *intake) error {
	if err := n.append(ctx, in); err != nil {
		return err
	}
	kept := n.trace(ctx)
	for _, c := range in.cues {
		n.agentTyping.Observe(c.thread, c.agent, c.state, kept)
	}
	for i := range in.echoes {
		if err := n.settleEcho(ctx, &in.echoes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (n *news) append(ctx context.Context, in *intake) error {
	if len(in.batch.Entries) == 0 && len(in.batch.Unclaimed) == 0 {
		return nil
	}
	if kept := n.trace(ctx); kept != "" {
		for i := range in.batch.Entries {
			in.batch.Entries[i].Traced(kept)
		}
	}
	n.begin(in.batch.Entries)
	seqs, err := n.journal.Append(ctx, in.batch)
	if err != nil && n.full(err, in) {
		in.batch.Unclaimed = nil
		return n.append(ctx, in)
	}
	if err != nil {
		return err
	}
	for i, seq := range seqs {
		if seq == 0 {
			n.metrics.duplicate(in.batch.Entries[i].Lane.Channel, in.batch.Entries[i].Lane.Direction)
		}
	}
	return nil
}

// takeEvent sorts one messaging event.
func (n *news) takeEvent(ctx context.Context, in *intake, c *connector.MessagingChange, possible bool) error {
	owner, err := n.directory.conversationOf(ctx, string(c.ConversationID), string(c.DialogID))
	switch {
	case err != nil:
		return err
	case owner == nil:
		return n.takeUnknown(in, c, possible)
	}
	if c.Sequence != connector.NoSequence {
		n.order.Saw(string(c.DialogID), int64(c.Sequence))
	}
	n.heard(owner.Holder().Lane(bridge.ToLivePerson), c.ServerTimestamp)
	switch {
	case c.Private():
		n.metrics.drop("private")
	case fromConsumer(c, owner):
		n.takeEcho(in, owner, c)
	default:
		return n.takeAgentEvent(ctx, in, owner, c)
	}
	return nil
}

// fromConsumer reports whether an event is the consumer's own coming back, also
// where LivePerson leaves the role out.
func fromConsumer(c *connector.MessagingChange, owner *bridge.Conversation) bool {
	return c.FromConsumer() || c.OriginatorID != "" && c.OriginatorID == owner.LPConsumer
}

// wrapped is a notification with one change, as what is kept for later is stored.
func wrapped(kind, dialog string, change json.RawMessage) ([]byte, error) {
	return json.Marshal(map[string]any{
		"kind": "notification", "type": kind, "body": map[string]any{"dialogId": dialog, "changes": []json.RawMessage{change}},
	})
}
