package lane

import (
	"maps"
	"time"

	"lpbridge/bridge"
)

// Busy reports whether a lane may have entries to deliver or to settle.
func (s *Set) Busy(key bridge.LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key] != nil || s.sweeper.strays
}

// Backlog reports how many lanes are known and how many deliveries run.
func (s *Set) Backlog() (known, delivering int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byKey), s.running
}

// Status is how the lanes and their far side are doing.
func (s *Set) Status() bridge.FlowStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := bridge.FlowStatus{
		Lanes: len(s.byKey), InFlight: s.running, Limit: s.Limiter.limit(),
		State: string(s.far.health), Since: s.far.since, OldestWaiting: oldestIn(s).first(),
	}
	if s.far.health != Well {
		f.LastError = s.far.reason
	}
	if s.far.until.After(time.Now()) {
		f.ThrottledUntil = s.far.until
	}
	return f
}

// oldest is since when the oldest waits, by channel.
type oldest map[string]time.Time

func (o oldest) note(channel string, since time.Time) {
	if known, there := o[channel]; !since.IsZero() && (!there || since.Before(known)) {
		o[channel] = since
	}
}

// first is that of all channels, zero when nothing waits.
func (o oldest) first() (first time.Time) {
	for _, since := range o {
		if first.IsZero() || since.Before(first) {
			first = since
		}
	}
	return first
}

// Oldest is when the oldest entry was accepted that is known to wait or to be
// delivered, by channel; those of which there is none are left out.
func (s *Set) Oldest() map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return oldestIn(s)
}

// oldestIn is called with the lock held.
func oldestIn(s *Set) oldest {
	all := maps.Clone(s.sweeper.oldest)
	for _, l := range s.byKey {
		waits := l.oldest
		if len(l.queue) > 0 {
			waits = l.queue[0].Accepted
		}
		all.note(l.key.Channel, waits)
	}
	return all
}

// Health is the state of the far side.
func (s *Set) Health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.far.health
}

// Doubted is how many entries in memory may have arrived without our knowing.
func (s *Set) Doubted() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.byKey {
		for _, e := range l.queue {
			if e.Doubt != nil {
				n++
			}
		}
	}
	return n
}
