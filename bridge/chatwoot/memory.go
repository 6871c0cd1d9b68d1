package chatwoot

import (
	"sync"
	"time"
)

// maxRemembered is how many contacts and how many conversations are remembered.
const maxRemembered = 16384

// memory is what recent webhooks said. Losing it costs a write to the journal
// for each contact and a look into it for each conversation, and the protection
// against webhooks that overtook each other for as long as those are apart, which
// is seconds.
type memory struct {
	mu sync.Mutex
	// writers is where contacts wrote last, as saved.
	writers map[int64]wrote
	// going is the newest state of conversations that went on.
	going map[int64]time.Time
	// changes are what this bridge did to the status of conversations.
	changes map[int64]change
	// silence says of conversations that nothing was overheard in them.
	silence map[int64]bool
	// clicks says of conversations that choices come back as clicks in them.
	clicks map[int64]bool
	// bare are messages that came without files.
	bare map[int64]bool
}

func newMemory() *memory {
	return &memory{
		writers: map[int64]wrote{}, going: map[int64]time.Time{}, changes: map[int64]change{}, silence: map[int64]bool{}, clicks: map[int64]bool{}, bare: map[int64]bool{},
	}
}

// wrote is where a contact wrote last, zero when that is not remembered.
func (m *memory) wrote(contact int64) wrote { return lookUp(m, m.writers, contact) }

func (m *memory) write(contact int64, w wrote) { remember(m, m.writers, contact, w) }

// active notes that a conversation went on at a time of Chatwoot's clock.
func (m *memory) active(conversation int64, at time.Time) {
	if at.After(lookUp(m, m.going, conversation)) {
		remember(m, m.going, conversation, at)
	}
}

// activeSince reports whether a conversation went on after that time. Of a time
// that is not known it does not.
func (m *memory) activeSince(conversation int64, at time.Time) bool {
	return !at.IsZero() && lookUp(m, m.going, conversation).After(at)
}

// change is one of a conversation's status that this bridge made.
type change struct {
	// at is when, by our clock.
	at time.Time
	// reported is when, by Chatwoot's clock; zero until it was reported.
	reported time.Time
	// resumed says that the conversation went on after the report came.
	resumed bool
}

// changed is what this bridge last did to a conversation's status.
func (m *memory) changed(conversation int64) (c change, known bool) {
	c = lookUp(m, m.changes, conversation)
	return c, !c.at.IsZero()
}

func (m *memory) change(conversation int64, c change) { remember(m, m.changes, conversation, c) }

func (m *memory) forgetChange(conversation int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.changes, conversation)
}

// silent reports whether it is known that nothing was overheard.
func (m *memory) silent(conversation int64) bool { return lookUp(m, m.silence, conversation) }

func (m *memory) overheard(conversation int64, something bool) {
	remember(m, m.silence, conversation, !something)
}

// reportsClicks reports whether a choice is known to come back as one from a
// conversation, and reporting notes whether it does.
func (m *memory) reportsClicks(conversation int64) bool { return lookUp(m, m.clicks, conversation) }

func (m *memory) reporting(c *conversation) { remember(m, m.clicks, c.ID, c.reportsClicks()) }

// cameBare reports whether a message is known to have come without files, and
// comeBare notes it.
func (m *memory) cameBare(message int64) bool { return lookUp(m, m.bare, message) }

func (m *memory) comeBare(message int64) { remember(m, m.bare, message, true) }

func lookUp[V any](m *memory, in map[int64]V, key int64) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	return in[key]
}

func remember[V any](m *memory, in map[int64]V, key int64, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := in[key]; !known && len(in) >= maxRemembered {
		clear(in)
	}
	in[key] = value
}
