package lane

import (
	"testing"
	"time"
)

// TestNextTry: when LivePerson's next try has been made at the latest, by when
// nobody was there.
func TestNextTry(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
	}
	for name, c := range map[string]struct {
		away []float64
		want float64
	}{
		"after a moment":                             {[]float64{0, 1}, 3},
		"after a minute":                             {[]float64{0, 62}, 93},
		"after hours":                                {[]float64{0, 36000}, 36300},
		"after one that was between two tries":       {[]float64{0, 65, 106, 150}, 257},
		"when a try would have met the life between": {[]float64{0, 3, 60, 61}, 63},
		"dying again and again":                      {[]float64{1, 8, 13, 15, 20, 22, 27, 29, 34, 36}, 38},
	} {
		t.Run(name, func(t *testing.T) {
			var r Replay
			for i := 0; i < len(c.away); i += 2 {
				r = r.After(at(c.away[i]), at(c.away[i+1]))
			}
			if got := r.Next.Sub(at(0)).Seconds(); got < c.want-1 || got > c.want+2 {
				t.Errorf("by %v, want %v", got, c.want)
			}
		})
	}
}
