package relay

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
)

const (
	// openingWait is how long a notification about a conversation we do not know
	// waits for the conversations that are being opened. LivePerson wants an
	// answer within 2.5 s (Webhooks Overview).
	openingWait = time.Second
	// notificationTime bounds the work on one notification.
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

// serveNotification takes LivePerson's webhooks of all five types. It answers
// 200 once the journal has what must not be lost.
func (b *Bridge) serveNotification(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	defer func() { b.metrics.webhookTime.Observe(time.Since(began).Seconds()) }()
	if p := b.takeNotification(w, r); p != nil {
		b.metrics.notifications.WithLabelValues(strconv.Itoa(p.Status)).Inc()
		p.ServeHTTP(w, r)
		return
	}
	b.metrics.notifications.WithLabelValues("200").Inc()
	w.WriteHeader(http.StatusOK)
}

func (b *Bridge) takeNotification(w http.ResponseWriter, r *http.Request) *bridge.Problem {
	body, err := bridge.ReadBody(w, r, connector.MaxNotificationBytes)
	if err != nil {
		return bridge.ProblemOf(err)
	}
	if err := b.opts.VerifySignature(r.Header.Get(headerSignature), body); err != nil {
		return &bridge.Problem{Status: http.StatusUnauthorized, Title: "Unauthorized", Detail: err.Error(), Field: headerSignature}
	}
	if p := b.checkAddressee(r.Header); p != nil {
		return p
	}
	n, err := connector.ParseNotification(body)
	if err != nil {
		return &bridge.Problem{Status: http.StatusBadRequest, Title: "Bad Request", Detail: err.Error()}
	}
	ctx, cancel := context.WithTimeout(r.Context(), notificationTime)
	defer cancel()
	b.notifiedNow(ctx)
	if err := b.relayNotification(ctx, n); err != nil {
		b.log.Warn("a notification could not be kept", "error", err)
		return bridge.ProblemOf(err)
	}
	return nil
}

// checkAddressee refuses notifications of another account or app.
func (b *Bridge) checkAddressee(h http.Header) *bridge.Problem {
	for header, want := range map[string]string{headerAccount: string(b.opts.Account), headerClient: b.opts.ClientID} {
		if got := h.Get(header); got != "" && got != want {
			return &bridge.Problem{Status: http.StatusForbidden, Title: "Forbidden", Detail: "the notification is for another account or app", Field: header}
		}
	}
	return nil
}

// intake collects what one notification leads to: what must be durable before
// the answer, and what happens after.
type intake struct {
	batch  bridge.Batch
	echoes []echo
	cues   []cue
	moves  []move
	held   []*thread
	// patience is until when events of conversations we do not know may wait
	// for those that are being opened.
	patience time.Time
}

// echo is a consumer's own message coming back.
type echo struct {
	thread   *thread
	dialog   string
	sequence int64
	text     string
	// path is that of a file, empty for a text.
	path string
}

// cue is an agent's typing.
type cue struct {
	thread *thread
	agent  bridge.Agent
	state  bridge.TypingState
}

// move is a change of what we know of a thread.
type move struct {
	thread *thread
	change func(*bridge.Thread)
	// after says what the change means for typing.
	after func()
}

func (b *Bridge) relayNotification(ctx context.Context, n connector.Notification) error {
	in := intake{patience: time.Now().Add(openingWait)}
	defer func() {
		for _, t := range in.held {
			b.threads.put(t)
		}
	}()
	switch n := n.(type) {
	case *connector.MessagingEventNotification:
		b.metrics.dropMany("unreadable", len(n.Unreadable))
		for i := range n.Changes {
			if err := b.takeEvent(ctx, &in, &n.Changes[i]); err != nil {
				return err
			}
		}
	case *connector.ExConversationChangeNotification:
		b.metrics.dropMany("unreadable", len(n.Unreadable))
		for i := range n.Changes {
			if err := b.relayConversation(ctx, &n.Changes[i]); err != nil {
				return err
			}
		}
	default:
		b.metrics.drop("unknown_type")
	}
	return b.keepIntake(ctx, &in)
}

// keepIntake makes an intake durable and lets its effects happen.
func (b *Bridge) keepIntake(ctx context.Context, in *intake) error {
	if len(in.batch.Entries) > 0 {
		b.begin(in.batch.Entries)
		seqs, err := b.journal.Append(ctx, in.batch)
		if err != nil {
			return err
		}
		for i, seq := range seqs {
			if seq == 0 {
				b.metrics.duplicate(in.batch.Entries[i].Lane.Channel, bridge.ToChannel)
			}
		}
	}
	for _, m := range in.moves {
		if err := b.threads.change(ctx, m.thread, m.change); err != nil {
			return err
		}
		m.after()
		b.toLivePerson.Wake(bridge.LaneKey{Channel: m.thread.key.Channel, Thread: m.thread.key.Thread, Direction: bridge.ToLivePerson})
	}
	for _, c := range in.cues {
		b.agentTyping.Observe(c.thread.key, c.agent, c.state)
	}
	for _, e := range in.echoes {
		if err := b.settleEcho(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// takeEvent sorts one messaging event.
func (b *Bridge) takeEvent(ctx context.Context, in *intake, c *connector.MessagingChange) error {
	t, err := b.threadOf(ctx, in, c)
	if err != nil {
		return err
	}
	if t != nil {
		b.toLivePerson.Heard(bridge.LaneKey{Channel: t.key.Channel, Thread: t.key.Thread, Direction: bridge.ToLivePerson}, c.ServerTimestamp)
	}
	switch {
	case t == nil:
		b.metrics.drop("foreign")
	case c.Private():
		b.metrics.drop("private")
	case c.FromConsumer():
		b.takeEcho(in, t, c)
	default:
		return b.takeAgentEvent(ctx, in, t, c)
	}
	return nil
}

// threadOf finds whose an event is: by conversation, by dialog, or by consumer
// when the notification overtook the answer that names the conversation.
func (b *Bridge) threadOf(ctx context.Context, in *intake, c *connector.MessagingChange) (*thread, error) {
	conversation, dialog := string(c.ConversationID), string(c.DialogID)
	t, err := b.openings.wait(ctx, in.patience, func() (*thread, error) {
		t, err := b.threads.byPlace(ctx, conversation, dialog)
		if t == nil && err == nil && c.FromConsumer() {
			t, err = b.threads.byLPConsumer(ctx, c.OriginatorID)
		}
		return t, err
	}, func() *thread { return b.threads.placedIn(conversation, dialog) })
	if t != nil {
		in.held = append(in.held, t)
	}
	return t, err
}

// takeEcho notes a message of our own consumer; their other events tell us
// nothing we did not cause.
func (b *Bridge) takeEcho(in *intake, t *thread, c *connector.MessagingChange) {
	if c.Event.Type != connector.TypeContentEvent || c.Sequence == connector.NoSequence {
		b.metrics.drop("own")
		return
	}
	e := echo{thread: t, dialog: string(c.DialogID), sequence: int64(c.Sequence), text: c.Event.Text}
	if c.Event.File != nil {
		e.path = c.Event.File.RelativePath
	}
	in.echoes = append(in.echoes, e)
}

// settleEcho settles the delivery an echo proves, and does nothing when no
// delivery is in doubt. It returns once the journal has it.
func (b *Bridge) settleEcho(ctx context.Context, e echo) error {
	known, err := b.journal.MessagesAt(ctx, e.dialog, []int64{e.sequence})
	if len(known) > 0 || err != nil {
		return err
	}
	uploaded, err := b.uploadedFor(ctx, e.path)
	if err != nil {
		return err
	}
	last, err := b.journal.LastOf(ctx, e.dialog)
	if err != nil {
		return err
	}
	keys, err := b.lanesForEcho(ctx, e.thread)
	if err != nil {
		return err
	}
	found, err := b.toLivePerson.Echo(ctx, keys, lane.Arrival{
		Dialog: e.dialog, Sequence: e.sequence,
		Matches: func(entry *bridge.Entry) bool {
			return entry.Kind == bridge.KindMessage && e.proves(entry, uploaded)
		},
		Resembles: func(entry *bridge.Entry) bool {
			return entry.Kind == bridge.KindMessage && e.path == "" && e.sequence > last
		},
	})
	switch {
	case err != nil:
		return err
	case found.Settled:
		b.metrics.echoes.Inc()
	case found.Undecided != nil:
		// Only the answer tells whose echo this is: LivePerson must send it again.
		return bridge.ErrBusy
	}
	return nil
}

// lanesForEcho names the lanes an echo may be of: those of all threads of its
// consumer.
func (b *Bridge) lanesForEcho(ctx context.Context, t *thread) ([]bridge.LaneKey, error) {
	keys := []bridge.LaneKey{{Channel: t.key.Channel, Thread: t.key.Thread, Direction: bridge.ToLivePerson}}
	consumer := t.snapshot().LPConsumer
	if consumer == "" {
		return keys, nil
	}
	threads, err := b.journal.ThreadsOf(ctx, consumer)
	for _, row := range threads {
		if key := (bridge.LaneKey{Channel: row.Channel, Thread: row.ID, Direction: bridge.ToLivePerson}); key != keys[0] {
			keys = append(keys, key)
		}
	}
	return keys, err
}

// takeAgentEvent sorts what somebody on LivePerson's side did.
func (b *Bridge) takeAgentEvent(ctx context.Context, in *intake, t *thread, c *connector.MessagingChange) error {
	switch c.Event.Type {
	case connector.TypeContentEvent, connector.TypeRichContentEvent:
		return b.takeAgentMessage(ctx, in, t, c)
	case connector.TypeChatStateEvent:
		if row := t.snapshot(); string(c.ConversationID) != row.Conversation && string(c.DialogID) != row.Survey {
			b.metrics.drop("former_conversation")
			return nil
		}
		in.cues = append(in.cues, cue{t, agentOf(c), typingOf(c.Event.ChatState)})
	case connector.TypeAcceptStatusEvent:
		return b.takeAgentReceipt(in, t, c)
	default:
		b.metrics.drop("unknown_event")
	}
	return nil
}

func agentOf(c *connector.MessagingChange) bridge.Agent {
	return bridge.Agent{ID: c.OriginatorID, Role: c.OriginatorRole}
}

// takeAgentMessage journals a message for the channel. Typing of its author
// that stands before it in the notification is out of date.
func (b *Bridge) takeAgentMessage(ctx context.Context, in *intake, t *thread, c *connector.MessagingChange) error {
	if !b.wants(t.key.Channel, bridge.KindMessage) {
		b.metrics.drop("unwanted")
		return nil
	}
	message := messageOf(c)
	if message == nil {
		b.metrics.drop("unknown_content")
		return nil
	}
	row := t.snapshot()
	message.Survey = row.Survey != "" && row.Survey == string(c.DialogID)
	ev := &bridge.Event{
		ID: eventID(c), Kind: bridge.KindMessage, Thread: t.key.Thread, Time: c.ServerTimestamp,
		Agent: new(agentOf(c)), Message: message, Position: positionOf(c),
	}
	if c.Event.File != nil {
		if err := b.share(ctx, in, row, c.Event.File, message); err != nil {
			return err
		}
	}
	if len(c.Event.QuickReplies) > 0 {
		record, replies, err := b.offer(ctx, ev, c.Event.QuickReplies)
		if err != nil {
			return err
		}
		if len(replies) > 0 {
			message.QuickReplies = replies
			in.batch.Records = append(in.batch.Records, record)
		}
	}
	kept := in.cues[:0]
	for _, earlier := range in.cues {
		if earlier.thread != t || earlier.agent.ID != c.OriginatorID {
			kept = append(kept, earlier)
		}
	}
	in.cues = kept
	return in.append(t, ev)
}

func (in *intake) append(t *thread, ev *bridge.Event) error {
	entry, err := newEntry(bridge.LaneKey{Channel: t.key.Channel, Thread: t.key.Thread, Direction: bridge.ToChannel}, ev, time.Now())
	if err != nil {
		return err
	}
	in.batch.Entries = append(in.batch.Entries, entry)
	return nil
}

// eventID names an event by its position, or by all that tells it apart where
// LivePerson gave it no sequence.
func eventID(c *connector.MessagingChange) bridge.EventID {
	if c.Sequence != connector.NoSequence {
		return bridge.AgentEventID(string(c.DialogID), int64(c.Sequence))
	}
	return bridge.EventID(string(c.DialogID) + ":" + c.Key())
}

func positionOf(c *connector.MessagingChange) *bridge.Position {
	p := &bridge.Position{Conversation: string(c.ConversationID), Dialog: string(c.DialogID), Metadata: c.Metadata}
	if c.Sequence != connector.NoSequence {
		p.Sequences = []int64{int64(c.Sequence)}
	}
	return p
}

// messageOf renders what an agent sent, or nil when there is nothing to show.
func messageOf(c *connector.MessagingChange) *bridge.Message {
	e := c.Event
	e.QuickReplies = nil
	m := &bridge.Message{Text: e.FallbackText()}
	switch {
	case e.Type == connector.TypeRichContentEvent:
		m.Rich = e.RichContent
	case e.File != nil:
		m.Text = e.File.Caption
	}
	if m.Text == "" && e.File == nil && m.Rich == nil {
		return nil
	}
	return m
}

// takeAgentReceipt journals how far agents got with the consumer's messages.
func (b *Bridge) takeAgentReceipt(in *intake, t *thread, c *connector.MessagingChange) error {
	status, ok := map[connector.AcceptStatus]bridge.ReceiptStatus{
		connector.Accept: bridge.ReceiptDelivered, connector.Read: bridge.ReceiptRead, connector.Nack: bridge.ReceiptFailed,
	}[c.Event.Status]
	if !ok || !b.wants(t.key.Channel, bridge.KindReceipt) || len(c.Event.SequenceList) == 0 {
		b.metrics.drop("unwanted")
		return nil
	}
	place := &bridge.Position{Conversation: string(c.ConversationID), Dialog: string(c.DialogID)}
	for _, s := range c.Event.SequenceList[:min(len(c.Event.SequenceList), maxNotificationSequences)] {
		place.Sequences = append(place.Sequences, int64(s))
	}
	return in.append(t, &bridge.Event{
		ID: eventID(c), Kind: bridge.KindReceipt, Thread: t.key.Thread, Time: c.ServerTimestamp,
		Agent: new(agentOf(c)), Receipt: &bridge.Receipt{Status: status}, Position: place,
	})
}
