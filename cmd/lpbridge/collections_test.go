package main

import (
	"slices"
	"testing"
	"time"
)

// TestCollectionsArePaced: room is for a process that works, and a large heap needs none.
func TestCollectionsArePaced(t *testing.T) {
	const mib = 1 << 20
	type end struct {
		after time.Duration
		live  uint64
	}
	for _, tc := range []struct {
		name string
		ends []end
		want []int
	}{
		{"idle", []end{{2 * time.Minute, 4 * mib}, {2 * time.Minute, 4 * mib}}, nil},
		{"at work", []end{{100 * time.Millisecond, 8 * mib}, {300 * time.Millisecond, 8 * mib}}, []int{400}},
		{"still at work, more slowly", []end{{100 * time.Millisecond, 8 * mib}, {5 * time.Second, 8 * mib}}, []int{400}},
		{"idle again", []end{{100 * time.Millisecond, 8 * mib}, {2 * time.Minute, 8 * mib}}, []int{400, 100}},
		{"more alive", []end{{100 * time.Millisecond, 8 * mib}, {100 * time.Millisecond, 16 * mib}}, []int{400, 200}},
		{"about as much alive", []end{{100 * time.Millisecond, 8 * mib}, {100 * time.Millisecond, 9 * mib}}, []int{400}},
		{"a large heap", []end{{100 * time.Millisecond, 64 * mib}, {100 * time.Millisecond, 64 * mib}}, nil},
		{"hardly any heap", []end{{100 * time.Millisecond, 1}}, []int{3200}},
	} {
		var got []int
		at := time.Unix(1000, 0)
		p := &pacer{last: at, percent: usualPercent, set: func(percent int) int { got = append(got, percent); return 0 }}
		for _, e := range tc.ends {
			at = at.Add(e.after)
			p.collected(at, e.live)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: set %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestCollectionsAreSeen: the pacer hears of every collection, not of the first only.
func TestCollectionsAreSeen(t *testing.T) {
	heard := make(chan struct{}, 100)
	var p pacer
	p.watch(func() { heard <- struct{}{} })
	for range 3 {
		for seen := false; !seen; {
			churn()
			select {
			case <-heard:
				seen = true
			default:
			}
		}
	}
}

// churn has the runtime collect.
func churn() {
	for range 64 {
		kept = make([]byte, 1<<20)
	}
}

var kept []byte
