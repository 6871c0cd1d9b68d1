package lpsim

import (
	"encoding/json"
	"slices"
	"sync"
)

// registry finds conversations, by their own id and by those of their dialogs, and consumers. It lets the oldest
// closed conversations go when there are too many.
type registry struct {
	most int

	mu            sync.RWMutex // guards the maps; no other lock is waited for while it is held
	conversations map[string]*conversation
	dialogs       map[string]*conversation
	consumers     map[string]*consumer
	order         []string // conversation ids, oldest first
}

// consumer serialises the creation of conversations, of which a consumer may have one open.
type consumer struct {
	mu      sync.Mutex
	current *conversation
	profile json.RawMessage
	gone    bool
}

func newRegistry(most int) *registry {
	r := &registry{most: most}
	r.forget()
	return r
}

// newest lists at most n conversations, newest first; 0 means all.
func (r *registry) newest(n int) []Summary {
	r.mu.RLock()
	if n <= 0 || n > len(r.order) {
		n = len(r.order)
	}
	found := make([]*conversation, 0, n)
	for _, id := range slices.Backward(r.order[len(r.order)-n:]) {
		found = append(found, r.conversations[id])
	}
	r.mu.RUnlock()
	list := make([]Summary, 0, len(found))
	for _, c := range found {
		c.mu.Lock()
		list = append(list, c.summary())
		c.mu.Unlock()
	}
	return list
}

// Latest stands for the id of the newest conversation wherever one is asked for, so that a demonstration can be pasted
// line by line.
const Latest = "latest"

// find is a conversation by its id or by that of one of its dialogs, nil if there is none.
func (r *registry) find(id string) *conversation {
	if id == Latest {
		newest := r.newest(1)
		if len(newest) == 0 {
			return nil
		}
		id = newest[0].ConversationID
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c := r.conversations[id]; c != nil {
		return c
	}
	return r.dialogs[id]
}

// locked finds a conversation that is not lost, and locks it.
func (r *registry) locked(id string) (*conversation, error) {
	c := r.find(id)
	if c == nil {
		return nil, ErrUnknownConversation
	}
	c.mu.Lock()
	if c.lost != "" {
		c.mu.Unlock()
		return nil, ErrUnknownConversation
	}
	return c, nil
}

// lockConsumer finds or makes a consumer and locks it. It looks again after locking, because eviction may have
// replaced the entry meanwhile.
func (r *registry) lockConsumer(id string) *consumer {
	for {
		r.mu.RLock()
		known := r.consumers[id]
		r.mu.RUnlock()
		if known == nil {
			known = r.addConsumer(id)
		}
		known.mu.Lock()
		if !known.gone {
			return known
		}
		known.mu.Unlock()
	}
}

func (r *registry) addConsumer(id string) *consumer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.consumers[id]; known != nil {
		return known
	}
	known := &consumer{}
	r.consumers[id] = known
	return known
}

// open is the id of a consumer's open conversation, empty if there is none.
func (r *registry) open(consumerID string, f *inForce) string {
	r.mu.RLock()
	known := r.consumers[consumerID]
	r.mu.RUnlock()
	if known == nil {
		return ""
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	if !busy(known.current, f) {
		return ""
	}
	return known.current.id
}

// add makes a new conversation findable and lets old closed ones go.
func (r *registry) add(c *conversation) {
	r.mu.Lock()
	r.conversations[c.id] = c
	r.dialogs[c.id] = c
	r.order = append(r.order, c.id)
	var oldest []*conversation
	if len(r.order) > r.most {
		// Looking at a few of the oldest keeps creation cheap even when most conversations stay open.
		for _, id := range r.order[:min(8, len(r.order)-1)] {
			oldest = append(oldest, r.conversations[id])
		}
	}
	r.mu.Unlock()
	for _, old := range oldest {
		r.evict(old)
	}
}

// addDialog makes a conversation findable by one more of its dialogs.
func (r *registry) addDialog(id string, of *conversation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dialogs[id] = of
}

func (r *registry) evict(c *conversation) {
	c.mu.Lock()
	closed, owner, dialogs := c.stage == stateClose, c.consumer.LPConsumerID, slices.Clone(c.dialogs)
	c.mu.Unlock()
	if !closed {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conversations, c.id)
	for _, d := range dialogs {
		delete(r.dialogs, d.DialogID)
	}
	if i := slices.Index(r.order[:min(9, len(r.order))], c.id); i >= 0 {
		r.order = slices.Delete(r.order, i, i+1)
	}
	if known := r.consumers[owner]; known != nil && known.mu.TryLock() {
		if known.current == c {
			known.gone = true
			delete(r.consumers, owner)
		}
		known.mu.Unlock()
	}
}

// forget drops everything. What is on the agenda for a conversation finds it over.
func (r *registry) forget() {
	r.mu.Lock()
	former := r.conversations
	r.conversations, r.dialogs, r.consumers, r.order = map[string]*conversation{}, map[string]*conversation{}, map[string]*consumer{}, nil
	r.mu.Unlock()
	for _, c := range former {
		c.mu.Lock()
		c.state, c.stage, c.survey, c.lost = stateClose, stateClose, nil, forgotten
		c.mu.Unlock()
	}
}
