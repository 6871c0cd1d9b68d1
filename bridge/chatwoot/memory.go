package chatwoot

import (
	"sync"
	"time"
)

// maxRemembered is how many contacts and how many conversations are remembered.
const maxRemembered = 16384

// memory is what recent webhooks said. Losing it costs a write to the journal
// for each contact, and the protection against webhooks that overtook each other
// for as long as those are apart, which is seconds.
type memory struct {
	mu sync.Mutex
	// threads are the conversations in which contacts wrote last, as saved.
	threads map[int64]int64
	// written is the newest state of conversations that were not resolved.
	written map[int64]time.Time
}

func newMemory() *memory {
	return &memory{threads: map[int64]int64{}, written: map[int64]time.Time{}}
}

// keep remembers what the journal has.
func (m *memory) keep(n news) {
	if n.contact == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	makeRoom(m.threads, n.contact)
	m.threads[n.contact] = n.thread
}

// knows reports whether the journal has that a contact wrote in a conversation.
func (m *memory) knows(contact, thread int64) bool { return m.thread(contact) == thread }

// thread is the conversation in which a contact wrote last, 0 when not
// remembered.
func (m *memory) thread(contact int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.threads[contact]
}

// active notes that a conversation was not resolved at a time of Chatwoot's
// clock.
func (m *memory) active(conversation int64, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	makeRoom(m.written, conversation)
	if at.After(m.written[conversation]) {
		m.written[conversation] = at
	}
}

// writtenSince reports whether a conversation was not resolved after that time.
// Of a time that is not known it does not.
func (m *memory) writtenSince(conversation int64, at time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !at.IsZero() && m.written[conversation].After(at)
}

func makeRoom[V any](m map[int64]V, key int64) {
	if _, known := m[key]; !known && len(m) >= maxRemembered {
		clear(m)
	}
}
