package front

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"lpbridge/connector/lpsim"
)

const (
	// mostMessages is how many messages of each direction the ledger holds.
	mostMessages = 20_000
	// mostTold is how many positions that were notified before their event was seen
	// are remembered.
	mostTold = 1000
	// typedBefore is how long before LivePerson is told a consumer may have begun to
	// type: typing waits for the conversation.
	typedBefore = 10 * time.Second
)

// said is a message at a front door of the bridge.
type said struct {
	channel string
	// id is the channel's own, empty where only the answer has it.
	id   string
	text string
}

// Watch puts together what is seen at the front doors, in the simulator and at the
// consumer's client. It is safe for concurrent use.
type Watch struct {
	stream *stream
	now    func() time.Time

	mu    sync.Mutex
	flows flows
	// sent are the texts the bridge took, by channel and id; written are agents'
	// messages by where they lie.
	sent    map[string]string
	written map[position]*written
	order   []position
	// arrived counts what consumers said, by conversation.
	arrived map[string]texts
	typing  map[string]*Flow
	// typed is when a channel last reported composing, notified what LivePerson's
	// notifications told of before the event itself was seen.
	typed    map[string]time.Time
	notified map[position]time.Time
	// nameless counts messages without an id, to tell them apart.
	nameless int
	left     int
	idle     bool
}

// written is an agent's message and how often a consumer's client got it.
type written struct {
	text  string
	times int
}

// NewWatch makes one that has seen nothing.
func NewWatch() *Watch {
	w := &Watch{stream: newStream(), now: time.Now}
	w.clear()
	return w
}

func (w *Watch) clear() {
	w.flows.list = nil
	w.sent, w.written, w.order = map[string]string{}, map[position]*written{}, nil
	w.arrived, w.typing = map[string]texts{}, map[string]*Flow{}
	w.typed, w.notified = map[string]time.Time{}, map[position]time.Time{}
	w.left, w.idle = 0, false
}

// reset forgets everything, as the simulator did.
func (w *Watch) reset() {
	w.mu.Lock()
	w.clear()
	w.mu.Unlock()
	w.stream.tell("flows", []Flow{})
	w.tellLedger()
}

func (w *Watch) tell(f *Flow) { w.stream.tell("flow", f.copied()) }

// begin notes messages that knock at a front door. They may reach LivePerson before
// the door has answered.
func (w *Watch) begin(messages []said) []*Flow {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.now()
	begun := make([]*Flow, 0, len(messages))
	for _, m := range messages {
		f := w.known(m)
		if f == nil {
			f = w.flows.add(Flow{Direction: toLivePerson, Channel: m.channel, Kind: kindMessage, Text: m.text, Milestones: []Milestone{}, began: at, key: m.channel + "\x00" + m.id})
		}
		if m.id == "" {
			w.nameless++
			f.key = m.channel + "\x00\x00" + strconv.Itoa(w.nameless)
		}
		begun = append(begun, f)
	}
	return begun
}

// known is the flow of a message that comes once more.
func (w *Watch) known(m said) *Flow {
	if m.id == "" {
		return nil
	}
	key := m.channel + "\x00" + m.id
	return w.flows.newest(func(f *Flow) bool { return f.key == key })
}

// answered notes how the door answered. What it did not take is no message.
func (w *Watch) answered(begun []*Flow, taken bool) {
	w.mu.Lock()
	at := w.now()
	for _, f := range begun {
		switch {
		case taken:
			f.reach(reachedOnDisk, at)
			if len(w.sent) < mostMessages {
				w.sent[f.key] = f.Text
			}
			w.tell(f)
		case !f.has(reachedOnDisk) && !f.has(reachedSent):
			w.flows.remove(f)
		}
	}
	w.mu.Unlock()
	w.tellLedger()
}

// composing notes that a consumer of a channel types.
func (w *Watch) composing(channel string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.typed[channel] = w.now()
}

// entry notes an event of a transcript.
func (w *Watch) entry(c *lpsim.Conversation, e *lpsim.Entry) {
	w.mu.Lock()
	at := position{e.DialogID, e.Sequence}
	switch {
	case e.Type == "AcceptStatusEvent" && e.Role == lpsim.RoleConsumer && e.Status == "ACCEPT":
		for _, sequence := range e.SequenceList {
			w.progress(position{e.DialogID, sequence}, reachedTold, e.Time)
		}
	case e.Type == "AcceptStatusEvent":
	case e.Role == lpsim.RoleConsumer:
		w.sentBy(c, e, at)
	case e.Audience == "" || e.Audience == "ALL":
		w.writtenBy(c, e, at)
	}
	if when, was := w.notified[at]; was {
		delete(w.notified, at)
		w.told(at, e.Role == lpsim.RoleConsumer, when)
	}
	w.mu.Unlock()
	w.tellLedger()
}

// sentBy notes that LivePerson has a consumer's message.
func (w *Watch) sentBy(c *lpsim.Conversation, e *lpsim.Entry, at position) {
	w.arrive(c)
	text := strings.TrimSpace(orElse(e.Submitted, e.Text))
	same := func(f *Flow) bool { return f.Direction == toLivePerson && f.Kind == kindMessage && f.Text == text }
	if f := w.flows.oldest(func(f *Flow) bool { return same(f) && !f.has(reachedSent) }); f != nil {
		f.at = at
		f.reach(reachedSent, e.Time)
		w.tell(f)
		return
	}
	if f := w.flows.newest(same); f != nil {
		f.Copies++
		w.tell(f)
	}
}

// arrive counts anew what a consumer said. What a long transcript no longer has did
// arrive all the same.
func (w *Watch) arrive(c *lpsim.Conversation) {
	said := consumersTexts(c)
	for text, n := range w.arrived[c.ConversationID] {
		said[text] = max(said[text], n)
	}
	w.arrived[c.ConversationID] = said
}

// consumersTexts counts what a consumer said in a conversation.
func consumersTexts(c *lpsim.Conversation) texts {
	said := texts{}
	for i := range c.Transcript {
		if e := &c.Transcript[i]; e.Role == lpsim.RoleConsumer && e.Type == "ContentEvent" {
			said[strings.TrimSpace(orElse(e.Submitted, e.Text))]++
		}
	}
	return said
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// writtenBy notes an agent's message.
func (w *Watch) writtenBy(c *lpsim.Conversation, e *lpsim.Entry, at position) {
	if _, known := w.written[at]; known || len(w.written) >= mostMessages || e.Withheld {
		return
	}
	w.written[at] = &written{text: e.Text}
	w.order = append(w.order, at)
	text := e.Text
	switch {
	case e.Type == "RichContentEvent":
		text = "(card)"
	case text == "":
		text = "(file)"
	}
	channel, _, _ := strings.Cut(c.ExtConsumerID, ":")
	w.tell(w.flows.add(Flow{Direction: toChannel, Channel: channel, Kind: kindMessage, Text: text, Milestones: []Milestone{}, began: e.Time, at: at}))
}

// notify notes that the bridge took LivePerson's notification of an event.
func (w *Watch) notify(at position, consumers bool, when time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.told(at, consumers, when) && len(w.notified) < mostTold {
		w.notified[at] = when
	}
}

func (w *Watch) told(at position, consumers bool, when time.Time) bool {
	if consumers {
		return w.progress(at, reachedEchoed, when)
	}
	return w.progress(at, reachedOnDisk, when)
}

// progress adds a milestone to what lies at a position, and says whether it is known.
func (w *Watch) progress(at position, name string, when time.Time) bool {
	f := w.flows.newest(func(f *Flow) bool { return f.at == at })
	if f != nil && f.reach(name, when) {
		w.tell(f)
	}
	return f != nil
}

// shown notes that a consumer's client got an agent's message: by where it lies, or
// by its words where the channel does not tell that.
func (w *Watch) shown(at *position, text string) {
	w.mu.Lock()
	if at == nil {
		at = w.unshown(text)
	}
	if m := w.written[orZero(at)]; m != nil {
		m.times++
		w.progress(*at, reachedDelivered, w.now())
	}
	w.mu.Unlock()
	w.tellLedger()
}

func orZero(at *position) position {
	if at == nil {
		return position{}
	}
	return *at
}

// unshown is the oldest message in these words that no client got, or else the last
// one that was.
func (w *Watch) unshown(text string) (found *position) {
	for _, at := range w.order {
		m := w.written[at]
		if m.text != text {
			continue
		}
		if found = &at; m.times == 0 {
			return found
		}
	}
	return found
}

// state notes a chat state that LivePerson was told, or tells.
func (w *Watch) state(conversation, channel string, r lpsim.ChatStateRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	consumers := r.Role == lpsim.RoleConsumer
	key := conversation + "\x00" + r.Role
	f := w.typing[key]
	switch {
	case r.ChatState == "COMPOSING" && f == nil:
		f = w.flows.add(Flow{Direction: toChannel, Channel: channel, Kind: kindTyping, Milestones: []Milestone{}, began: r.Time, key: key})
		if consumers {
			f.Direction = toLivePerson
			if typed, was := w.typed[channel]; was && r.Time.Sub(typed) < typedBefore {
				f.began = typed
			}
			delete(w.typed, channel)
			f.reach(reachedShown, r.Time)
		}
		w.typing[key] = f
	case r.ChatState != "COMPOSING" && f != nil:
		delete(w.typing, key)
		if consumers {
			f.reach(reachedCleared, r.Time)
		}
	default:
		return
	}
	w.tell(f)
}

// shownTyping notes that a consumer's client shows an agent typing, or no longer.
func (w *Watch) shownTyping(channel string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := reachedShown
	if !on {
		name = reachedCleared
	}
	f := w.flows.newest(func(f *Flow) bool {
		return f.Kind == kindTyping && f.Direction == toChannel && f.Channel == channel && !f.has(reachedCleared) && f.has(reachedShown) != on
	})
	if f != nil && f.reach(name, w.now()) {
		w.tell(f)
	}
}

// settle notes whether the bridge has anything left to do, and how many typing
// indicators nobody will put out.
func (w *Watch) settle(idle bool, left int) {
	w.mu.Lock()
	changed := w.idle != idle || w.left != left
	w.idle, w.left = idle, left
	w.mu.Unlock()
	if changed {
		w.tellLedger()
	}
}

// ledgerNow is what became of all messages so far.
func (w *Watch) ledgerNow() Ledger {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent, arrived := texts{}, texts{}
	for text := range maps.Values(w.sent) {
		sent[text]++
	}
	for _, said := range w.arrived {
		for text, n := range said {
			arrived[text] += n
		}
	}
	l := Ledger{ToLivePerson: compare(sent, arrived, w.idle), TypingLeft: w.left}
	back := &l.ToChannel
	for _, m := range w.written {
		back.Sent++
		switch {
		case m.times == 0:
			back.OnTheWay++
		case m.times == 1:
			back.Once++
		default:
			back.Twice++
		}
	}
	l.ToChannel = back.concluded(false)
	return l
}

func (w *Watch) tellLedger() { w.stream.tell("ledger", w.ledgerNow()) }

// flowsNow are the newest ways through the bridge, oldest first.
func (w *Watch) flowsNow() []Flow {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flows.copied()
}
