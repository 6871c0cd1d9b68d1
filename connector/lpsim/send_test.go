package lpsim_test

import (
	"strings"
	"testing"

	"lpbridge/connector/lpsim"
)

func TestSequencesAreCountedPerDialogAndOnlyForWhatIsKept(t *testing.T) {
	c := start(t, lpsim.Config{}).open("ana")
	for i, step := range []struct {
		event string
		want  float64
	}{
		{textEvent("one"), 0},
		{`{"type":"ChatStateEvent","chatState":"COMPOSING"}`, 0},
		{textEvent("two"), 1},
		{`{"type":"AcceptStatusEvent","status":"READ","sequenceList":[0]}`, 2},
		{`{"type":"ChatStateEvent","chatState":"ACTIVE"}`, 0},
		{textEvent("three"), 3},
	} {
		r := c.event(step.event)
		want(t, "status", r.status, 200)
		if got := r.field(t, "body.sequence"); got != step.want {
			t.Errorf("step %d: sequence %v, want %v", i, got, step.want)
		}
	}
}

func TestComposingSurvivesAMessage(t *testing.T) {
	c := start(t, lpsim.Config{}).open("ana")
	c.state("COMPOSING")
	c.say("hello")
	want(t, "typing after the message", c.view().AgentSees.ConsumerTyping, true)
	for _, state := range []string{"PAUSE", "ACTIVE", "INACTIVE", "GONE"} {
		c.state("COMPOSING")
		c.state(state)
		want(t, "typing after "+state, c.view().AgentSees.ConsumerTyping, false)
		want(t, "chat state", c.view().AgentSees.ChatState, state)
	}
	want(t, "chat states kept", len(c.view().ChatStates), 9)
}

func TestAClosedConversationTakesOnlyARating(t *testing.T) {
	c := start(t, lpsim.Config{}).open("ana")
	r := c.update(`{"field":"ConversationStateField","conversationState":"CLOSE"}`)
	want(t, "close", compact(r.text), `{"code":"OK","body":{"msg":"OK Conversation resolved successfully"},"reqId":"u"}`)
	r = c.say("too late")
	want(t, "status", r.status, 400)
	want(t, "body", compact(r.text), `{"code":"BAD_REQUEST","body":{"msg":"Bad Request, Conversation is close"},"reqId":"e"}`)
	want(t, "chat state", c.state("ACTIVE").status, 400)
	r = c.update(`[{"field":"CSATRate","csatRate":4,"csatResolutionConfirmation":true,"status":"FILLED"}]`)
	want(t, "rating", r.status, 200)
	want(t, "rating kept", c.view().CSAT.Rate, 4)
	want(t, "close again", c.update(`{"field":"Stage","conversationState":"CLOSE"}`).field(t, "body.msg"), any("Bad Request, Conversation is close"))
	if next := c.open("ana"); next.id == c.id {
		t.Error("a new conversation has the old id")
	}
}

func TestRequestsOverTheLimitAreRefused(t *testing.T) {
	c := start(t, lpsim.Config{}).open("ana")
	envelope := len(event(c.id, c.id, textEvent("")))
	want(t, "5000 bytes", c.say(strings.Repeat("a", 5000-envelope)).status, 200)
	want(t, "5000 characters of two bytes", c.say(strings.Repeat("é", 5000-envelope)).status, 200)
	r := c.say(strings.Repeat("a", 5001-envelope))
	want(t, "5001 bytes", compact(r.text), `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"e"}`)
	if err := c.sim.SetFaults(lpsim.Faults{RequestLimitUnit: "bytes", SendErrorStatus: 200}); err != nil {
		t.Fatal(err)
	}
	r = c.say(strings.Repeat("é", 5000-envelope))
	want(t, "counted in bytes, HTTP", r.status, 200)
	want(t, "counted in bytes, code", r.field(t, "code"), any("BAD_REQUEST"))
}

func TestSendRefuses(t *testing.T) {
	w := start(t, lpsim.Config{})
	c, other := w.open("ana"), w.open("bob")
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"no JSON":                   {`{`, 400},
		"an array":                  {`[` + event(c.id, c.id, textEvent("x")) + `]`, 400},
		"something after it":        {event(c.id, c.id, textEvent("x")) + `{}`, 400},
		"no id":                     {strings.Replace(event(c.id, c.id, textEvent("x")), `"id":"e",`, ``, 1), 400},
		"an id of 65":               {strings.Replace(event(c.id, c.id, textEvent("x")), `"id":"e"`, `"id":"`+strings.Repeat("i", 65)+`"`, 1), 400},
		"another kind":              {strings.Replace(event(c.id, c.id, textEvent("x")), `"req"`, `"notification"`, 1), 400},
		"an unknown type":           {strings.Replace(event(c.id, c.id, textEvent("x")), `ms.PublishEvent`, `ms.Publish`, 1), 400},
		"no dialog":                 {`{"kind":"req","id":"1","type":"ms.PublishEvent","body":{"conversationId":"` + c.id + `","event":` + textEvent("x") + `}}`, 400},
		"an unknown conversation":   {event("nobody", "nobody", textEvent("x")), 400},
		"an unknown dialog":         {event(c.id, "nobody", textEvent("x")), 400},
		"a dialog of another":       {event(c.id, other.id, textEvent("x")), 400},
		"another's conversation":    {event(other.id, other.id, textEvent("x")), 401},
		"another's, by dialog only": {`{"kind":"req","id":"1","type":"ms.PublishEvent","body":{"dialogId":"` + other.id + `","event":` + textEvent("x") + `}}`, 401},
		"an empty text":             {event(c.id, c.id, textEvent("")), 400},
		"a text that is an object":  {event(c.id, c.id, `{"type":"ContentEvent","contentType":"text/plain","message":{}}`), 400},
		"no content type":           {event(c.id, c.id, `{"type":"ContentEvent","message":"x"}`), 400},
		"rich content":              {event(c.id, c.id, `{"type":"RichContentEvent","content":{"type":"text"}}`), 400},
		"a chat state of nobody":    {event(c.id, c.id, `{"type":"ChatStateEvent","chatState":"TYPING"}`), 400},
		"a receipt for nothing":     {event(c.id, c.id, `{"type":"AcceptStatusEvent","status":"READ","sequenceList":[]}`), 400},
		"an unknown receipt":        {event(c.id, c.id, `{"type":"AcceptStatusEvent","status":"SEEN","sequenceList":[0]}`), 400},
		"metadata without type":     {strings.TrimSuffix(event(c.id, c.id, textEvent("x")), "}") + `,"metadata":[{"id":"1"}]}`, 400},
		"metadata as an object":     {strings.TrimSuffix(event(c.id, c.id, textEvent("x")), "}") + `,"metadata":{"type":"ExternalId","id":"1"}}`, 400},
		"a long external id":        {strings.TrimSuffix(event(c.id, c.id, textEvent("x")), "}") + `,"metadata":[{"type":"ExternalId","id":"` + strings.Repeat("x", 65) + `"}]}`, 400},
		"metadata that is not b64":  {strings.TrimSuffix(event(c.id, c.id, textEvent("x")), "}") + `,"encodedMetadata":"*"}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			if r := c.send(test.body); r.status != test.status {
				t.Errorf("answer %d %s, want %d", r.status, r.text, test.status)
			}
		})
	}
	want(t, "transcript", len(c.view().Transcript), 0)
	want(t, "the other's transcript", len(other.view().Transcript), 0)
}

func TestUnknownConversationIsASwitch(t *testing.T) {
	c := start(t, lpsim.Config{}).open("ana")
	for choice, status := range map[string]int{"bad_request": 400, "unauthorized": 401, "not_found": 404} {
		c.sim.SetFaults(lpsim.Faults{UnknownConversation: choice})
		want(t, choice, c.send(event("nobody", "nobody", textEvent("x"))).status, status)
	}
}

func TestIntegerIdsAreEchoedAsStrings(t *testing.T) {
	c := start(t, lpsim.Config{}).open("ana")
	r := c.send(strings.Replace(event(c.id, c.id, textEvent("x")), `"id":"e"`, `"id":3`, 1))
	want(t, "answer", r.text, `{"reqId":"3","code":"OK","body":{"sequence":0}}`)
}

func TestTheDialogAloneIsEnoughForTheMainDialog(t *testing.T) {
	c := start(t, lpsim.Config{}).open("ana")
	r := c.send(`{"kind":"req","id":"1","type":"ms.PublishEvent","body":{"dialogId":"` + c.id + `","event":` + textEvent("x") + `}}`)
	want(t, "status", r.status, 200)
}

func TestFieldUpdates(t *testing.T) {
	for name, test := range map[string]struct {
		field  string
		status int
		stage  string
	}{
		"object":              {`{"field":"ConversationStateField","conversationState":"CLOSE"}`, 200, "CLOSE"},
		"array":               {`[{"field":"ConversationStateField","conversationState":"CLOSE"}]`, 200, "CLOSE"},
		"stage":               {`{"field":"Stage","conversationState":"CLOSE"}`, 200, "CLOSE"},
		"urgency":             {`{"field":"TTRField","ttrType":"URGENT","value":300}`, 200, "OPEN"},
		"two in an array":     {`[{"field":"TTRField","ttrType":"URGENT","value":300},{"field":"Stage","conversationState":"CLOSE"}]`, 200, "CLOSE"},
		"empty array":         {`[]`, 400, "OPEN"},
		"unknown field":       {`{"field":"Skill","newSkill":"1"}`, 400, "OPEN"},
		"one of two is wrong": {`[{"field":"Stage","conversationState":"CLOSE"},{"field":"TTRField"}]`, 400, "OPEN"},
		"rate of 6":           {`{"field":"CSATRate","csatRate":6,"csatResolutionConfirmation":true,"status":"FILLED"}`, 400, "OPEN"},
		"rate incomplete":     {`{"field":"CSATRate","csatRate":5}`, 400, "OPEN"},
		"unknown dialog":      {`{"field":"DialogChange","type":"UPDATE","dialog":{"dialogId":"x","state":"CLOSE"}}`, 400, "OPEN"},
		"reopening":           {`{"field":"Stage","conversationState":"OPEN"}`, 400, "OPEN"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, lpsim.Config{}).open("ana")
			r := c.update(test.field)
			want(t, "status", r.status, test.status)
			want(t, "stage", c.view().Stage, test.stage)
		})
	}
}

func TestDuplicatesAreCounted(t *testing.T) {
	c := start(t, lpsim.Config{}).open("ana")
	c.say("one")
	c.say("one")
	c.send(strings.Replace(event(c.id, c.id, textEvent("two")), `"id":"e"`, `"id":"f"`, 1))
	v := c.view()
	want(t, "messages", v.ConsumerMessages, int64(3))
	want(t, "same text", v.DuplicateTexts, int64(1))
	want(t, "same id", v.DuplicateRequests, int64(1))
}
