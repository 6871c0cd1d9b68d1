package lane

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"lpbridge/bridge"
)

// numbered orders events whose payload is their number in the dialog "d".
func numbered() *Order {
	return NewOrder(func(e *bridge.Entry) (string, int64, bool) {
		var n int64
		err := json.Unmarshal(e.Payload, &n)
		return "d", n, err == nil
	})
}

// comes appends an event with a number, as a notification brings it.
func (r *rig) comes(n int64) {
	r.set.Order.Saw("d", n)
	added := r.store.append(bridge.Entry{Lane: laneKey(0), Kind: bridge.KindState, Payload: fmt.Append(nil, n)})[0]
	added.Accepted = time.Now()
	r.announced.Add(1)
	r.set.Add(added)
}

func TestWhatWaitsGoesOutInTheOrderOfItsNumbers(t *testing.T) {
	var o outage
	inBubble(t, 64, o.answer, func(r *rig) {
		o.begin(time.Hour, isDown, 0)
		r.set.Order = numbered()
		for _, n := range []int64{10, 12, 14, 11, 13, 9} {
			r.comes(n)
			time.Sleep(time.Second)
		}
		o.end()
		r.drained(time.Minute)
		if got, want := r.payloads(), []string{"9", "10", "11", "12", "13", "14"}; !slices.Equal(got, want) {
			t.Errorf("delivered %v, want %v", got, want)
		}
	})
}

func TestMissingNumberIsWaitedForShortly(t *testing.T) {
	for _, c := range []struct {
		name    string
		comes   []int64
		apart   time.Duration
		ours    int64
		want    []string
		within  time.Duration
		atLeast time.Duration
	}{
		{name: "comes a little later", comes: []int64{1, 3, 2}, apart: 30 * time.Millisecond, want: []string{"1", "2", "3"}, within: 100 * time.Millisecond},
		{name: "two come later", comes: []int64{1, 4, 3, 2}, apart: 30 * time.Millisecond, want: []string{"1", "2", "3", "4"}, within: 150 * time.Millisecond},
		{name: "never comes", comes: []int64{1, 3}, want: []string{"1", "3"}, atLeast: gapWait, within: gapWait + 50*time.Millisecond},
		{name: "is ours", comes: []int64{1, 3}, ours: 2, want: []string{"1", "3"}, within: 50 * time.Millisecond},
		{name: "first of its dialog", comes: []int64{7}, want: []string{"7"}, within: 50 * time.Millisecond},
		{name: "far away", comes: []int64{1, 100}, want: []string{"1", "100"}, within: 50 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 64, inTurn(takes), func(r *rig) {
				r.set.Order = numbered()
				began := time.Now()
				for i, n := range c.comes {
					if i == 1 && c.ours != 0 {
						r.set.Order.Saw("d", c.ours)
					}
					r.comes(n)
					time.Sleep(c.apart)
				}
				r.drained(time.Minute)
				took, got := time.Since(began), r.payloads()
				if !slices.Equal(got, c.want) || took > c.within || took < c.atLeast {
					t.Errorf("delivered %v after %v, want %v within %v", got, took, c.want, c.within)
				}
			})
		})
	}
}

// An account that is not told of everything that takes a number must not wait
// before each message.
func TestWaitsInVainEnd(t *testing.T) {
	inBubble(t, 64, inTurn(takes), func(r *rig) {
		r.set.Order = numbered()
		began := time.Now()
		for n := range int64(50) {
			r.comes(2 * n)
			r.drained(time.Minute)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("50 messages took %v", took)
		}
	})
}
