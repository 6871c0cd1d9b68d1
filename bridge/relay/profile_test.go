package relay_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
)

// told are the profiles LivePerson was told, in the order of the calls.
type told struct {
	mu     sync.Mutex
	bodies []string
	// refused makes LivePerson unwell for changes of a profile.
	refused bool
}

// profileWire records the profiles of a rig's calls.
func profileWire(r *rig) *told {
	seen := &told{}
	r.wire.fail(func(_ *http.Request, body string) (*http.Response, error) {
		_, profile, found := strings.Cut(body, `"userprofile.SetUserProfile","body":`)
		if !found {
			return nil, nil
		}
		var first json.RawMessage
		_ = json.NewDecoder(strings.NewReader(profile)).Decode(&first)
		seen.mu.Lock()
		defer seen.mu.Unlock()
		seen.bodies = append(seen.bodies, string(first))
		if seen.refused && !strings.Contains(body, "ConsumerRequestConversation") {
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody}, nil
		}
		return nil, nil
	})
	return seen
}

// names lists the first and last names that were told.
func (s *told) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, body := range s.bodies {
		var p struct{ FirstName, LastName string }
		_ = json.Unmarshal([]byte(body), &p)
		names = append(names, strings.TrimSpace(p.FirstName+" "+p.LastName))
	}
	return names
}

func (s *told) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[len(s.bodies)-1]
}

func (s *told) refuse(refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = refused
}

// tell accepts a message that brings details of its consumer.
func (r *rig) tell(kind bridge.Kind, id string, c bridge.Consumer) {
	r.t.Helper()
	e := event(kind, "t-1", id)
	c.ID = e.Consumer.ID
	e.Consumer = &c
	if kind == bridge.KindMessage {
		e.Message = &bridge.Message{Text: id}
	}
	r.accept(e)
	time.Sleep(time.Second)
}

func (r *rig) row() *bridge.ConsumerRow {
	r.t.Helper()
	row, err := r.journal.Consumer(r.t.Context(), "test", "user-of-t-1")
	if err != nil {
		r.t.Fatal(err)
	}
	return row
}

func TestSecondConversationKnowsTheNames(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		seen := profileWire(r)
		r.tell(bridge.KindMessage, "e-1", bridge.Consumer{
			FirstName: "Ana", LastName: "Silva", Email: "ana@example.org", Phone: "+351900000001", AvatarURL: "https://x.test/a.png",
			Attributes: map[string]string{"customerId": "c-9", "customerType": "vip"},
		})
		first := seen.last()
		r.accept(event(bridge.KindClose, "t-1", "c-1"))
		time.Sleep(5 * time.Second)
		r.say("t-1", "e-2", "again")
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"Ana Silva", "Ana Silva"}, seen.names()); diff != "" {
			t.Errorf("profiles (-want +got):\n%s", diff)
		}
		if seen.last() != first {
			t.Errorf("the second conversation was told %s, the first %s", seen.last(), first)
		}
		for _, want := range []string{`"customerId":"c-9"`, `"ctype":"vip"`, "ana@example.org", "+351900000001", "https://x.test/a.png"} {
			if !strings.Contains(first, want) {
				t.Errorf("%s is missing in %s", want, first)
			}
		}
	})
}

func TestProfileBeforeTheConversationCounts(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		seen := profileWire(r)
		kept := bridge.ConsumerRow{Channel: "test", ID: "user-of-t-1", ExtConsumer: "ext", LPConsumer: "lp"}
		if err := r.journal.SaveConsumer(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
		r.tell(bridge.KindProfile, "p-1", bridge.Consumer{FirstName: "Ana", LastName: "Silva", Phone: "1"})
		if len(seen.names()) != 0 {
			t.Errorf("told %v without a conversation", seen.names())
		}
		r.tell(bridge.KindProfile, "p-2", bridge.Consumer{Phone: "2", Attributes: map[string]string{"company": "Sol"}})
		r.say("t-1", "e-1", "hello")
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"Ana Silva"}, seen.names()); diff != "" {
			t.Errorf("profiles (-want +got):\n%s", diff)
		}
		if got := seen.last(); !strings.Contains(got, `"mobileNum":"2"`) || !strings.Contains(got, `"company":"Sol"`) {
			t.Errorf("told %s", got)
		}
		if row := r.row(); row.ExtConsumer != kept.ExtConsumer || row.LPConsumer != kept.LPConsumer {
			t.Errorf("the row lost what others wrote: %q, %q", row.ExtConsumer, row.LPConsumer)
		}
	})
}

func TestDetailsOfALaterMessageAreMerged(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		seen := profileWire(r)
		r.say("t-1", "e-1", "hello")
		time.Sleep(time.Second)
		r.tell(bridge.KindMessage, "e-2", bridge.Consumer{FirstName: "Ana"})
		r.tell(bridge.KindMessage, "e-3", bridge.Consumer{FirstName: "Ana"})
		r.tell(bridge.KindMessage, "e-4", bridge.Consumer{LastName: "Silva"})
		r.say("t-1", "e-5", "bye")
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"", "Ana", "Ana Silva"}, seen.names()); diff != "" {
			t.Errorf("profiles (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"hello", "e-2", "e-3", "e-4", "bye"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	})
}

func TestProfileThatCannotBeToldCostsNoMessage(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		seen := profileWire(r)
		r.begin("t-1")
		seen.refuse(true)
		r.tell(bridge.KindMessage, "e-1", bridge.Consumer{FirstName: "Ana"})
		time.Sleep(5 * time.Second)
		if diff := cmp.Diff([]string{"hello", "e-1"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		if row := r.row(); row != nil {
			t.Errorf("kept as told: %s", row.Profile)
		}
		seen.refuse(false)
		r.tell(bridge.KindMessage, "e-2", bridge.Consumer{FirstName: "Ana"})
		if row := r.row(); row == nil || !strings.Contains(string(row.Profile), "Ana") {
			t.Error("what was told is not kept")
		}
		if !strings.Contains(string(r.conversation().Profile), "Ana") {
			t.Errorf("LivePerson knows %s", r.conversation().Profile)
		}
	})
}

func TestHugeProfileIsNoDeadLetter(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		huge := bridge.Consumer{FirstName: strings.Repeat("ã", 6000), Attributes: map[string]string{"company": strings.Repeat("x", 6000)}}
		r.tell(bridge.KindMessage, "e-1", huge)
		r.tell(bridge.KindProfile, "p-1", huge)
		huge.LastName = strings.Repeat("x", 6000)
		r.tell(bridge.KindMessage, "e-2", huge)
		if diff := cmp.Diff([]string{"e-1", "e-2"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		if dead, err := r.journal.DeadLetters(t.Context(), 0, 10); err != nil || len(dead) != 0 {
			t.Errorf("%d dead letters, %v", len(dead), err)
		}
		if n := len(r.row().Profile); n > 8192 {
			t.Errorf("%d bytes of a profile are kept", n)
		}
	})
}

func TestAttributesWithoutAPlaceAreNamedAndCounted(t *testing.T) {
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	adjust := func(o *relay.Options) {
		o.Metrics, o.Logger = registry, slog.New(slog.NewTextHandler(&log, nil))
	}
	inBubble(t, rigOptions{adjust: adjust}, func(t *testing.T, r *rig) {
		told := map[string]string{"plan": "gold-secret", "ana@example.org": "gold-secret", "balance": "much-secret", "customerId": "c-9", "company": ""}
		r.tell(bridge.KindMessage, "e-1", bridge.Consumer{Attributes: told})
		r.tell(bridge.KindMessage, "e-2", bridge.Consumer{Attributes: told})
		synctest.Wait()
		want := `
			# HELP lpbridge_channel_left_out_total What came from a channel and was not relayed, or not whole, by reason.
			# TYPE lpbridge_channel_left_out_total counter
			lpbridge_channel_left_out_total{channel="test",reason="attribute_unreadable"} 2
			lpbridge_channel_left_out_total{channel="test",reason="attribute_without_place"} 4
		`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "lpbridge_channel_left_out_total"); err != nil {
			t.Error(err)
		}
		lines := log.String()
		if strings.Count(lines, "attribute=plan") != 1 || strings.Count(lines, "attribute=balance") != 1 {
			t.Errorf("not named once each:\n%s", lines)
		}
		if strings.Contains(lines, "secret") || strings.Contains(lines, "example.org") {
			t.Errorf("the log has what is personal:\n%s", lines)
		}
		if !strings.Contains(string(r.conversation().Profile), "c-9") {
			t.Errorf("LivePerson knows %s", r.conversation().Profile)
		}
	})
}
