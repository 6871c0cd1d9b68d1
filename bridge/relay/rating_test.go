package relay_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// said is what a consumer wrote and in which dialog, main or survey.
func said(c lpsim.Conversation) (lines []string) {
	for _, e := range c.Transcript {
		if e.Role != "CONSUMER" || e.Type != "ContentEvent" {
			continue
		}
		dialog := "survey: "
		if e.DialogID == c.ConversationID {
			dialog = "main: "
		}
		lines = append(lines, dialog+e.Text)
	}
	return lines
}

// TestCommentOfARatingIsSaidWhereThereIsAPlace rates with words while the
// conversation is open, in its survey, and after its end.
func TestCommentOfARatingIsSaidWhereThereIsAPlace(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("a long remark ", 500))
	for _, tc := range []struct {
		name    string
		comment string
		// before brings the conversation to where it is rated.
		before func(r *rig, id string)
		want   []string
		// left says that the words have no place.
		left int
	}{
		{"open", "quick and kind", func(*rig, string) {}, []string{"main: hello", "main: quick and kind"}, 0},
		{"only blanks", " \n ", func(*rig, string) {}, []string{"main: hello"}, 0},
		{"in its survey", "quick and kind", func(r *rig, id string) {
			r.agentSays(id, "bye")
			if err := r.sim.AgentClose(id, lpsim.AgentClose{Survey: new(true)}); err != nil {
				r.t.Fatal(err)
			}
		}, []string{"main: hello", "survey: quick and kind"}, 0},
		{"over", "quick and kind", func(r *rig, id string) {
			if err := r.sim.AgentClose(id, lpsim.AgentClose{}); err != nil {
				r.t.Fatal(err)
			}
		}, []string{"main: hello"}, 1},
		{"over, which nobody knows yet", "quick and kind", func(r *rig, _ string) {
			r.wire.fail(func(_ *http.Request, body string) (*http.Response, error) {
				if strings.Contains(body, "quick and kind") {
					return answer(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request, Conversation is close"},"reqId":"1"}`), nil
				}
				return nil, nil
			})
		}, []string{"main: hello"}, 0},
		{"longer than one text", long, func(*rig, string) {}, nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			o := rigOptions{survey: true, adjust: func(o *relay.Options) { o.Metrics = registry }}
			inBubble(t, o, func(t *testing.T, r *rig) {
				r.say("t-1", "e-0", "hello")
				time.Sleep(time.Second)
				id := r.conversation().ConversationID
				tc.before(r, id)
				time.Sleep(10 * time.Second)
				rating := event(bridge.KindRating, "t-1", "g-1")
				rating.Rating = &bridge.Rating{Score: 4, Comment: tc.comment}
				r.accept(rating)
				if got := r.accept(rating); got.Events != 0 {
					t.Errorf("told again it is %d events", got.Events)
				}
				time.Sleep(10 * time.Second)
				c, _ := r.sim.Conversation(id)
				if c.CSAT == nil || c.CSAT.Rate != 4 || c.CSAT.Resolution != nil || c.CSAT.Status != "PARTIALLY_FILLED" {
					t.Errorf("rating %+v", c.CSAT)
				}
				if tc.want != nil {
					if diff := cmp.Diff(tc.want, said(c)); diff != "" {
						t.Errorf("said (-want +got):\n%s", diff)
					}
				} else if whole := strings.Join(said(c)[1:], ""); len(said(c)) < 3 || strings.Count(whole, "remark") != 500 {
					t.Errorf("said in %d parts", len(said(c)))
				}
				if n := len(r.sim.Conversations()); n != 1 {
					t.Errorf("there are %d conversations", n)
				}
				if got := testutil.CollectAndCount(registry, "lpbridge_channel_left_out_total"); got != tc.left {
					t.Errorf("%d left out, want %d", got, tc.left)
				}
			})
		})
	}
}

// TestRemarkStaysWithItsConversation has the conversation end, and another begin,
// while what was said with a rating waits.
func TestRemarkStaysWithItsConversation(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.wire.fail(func(*http.Request, string) (*http.Response, error) { return answer(503, ""), nil })
		rating := event(bridge.KindRating, "t-1", "g-1")
		rating.Rating = &bridge.Rating{Score: 2, Comment: "slow"}
		r.accept(rating)
		r.say("t-1", "e-1", "another matter")
		time.Sleep(time.Second)
		if err := r.sim.AgentClose(id, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.wire.fail(nil)
		time.Sleep(10 * time.Minute)
		for _, s := range r.sim.Conversations() {
			c, _ := r.sim.Conversation(s.ConversationID)
			if slices.ContainsFunc(c.Transcript, func(e lpsim.Entry) bool { return e.Text == "slow" }) {
				t.Error("what was said of one conversation is in a transcript after that ended")
			}
			if rated := c.CSAT != nil; rated != (c.ConversationID == id) {
				t.Errorf("rated %t", rated)
			}
		}
	})
}
