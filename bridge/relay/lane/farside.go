package lane

import (
	"context"
	"time"

	"lpbridge/bridge/relay/schedule"
)

// Sign is what the end of a delivery says of the far side as a whole.
type Sign uint8

const (
	// SaysNothing is the sign of an end that is the message's own, or ours.
	SaysNothing Sign = iota
	// SaysWell means that the far side answered with a decision of its own.
	SaysWell
	// SaysThrottled means that it takes less than we send.
	SaysThrottled
	// SaysDown means that it was not reached, or answered that it is in trouble.
	SaysDown
	// SaysRefused means that it refused our credential.
	SaysRefused
)

// Health is the state of a far side.
type Health string

// The states of a far side. Lanes deliver while it is well; else they are parked
// until a probe gets through.
const (
	Well      Health = "well"
	Throttled Health = "throttled"
	Down      Health = "down"
	Refused   Health = "credential_refused"
)

const (
	// ProbeBound is the longest time between two probes of a far side that did
	// not say when to come back; probeFirst is the time to the first.
	ProbeBound = 5 * time.Second
	probeFirst = time.Second
	// newcomerPause is how soon after a probe a lane that just became ready is
	// worth another: it may be that only the others' messages fail.
	newcomerPause = time.Second
	// MaxStop is the longest a far side is believed that says when to come back,
	// for something in between may have said so by mistake.
	MaxStop = 5 * time.Minute
	// downAfter is how many deliveries in a row make a far side count as down;
	// two do when none got through for downTime.
	downAfter = 8
	// silentAtMost is how many probes that say nothing follow each other before the
	// next alarm.
	silentAtMost = 64
	downTime     = time.Second
)

// farSide is what is known of a far side as a whole. The lock of the set guards it.
type farSide struct {
	*Work
	// ask has a lane deliver as a probe, and reports whether there was one to ask.
	ask func() bool
	// release lets all go on that wait until the far side is well.
	release func()
	// ring is called when a probe is due.
	ring func()

	health Health
	since  time.Time
	// failed is how many deliveries in a row failed in the far side's way, and
	// first when the first of them ended.
	failed int
	first  time.Time
	// until is when a far side that asked to be left alone may be asked again;
	// answers to what was sent before it did, at stopped, say nothing.
	until, stopped time.Time
	// reason is the last failure in words that are safe to show.
	reason string

	// alarm rings when the next probe is due; pause is the time to the one after.
	// While the far side is not well, the alarm is set or a probe is due that no
	// lane was there to make.
	alarm   schedule.Alarm
	pause   time.Duration
	due     bool
	probed  time.Time
	probing int
	// silent counts the probes since the last alarm that said nothing.
	silent int
	// risked is when a message was last risked without a harmless call before it.
	risked time.Time
}

// Saw takes a sign that came otherwise than by a delivery, such as from the trial of
// the credential. began is when the call was made. What typing meets is no sign: no
// message is delayed because typing is throttled.
func (s *Set) Saw(sign Sign, began time.Time, retryAfter time.Duration, reason string) {
	s.mu.Lock()
	tell := s.saw(sign, began, retryAfter, reason)
	s.startWorkers()
	s.mu.Unlock()
	tell()
}

// Resume lets a far side be asked at once that said when to come back.
func (s *Set) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probe()
}

// wellSince reports whether the far side is well and has been since a time.
func (f *farSide) wellSince(began time.Time) bool {
	return f.health == Well && !began.Before(f.since)
}

func unchanged() {}

// saw counts a delivery that got through, and moves the far side's state on. What
// it returns must be called without the lock.
func (s *Set) saw(sign Sign, began time.Time, retryAfter time.Duration, reason string) (tell func()) {
	if sign == SaysWell {
		s.others.passed()
		s.Limiter.pass(began, s.running)
	}
	return s.far.saw(sign, began, retryAfter, reason)
}

// probe asks the far side how it is, unless deliveries have been stopped.
func (s *Set) probe() {
	if !s.stopping {
		s.far.probe()
	}
}

// ask has the lane that has been parked longest deliver as a probe.
func (s *Set) ask() bool {
	l := s.expecting.first()
	if l == nil {
		return false
	}
	s.unpark(l)
	l.probe, l.state = true, queued
	s.running++
	s.Spawn(func(ctx context.Context) { s.work(ctx, l) })
	return true
}

// endProbe notes that the delivery of a lane is over; over, to be called with
// what it said once the lane is put aside, makes up for a probe that said
// nothing.
func (s *Set) endProbe(l *lane) (over func(Sign)) {
	if !l.probe {
		return func(Sign) {}
	}
	l.probe = false
	s.far.probing--
	return func(sign Sign) {
		if sign != SaysNothing {
			return
		}
		if s.far.silent++; s.far.silent < silentAtMost {
			s.probe()
		}
	}
}

func newFarSide(s *Set) farSide {
	return farSide{
		Work: &s.Work, ask: s.ask, release: s.release, health: Well, since: time.Now(),
		ring: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.far.silent = 0
			s.probe()
		},
	}
}

func (f *farSide) saw(sign Sign, began time.Time, retryAfter time.Duration, reason string) (tell func()) {
	now := time.Now()
	if sign == SaysNothing {
		return unchanged
	}
	if sign == SaysWell {
		f.failed = 0
		// An answer to what was asked before says nothing of a later stop.
		if f.health == Well || now.Before(f.until) && began.Before(f.stopped) {
			return unchanged
		}
		return f.heal()
	}
	if f.failed++; f.failed == 1 {
		f.first = now
	}
	f.reason = reason
	stop := min(retryAfter, MaxStop)
	crowded := sign == SaysThrottled && f.Limiter.throttle(began)
	health := map[Sign]Health{SaysThrottled: Throttled, SaysDown: Down, SaysRefused: Refused}[sign]
	switch {
	case sign == SaysRefused && f.failed >= 2:
		// Nobody but the operator knows when that is mended.
		return f.falter(health, now.Add(probeFirst))
	case sign != SaysRefused && stop > MinThrottle, crowded:
		// A pause of a second is the message's own, unless everybody needs it.
		f.until, f.stopped = now.Add(max(stop, MinThrottle)), now
		return f.falter(health, f.until)
	case sign == SaysDown && (f.failed >= downAfter || f.failed >= 2 && now.Sub(f.first) >= downTime):
		return f.falter(health, now.Add(probeFirst))
	default:
		return unchanged
	}
}

// falter notes that the far side is not well, and when it is to be asked again.
func (f *farSide) falter(h Health, probe time.Time) (tell func()) {
	before, asked := f.health, probe.Equal(f.until)
	switch {
	case before == Well:
		f.since, f.pause, f.due = time.Now(), probeFirst, false
		f.scheduleProbe(probe)
	case asked:
		f.due = false
		f.scheduleProbe(probe)
	case time.Now().Before(f.until):
		// It said when to come back; until then nothing is news.
		return unchanged
	}
	f.health = h
	if h == before || h == Throttled && time.Until(probe) < ProbeBound {
		return unchanged
	}
	reason, since := f.reason, f.since
	return func() {
		f.Log.Warn("the far side is not well, deliveries wait", "far_side", f.Name, "state", string(h), "error", reason, "since", since)
		f.tellHealth(h)
	}
}

// heal lets all parked lanes go on, as fast as the limiter lets them.
func (f *farSide) heal() (tell func()) {
	before, lasted := f.health, time.Since(f.since)
	f.health, f.since, f.until, f.due, f.reason = Well, time.Now(), time.Time{}, false, ""
	f.Schedule.Stop(&f.alarm)
	f.Limiter.restart()
	f.release()
	return func() {
		if before != Throttled || lasted > ProbeBound {
			f.Log.Warn("the far side is well again", "far_side", f.Name, "was", string(before), "lasted", lasted.Round(time.Millisecond).String())
		}
		f.tellHealth(Well)
	}
}

func (f *farSide) tellHealth(h Health) {
	if f.HealthChanged != nil {
		f.HealthChanged(h)
	}
}

func (f *farSide) scheduleProbe(at time.Time) { f.Schedule.Set(&f.alarm, at, f.ring) }

// probe has a lane try. The next probe is due after a pause, whether this one has
// ended by then or not: what hangs must not hide that the far side is back.
func (f *farSide) probe() {
	if f.health == Well {
		return
	}
	if f.due = !f.ask(); f.due {
		return
	}
	f.probed = time.Now()
	f.probing++
	f.pause = min(2*f.pause, ProbeBound)
	f.scheduleProbe(f.probed.Add(f.pause))
}

// hears says that a message that has not failed need not wait for the next probe:
// what fails may be one lane's message, not the far side.
func (f *farSide) hears() bool {
	return f.health == Down && f.probing == 0 && time.Since(f.probed) >= newcomerPause && time.Now().After(f.until)
}
