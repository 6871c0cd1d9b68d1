package relay_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

func withAgentProfiles(o *relay.Options) { o.AgentProfiles = true }

// countProfiles counts lookups and does something before each.
func countProfiles(r *rig, before func(*http.Request) error) *atomic.Int64 {
	var n atomic.Int64
	r.wire.fail(func(req *http.Request, _ string) (*http.Response, error) {
		if !strings.Contains(req.URL.Path, "/le-users/users/") {
			return nil, nil
		}
		n.Add(1)
		return nil, before(req)
	})
	return &n
}

func atOnce(*http.Request) error { return nil }

func (r *rig) agent(profile lpsim.AgentProfile) {
	r.t.Helper()
	if err := r.sim.SetAgentProfile("agent-1", profile); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) agentWrites(id, text string) {
	r.t.Helper()
	if _, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Agent: lpsim.Agent{ID: "agent-1"}, Text: text}); err != nil {
		r.t.Fatal(err)
	}
}

// authors lists the names under which messages were shown, and where their pictures are.
func (c *channel) authors() []string {
	var names []string
	for _, e := range c.events() {
		if e.Kind == bridge.KindMessage {
			names = append(names, strings.TrimSpace(e.Agent.Name+" "+e.Agent.AvatarURL))
		}
	}
	return names
}

func TestAgentsAreShownByNameAndPicture(t *testing.T) {
	for name, c := range map[string]struct {
		profile lpsim.AgentProfile
		want    string
	}{
		"nickname":          {lpsim.AgentProfile{Nickname: "Bo", FullName: "Bo Berg", PictureURL: "https://x.test/b.png"}, "Bo https://x.test/b.png"},
		"full name":         {lpsim.AgentProfile{FullName: "Bo\x00 Berg"}, "Bo Berg"},
		"dangerous picture": {lpsim.AgentProfile{Nickname: "Bo", PictureURL: "javascript:alert(1)"}, "Bo"},
		"huge":              {lpsim.AgentProfile{Nickname: strings.Repeat("ã", 3000), PictureURL: "https://x.test/" + strings.Repeat("a", 3000)}, strings.Repeat("ã", 200)},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{adjust: withAgentProfiles}, func(t *testing.T, r *rig) {
				lookups := countProfiles(r, atOnce)
				r.agent(c.profile)
				id := r.begin("t-1")
				r.agentWrites(id, "one")
				r.agentWrites(id, "two")
				time.Sleep(10 * time.Second)
				if diff := cmp.Diff([]string{c.want, c.want}, r.channel.authors()); diff != "" {
					t.Errorf("authors (-want +got):\n%s", diff)
				}
				if err := r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{ID: "agent-1"}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				cues := r.channel.cuesShown()
				if len(cues) == 0 || strings.TrimSpace(cues[0].Agent.Name+" "+cues[0].Agent.AvatarURL) != c.want {
					t.Errorf("typing is shown as %+v", cues)
				}
				if n := lookups.Load(); n != 1 {
					t.Errorf("%d lookups, want 1", n)
				}
			})
		})
	}
}

func (c *channel) cuesShown() []bridge.TypingCue {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]bridge.TypingCue(nil), c.cues...)
}

func TestAgentWithoutAProfileIsAskedForRarely(t *testing.T) {
	inBubble(t, rigOptions{adjust: withAgentProfiles}, func(t *testing.T, r *rig) {
		lookups := countProfiles(r, atOnce)
		id := r.begin("t-1")
		for range 5 {
			r.agentWrites(id, "hello")
			time.Sleep(time.Minute)
		}
		if n := lookups.Load(); n != 1 {
			t.Errorf("%d lookups within minutes, want 1", n)
		}
		r.agent(lpsim.AgentProfile{Nickname: "Bo"})
		time.Sleep(15 * time.Minute)
		r.agentWrites(id, "hello")
		time.Sleep(time.Second)
		r.agentWrites(id, "hello")
		time.Sleep(time.Second)
		if authors := r.channel.authors(); len(authors) != 7 || authors[0] != "" || authors[6] != "Bo" {
			t.Errorf("authors %q", authors)
		}
	})
}

func TestSlowAgentProfileHoldsNothingUp(t *testing.T) {
	inBubble(t, rigOptions{adjust: withAgentProfiles}, func(t *testing.T, r *rig) {
		countProfiles(r, func(req *http.Request) error {
			select {
			case <-time.After(8 * time.Second):
				return nil
			case <-req.Context().Done():
				return req.Context().Err()
			}
		})
		r.agent(lpsim.AgentProfile{Nickname: "Bo"})
		id := r.begin("t-1")
		time.Sleep(time.Minute)
		r.agentWrites(id, "one")
		time.Sleep(350 * time.Millisecond)
		if n := len(r.channel.authors()); n != 1 {
			t.Errorf("%d messages after 350 ms, want 1", n)
		}
		r.agentWrites(id, "two")
		time.Sleep(50 * time.Millisecond)
		if n := len(r.channel.authors()); n != 2 {
			t.Errorf("%d messages, want 2: the second waited too", n)
		}
		time.Sleep(10 * time.Second)
		r.agentWrites(id, "three")
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"", "", "Bo"}, r.channel.authors()); diff != "" {
			t.Errorf("authors (-want +got):\n%s", diff)
		}
	})
}

func TestAgentProfilesAreNotAskedForWhereTheyAreOff(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		lookups := countProfiles(r, atOnce)
		r.agent(lpsim.AgentProfile{Nickname: "Bo"})
		r.agentWrites(r.begin("t-1"), "hello")
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{""}, r.channel.authors()); diff != "" || lookups.Load() != 0 {
			t.Errorf("%d lookups, authors (-want +got):\n%s", lookups.Load(), diff)
		}
	})
}
