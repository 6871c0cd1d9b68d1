package lpsim_test

import (
	"strconv"
	"strings"
	"testing"

	"lpbridge/connector/lpsim"
)

func TestABatchAnswersEachRequest(t *testing.T) {
	w := start(t, lpsim.Config{})
	r := w.do("POST", createPath, batch, w.headers(w.consumerJWS("ana"))...)
	want(t, "profile", r.field(t, "0.body.msg"), any("OK User Profile set successfully"))
	want(t, "profile's id", r.field(t, "0.reqId"), any("1,"))
	want(t, "conversation's id", r.field(t, "1.reqId"), any("2"))
	want(t, "code", r.field(t, "1.code"), any("OK"))
	for _, unwanted := range []string{`"kind"`, `"type"`} {
		if strings.Contains(r.text, unwanted) {
			t.Errorf("answer has %s", unwanted)
		}
	}
}

func TestAConsumerHasOneOpenConversation(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	again := func() reply { return w.do("POST", createPath, batch, w.headers(c.jws)...) }
	r := again()
	want(t, "status", r.status, 400)
	want(t, "profile", r.field(t, "0.code"), any("OK"))
	want(t, "body", compact(r.text), `[{"code":"OK","body":{"msg":"OK User Profile set successfully"},"reqId":"1,"},`+
		`{"code":"BAD_REQUEST","body":{"msg":"Consumer request conversation failed: User `+w.sim.ConsumerID("ana")+
		` already has open conversation. Can't open another one."},"reqId":"2"}]`)
	w.sim.SetFaults(lpsim.Faults{BatchErrorStatus: 200})
	want(t, "other status", again().status, 200)
	w.open("bob")
	want(t, "conversations", len(w.sim.Conversations()), 2)
}

func TestBatchesThatAreNone(t *testing.T) {
	w := start(t, lpsim.Config{})
	const profile = `{"kind":"req","id":"1","type":"userprofile.SetUserProfile","body":{}}`
	const request = `{"kind":"req","id":"2","type":"cm.ConsumerRequestConversation","body":{"brandId":"sandbox"}}`
	for name, test := range map[string]struct{ body, code string }{
		"wrong order":    {"[" + request + "," + profile + "]", ""},
		"one only":       {"[" + request + "]", ""},
		"an object":      {request, ""},
		"no id":          {"[" + profile + "," + strings.Replace(request, `"id":"2",`, "", 1) + "]", ""},
		"no body":        {"[" + profile + `,{"kind":"req","id":"2","type":"cm.ConsumerRequestConversation"}]`, ""},
		"another brand":  {"[" + profile + "," + strings.Replace(request, "sandbox", "other", 1) + "]", "BAD_REQUEST"},
		"another ttr":    {"[" + profile + "," + strings.Replace(request, "}}", `,"ttrDefName":"SOON"}}`, 1) + "]", "BAD_REQUEST"},
		"campaign wrong": {"[" + profile + "," + strings.Replace(request, "}}", `,"campaignInfo":1}}`, 1) + "]", "BAD_REQUEST"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.do("POST", createPath, test.body, w.headers(w.consumerJWS("c"))...)
			want(t, "status", r.status, 400)
			if test.code != "" {
				want(t, "profile", r.field(t, "0.code"), any("OK"))
				want(t, "conversation", r.field(t, "1.code"), any(test.code))
			}
		})
	}
	want(t, "conversations", len(w.sim.Conversations()), 0)
}

func TestAFailedProfileDoesNotStopTheConversation(t *testing.T) {
	const body = `[{"kind":"req","id":"1","type":"userprofile.SetUserProfile","body":{"authenticatedData":{"lp_sdes":[{"ctmrinfo":{}}]}}},
	 {"kind":"req","id":"2","type":"cm.ConsumerRequestConversation","body":{"brandId":"sandbox","ttrDefName":null,"skillId":-1}}]`
	w := start(t, lpsim.Config{})
	jws := w.consumerJWS("ana")
	w.sim.SetFaults(lpsim.Faults{BatchAfterError: "skip"})
	r := w.do("POST", createPath, body, w.headers(jws)...)
	want(t, "skipped", r.field(t, "1.code"), any("BAD_REQUEST"))
	w.sim.SetFaults(lpsim.Faults{})
	r = w.do("POST", createPath, body, w.headers(jws)...)
	want(t, "profile", r.field(t, "0.code"), any("BAD_REQUEST"))
	want(t, "conversation", r.field(t, "1.code"), any("OK"))
	want(t, "status", r.status, 400)
}

func TestClientProperties(t *testing.T) {
	w := start(t, lpsim.Config{})
	for header, strictly := range map[string]int{
		`{"type":".ClientProperties","features":[]}`:             200,
		`{"type":"ClientProperties" }`:                           200,
		`{"type":".ams.headers.ClientProperties","features":[]}`: 200,
		`{"type":"Other"}`:                                       400,
		`nonsense`:                                               400,
	} {
		jws := w.consumerJWS(strconv.Itoa(len(header)))
		set(t, w, lpsim.Faults{ClientPropertiesForm: "strict"})
		r := w.do("POST", createPath, batch, "Authorization", w.appJWT(), "X-LP-ON-BEHALF", jws, "Client-Properties", header)
		want(t, header, r.status, strictly)
		set(t, w, lpsim.Faults{})
		if strictly != 200 {
			r = w.do("POST", createPath, batch, "Authorization", w.appJWT(), "X-LP-ON-BEHALF", jws, "Client-Properties", header)
			want(t, header+" where it is ignored", r.status, 200)
		}
	}
}

func TestOldClosedConversationsAreForgotten(t *testing.T) {
	w := start(t, lpsim.Config{MaxConversations: 2})
	open := w.open("keeps")
	closed := w.open("c0")
	closed.update(`{"field":"Stage","conversationState":"CLOSE"}`)
	w.open("c1")
	w.open("c2")
	if _, ok := w.sim.Conversation(closed.id); ok {
		t.Error("the oldest closed conversation is still there")
	}
	want(t, "open one", open.view().Stage, "OPEN")
	want(t, "listed", len(w.sim.Conversations()), 3)
	want(t, "its consumer may return", w.open("c0").view().Stage, "OPEN")
}
