package lane

import (
	"math"
	"time"

	"lpbridge/bridge"
)

const (
	// A message is poison when so many of its deliveries failed, over so long,
	// and chance alone would do that to less than one message in a million.
	poisonTries = 4
	poisonTime  = time.Minute
	poisonBound = 13.8 // -ln(1/1 000 000)
	// leastFailing is the smallest share of failures that is believed.
	leastFailing = 0.02
)

// trouble is what the first entry of a lane has been through in this process.
type trouble struct {
	// failures counts deliveries that failed, since the first one did.
	failures int
	since    time.Time
	// pauses is how many of them came while the far side was well: only these
	// make pauses longer.
	pauses int
	// passes is what the set had counted when the last one failed, and evidence
	// how unlikely it is that chance alone made it fail.
	passes   int
	evidence float64
	// second says that the entry behind it is tried in its stead, opinion at how
	// many failures that is done again, and alone that the other got through.
	second  bool
	opinion int
	alone   bool
}

// poison says that it is the message that fails, not the far side.
func (t *trouble) poison() bool {
	return t.lasting() && t.evidence >= poisonBound
}

func (t *trouble) lasting() bool {
	return t.failures >= poisonTries && time.Since(t.since) >= poisonTime
}

// suffer notes that an entry failed and stays. The first one that always fails
// while others get through is given up.
func (s *Set) suffer(l *lane, e *bridge.Entry, v Verdict) Verdict {
	t := &l.trouble
	if v.Uncounted || t.second {
		t.second = false
		return v
	}
	switch t.failures++; {
	case t.failures == 1:
		t.since = time.Now()
		s.failing.add(v.Sign == SaysDown)
	case s.passes > t.passes:
		t.evidence -= math.Log(max(s.failing.ofOthers(), leastFailing))
	}
	t.passes = s.passes
	if s.far.health == Well {
		t.pauses++
	}
	if v.Sign == SaysDown && (t.alone || t.poison()) {
		return s.poisoned(e, v)
	}
	t.second = v.Sign == SaysDown && s.needsSecondOpinion(l)
	return v
}

// needsSecondOpinion says that the first entry has failed so often that it may
// be poison, and that nobody else sends anything that would tell. Then the entry
// behind it is tried at once. When that gets through where the first one has just
// failed, and that fails once more, it is not the far side. It is done seldom, for
// a far side that gets well between the two would see them in the wrong order.
func (s *Set) needsSecondOpinion(l *lane) bool {
	t := &l.trouble
	// One more that passed and one more that failed, for so few are known.
	chance := min(max(s.failing.those/(s.failing.all+1), leastFailing), 0.5)
	if !t.lasting() || t.evidence > 0 || t.alone || len(l.queue) < 2 || t.failures < t.opinion || float64(t.failures)*-math.Log(chance) < poisonBound {
		return false
	}
	t.opinion = 2 * t.failures
	return true
}

// opinionGiven ends the second opinion: the entry behind is there, and it got there
// just now or before the first one failed.
func (t *trouble) opinionGiven(now bool) {
	t.second = false
	t.alone = t.alone || now
}

func (s *Set) poisoned(e *bridge.Entry, v Verdict) Verdict {
	v.Poison = true
	return s.GiveUp(e, v)
}
