package lane

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"lpbridge/bridge"
)

// soundable is a far side that is down, as harmless calls and as messages see it.
type soundable struct{ calls, messages atomic.Bool }

func (o *soundable) answer(context.Context, *bridge.Entry) Verdict {
	if o.messages.Load() {
		return says5xx
	}
	return takes
}

func (o *soundable) sound(context.Context, *bridge.Entry) Sounding {
	if o.calls.Load() {
		return Sounding{Sign: SaysDown, Reason: "status 503"}
	}
	return Sounding{Sign: SaysWell}
}

// sayInOutage has 50 lanes each say something when the far side has just gone down.
func (r *rig) sayInOutage(o *soundable, calls bool) {
	r.set.Sound = o.sound
	r.set.Echoes = Echoes{Come: func() bool { return true }, Wait: 35 * time.Second}
	o.calls.Store(calls)
	o.messages.Store(true)
	for i := range 50 {
		r.say(i)
	}
}

// Nobody is in doubt because of having asked whether the far side is back.
func TestHarmlessCallsAskWhetherAFarSideIsBack(t *testing.T) {
	var o soundable
	inBubble(t, 8, o.answer, func(r *rig) {
		r.sayInOutage(&o, true)
		time.Sleep(time.Minute)
		before := len(r.asked())
		time.Sleep(4*time.Minute - 10*time.Second)
		if n := len(r.asked()) - before; n > 0 {
			t.Errorf("%d messages were risked", n)
		}
		o.calls.Store(false)
		o.messages.Store(false)
		if took := r.drained(time.Hour); took > 10*time.Second {
			t.Errorf("the last message went out after %v", took)
		}
	})
}

// The only lane asks with a call that takes longer than the pause between two probes.
func TestHarmlessCallThatHangsIsMadeAgain(t *testing.T) {
	var o soundable
	inBubble(t, 8, o.answer, func(r *rig) {
		r.set.Sound = func(ctx context.Context, e *bridge.Entry) Sounding {
			time.Sleep(2 * ProbeBound)
			return o.sound(ctx, e)
		}
		r.set.Echoes = Echoes{Come: func() bool { return true }, Wait: 35 * time.Second}
		o.calls.Store(true)
		o.messages.Store(true)
		r.say(1)
		time.Sleep(3 * time.Minute)
		o.calls.Store(false)
		o.messages.Store(false)
		if took := r.drained(time.Hour); took > 25*time.Second {
			t.Errorf("the message went out after %v", took)
		}
	})
}

// Harmless calls fail for ever, and messages do not any more.
func TestHarmlessCallsThatAloneFailHoldMessagesUpForMinutes(t *testing.T) {
	var o soundable
	inBubble(t, 8, o.answer, func(r *rig) {
		r.sayInOutage(&o, true)
		time.Sleep(time.Minute)
		o.messages.Store(false)
		if took := r.drained(time.Hour); took > 5*time.Minute {
			t.Errorf("the last message went out after %v", took)
		}
	})
}

// Harmless calls get through, and messages do not: one at a time is tried.
func TestMessagesThatAloneFailAreTriedOneAtATime(t *testing.T) {
	var o soundable
	inBubble(t, 8, o.answer, func(r *rig) {
		r.sayInOutage(&o, false)
		time.Sleep(time.Minute)
		before := len(r.asked())
		time.Sleep(time.Minute)
		if n := len(r.asked()) - before; n > int(time.Minute/ProbeBound)+1 {
			t.Errorf("%d messages were tried in a minute", n)
		}
		o.messages.Store(false)
		r.drained(time.Hour)
	})
}

// A message is in doubt, nothing got through since, and harmless calls are throttled:
// they are not made again without a pause.
func TestHarmlessCallsThatAreThrottledPause(t *testing.T) {
	var o soundable
	inBubble(t, 8, o.answer, func(r *rig) {
		var sounded, hurried atomic.Int64
		var last time.Time
		r.set.Sound = func(context.Context, *bridge.Entry) Sounding {
			if sounded.Add(1) > 10_000 {
				return Sounding{Sign: SaysWell}
			}
			if time.Since(last) < MinThrottle {
				hurried.Add(1)
			}
			last = time.Now()
			return Sounding{Sign: SaysThrottled}
		}
		r.set.Echoes = Echoes{Come: func() bool { return true }, Wait: 5 * time.Second}
		for n := range 200 {
			r.say(10 + n)
		}
		r.drained(time.Minute)
		o.messages.Store(true)
		r.say(1)
		time.Sleep(2 * time.Second)
		o.messages.Store(false)
		time.Sleep(time.Minute)
		if n := sounded.Load(); n == 0 || hurried.Load() > 0 {
			t.Errorf("%d of %d harmless calls came within a second of the one before", hurried.Load(), n)
		}
		sounded.Store(10_000)
		r.drained(time.Hour)
	})
}
