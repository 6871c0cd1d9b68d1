package relay

import (
	"container/list"
	"context"
	"slices"
	"sync"

	"lpbridge/bridge"
)

// threadsKept is how many threads nobody works on stay in memory.
const threadsKept = 16384

// thread is a [bridge.Thread] in memory, shared by all who work on it.
type thread struct {
	key bridge.ThreadKey

	mu sync.Mutex
	// Thread is guarded by mu.
	bridge.Thread
	// moves counts how often Conversation changed. Guarded by mu.
	moves int
	// saving serialises writes, so that an older state never follows a newer
	// one to disk.
	saving sync.Mutex
	// unsaved says that the journal refused the last write. Guarded by saving.
	unsaved bool
	// following serialises what conversation notifications and take-overs do to
	// the thread, so that two notifications that come at once do not tell the
	// channel of the same step, and none gives back what was taken over.
	following sync.Mutex
	// main and aside are the places of our messages in Dialog and in another
	// dialog, such as a survey. Guarded by mu.
	main, aside places

	// users and place are guarded by threads.mu.
	users int
	place *list.Element
}

// snapshot returns a copy.
func (t *thread) snapshot() bridge.Thread {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Thread
}

// standing returns a copy and how often the thread had moved to another
// conversation by then.
func (t *thread) standing() (row bridge.Thread, moves int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Thread, t.moves
}

// threads is the map between the channel's threads and LivePerson's
// conversations: the journal's table with the busy part in memory.
type threads struct {
	journal bridge.Journal

	mu             sync.Mutex
	byKey          map[bridge.ThreadKey]*thread
	byConversation map[string]*thread
	byConsumer     map[string]*thread
	idle           *list.List
}

func newThreads(j bridge.Journal) *threads {
	return &threads{
		journal:        j,
		byKey:          map[bridge.ThreadKey]*thread{},
		byConversation: map[string]*thread{},
		byConsumer:     map[string]*thread{},
		idle:           list.New(),
	}
}

// get returns a thread, or nil when the bridge does not know it. The caller
// gives it back with put.
func (m *threads) get(ctx context.Context, key bridge.ThreadKey) (*thread, error) {
	if t := m.known(func() *thread { return m.byKey[key] }); t != nil {
		return t, nil
	}
	return m.load(func() (*bridge.Thread, error) { return m.journal.Thread(ctx, key) })
}

// getOrNew returns a thread, making one in memory when the bridge does not know
// it yet.
func (m *threads) getOrNew(ctx context.Context, key bridge.ThreadKey) (*thread, error) {
	t, err := m.get(ctx, key)
	if t != nil || err != nil {
		return t, err
	}
	return m.adopt(bridge.Thread{Channel: key.Channel, ID: key.Thread, Sequence: -1}), nil
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
		t, err := m.load(func() (*bridge.Thread, error) { return m.journal.ThreadByConversation(ctx, id) })
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
	return m.load(func() (*bridge.Thread, error) { return m.journal.ThreadByConsumer(ctx, lpConsumer) })
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

func (m *threads) load(read func() (*bridge.Thread, error)) (*thread, error) {
	row, err := read()
	if row == nil || err != nil {
		return nil, err
	}
	return m.adopt(*row), nil
}

// adopt puts a thread into memory unless somebody else just did.
func (m *threads) adopt(row bridge.Thread) *thread {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := bridge.ThreadKey{Channel: row.Channel, Thread: row.ID}
	t := m.byKey[key]
	if t == nil {
		t = &thread{key: key, Thread: row, main: places{dialog: row.Dialog, floor: row.Sequence}}
		m.byKey[key] = t
		m.indexLoaded(t, row)
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
// next change or [threads.save] carries it to disk.
func (m *threads) change(ctx context.Context, t *thread, fn func(*bridge.Thread)) error {
	t.saving.Lock()
	defer t.saving.Unlock()
	t.mu.Lock()
	before := t.Thread
	fn(&t.Thread)
	after := t.Thread
	if before.Conversation != after.Conversation {
		t.moves++
	}
	t.mu.Unlock()
	m.mu.Lock()
	m.index(t, before, after)
	m.mu.Unlock()
	err := m.journal.SaveThread(ctx, after)
	t.unsaved = err != nil
	return err
}

// save makes a thread durable that the journal refused to write.
func (m *threads) save(ctx context.Context, t *thread) error {
	t.saving.Lock()
	defer t.saving.Unlock()
	if !t.unsaved {
		return nil
	}
	err := m.journal.SaveThread(ctx, t.snapshot())
	t.unsaved = err != nil
	return err
}

// claim makes notifications about a consumer whose conversation is not known
// find this thread.
func (m *threads) claim(t *thread, lpConsumer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byConsumer[lpConsumer] = t
}

// heldByOther reports whether a conversation is found in another thread.
func (m *threads) heldByOther(conversation string, t *thread) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	holder := m.byConversation[conversation]
	return holder != nil && holder != t
}

// placedIn returns the thread of a conversation or a dialog if it is in memory,
// as it is while somebody works on it.
func (m *threads) placedIn(conversation, dialog string) *thread {
	return m.known(func() *thread {
		if t := m.byConversation[conversation]; t != nil {
			return t
		}
		return m.byConversation[dialog]
	})
}

// index makes a thread found by what it now is. threads.mu is held.
func (m *threads) index(t *thread, before, after bridge.Thread) {
	if before.LPConsumer != after.LPConsumer || before.Conversation != after.Conversation || before.Dialog != after.Dialog || before.Survey != after.Survey || before.Former != after.Former {
		m.unindex(t, before)
	}
	for _, id := range []string{after.Former, after.Conversation, after.Dialog, after.Survey} {
		if id != "" {
			m.byConversation[id] = t
		}
	}
	// A thread that holds the consumer's conversation stays the one that is found.
	if held := m.byConsumer[after.LPConsumer]; after.LPConsumer != "" && (held == nil || held == t || after.Open || !held.snapshot().Open) {
		m.byConsumer[after.LPConsumer] = t
	}
}

// indexLoaded makes a thread found that was read from the journal, unless
// memory knows better. threads.mu is held.
func (m *threads) indexLoaded(t *thread, row bridge.Thread) {
	for _, id := range []string{row.Former, row.Conversation, row.Dialog, row.Survey} {
		if id != "" && m.byConversation[id] == nil {
			m.byConversation[id] = t
		}
	}
	if row.LPConsumer != "" && m.byConsumer[row.LPConsumer] == nil {
		m.byConsumer[row.LPConsumer] = t
	}
}

func (m *threads) unindex(t *thread, row bridge.Thread) {
	for _, id := range []string{row.Former, row.Conversation, row.Dialog, row.Survey} {
		if m.byConversation[id] == t {
			delete(m.byConversation, id)
		}
	}
	if m.byConsumer[row.LPConsumer] == t {
		delete(m.byConsumer, row.LPConsumer)
	}
}

// place notes the place a message of ours got, in the thread that has the
// dialog now, if it is in memory; the journal notes it in any case.
func (m *threads) place(key bridge.ThreadKey, dialog string, sequence int64) {
	m.mu.Lock()
	t := m.byConversation[dialog]
	if t == nil {
		t = m.byKey[key]
	}
	m.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if dialog != t.Dialog {
		t.aside.add(dialog, sequence)
		return
	}
	t.main.add(dialog, sequence)
	t.Sequence = max(t.Sequence, sequence)
}

// placed reports whether a message of ours is known to have got this place.
func (t *thread) placed(dialog string, sequence int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.main.has(dialog, sequence) || t.aside.has(dialog, sequence)
}

// inherit takes over what another thread knows of its dialogs.
func (t *thread) inherit(from *thread) {
	from.mu.Lock()
	main, aside := from.main.clone(), from.aside.clone()
	from.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.main.merge(main)
	t.aside.merge(aside)
}

// placesKept is how many places of a dialog are known one by one.
const placesKept = 128

// places are the sequences our messages got in a dialog. They are known one by
// one, for the echo of one may come after that of a later one; but from long ago
// or an earlier process, all count as known.
type places struct {
	dialog string
	floor  int64
	known  []int64
}

func (p *places) add(dialog string, sequence int64) {
	if p.dialog != dialog {
		*p = places{dialog: dialog, floor: -1}
	}
	if p.known = append(p.known, sequence); len(p.known) > placesKept {
		slices.Sort(p.known)
		p.floor = max(p.floor, p.known[placesKept/2-1])
		p.known = slices.Delete(p.known, 0, placesKept/2)
	}
}

func (p *places) has(dialog string, sequence int64) bool {
	return dialog == p.dialog && (sequence <= p.floor || slices.Contains(p.known, sequence))
}

func (p *places) clone() places {
	return places{p.dialog, p.floor, slices.Clone(p.known)}
}

// merge adds what another thread knows of the same dialog, or replaces what is
// known of another dialog.
func (p *places) merge(q places) {
	if q.dialog == "" {
		return
	}
	if p.dialog != q.dialog {
		*p = q
		return
	}
	p.floor = max(p.floor, q.floor)
	for _, sequence := range q.known {
		if !p.has(q.dialog, sequence) {
			p.add(q.dialog, sequence)
		}
	}
}
