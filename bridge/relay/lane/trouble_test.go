package lane

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
)

// TestWhatIsPoison has an entry fail again and again while others get through: d
// as if the far side were down, a with an answer of its own, such as that the
// conversation has ended, n for a reason of ours, o where the call that failed was
// one that opens its conversation.
func TestWhatIsPoison(t *testing.T) {
	signs := map[string]Verdict{
		"d": says5xx,
		"a": {Outcome: bridge.Closed, Sign: SaysWell},
		"n": {Outcome: bridge.Retry},
		"o": {Outcome: bridge.Retry, Sign: SaysDown, Unsent: true},
	}
	for ends, poison := range map[string]bool{
		"dddd": false, "ddddddd": false, "dddddddd": true,
		"ddddaddd": false, "dddddddda": false, "dddddddad": false, "adddddddd": true,
		"nnnnnnnd": false, "ndndnd": false, "ndndndndndnd": true,
		"oooooooo": false, "oooooood": false, "odddddddd": true,
	} {
		t.Run(ends, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var others others
				var it trouble
				given := false
				for sign := range strings.SplitSeq(ends, "") {
					time.Sleep(20 * time.Second)
					others.passed()
					given = it.suffer(signs[sign], &others, true, 1)
				}
				if given != poison {
					t.Errorf("given up: %t, want %t; evidence %.1f after %d failures", given, poison, float64(it.against)*it.surprise(&others), it.failures)
				}
			})
		})
	}
}
