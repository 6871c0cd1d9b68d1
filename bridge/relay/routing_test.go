package relay_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

var testRoutes = map[relay.RouteKey]relay.Route{
	{}:                                {SkillID: "1", CampaignID: "10", EngagementID: "11"},
	{Channel: "test"}:                 {SkillID: "2", Language: "en-US", EntryPoints: []string{"sec://Shop"}},
	{Channel: "test", Inbox: "pt"}:    {SkillID: "3", Language: "pt-PT", Context: "Loja"},
	{Channel: "test", Inbox: "sport"}: {CampaignID: "20", EngagementID: "21", EntryPoints: []string{"sec://Sport"}},
	{Channel: "other"}:                {SkillID: "9"},
}

// routed is how a conversation came to LivePerson.
type routed struct{ Skill, Campaign, Context string }

func routedAs(t *testing.T, c lpsim.Conversation) routed {
	t.Helper()
	r := routed{Skill: c.SkillID}
	var campaign struct{ CampaignID, EngagementID string }
	if len(c.Campaign) > 0 {
		if err := json.Unmarshal(c.Campaign, &campaign); err != nil {
			t.Fatal(err)
		}
		r.Campaign = campaign.CampaignID + "/" + campaign.EngagementID
	}
	if len(c.Context) > 0 {
		var from struct{ Type, Name, Lang, VisitorID, SessionID, InteractionContextID string }
		if err := json.Unmarshal(c.Context, &from); err != nil {
			t.Fatal(err)
		}
		r.Context = strings.TrimSpace(from.Type + " " + from.Name + " " + from.Lang)
		if from.VisitorID != "" && from.SessionID != "" {
			r.Context += " visit " + from.InteractionContextID
		}
	}
	return r
}

// writeTo is a first message in a thread of an inbox.
func (r *rig) writeTo(thread, inbox string) lpsim.Conversation {
	r.t.Helper()
	e := event(bridge.KindMessage, thread, "e-"+thread)
	e.Inbox, e.Message = inbox, &bridge.Message{Text: "hello"}
	r.accept(e)
	time.Sleep(10 * time.Second)
	return r.conversation()
}

func TestConversationsAreRoutedByChannelAndInbox(t *testing.T) {
	for _, tc := range []struct {
		inbox string
		want  routed
	}{
		{"", routed{"2", "10/11", "SharkContext  en-US"}},
		{"pt", routed{"3", "10/11", "CustomContext Loja pt-PT"}},
		{"sport", routed{"2", "20/21", "SharkContext  en-US"}},
		{"unknown", routed{"2", "10/11", "SharkContext  en-US"}},
	} {
		t.Run("inbox "+tc.inbox, func(t *testing.T) {
			inBubble(t, rigOptions{adjust: func(o *relay.Options) { o.Routing.Routes = testRoutes }}, func(t *testing.T, r *rig) {
				if diff := cmp.Diff(tc.want, routedAs(t, r.writeTo("t-1", tc.inbox))); diff != "" {
					t.Errorf("routed (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestMonitoringRoutes has LivePerson's Monitoring API say where conversations go,
// or fail to.
func TestMonitoringRoutes(t *testing.T) {
	const campaign = "2695999112/2696029112"
	for _, tc := range []struct {
		name   string
		faults lpsim.Faults
		inbox  string
		want   routed
	}{
		{"eligible", lpsim.Faults{}, "", routed{"2", campaign, "SharkContext  en-US visit 1"}},
		{"ids as text", lpsim.Faults{EngagementIDs: "strings"}, "pt", routed{"3", campaign, "SharkContext  pt-PT visit 1"}},
		{"by the entry point of the inbox", lpsim.Faults{EngagementNeeds: "sec://Sport"}, "sport", routed{"2", campaign, "SharkContext  en-US visit 1"}},
		{"nothing for its entry point", lpsim.Faults{EngagementNeeds: "sec://Sport"}, "", routed{"2", "10/11", "SharkContext  en-US visit "}},
		{"not eligible", lpsim.Faults{Engagement: "none"}, "sport", routed{"2", "20/21", "SharkContext  en-US visit "}},
		{"loading", lpsim.Faults{Engagement: "loading"}, "pt", routed{"3", "10/11", "CustomContext Loja pt-PT"}},
		{"unavailable", lpsim.Faults{Engagement: "unavailable"}, "", routed{"2", "10/11", "SharkContext  en-US"}},
		{"something in between", lpsim.Faults{BetweenRate: lpsim.Rates{lpsim.EngagementAPI: 1}}, "", routed{"2", "10/11", "SharkContext  en-US"}},
		{"no answer", lpsim.Faults{LostAnswerRate: lpsim.Rates{lpsim.EngagementAPI: 1}}, "", routed{"2", "10/11", "SharkContext  en-US"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := rigOptions{adjust: func(o *relay.Options) { o.Routing = relay.Routing{Routes: testRoutes, Monitoring: true} }}
			inBubble(t, o, func(t *testing.T, r *rig) {
				if err := r.sim.SetFaults(tc.faults); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, routedAs(t, r.writeTo("t-1", tc.inbox))); diff != "" {
					t.Errorf("routed (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestMonitoringThatHangsHoldsNothingUpForLong has the Monitoring API take a minute for
// every answer: a first message waits two seconds, the next ones not at all.
func TestMonitoringThatHangsHoldsNothingUpForLong(t *testing.T) {
	o := rigOptions{adjust: func(o *relay.Options) { o.Routing.Monitoring = true }}
	inBubble(t, o, func(t *testing.T, r *rig) {
		var mu sync.Mutex
		asked := 0
		r.wire.fail(func(req *http.Request, _ string) (*http.Response, error) {
			if !strings.HasSuffix(req.URL.Path, "/engagement") {
				return nil, nil
			}
			mu.Lock()
			asked++
			mu.Unlock()
			select {
			case <-req.Context().Done():
			case <-time.After(time.Minute):
			}
			return nil, req.Context().Err()
		})
		began := time.Now()
		for i, thread := range []string{"t-1", "t-2", "t-3"} {
			e := event(bridge.KindMessage, thread, "e-"+thread)
			e.Message = &bridge.Message{Text: "hello"}
			r.accept(e)
			for len(r.sim.Conversations()) <= i {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if waited := time.Since(began); waited > 2500*time.Millisecond {
			t.Errorf("three first messages took %v", waited)
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(time.Minute)
		r.writeTo("t-4", "")
		if asked != 2 {
			t.Errorf("after a minute asked %d times in all", asked)
		}
	})
}

// TestMonitoringSessionGoesOn: the second conversation of a consumer is of the same
// visitor.
func TestMonitoringSessionGoesOn(t *testing.T) {
	o := rigOptions{adjust: func(o *relay.Options) { o.Routing.Monitoring = true }}
	inBubble(t, o, func(t *testing.T, r *rig) {
		first := r.writeTo("t-1", "")
		if err := r.sim.AgentClose(first.ConversationID, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.say("t-1", "e-2", "again")
		time.Sleep(time.Second)
		second := r.conversation()
		visitor := func(c lpsim.Conversation) string {
			var from struct{ VisitorID, SessionID string }
			_ = json.Unmarshal(c.Context, &from)
			return from.VisitorID + from.SessionID
		}
		if first.ConversationID == second.ConversationID || visitor(first) == "" || visitor(first) != visitor(second) {
			t.Errorf("visitors %q and %q", visitor(first), visitor(second))
		}
	})
}
