package bridge

import (
	"container/list"
	"context"
	"slices"
	"sync"
)

// earlierDialogs is how many dialogs besides its own a thread in memory knows
// the last place of.
const earlierDialogs = 4

// threadsKept is how many threads nobody works on stay in memory.
const threadsKept = 16384

// thread is a [Thread] in memory, shared by all who work on it.
type thread struct {
	key ThreadKey

	mu sync.Mutex
	// Thread is guarded by mu.
	Thread
	// earlier are the last places of our messages in other dialogs than Dialog,
	// the newest dialog last; also guarded by mu. An older one is for the journal
	// to know.
	earlier []sent
	// saving serialises writes, so that an older state never follows a newer
	// one to disk.
	saving sync.Mutex

	// users and place are guarded by threads.mu.
	users int
	place *list.Element
}

// snapshot returns a copy.
func (t *thread) snapshot() Thread {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Thread
}

// threads is the map between the channel's threads and LivePerson's
// conversations: the journal's table with the busy part in memory.
type threads struct {
	journal Journal

	mu             sync.Mutex
	byKey          map[ThreadKey]*thread
	byConversation map[string]*thread
	byConsumer     map[string]*thread
	idle           *list.List
}

func newThreads(j Journal) *threads {
	return &threads{
		journal:        j,
		byKey:          map[ThreadKey]*thread{},
		byConversation: map[string]*thread{},
		byConsumer:     map[string]*thread{},
		idle:           list.New(),
	}
}

// get returns a thread, or nil when the bridge does not know it. The caller
// gives it back with put.
func (m *threads) get(ctx context.Context, key ThreadKey) (*thread, error) {
	if t := m.known(func() *thread { return m.byKey[key] }); t != nil {
		return t, nil
	}
	return m.load(func() (*Thread, error) { return m.journal.Thread(ctx, key) })
}

// getOrNew returns a thread, making one in memory when the bridge does not know
// it yet.
func (m *threads) getOrNew(ctx context.Context, key ThreadKey) (*thread, error) {
	t, err := m.get(ctx, key)
	if t != nil || err != nil {
		return t, err
	}
	return m.adopt(Thread{Channel: key.Channel, ID: key.Thread, Sequence: -1}), nil
}

// byPlace returns the thread of a conversation or a dialog, or nil.
func (m *threads) byPlace(ctx context.Context, conversation, dialog string) (*thread, error) {
	for _, id := range []string{conversation, dialog} {
		if id == "" {
			continue
		}
		if t := m.known(func() *thread { return m.byConversation[id] }); t != nil {
			return t, nil
		}
		t, err := m.load(func() (*Thread, error) { return m.journal.ThreadByConversation(ctx, id) })
		if t != nil || err != nil {
			return t, err
		}
		if conversation == dialog {
			break
		}
	}
	return nil, nil
}

// byLPConsumer returns the newest thread of a consumer, or nil.
func (m *threads) byLPConsumer(ctx context.Context, lpConsumer string) (*thread, error) {
	if lpConsumer == "" {
		return nil, nil
	}
	if t := m.known(func() *thread { return m.byConsumer[lpConsumer] }); t != nil {
		return t, nil
	}
	return m.load(func() (*Thread, error) { return m.journal.ThreadByConsumer(ctx, lpConsumer) })
}

func (m *threads) known(find func() *thread) *thread {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := find()
	if t != nil {
		m.use(t)
	}
	return t
}

func (m *threads) load(read func() (*Thread, error)) (*thread, error) {
	row, err := read()
	if row == nil || err != nil {
		return nil, err
	}
	return m.adopt(*row), nil
}

// adopt puts a thread into memory unless somebody else just did.
func (m *threads) adopt(row Thread) *thread {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := ThreadKey{row.Channel, row.ID}
	t := m.byKey[key]
	if t == nil {
		t = &thread{key: key, Thread: row}
		m.byKey[key] = t
		m.index(t, Thread{}, row)
	}
	m.use(t)
	return t
}

func (m *threads) use(t *thread) {
	t.users++
	if t.place != nil {
		m.idle.Remove(t.place)
		t.place = nil
	}
}

// put gives a thread back.
func (m *threads) put(t *thread) {
	if t == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.users--
	if t.users > 0 {
		return
	}
	t.place = m.idle.PushBack(t)
	if m.idle.Len() > threadsKept {
		m.forget(m.idle.Remove(m.idle.Front()).(*thread))
	}
}

func (m *threads) forget(t *thread) {
	t.place = nil
	delete(m.byKey, t.key)
	m.unindex(t, t.snapshot())
}

// change applies fn to a thread and makes the result durable. When the journal
// refuses, memory keeps what fn did: it is the truth of the moment, and the
// next change carries it to disk.
func (m *threads) change(ctx context.Context, t *thread, fn func(*Thread)) error {
	t.saving.Lock()
	defer t.saving.Unlock()
	t.mu.Lock()
	before := t.Thread
	fn(&t.Thread)
	after := t.Thread
	if after.Dialog != before.Dialog && before.Sequence >= 0 {
		t.noteEarlier(before.Dialog, before.Sequence)
	}
	t.mu.Unlock()
	m.mu.Lock()
	m.index(t, before, after)
	m.mu.Unlock()
	return m.journal.SaveThread(ctx, after)
}

// index makes a thread found by what it now is. threads.mu is held.
func (m *threads) index(t *thread, before, after Thread) {
	if before.Conversation != after.Conversation || before.Dialog != after.Dialog || before.Survey != after.Survey || before.Former != after.Former {
		m.unindex(t, before)
	}
	for _, id := range []string{after.Former, after.Conversation, after.Dialog, after.Survey} {
		if id != "" {
			m.byConversation[id] = t
		}
	}
	if after.LPConsumer != "" {
		m.byConsumer[after.LPConsumer] = t
	}
}

func (m *threads) unindex(t *thread, row Thread) {
	for _, id := range []string{row.Former, row.Conversation, row.Dialog, row.Survey} {
		if m.byConversation[id] == t {
			delete(m.byConversation, id)
		}
	}
	if m.byConsumer[row.LPConsumer] == t {
		delete(m.byConsumer, row.LPConsumer)
	}
}

// place notes the place a message of ours got, if the thread is in memory; the
// journal notes it in any case.
func (m *threads) place(key ThreadKey, dialog string, sequence int64) {
	m.mu.Lock()
	t := m.byKey[key]
	m.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Dialog == dialog {
		t.Sequence = max(t.Sequence, sequence)
		return
	}
	t.noteEarlier(dialog, sequence)
}

// noteEarlier notes a place in another dialog than the thread's own. mu is held.
func (t *thread) noteEarlier(dialog string, sequence int64) {
	for i := range t.earlier {
		if p := &t.earlier[i]; p.dialog == dialog {
			p.sequence = max(p.sequence, sequence)
			return
		}
	}
	if len(t.earlier) == earlierDialogs {
		t.earlier = slices.Delete(t.earlier, 0, 1)
	}
	t.earlier = append(t.earlier, sent{dialog, sequence})
}

// placed reports whether a message of ours is known to have got this place or a
// later one.
func (t *thread) placed(dialog string, sequence int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Dialog == dialog {
		return sequence <= t.Sequence
	}
	return slices.ContainsFunc(t.earlier, func(p sent) bool { return p.dialog == dialog && sequence <= p.sequence })
}
