package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"

	"lpbridge/bridge/relay"
)

// TestRoutesOfEveryChannel has each channel's conversations routed by what the
// channel calls an inbox.
func TestRoutesOfEveryChannel(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, map[string]string{
		"LP_ROUTES":     "webhook:skill=101, chatwoot/3:skill=102, chatwoot/4:skill=9, chatwootapi/inbox:skill=103, layer/sandbox:skill=104, livechatai/agent-1:skill=105, *:language=pt-PT",
		"LP_MONITORING": "true", "LP_SKILL_ID": "9",
	})
	got := map[string]string{}
	for _, p := range x.parties {
		c, _ := x.sim.Conversation(p.conversation)
		got[p.channel] = c.SkillID
		for _, part := range []string{`"lang":"pt-PT"`, `"visitorId"`} {
			if !strings.Contains(string(c.Context), part) {
				t.Errorf("%s: context %s", p.channel, c.Context)
			}
		}
		if !strings.Contains(string(c.Campaign), "2696029112") {
			t.Errorf("%s: campaign %s", p.channel, c.Campaign)
		}
	}
	want := map[string]string{"webhook": "101", "chatwoot": "102", "chatwootapi": "103", "layer": "104", "livechatai": "105"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("skills (-want +got):\n%s", diff)
	}
}

// TestRoutesAndTheVariablesForAll: a route for all channels counts before the
// variables for all.
func TestRoutesAndTheVariablesForAll(t *testing.T) {
	variables := map[string]string{
		"LP_ACCOUNT_ID": "1", "LP_CLIENT_ID": "c", "LP_CLIENT_SECRET": "s", "LPBRIDGE_CHANNELS": "webhook", "WEBHOOK_TOKEN": "a-token-long-enough-for-anyone",
		"LP_SKILL_ID": "1", "LP_CAMPAIGN_ID": "2", "LP_ENGAGEMENT_ID": "3", "LP_ROUTES": "*:skill=7 language=en, webhook/a:campaign=8 engagement=9",
	}
	s, err := loadSettings(environment{lookup: envconfig.MapLookuper(variables), stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	want := relay.Routing{Routes: map[relay.RouteKey]relay.Route{
		{}:                               {SkillID: "7", CampaignID: "2", EngagementID: "3", Language: "en"},
		{Channel: "webhook", Inbox: "a"}: {CampaignID: "8", EngagementID: "9"},
	}}
	if diff := cmp.Diff(want, routing(s.LivePerson)); diff != "" {
		t.Errorf("routing (-want +got):\n%s", diff)
	}
}
