package layer

import (
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// users are the consumers of whom something is going on: a request, a delivery
// or a socket.
type users struct {
	known served.Registry[string, user]
	// devices is how many sockets each may have.
	devices int
}

// user is one of them. changing is held while their things change; mu guards
// what is below it and is never held for long.
type user struct {
	id string
	// devices is how many sockets may be open.
	devices  int
	changing sync.Mutex

	mu       sync.Mutex
	identity *identity // as far as known
	sockets  []*socket
	// typing are the devices that last said that the user types, by thread: a
	// person may type on one while another one is done.
	typing map[bridge.ThreadID]map[string]bool
	clock  clock
}

// clock makes the timestamps of a user's packets. They never go backwards, and
// while a transaction is under way they stand still at its time: a client that lost its
// socket asks for the changes since the newest timestamp it saw, which must not
// be later than a change it did not see.
type clock struct {
	// last is the newest time given out, and started says that it is not older
	// than the changes of an earlier process.
	last        time.Time
	started     bool
	transacting bool
}

// tick returns the time of a packet, no earlier than that of any before.
func (c *clock) tick() time.Time {
	if !c.transacting {
		c.advance(time.Now())
	}
	return c.last
}

func (c *clock) advance(to time.Time) {
	if to = to.UTC().Truncate(time.Millisecond); to.After(c.last) {
		c.last = to
	}
}

// hold returns the user, who stays known until let go.
func (u *users) hold(id string) (*user, func()) {
	return u.known.Hold(id, func() *user { return &user{id: id, devices: u.devices, typing: map[bridge.ThreadID]map[string]bool{}} })
}

// enter waits until nothing else of the user changes, and returns the user and
// the end of that.
func (u *users) enter(id string) (*user, func()) {
	one, release := u.hold(id)
	one.changing.Lock()
	return one, func() {
		one.changing.Unlock()
		release()
	}
}

// connected returns the user if they have a socket.
func (u *users) connected(id string) *user {
	one := u.known.Held(id)
	if one == nil || len(one.online()) == 0 {
		return nil
	}
	return one
}

// endSession ends the sockets of a session.
func (u *users) endSession(id string, session int64) {
	one := u.connected(id)
	if one == nil {
		return
	}
	for _, s := range one.online() {
		if s.session.ID == session {
			s.End(endOfSession)
		}
	}
}

// join adds a socket, for which the oldest goes where there are too many.
func (u *user) join(s *socket) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sockets = append(u.sockets, s)
	for _, old := range u.sockets[:max(0, len(u.sockets)-u.devices)] {
		old.End(otherDevices)
	}
}

// part removes a socket and returns the threads in which its device was typing,
// and whether it was the user's last one.
func (u *user) part(s *socket) (threads []bridge.ThreadID, last bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sockets = slices.DeleteFunc(u.sockets, func(other *socket) bool { return other == s })
	for thread, devices := range u.typing {
		if devices[s.device] {
			threads = append(threads, thread)
		}
		if delete(devices, s.device); len(devices) == 0 {
			delete(u.typing, thread)
		}
	}
	slices.Sort(threads)
	return threads, len(u.sockets) == 0
}

func (u *user) online() []*socket {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.sockets)
}

// describe takes note of who the user is.
func (u *user) describe(p *identity) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.identity = p
}

// who is the user as far as known, else nil.
func (u *user) who() *identity {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.identity
}

// tick returns the time of a packet, no earlier than that of any before.
func (u *user) tick() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.clock.tick()
}

// begin stops the clock for a transaction and returns its time; end lets the
// clock go on.
func (u *user) begin() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.clock.tick()
	u.clock.transacting = true
	return now
}

func (u *user) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clock.transacting = false
}

// startClock moves the clock past the changes of an earlier process.
func (u *user) startClock(past time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clock.advance(past)
	u.clock.started = true
}

func (u *user) clockStarted() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.clock.started
}

// types notes whether a device said that the user types in a thread, and reports
// whether one had.
func (u *user) types(thread bridge.ThreadID, device string, typing bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	devices := u.typing[thread]
	had := len(devices) > 0
	switch {
	case !typing:
		if delete(devices, device); len(devices) == 0 {
			delete(u.typing, thread)
		}
	case devices == nil:
		u.typing[thread] = map[string]bool{device: true}
	default:
		devices[device] = true
	}
	return had
}

// typesNoMore forgets who types in a thread that is no more.
func (u *user) typesNoMore(thread bridge.ThreadID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.typing, thread)
}
