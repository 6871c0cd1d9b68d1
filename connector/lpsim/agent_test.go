package lpsim_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

func TestWhatAnAgentDoesIsNotified(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		synctest.Wait()
		r.expect(nil)
		path := "/sim/conversations/" + c.id + "/agent/"
		want(t, "suggested", w.do("POST", path+"join", `{"agentId":"a1","state":"SUGGESTED"}`).status, 200)
		want(t, "typing", w.do("POST", path+"typing", `{"chatState":"COMPOSING","agentId":"a1"}`).status, 200)
		want(t, "message", w.do("POST", path+"messages", `{"text":"Hello\n","quickReplies":["Yes","No"]}`).field(t, "sequence"), any(0.0))
		want(t, "note", w.do("POST", path+"messages", `{"text":"psst","private":true,"role":"MANAGER","agentId":"m1"}`).field(t, "sequence"), any(1.0))
		c.say("hi")
		want(t, "read", w.do("POST", path+"read", "").field(t, "sequence"), any(3.0))
		want(t, "rich", w.do("POST", path+"messages", `{"rich":{"type":"vertical","elements":[]},"metadata":[{"type":"ExternalId","id":"card"}]}`).status, 201)
		want(t, "leave", w.do("POST", path+"leave", `{"skillId":"9"}`).field(t, "skillId"), any("9"))
		want(t, "close", w.do("POST", path+"close", `{"by":"SYSTEM"}`).field(t, "closeReason"), any("SYSTEM"))
		want(t, "close again", w.do("POST", path+"close", ``).status, 409)
		want(t, "typing after that", w.do("POST", path+"typing", `{"chatState":"ACTIVE"}`).status, 409)
		synctest.Wait()
		details := "body.changes.0.result.conversationDetails."
		got := r.all()
		for i, check := range []struct {
			path string
			want any
		}{
			{details + "dialogs.0.participantsDetails.1.state", "SUGGESTED"},
			{details + "dialogs.0.participantsDetails.1.state", "ACTIVE"},
			{"body.changes.0.event.chatState", "COMPOSING"},
			{"body.changes.0.event.quickReplies.replies.1.click.actions.0.text", "No"},
			{details + "participants.2.role", "MANAGER"},
			{"body.changes.0.messageAudience", "AGENTS_AND_MANAGERS"},
			{"body.changes.0.originatorMetadata.role", "CONSUMER"},
			{"body.changes.0.event.sequenceList.0", 2.0},
			{"body.changes.0.metadata.0.id", "card"},
			{details + "skillId", "9"},
			{details + "closeReason", "SYSTEM"},
		} {
			if i >= len(got) {
				t.Fatalf("%d notifications", len(got))
			}
			want(t, check.path, got[i].reply().field(t, check.path), check.want)
		}
	})
}

func TestContentNeedsItsFeature(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		jws := w.consumerJWS("ana")
		created := w.do("POST", createPath, batch, "Authorization", w.appJWT(), "X-LP-ON-BEHALF", jws)
		id := created.field(t, "1.body.conversationId").(string)
		rich := lpsim.AgentMessage{Rich: []byte(`{"type":"text","text":"card"}`)}
		w.sim.AgentMessage(id, rich)
		w.sim.AgentMessage(id, lpsim.AgentMessage{Text: "choose", QuickReplies: []byte(`["Yes"]`)})
		synctest.Wait()
		want(t, "rich content sent", len(r.with("RichContentEvent")), 0)
		want(t, "text sent", len(r.with("choose")), 1)
		want(t, "quick replies sent", len(r.with("quickReplies")), 0)
		v, _ := w.sim.Conversation(id)
		want(t, "withheld", v.Transcript[0].Withheld, true)
		w.sim.SetFaults(lpsim.Faults{DeclaredFeatures: "ignore"})
		w.sim.AgentMessage(id, rich)
		synctest.Wait()
		want(t, "rich content sent to any client", len(r.with("RichContentEvent")), 1)
	})
}

func TestLatestIsTheNewestConversation(t *testing.T) {
	w := start(t, lpsim.Config{})
	want(t, "status without a conversation", w.do("GET", "/sim/conversations/latest", "").status, 404)
	w.open("ana")
	newest := w.open("ben")
	want(t, "the newest", w.do("GET", "/sim/conversations/latest", "").field(t, "conversationId"), any(newest.id))
	want(t, "a message's status", w.do("POST", "/sim/conversations/latest/agent/messages", `{"text":"hello"}`).status, 201)
	want(t, "its events", len(newest.view().Transcript), 1)
}

func TestAgentsMistakesNameTheField(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	path := "/sim/conversations/" + c.id + "/agent/"
	for name, test := range map[string]struct {
		path, body, field string
		status            int
	}{
		"chat state":      {path + "typing", `{"chatState":"TYPING"}`, "chatState", 400},
		"role":            {path + "typing", `{"chatState":"ACTIVE","role":"CONSUMER"}`, "role", 400},
		"unknown field":   {path + "typing", `{"chatstatus":"ACTIVE"}`, "chatstatus", 400},
		"wrong type":      {path + "messages", `{"text":1}`, "text", 400},
		"nothing":         {path + "messages", `{}`, "text", 400},
		"two things":      {path + "messages", `{"text":"a","rich":{"type":"text"}}`, "text", 400},
		"rich":            {path + "messages", `{"rich":[]}`, "rich", 400},
		"quick replies":   {path + "messages", `{"text":"a","quickReplies":[]}`, "quickReplies", 400},
		"file type":       {path + "messages", `{"file":{"contentBase64":"eA=="}}`, "file.fileType", 400},
		"file content":    {path + "messages", `{"file":{"fileType":"PDF","contentBase64":"%"}}`, "file.contentBase64", 400},
		"receipt":         {path + "read", `{"status":"SEEN"}`, "status", 400},
		"nothing to read": {path + "read", `{}`, "sequenceList", 400},
		"join":            {path + "join", `{"state":"READY"}`, "state", 400},
		"no survey":       {path + "close", `{"survey":true,"by":1}`, "by", 400},
		"broken":          {path + "close", `{`, "body", 400},
		"trailing":        {path + "close", `{} {}`, "body", 400},
		"unknown one":     {"/sim/conversations/x/agent/close", `{}`, "", 404},
		"unknown path":    {"/sim/nothing", `{}`, "", 404},
		"list limit":      {"/sim/conversations?limit=0", "", "limit", 400},
		"fault":           {"/sim/faults", `{"sendErrorStatus":500}`, "sendErrorStatus", 400},
		"fault API":       {"/sim/faults", `{"errorRate":{"sends":1}}`, "errorRate", 400},
		"fault name":      {"/sim/faults", `{"errorrates":1}`, "errorrates", 400},
		"webhook":         {"/sim/webhooks", `{"url":"file:///x"}`, "url", 400},
		"webhook type":    {"/sim/webhooks", `{"endpoints":{"AccpetStatusEvent":{"url":"http://x"}}}`, "endpoints.AccpetStatusEvent", 400},
		"retention":       {"/sim/webhooks", `{"retentionSeconds":1}`, "retentionSeconds", 400},
		"script":          {"/sim/script", `{"rules":[{"on":"typing"}]}`, "rules[0].on", 400},
	} {
		t.Run(name, func(t *testing.T) {
			method := "POST"
			switch {
			case test.body == "":
				method = "GET"
			case !strings.Contains(test.path, "conversations") && test.status == 400:
				method = "PUT"
			}
			r := w.do(method, test.path, test.body)
			want(t, "status", r.status, test.status)
			want(t, "type", r.header.Get("Content-Type"), "application/problem+json")
			if test.field != "" {
				want(t, "field", r.field(t, "field"), any(test.field))
			}
		})
	}
	want(t, "transcript", len(c.view().Transcript), 0)
}

func TestInGoTheSameErrorsAreValues(t *testing.T) {
	w := start(t, lpsim.Config{})
	if err := w.sim.AgentTyping("x", "ACTIVE", lpsim.Agent{}); !errors.Is(err, lpsim.ErrUnknownConversation) {
		t.Error(err)
	}
	c := w.open("ana")
	yes := true
	field, ok := errors.AsType[*lpsim.FieldError](w.sim.AgentClose(c.id, lpsim.AgentClose{Survey: &yes}))
	if !ok || field.Field != "survey" {
		t.Error("a survey without agent was not refused")
	}
	w.sim.AgentClose(c.id, lpsim.AgentClose{})
	if _, err := w.sim.AgentMessage(c.id, lpsim.AgentMessage{Text: "x"}); !errors.Is(err, lpsim.ErrConversationClosed) {
		t.Error(err)
	}
}

func TestOtherSitesCannotUseTheManagementAPI(t *testing.T) {
	w := start(t, lpsim.Config{})
	want(t, "cross-site", w.do("PUT", "/sim/faults", "{}", "Sec-Fetch-Site", "cross-site").status, http.StatusForbidden)
	want(t, "same origin", w.do("PUT", "/sim/faults", "{}", "Sec-Fetch-Site", "same-origin").status, 200)
}

func TestForeignConversations(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		id := w.do("POST", "/sim/conversations", `{"text":"not yours"}`).field(t, "conversationId").(string)
		w.sim.AgentMessage(id, lpsim.AgentMessage{Text: "for them"})
		synctest.Wait()
		want(t, "notified", len(r.with(id)), 4)
		jws := w.consumerJWS("ana")
		want(t, "not ours", w.do("POST", sendPath, event(id, id, textEvent("x")), w.headers(jws)...).status, 401)
		want(t, "marked", w.sim.Conversations()[0].Foreign, true)
	})
}

func TestScriptedAgents(t *testing.T) {
	script := lpsim.Script{Rules: []lpsim.Rule{
		{On: "message", Match: "bye", Reply: "Bye", Close: true},
		{On: "message", Join: true, Accept: true, Read: true, AfterMs: 1000, TypeMs: 2000, Reply: "You said {text}"},
	}}
	listen(t, lpsim.Config{Script: script}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		begin := time.Now()
		c.say("hello")
		time.Sleep(time.Minute)
		for text, at := range map[string]float64{`"ACCEPT"`: 0, `"READ"`: 0, `"COMPOSING"`: 1, "You said hello": 3, `"ACTIVE"},"conv`: 3} {
			if got := seconds(r.with(text), begin); !slices.Equal(got, []float64{at}) {
				t.Errorf("%s at %v, want %v", text, got, at)
			}
		}
		c.say("Goodbye!")
		time.Sleep(time.Second)
		want(t, "stage", c.view().Stage, "CLOSE")
		want(t, "last words", len(r.with(`"Bye"`)), 1)
	})
}

func TestInactivityClosesWhatWaitsForItsConsumer(t *testing.T) {
	listen(t, lpsim.Config{Survey: lpsim.DefaultSurvey(), Faults: lpsim.Faults{AutoCloseMs: 60_000}}, func(t *testing.T, w *world, _ *receiver) {
		waiting, answered := w.open("ana"), w.open("bob")
		for _, c := range []*chat{waiting, answered} {
			c.say("hello")
			w.sim.AgentMessage(c.id, lpsim.AgentMessage{Text: "yes?"})
		}
		time.Sleep(50 * time.Second)
		answered.say("well")
		time.Sleep(20 * time.Second)
		want(t, "waiting", waiting.view().Stage, "CLOSE")
		want(t, "its reason", waiting.view().CloseReason, "SYSTEM")
		want(t, "answered", answered.view().Stage, "OPEN")
	})
}
