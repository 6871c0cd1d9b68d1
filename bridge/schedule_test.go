package bridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// runSchedule runs a schedule in a bubble and returns what f's alarms noted,
// with the seconds at which they did.
func runSchedule(t *testing.T, f func(s *schedule, note func(string) func())) []string {
	t.Helper()
	var notes []string
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		note := func(what string) func() {
			return func() { notes = append(notes, fmt.Sprint(time.Since(start).Seconds(), " ", what)) }
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		s := newSchedule()
		running.Go(func() { s.Run(ctx) })
		f(s, note)
		time.Sleep(3 * time.Hour)
		cancel()
		running.Wait()
	})
	return notes
}

func TestSchedule(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *schedule, note func(string) func())
		want []string
	}{
		{"in the order of time", func(s *schedule, note func(string) func()) {
			s.set(new(alarm), time.Now().Add(3*time.Second), note("c"))
			s.set(new(alarm), time.Now().Add(time.Second), note("a"))
			s.set(new(alarm), time.Now().Add(2*time.Second), note("b"))
		}, []string{"1 a", "2 b", "3 c"}},
		{"a time that is over runs at once", func(s *schedule, note func(string) func()) {
			s.set(new(alarm), time.Now().Add(-time.Second), note("a"))
		}, []string{"0 a"}},
		{"set again replaces", func(s *schedule, note func(string) func()) {
			var later, earlier alarm
			s.set(&later, time.Now().Add(time.Second), note("old"))
			s.set(&earlier, time.Now().Add(9*time.Second), note("old"))
			s.set(&later, time.Now().Add(5*time.Second), note("later"))
			s.set(&earlier, time.Now().Add(2*time.Second), note("earlier"))
		}, []string{"2 earlier", "5 later"}},
		{"stop takes back, twice too", func(s *schedule, note func(string) func()) {
			var a, b, c alarm
			for i, a := range []*alarm{&a, &b, &c} {
				s.set(a, time.Now().Add(time.Duration(i+1)*time.Second), note(fmt.Sprint(i)))
			}
			s.stop(&a)
			s.stop(&a)
			s.stop(&b)
			s.stop(new(alarm))
		}, []string{"3 2"}},
		{"an alarm may set itself again and stop others", func(s *schedule, note func(string) func()) {
			var a, b alarm
			s.set(&b, time.Now().Add(5*time.Second), note("b"))
			s.set(&a, time.Now().Add(time.Second), func() {
				note("a")()
				s.stop(&b)
				s.set(&a, time.Now().Add(time.Second), note("a again"))
			})
		}, []string{"1 a", "2 a again"}},
		{"an alarm further off than the longest sleep", func(s *schedule, note func(string) func()) {
			s.set(new(alarm), time.Now().Add(150*time.Minute), note("a"))
		}, []string{"9000 a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, runSchedule(t, tt.do)); diff != "" {
				t.Errorf("ran (-want +got):\n%s", diff)
			}
		})
	}
}

// TestScheduleRandom sets, moves and stops many alarms and compares with what a
// list of them would do.
func TestScheduleRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	want := map[int]int{}
	got := map[int]int{}
	runSchedule(t, func(s *schedule, _ func(string) func()) {
		start := time.Now()
		alarms := make([]alarm, 200)
		for range 5000 {
			i := random.IntN(len(alarms))
			if random.IntN(4) == 0 {
				s.stop(&alarms[i])
				delete(want, i)
				continue
			}
			second := 1 + random.IntN(5000)
			want[i] = second
			s.set(&alarms[i], start.Add(time.Duration(second)*time.Second), func() {
				got[i] = int(time.Since(start) / time.Second)
			})
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
}

// TestScheduleConcurrent has alarms set and stopped from many sides at once,
// for the race detector; each that is not stopped runs once.
func TestScheduleConcurrent(t *testing.T) {
	var mu sync.Mutex
	var ran []int
	runSchedule(t, func(s *schedule, _ func(string) func()) {
		var setters sync.WaitGroup
		for g := range 8 {
			setters.Go(func() {
				for i := range 100 {
					kept, stopped := new(alarm), new(alarm)
					s.set(stopped, time.Now().Add(time.Hour), func() { panic("a stopped alarm ran") })
					s.set(kept, time.Now().Add(time.Duration(i)*time.Millisecond), func() {
						mu.Lock()
						defer mu.Unlock()
						ran = append(ran, g*100+i)
					})
					s.stop(stopped)
				}
			})
		}
		setters.Wait()
	})
	slices.Sort(ran)
	want := make([]int, 800)
	for i := range want {
		want[i] = i
	}
	if diff := cmp.Diff(want, ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
}

func BenchmarkScheduleSet(b *testing.B) {
	s := newSchedule()
	alarms := make([]alarm, 100_000)
	start := time.Now().Add(time.Hour)
	run := func() {}
	for i := range alarms {
		s.set(&alarms[i], start.Add(time.Duration(i)*time.Millisecond), run)
	}
	i := 0
	for b.Loop() {
		s.set(&alarms[i%len(alarms)], start.Add(time.Duration(i)*time.Microsecond), run)
		i += 7919
	}
}
