package relay

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
	"lpbridge/lpauth"
)

const (
	// stallCrowd is how many deliveries in a row must stall before others wait for
	// their turn to find out, one after each stallPace.
	stallCrowd = 3
	stallPace  = 500 * time.Millisecond
	// stallPatient is after how many tries one that stalled asks half as often where
	// nobody gets what it lacks, and stallCrowded how often at least it asks, however many
	// others do and however long.
	stallPatient = 60
	stallCrowded = time.Minute
	// stallAlone is after how many tries an operator is told of a consumer who gets
	// nothing while others do.
	stallAlone = 4
	// stallWakes is how many of those one wakes.
	stallWakes = 3
	// stallKept is how long one is remembered that does not come back.
	stallKept = time.Hour
)

// stalledState is that of a LivePerson that gives no tokens or conversations, as far as
// one can tell nobody.
const stalledState = "stalled"

// errStalled is why a delivery was not tried: LivePerson gives nobody what its
// consumer lacks, and others find out how that is.
var errStalled = errors.New("LivePerson gives no tokens or conversations")

// stalls knows the lanes whose consumers get no token or no conversation from
// LivePerson. That says nothing of SEND: who has both goes on, whatever becomes of
// the others. Where nobody gets any, one after the other asks, and the first who
// does wakes all; one who alone gets none asks more seldom. Nobody is given up: that an identity provider fails for some
// consumers for an hour, and for one for ever, looks the same until it does not. What it
// refuses for certain is no stall, but the end of the message.
type stalls struct {
	wake func(bridge.LaneKey)
	// well is called when somebody gets a conversation after others did not.
	well func()
	log  *slog.Logger

	mu    sync.Mutex
	lanes map[bridge.LaneKey]*stall
	// passed counts who got what they lacked.
	passed int
	// row is how many failed since somebody got through, since when, and why the last.
	row   int
	since time.Time
	why   string
	// failing says that the last delivery that did not stall failed as if LivePerson
	// were down.
	failing bool
	// asked is when one of them was let through last.
	asked, swept time.Time
}

// stall is what one lane has been through.
type stall struct {
	since, last time.Time
	tries       int
	// against counts the tries that failed after somebody else got through; passed is
	// what the others had counted at the last try.
	against, passed int
	// woken says that it asks again because another one got through.
	woken bool
}

func newStalls(wake func(bridge.LaneKey), well func(), log *slog.Logger) *stalls {
	return &stalls{wake: wake, well: well, log: log, lanes: map[bridge.LaneKey]*stall{}}
}

// isStalled reports whether a delivery ended because its consumer got no token or
// no conversation, for a reason that is not theirs.
func isStalled(err error) bool {
	if _, ok := errors.AsType[*stalled](err); ok {
		return true
	}
	failed, ok := errors.AsType[*connector.Error](err)
	if !ok || failed.Outcome != bridge.Retry && failed.Outcome != bridge.Throttled {
		return false
	}
	auth, ok := errors.AsType[*lpauth.Error](err)
	return ok && auth.Op == lpauth.OpConsumerToken
}

// stalled is a failure to get a conversation.
type stalled struct{ err error }

func (s *stalled) Error() string { return s.err.Error() }

func (s *stalled) Unwrap() error { return s.err }

// may reports whether a lane may ask LivePerson for what its consumer lacks.
func (s *stalls) may() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.row >= stallCrowd && now.Sub(s.asked) < stallPace {
		return false
	}
	s.asked = now
	return true
}

// stall notes that a delivery of a lane stalled, and says how soon to try again.
func (s *stalls) stall(key bridge.LaneKey, err error) (pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.sweep(now)
	x := s.lanes[key]
	if x == nil {
		x = &stall{passed: s.passed}
		s.lanes[key] = x
	}
	x.last, x.woken = now, false
	if errors.Is(err, errStalled) {
		return s.pause(x)
	}
	if x.tries++; x.tries == 1 {
		x.since = now
	}
	if s.passed > x.passed {
		x.against++
	}
	x.passed = s.passed
	s.suffered(now, err)
	if x.against == stallAlone {
		s.log.Warn("a consumer gets no token or conversation from LivePerson while others do",
			"channel", key.Channel, "thread", string(key.Thread), "since", x.since, "error", err)
	}
	return s.pause(x)
}

// suffered counts one more that got nothing.
func (s *stalls) suffered(now time.Time, err error) {
	if s.row++; s.row == 1 {
		s.since = now
	}
	s.why = err.Error()
	if s.row == stallCrowd {
		s.log.Warn("LivePerson gives no tokens or conversations, consumers who have none wait", "error", err)
	}
}

// describe says in a status of LivePerson that nobody gets a token or a conversation,
// where SEND is well: whoever has neither waits all the same.
func (s *stalls) describe(f bridge.FlowStatus) bridge.FlowStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.State == string(lane.Well) && s.row >= stallCrowd && len(s.lanes) > 0 {
		f.State, f.Since, f.LastError = stalledState, s.since, s.why
	}
	return f
}

// pause is how long a lane waits: as after failed deliveries, but a minute at most and
// the longer the more of them there are. They are not to come all at once.
func (s *stalls) pause(x *stall) time.Duration {
	pause := lane.RetryPause(x.against)
	if x.tries > stallPatient {
		pause *= 2
	}
	crowded := time.Duration(len(s.lanes)) * stallPace / 2
	return min(max(pause, crowded+rand.N(crowded/5)), stallCrowded-rand.N(stallCrowded/5))
}

// sent notes what a delivery that did not stall says of LivePerson.
func (s *stalls) sent(sign lane.Sign) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch sign {
	case lane.SaysDown:
		s.failing = true
	case lane.SaysWell:
		s.failing = false
	}
}

// othersFail reports whether who has a token and a conversation fares no better.
func (s *stalls) othersFail() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failing
}

// over notes that a lane got past what stalled it, if something did.
func (s *stalls) over(key bridge.LaneKey) {
	s.mu.Lock()
	_, stalled := s.lanes[key]
	s.mu.Unlock()
	if stalled {
		s.through(key)
	}
}

// through notes that the consumer of a lane got a conversation, and wakes those who
// got none for as long as nobody did. One who alone got none wakes a few who got none
// alone, and each of these a few more.
func (s *stalls) through(key bridge.LaneKey) {
	s.mu.Lock()
	was := s.lanes[key]
	few := 0
	if was != nil && was.against > 0 {
		few = stallWakes
	}
	delete(s.lanes, key)
	s.passed++
	if s.row >= stallCrowd {
		s.log.Warn("LivePerson gives tokens and conversations again", "lasted", time.Since(s.since).Round(time.Millisecond).String())
	}
	again := s.row > 0
	s.row = 0
	var waiting []bridge.LaneKey
	for other, x := range s.lanes {
		switch {
		case x.against == 0:
		case few > 0 && !x.woken:
			few--
			x.woken = true
		default:
			continue
		}
		waiting = append(waiting, other)
	}
	s.mu.Unlock()
	if again {
		s.well()
	}
	for _, other := range waiting {
		s.wake(other)
	}
}

// forget drops what is known of a lane whose message is given up.
func (s *stalls) forget(key bridge.LaneKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lanes, key)
}

// waiting is how many lanes stall.
func (s *stalls) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lanes)
}

// repeated reports whether a lane stalls not for the first time.
func (s *stalls) repeated(key bridge.LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.lanes[key]
	return x != nil && x.tries != 1
}

// sweep drops those that did not come back, now and then.
func (s *stalls) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Minute {
		return
	}
	s.swept = now
	for key, x := range s.lanes {
		if now.Sub(x.last) > stallKept {
			delete(s.lanes, key)
		}
	}
}
