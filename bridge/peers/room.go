package peers

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	// maxHeld is how many requests wait for an owner at once, and maxHeldOfChannel how many
	// of one channel, so that others find room beside its clients.
	maxHeld          = 512
	maxHeldOfChannel = maxHeld / 2
	// waitForFormer is how long one that was held keeps the next one waiting, which came
	// after it and must not overtake it, and waitForFormers what all may in one gap who take
	// longer.
	waitForFormer  = 2 * time.Second
	waitForFormers = 5 * time.Second
)

// room is where requests are held, in the order in which they came.
type room struct {
	most, ofChannel int

	mu        sync.Mutex
	last      uint64
	held      []*ticket
	channels  map[string]int
	releasing bool
}

// ticket is a place in the room.
type ticket struct {
	number  uint64
	channel string
	safe    bool
	// released is closed when the request may go on, over when it has ended.
	released, over chan struct{}
}

func newRoom(most, ofChannel int) *room {
	return &room{most: most, ofChannel: ofChannel, channels: map[string]int{}}
}

// arrive counts those that come.
func (m *room) arrive() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	return m.last
}

// enter holds a request, at its place among those that came. It returns nil when there is
// no room.
func (m *room) enter(channel string, number uint64, safe bool) *ticket {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held) >= m.most || m.channels[channel] >= m.ofChannel {
		return nil
	}
	t := &ticket{number: number, channel: channel, safe: safe, released: make(chan struct{}), over: make(chan struct{})}
	at, _ := slices.BinarySearchFunc(m.held, number, func(t *ticket, n uint64) int { return cmp.Compare(t.number, n) })
	m.held = slices.Insert(m.held, at, t)
	m.channels[channel]++
	return t
}

// leave gives a place up.
func (m *room) leave(t *ticket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := slices.Index(m.held, t); at >= 0 {
		m.take(at)
	}
}

// take is called with the lock held.
func (m *room) take(at int) *ticket {
	t := m.held[at]
	m.held = slices.Delete(m.held, at, at+1)
	if m.channels[t.channel]--; m.channels[t.channel] == 0 {
		delete(m.channels, t.channel)
	}
	return t
}

func (m *room) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.held)
}

// open lets those that are held go on, one after the other, as long as they would be
// served.
func (m *room) open(flowing func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.releasing || len(m.held) == 0 {
		return
	}
	m.releasing = true
	go m.release(flowing)
}

func (m *room) release(flowing func() bool) {
	left := waitForFormers
	for {
		open := flowing()
		m.mu.Lock()
		if !open || len(m.held) == 0 {
			m.releasing = false
			m.mu.Unlock()
			if !open && flowing() {
				m.open(flowing)
			}
			return
		}
		t := m.take(0)
		m.mu.Unlock()
		close(t.released)
		if patience := min(waitForFormer, left); !t.safe && !t.await(patience) {
			left -= patience
		}
	}
}

// await waits until a request has ended, and reports false if that takes longer.
func (t *ticket) await(patience time.Duration) bool {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case <-t.over:
		return true
	case <-enough.C:
		return false
	}
}

// end says that the request has ended, or is held anew. A nil ticket is none.
func (t *ticket) end() {
	if t == nil {
		return
	}
	select {
	case <-t.over:
	default:
		close(t.over)
	}
}
