package lane

import (
	"math"
	"time"
)

const (
	// A message is poison when so many of its deliveries failed, over so long,
	// and chance alone would do that to less than one message in a million.
	poisonTries = 4
	poisonTime  = time.Minute
	poisonBound = 13.8 // -ln(1/1 000 000)
)

// others is what is known of the deliveries of all lanes, which tells whether one
// that fails is alone.
type others struct {
	// passes counts deliveries that got through, failures entries whose first
	// delivery failed as if the far side were down.
	passes, failures int
}

func (o *others) passed() { o.passes++ }

// trouble is what the first entry of a lane has been through in this process.
type trouble struct {
	// failures counts deliveries that failed with it, since the first one did, and
	// against those that failed as if the far side were down while others got through.
	failures, against int
	since             time.Time
	// pauses is how many of them began while the far side was well: only these
	// make pauses longer.
	pauses int
	// passes is what the set had counted when the last one failed, and before all
	// that it had when the first one did: how the far side was earlier does not tell
	// how it is.
	passes int
	before others
	// second says that the entry behind it is tried in its stead, opinion at how
	// many failures that is done again, and alone that the other got through.
	second  bool
	opinion int
	alone   bool
}

// poison says that it is the message that fails, not the far side.
func (t *trouble) poison(o *others) bool {
	return t.lasting() && float64(t.against)*t.surprise(o) >= poisonBound
}

func (t *trouble) lasting() bool {
	return t.failures >= poisonTries && time.Since(t.since) >= poisonTime
}

// surprise is how unlikely another failure is, -ln of its chance, by what others met
// since the entry failed first. One more that passed and one more that failed are
// added, for so few are known.
func (t *trouble) surprise(o *others) float64 {
	passed, failed := o.passes-t.before.passes, o.failures-t.before.failures
	return -math.Log(float64(failed+1) / float64(passed+failed+2))
}

// suffer notes that the first entry of a queue of so many failed and stays, and
// reports whether it is to be given up, for it always fails while others get
// through. well says that the far side has been since the delivery began.
func (t *trouble) suffer(v Verdict, o *others, well bool, queued int) (poison bool) {
	if v.Uncounted || t.second {
		t.second = false
		return false
	}
	if v.Sign == SaysWell {
		t.acquitted()
	}
	if well {
		t.pauses++
	}
	if v.Unsent {
		t.passes = o.passes
		return false
	}
	switch t.failures++; {
	case t.failures == 1:
		if v.Sign == SaysDown {
			o.failures++
		}
		t.since, t.before = time.Now(), *o
	case o.passes > t.passes && v.Sign == SaysDown:
		t.against++
	}
	t.passes = o.passes
	if v.Sign != SaysDown {
		return false
	}
	if t.alone || t.poison(o) {
		return true
	}
	t.second = queued > 1 && t.needsSecondOpinion(o)
	return false
}

// acquitted notes that the far side answered the entry with a decision of its own:
// it is not what makes deliveries fail.
func (t *trouble) acquitted() {
	t.failures, t.against, t.alone, t.opinion = 0, 0, false, 0
}

// needsSecondOpinion says that the first entry has failed so often that it may
// be poison, and that nobody else sends anything that would tell. Then the entry
// behind it is tried at once. When that gets through where the first one has just
// failed, and that fails once more, it is not the far side. It is done seldom, for
// a far side that gets well between the two would see them in the wrong order.
func (t *trouble) needsSecondOpinion(o *others) bool {
	if !t.lasting() || t.against > 0 || t.failures < t.opinion || float64(t.failures)*t.surprise(o) < poisonBound {
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
