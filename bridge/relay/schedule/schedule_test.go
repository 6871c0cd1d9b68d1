package schedule

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
func runSchedule(t *testing.T, f func(s *Schedule, note func(string) func())) []string {
	t.Helper()
	var notes []string
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		note := func(what string) func() {
			return func() { notes = append(notes, fmt.Sprint(time.Since(start).Seconds(), " ", what)) }
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		s := New()
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
		do   func(s *Schedule, note func(string) func())
		want []string
	}{
		{"in the order of time", func(s *Schedule, note func(string) func()) {
			s.Set(new(Alarm), time.Now().Add(3*time.Second), note("c"))
			s.Set(new(Alarm), time.Now().Add(time.Second), note("a"))
			s.Set(new(Alarm), time.Now().Add(2*time.Second), note("b"))
		}, []string{"1 a", "2 b", "3 c"}},
		{"a time that is over runs at once", func(s *Schedule, note func(string) func()) {
			s.Set(new(Alarm), time.Now().Add(-time.Second), note("a"))
		}, []string{"0 a"}},
		{"set again replaces", func(s *Schedule, note func(string) func()) {
			var later, earlier Alarm
			s.Set(&later, time.Now().Add(time.Second), note("old"))
			s.Set(&earlier, time.Now().Add(9*time.Second), note("old"))
			s.Set(&later, time.Now().Add(5*time.Second), note("later"))
			s.Set(&earlier, time.Now().Add(2*time.Second), note("earlier"))
		}, []string{"2 earlier", "5 later"}},
		{"stop takes back, twice too", func(s *Schedule, note func(string) func()) {
			var a, b, c Alarm
			for i, a := range []*Alarm{&a, &b, &c} {
				s.Set(a, time.Now().Add(time.Duration(i+1)*time.Second), note(fmt.Sprint(i)))
			}
			s.Stop(&a)
			s.Stop(&a)
			s.Stop(&b)
			s.Stop(new(Alarm))
		}, []string{"3 2"}},
		{"an alarm may set itself again and stop others", func(s *Schedule, note func(string) func()) {
			var a, b Alarm
			s.Set(&b, time.Now().Add(5*time.Second), note("b"))
			s.Set(&a, time.Now().Add(time.Second), func() {
				note("a")()
				s.Stop(&b)
				s.Set(&a, time.Now().Add(time.Second), note("a again"))
			})
		}, []string{"1 a", "2 a again"}},
		{"an alarm further off than the longest sleep", func(s *Schedule, note func(string) func()) {
			s.Set(new(Alarm), time.Now().Add(150*time.Minute), note("a"))
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
	runSchedule(t, func(s *Schedule, _ func(string) func()) {
		start := time.Now()
		alarms := make([]Alarm, 200)
		for range 5000 {
			i := random.IntN(len(alarms))
			if random.IntN(4) == 0 {
				s.Stop(&alarms[i])
				delete(want, i)
				continue
			}
			second := 1 + random.IntN(5000)
			want[i] = second
			s.Set(&alarms[i], start.Add(time.Duration(second)*time.Second), func() {
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
	runSchedule(t, func(s *Schedule, _ func(string) func()) {
		var setters sync.WaitGroup
		for g := range 8 {
			setters.Go(func() {
				for i := range 100 {
					kept, stopped := new(Alarm), new(Alarm)
					s.Set(stopped, time.Now().Add(time.Hour), func() { panic("a stopped alarm ran") })
					s.Set(kept, time.Now().Add(time.Duration(i)*time.Millisecond), func() {
						mu.Lock()
						defer mu.Unlock()
						ran = append(ran, g*100+i)
					})
					s.Stop(stopped)
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
	s := New()
	alarms := make([]Alarm, 100_000)
	start := time.Now().Add(time.Hour)
	run := func() {}
	for i := range alarms {
		s.Set(&alarms[i], start.Add(time.Duration(i)*time.Millisecond), run)
	}
	i := 0
	for b.Loop() {
		s.Set(&alarms[i%len(alarms)], start.Add(time.Duration(i)*time.Microsecond), run)
		i += 7919
	}
}
