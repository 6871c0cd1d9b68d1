package layer

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
)

// users are the consumers of whom something is going on: a request, a delivery
// or a socket.
type users struct {
	mu      sync.Mutex
	known   map[string]*user
	closing bool
	// sockets is waited for at the end.
	sockets sync.WaitGroup
}

// user is one of them. turn is held while their things change; mu guards what
// is below it and is never held for long.
type user struct {
	id    string
	wants int // guarded by users.mu
	turn  sync.Mutex

	mu      sync.Mutex
	person  *person // as far as known
	sockets []*socket
	// typing are the threads in which a socket last said that the user types.
	typing map[bridge.ThreadID]bool
	clock  clock
}

// clock makes the timestamps of a user's packets. They never go backwards, and
// while a turn is under way they stand still at its time: a client that lost its
// socket asks for the changes since the newest timestamp it saw, which must not
// be later than a change it did not see.
type clock struct {
	// last is the newest time given out, and started says that it is not older
	// than the changes of an earlier process.
	last    time.Time
	started bool
	turning bool
}

// now is the time of a packet.
func (c *clock) now() time.Time {
	if !c.turning {
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
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.known == nil {
		u.known = map[string]*user{}
	}
	one := u.known[id]
	if one == nil {
		one = &user{id: id, typing: map[bridge.ThreadID]bool{}}
		u.known[id] = one
	}
	one.wants++
	return one, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if one.wants--; one.wants == 0 {
			delete(u.known, id)
		}
	}
}

// enter waits for the user's turn and returns the user and the end of the turn.
func (u *users) enter(id string) (*user, func()) {
	one, release := u.hold(id)
	one.turn.Lock()
	return one, func() {
		one.turn.Unlock()
		release()
	}
}

// connected returns the user if they have a socket.
func (u *users) connected(id string) *user {
	u.mu.Lock()
	one := u.known[id]
	u.mu.Unlock()
	if one == nil || len(one.online()) == 0 {
		return nil
	}
	return one
}

// join adds a socket and returns what to do at its end; false once closing.
func (u *users) join(s *socket) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closing {
		return false
	}
	u.sockets.Add(1)
	s.user.mu.Lock()
	defer s.user.mu.Unlock()
	s.user.sockets = append(s.user.sockets, s)
	return true
}

// part removes a socket. When it was the user's last, it returns the threads
// in which they were typing.
func (u *users) part(s *socket) []bridge.ThreadID {
	defer u.sockets.Done()
	s.user.mu.Lock()
	defer s.user.mu.Unlock()
	s.user.sockets = slices.DeleteFunc(s.user.sockets, func(other *socket) bool { return other == s })
	if len(s.user.sockets) > 0 {
		return nil
	}
	threads := slices.Sorted(maps.Keys(s.user.typing))
	clear(s.user.typing)
	return threads
}

// endSession ends the sockets of a session.
func (u *users) endSession(id string, session int64) {
	one := u.connected(id)
	if one == nil {
		return
	}
	for _, s := range one.online() {
		if s.session.ID == session {
			s.drop(dropSession)
		}
	}
}

// close ends all sockets and waits for them. Those that do not take leave in
// time are cut off.
func (u *users) close(ctx context.Context) error {
	u.mu.Lock()
	u.closing = true
	u.mu.Unlock()
	u.every(func(s *socket) { s.drop(dropRestart) })
	gone := make(chan struct{})
	go func() {
		u.sockets.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	u.every((*socket).abort)
	<-gone
	return nil
}

// every does something with all sockets.
func (u *users) every(do func(*socket)) {
	u.mu.Lock()
	known := slices.Collect(maps.Values(u.known))
	u.mu.Unlock()
	for _, one := range known {
		for _, s := range one.online() {
			do(s)
		}
	}
}

func (u *user) online() []*socket {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.sockets)
}

// describe takes note of who the user is.
func (u *user) describe(p *person) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.person = p
}

// who is the user as far as known, else nil.
func (u *user) who() *person {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.person
}

// now is the time of a packet.
func (u *user) now() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.clock.now()
}

// begin stops the clock for a turn and returns the turn's time; end lets it go
// on.
func (u *user) begin() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.clock.now()
	u.clock.turning = true
	return now
}

func (u *user) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clock.turning = false
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

// types notes whether a socket said that the user types in a thread, and
// reports whether one had.
func (u *user) types(thread bridge.ThreadID, typing bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	had := u.typing[thread]
	if typing {
		u.typing[thread] = true
	} else {
		delete(u.typing, thread)
	}
	return had
}
