package front

import (
	"net/http"
	"reflect"
	"sync"
	"time"

	"lpbridge/connector/lpsim"
)

// What the switches do. The shares are high, so that one sees something at once, and
// below one, so that things get through in the end.
const (
	lostShare     = 0.4
	throttleShare = 0.5
	throttlePause = 2 // seconds of Retry-After
	repeatedShare = 0.5
	outageStatus  = http.StatusServiceUnavailable
)

// outageTime is how long LivePerson is down when the switch is turned.
const outageTime = time.Minute

// Switches are what can be made to go wrong in LivePerson and on the way to it.
type Switches struct {
	// LostAnswers applies calls and loses what LivePerson answers.
	LostAnswers bool `json:"lostAnswers"`
	// Throttling answers 429 with Retry-After.
	Throttling bool `json:"throttling"`
	// Outage fails every call to LivePerson, for [outageTime].
	Outage bool `json:"outage"`
	// Webhooks delivers LivePerson's notifications twice and out of order.
	Webhooks bool `json:"webhooks"`
}

// FaultState is how the switches are.
type FaultState struct {
	Switches
	// On says that anything at all is wrong, also by the simulator's own knobs.
	On bool `json:"on"`
	// OutageLeft is how many milliseconds of an outage are left.
	OutageLeft int64 `json:"outageLeftMs,omitempty"`
}

// faults turns switches into the simulator's knobs.
type faults struct {
	sim *lpsim.Sim
	// changed is told of every change.
	changed func(FaultState)

	mu     sync.Mutex
	wanted Switches
	until  time.Time
	timer  *time.Timer
}

// knobs are the faults that switches stand for, with what is left of an outage.
func (s Switches) knobs(left time.Duration) lpsim.Faults {
	var f lpsim.Faults
	if s.LostAnswers {
		f.LostAnswerRate = lpsim.Rates{lpsim.SendAPI: lostShare, lpsim.ConversationAPI: lostShare}
	}
	if s.Throttling {
		f.ThrottleRate, f.RetryAfterSeconds = lpsim.Rates{lpsim.SendAPI: throttleShare}, throttlePause
	}
	if s.Outage {
		f.Outages = []lpsim.Outage{{ForMs: max(1, int(left.Milliseconds())), Status: outageStatus}}
	}
	if s.Webhooks {
		f.WebhookDuplicateRate, f.WebhookReorderRate = repeatedShare, repeatedShare
	}
	return f
}

// set turns the switches. Turning another one does not make an outage longer.
func (f *faults) set(wanted Switches) error {
	f.mu.Lock()
	if wanted.Outage && !f.wanted.Outage {
		f.until = time.Now().Add(outageTime)
	}
	f.wanted = wanted
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	left := time.Until(f.until)
	if wanted.Outage {
		f.timer = time.AfterFunc(left, f.endOutage)
	}
	err := f.sim.SetFaults(wanted.knobs(left))
	f.mu.Unlock()
	f.changed(f.state())
	return err
}

// endOutage turns its switch back when the minute is over.
func (f *faults) endOutage() {
	f.mu.Lock()
	wanted := f.wanted
	over := wanted.Outage && time.Until(f.until) <= 0
	f.mu.Unlock()
	if wanted.Outage = false; over {
		// Knobs made from switches are always within their ranges.
		_ = f.set(wanted)
	}
}

// stop forgets about an outage's end.
func (f *faults) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
}

func (f *faults) state() FaultState {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := FaultState{Switches: f.wanted}
	s.On = !reflect.DeepEqual(f.sim.Faults(), lpsim.Faults{}.WithDefaults())
	if s.Outage {
		s.OutageLeft = max(0, time.Until(f.until).Milliseconds())
	}
	return s
}
