package lane

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
)

// What stands second in a lane is not delivered before the journal has how the
// first one ended: after a crash nobody could tell which of them had been sent.
func TestOutcomeIsOnDiskBeforeTheNextDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: newStore()}
		r.start(64, func(_ context.Context, e *bridge.Entry) Verdict {
			r.store.mu.Lock()
			defer r.store.mu.Unlock()
			if r.store.entries[e.Seq-1] != nil {
				t.Errorf("%d is delivered, and that %d was is not on disk", e.Seq, e.Seq-1)
			}
			return takes
		})
		r.set.Order = numbered()
		for n := range int64(5) {
			r.comes(n + 1)
		}
		r.drained(time.Minute)
		r.stop()
	})
}

// News of a conversation says that what happened there before has been told: who
// is in doubt waits no longer for LivePerson's replay.
func TestNewsEndsTheWaitForTheReplay(t *testing.T) {
	for _, c := range []struct {
		name     string
		news     time.Duration
		happened time.Duration
		within   time.Duration
		atLeast  time.Duration
	}{
		{"news", 30 * time.Second, 30 * time.Second, 46 * time.Second, 44 * time.Second},
		{"none", 0, 0, 316 * time.Second, 314 * time.Second},
		{"of what was before", 30 * time.Second, -time.Second, 316 * time.Second, 314 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r := &rig{t: t, store: newStore()}
				r.startWith(64, inTurn(says5xx, takes), Echoes{
					Come: func() bool { return true }, Wait: 15 * time.Second,
					Reach: NewReach(Replay{Back: began.Add(time.Minute), By: began.Add(5 * time.Minute)}),
				})
				e := r.say(0)
				if c.news > 0 {
					time.Sleep(c.news)
					r.set.Heard(e.Lane, began.Add(c.happened))
				}
				r.drained(10 * time.Minute)
				if took := time.Since(began); took > c.within || took < c.atLeast {
					t.Errorf("sent again after %v, want from %v to %v", took, c.atLeast, c.within)
				}
				r.stop()
			})
		})
	}
}

// TestWhichMessageAnEchoIs: of several it may be.
func TestWhichMessageAnEchoIs(t *testing.T) {
	doubted := func(seq int64, text string) *bridge.Entry {
		return &bridge.Entry{Seq: seq, Payload: []byte(text), Doubt: &bridge.Doubt{}}
	}
	says := func(text string) Arrival {
		return Arrival{
			Dialog: "d", Matches: func(e *bridge.Entry) bool { return string(e.Payload) == text },
			Resembles: func(*bridge.Entry) bool { return true },
		}
	}
	later, earlier := doubted(7, "yes"), doubted(5, "yes")
	sending := &bridge.Entry{Seq: 4, Payload: []byte("yes")}
	answered := make(chan struct{})
	elsewhere := doubted(3, "other")
	elsewhere.Doubt.Dialogs = []string{"another"}
	for _, c := range []struct {
		name      string
		lanes     []*lane
		arrival   Arrival
		want      *bridge.Entry
		undecided bool
		excluded  []*bridge.Entry
	}{
		{name: "the only one with these words", lanes: []*lane{{queue: []*bridge.Entry{later, doubted(8, "no")}}}, arrival: says("yes"), want: later},
		{name: "the one accepted first, in whatever lane", lanes: []*lane{{queue: []*bridge.Entry{later}}, {queue: []*bridge.Entry{earlier}}}, arrival: says("yes"), want: earlier},
		{name: "other words, and only one it can be", lanes: []*lane{{queue: []*bridge.Entry{later}}}, arrival: says("***"), want: later},
		{name: "other words of one of two", lanes: []*lane{{queue: []*bridge.Entry{later}}, {queue: []*bridge.Entry{doubted(5, "no")}}}, arrival: says("***")},
		{
			name: "perhaps one whose answer will say", lanes: []*lane{{queue: []*bridge.Entry{sending}, delivering: sending, sentTo: []string{"d"}, answered: answered}, {queue: []*bridge.Entry{earlier}}},
			arrival: says("yes"), undecided: true,
		},
		{
			name:  "the other one, where the first cannot be it",
			lanes: []*lane{{queue: []*bridge.Entry{later}}, {queue: []*bridge.Entry{earlier}}}, arrival: says("yes"), excluded: []*bridge.Entry{earlier}, want: later,
		},
		{name: "one that cannot lie there", lanes: []*lane{{queue: []*bridge.Entry{elsewhere}}}, arrival: says("other")},
		{name: "one that was not sent", lanes: []*lane{{queue: []*bridge.Entry{{Seq: 2, Payload: []byte("yes")}}}}, arrival: says("yes")},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, undecided := prove(c.lanes, c.arrival, c.excluded)
			if found.entry != c.want || (undecided != nil) != c.undecided {
				t.Errorf("it is %+v, undecided: %t", found.entry, undecided != nil)
			}
		})
	}
}
