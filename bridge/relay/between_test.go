package relay_test

import (
	"fmt"
	"testing"
	"time"

	"lpbridge/bridge"
)

// Whatever something in between answers for two seconds, in whatever form that is not
// LivePerson's: of twenty messages none is lost, none is there twice and none is out of
// order.
func TestPassingAnswersOfAnyFormLoseNothing(t *testing.T) {
	for form, body := range map[string]string{"empty": "", "page": "<html>Denied</html>", "JSON": `{"error":"denied"}`} {
		for _, status := range []int{302, 304, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 413, 414, 422, 423, 425, 429, 431, 451, 499, 501, 511, 530} {
			t.Run(fmt.Sprint(status, " ", form), func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
					const messages = 20
					r.begin("t-1")
					r.wire.fail(about("/conversation/send", says(status, body)))
					for i := range messages {
						r.say("t-1", fmt.Sprint("e-", i), fmt.Sprint("text ", i))
					}
					r.types("t-1", bridge.Composing)
					time.Sleep(2 * time.Second)
					r.wire.fail(nil)
					r.types("t-1", bridge.Stopped)
					r.drained(time.Hour)
					time.Sleep(time.Minute)
					got := r.allConsumerTexts()
					if len(got) != messages+1 {
						t.Fatalf("LivePerson has %d texts, want %d: %q", len(got), messages+1, got)
					}
					for i, text := range got[1:] {
						if text != fmt.Sprint("text ", i) {
							t.Errorf("at %d is %q", i, text)
						}
					}
					if dead, _ := r.journal.DeadLetters(t.Context(), 0, 100); len(dead) > 0 || len(r.typists()) > 0 {
						t.Errorf("%d dead letters, typing in %v", len(dead), r.typists())
					}
				})
			})
		}
	}
}
