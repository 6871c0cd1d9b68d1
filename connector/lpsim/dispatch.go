package lpsim

import (
	"bytes"
	"strings"
	"time"

	"github.com/google/uuid"
)

// dispatch gathers changes that share a notification, and then applies the faults of delivery.
func (h *hooks) dispatch(n *notification) {
	f := h.faults()
	n.era = h.era.Load()
	key := batchKey{n.conversation, n.kind}
	h.mu.Lock()
	if open := h.batches[key]; open != nil {
		// Also when the window was changed since: nothing overtakes what is gathered.
		open.changes = append(open.changes, n.changes...)
		h.mu.Unlock()
		n.settleWait()
		return
	}
	if f.WebhookBatchMs == 0 {
		h.mu.Unlock()
		h.launch(n, f)
		return
	}
	h.batches[key] = n
	h.mu.Unlock()
	h.agenda.after(time.Duration(f.WebhookBatchMs)*time.Millisecond, func() {
		h.mu.Lock()
		delete(h.batches, key)
		h.mu.Unlock()
		h.launch(n, f)
	})
}

func (h *hooks) launch(n *notification, f *inForce) {
	n.body = n.encode(f)
	n.changes = nil
	switch {
	case f.drawAlone(rollDrop, f.WebhookDropRate):
		h.stats.dropped.Add(1)
		n.settleWait()
		return
	case n.late || f.drawAlone(rollDelay, f.WebhookDelayRate):
		h.stats.delayed.Add(1)
		h.postpone(n, f.drawDelay(), f.WebhookDelayInOrder)
		return
	case f.WebhookDelayInOrder && h.waitsBehind(n):
		return
	case h.holdBack(n, f):
		return
	}
	h.push(n)
	if f.drawAlone(rollBroken, f.WebhookBrokenRate) {
		h.push(&notification{kind: n.kind, conversation: n.conversation, body: n.body[:len(n.body)/2], stored: n.stored, era: n.era})
	}
	if f.drawAlone(rollDuplicate, f.WebhookDuplicateRate) {
		h.stats.duplicated.Add(1)
		h.push(&notification{kind: n.kind, conversation: n.conversation, body: n.body, stored: n.stored, era: n.era})
	}
	h.release(n.conversation, nil)
}

// postpone stores a notification after a delay; in order means that later ones of its conversation wait too.
func (h *hooks) postpone(n *notification, delay time.Duration, inOrder bool) {
	if !inOrder {
		h.agenda.after(delay, func() { h.push(n) })
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.late[n.conversation]
	if l == nil {
		l = &latecomers{}
		h.late[n.conversation] = l
	}
	now := h.due()
	if until := now.Add(delay); until.After(l.until) {
		l.until = until
	}
	n.due = l.until
	l.queue = append(l.queue, n)
	h.agenda.after(n.due.Sub(now), func() { h.pushDue(n.conversation) })
}

// pushDue stores those latecomers of a conversation whose time has come. Who comes next finds them stored or waits too.
func (h *hooks) pushDue(conversation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.late[conversation]
	if l == nil {
		return
	}
	for len(l.queue) > 0 && !l.queue[0].due.After(h.due()) {
		h.enter(l.queue[0])
		l.queue = l.queue[1:]
	}
	if len(l.queue) == 0 {
		delete(h.late, conversation)
	}
	nudge(h.wake)
}

// waitsBehind postpones a notification while an earlier one of its conversation is late.
func (h *hooks) waitsBehind(n *notification) bool {
	h.mu.Lock()
	waits := h.late[n.conversation] != nil
	h.mu.Unlock()
	if waits {
		h.postpone(n, 0, true)
	}
	return waits
}

// holdBack keeps a notification until the next one of its conversation has gone.
func (h *hooks) holdBack(n *notification, f *inForce) bool {
	if !f.drawAlone(rollReorder, f.WebhookReorderRate) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[n.conversation] != nil {
		return false
	}
	h.stats.reordered.Add(1)
	h.held[n.conversation] = n
	h.agenda.after(reorderedAtMost, func() { h.release(n.conversation, n) })
	return true
}

// release sends what was held back for a conversation; only that notification, when one is given.
func (h *hooks) release(conversation string, only *notification) {
	h.mu.Lock()
	n := h.held[conversation]
	if n == nil || only != nil && n != only {
		h.mu.Unlock()
		return
	}
	delete(h.held, conversation)
	h.mu.Unlock()
	h.push(n)
}

// encode writes the envelope around the changes.
func (n *notification) encode(f *inForce) []byte {
	kind := "ms.MessagingEventNotification"
	if n.kind == ConversationEvents {
		kind = string(ConversationEvents)
	}
	if len(n.changes) > 1 && f.drawAlone(rollShuffle, f.WebhookShuffleRate) {
		shuffle(f, n.changes)
	}
	var b bytes.Buffer
	b.WriteString(`{"kind":"notification","body":{`)
	if f.drawAlone(rollPadding, f.WebhookPaddingRate) {
		b.WriteString(`"padding":"` + strings.Repeat("p", f.WebhookPaddingBytes) + `",`)
	}
	if n.kind == ConversationEvents && f.drawAlone(rollSubscription, f.SubscriptionIDRate) {
		b.WriteString(`"subscriptionId":"` + uuid.NewString() + `",`)
	}
	b.WriteString(`"changes":`)
	if len(n.changes) == 1 && f.drawAlone(rollBare, f.WebhookBareChangeRate) {
		b.Write(n.changes[0])
	} else {
		b.WriteByte('[')
		b.Write(bytes.Join(n.changes, []byte{','}))
		b.WriteByte(']')
	}
	b.WriteString(`},"type":"` + kind + `"}`)
	return b.Bytes()
}

// shuffle gives a list another order than it has.
func shuffle[T any](f *inForce, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := int(f.roll(rollShuffleOrder, "") * float64(i)) // never i itself, so that something moves
		list[i], list[j] = list[j], list[i]
	}
}

// reset drops every notification. Those a worker has taken, and those on the agenda, belong to a former era and are
// dropped when they come back.
func (h *hooks) reset(w Webhooks) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.era.Add(1)
	for _, l := range h.lanes {
		for _, n := range l.queue {
			n.settleWait()
		}
		l.queue = nil
	}
	h.lanes, h.held, h.batches, h.ready = map[string]*lane{}, map[string]*notification{}, map[batchKey]*notification{}, nil
	for _, l := range h.late {
		for _, n := range l.queue {
			n.settleWait()
		}
	}
	clear(h.late)
	h.waiting, h.config, h.state, h.probed = 0, w, hooksUp, nil
}
