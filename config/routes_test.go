package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
)

func TestRoutes(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Routes
		// wrong is what the error says.
		wrong string
	}{
		{"chatwoot: skill=4711", Routes{{Channel: "chatwoot", SkillID: "4711"}}, ""},
		{" layer/app-1:campaign=1 engagement=2  language=pt-PT context=Shop ,*:entry=sec://Sport entry=lang://English,", Routes{
			{Channel: "layer", Inbox: "app-1", CampaignID: "1", EngagementID: "2", Language: "pt-PT", Context: "Shop"},
			{Channel: "*", EntryPoints: []string{"sec://Sport", "lang://English"}},
		}, ""},
		{"webhook/a/b:skill=1", Routes{{Channel: "webhook", Inbox: "a/b", SkillID: "1"}}, ""},
		{"chatwoot", nil, `"chatwoot" must be a channel, a colon`},
		{":skill=1", nil, "must begin with a channel"},
		{"chatwoot/:skill=1", nil, "must begin with a channel"},
		{"*/3:skill=1", nil, "not *"},
		{"chatwoot:", nil, "asks for nothing"},
		{"chatwoot:skil=1", nil, `"skil" is not known`},
		{"chatwoot:skill=", nil, `"skill=" must be an id`},
		{"chatwoot:skill=../x", nil, `"skill=../x" must be an id`},
		{"chatwoot:skill=1 skill=2", nil, "skill is there twice"},
		{"chatwoot:campaign=1", nil, "campaign and engagement go together"},
		{"chatwoot:language=english_uk", nil, "an IETF tag such as pt-PT"},
		{"chatwoot:entry=Sport", nil, "an entry point such as"},
		{"chatwoot:skill=1,chatwoot:skill=2", nil, `two routes for "chatwoot"`},
		{"chatwoot/1:skill=1,chatwoot/1:language=en", nil, `two routes for "chatwoot/1"`},
	} {
		var got Routes
		err := got.UnmarshalText([]byte(tc.text))
		switch {
		case tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)):
			t.Errorf("%q: %v, want %q", tc.text, err, tc.wrong)
		case tc.wrong == "" && err != nil:
			t.Errorf("%q: %v", tc.text, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.text, diff)
		}
	}
}

// TestRoutesAreCheckedAtTheStart: the variable is named, whatever is wrong with it.
func TestRoutesAreCheckedAtTheStart(t *testing.T) {
	l := NewLoader(envconfig.MapLookuper(map[string]string{"LP_ACCOUNT_ID": "1", "LP_CLIENT_ID": "c", "LP_CLIENT_SECRET": "s", "LP_ROUTES": "chatwood:skill=1"}))
	var c Config
	l.Load("", &c)
	l.Add(c.LivePerson.CheckRoutes("chatwoot", "layer"))
	if err := l.Err(); err == nil || !strings.Contains(err.Error(), `LP_ROUTES: "chatwood" is not known`) || !strings.Contains(err.Error(), "chatwoot") {
		t.Errorf("an unknown channel: %v", err)
	}
	l = NewLoader(envconfig.MapLookuper(map[string]string{"LP_ACCOUNT_ID": "1", "LP_CLIENT_ID": "c", "LP_CLIENT_SECRET": "s", "LP_ROUTES": "chatwoot:skil=1"}))
	l.Load("", &c)
	if err := l.Err(); err == nil || !strings.Contains(err.Error(), `LP_ROUTES: the route of "chatwoot"`) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestContextNames(t *testing.T) {
	for name, want := range map[string]bool{
		"Shop": true, "Loja_1.pt+x-y": true, "Käse2²": true, strings.Repeat("é", 64): true,
		"": false, strings.Repeat("é", 65): false, "Shop Porto": false, "a/b": false, "a\xff": false, "a\n": false,
	} {
		if got := isContextName(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
