package lpsim_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"lpbridge/connector/lpsim"
)

func TestEveryKindOfContentAnAgentSends(t *testing.T) {
	tests := map[string]struct {
		message lpsim.AgentMessage
		body    string // part of the notification
	}{
		"html":            {lpsim.AgentMessage{Text: "<b>Hi</b>", ContentType: "text/html; charset=utf-8"}, `"contentType":"text/html; charset=utf-8"`},
		"external file":   {lpsim.AgentMessage{ContentType: "external/file", Message: json.RawMessage(`{"url":"https://x.test/a.pdf"}`)}, `"message":{"url":"https://x.test/a.pdf"}`},
		"secure form":     {lpsim.AgentMessage{ContentType: "forms/secure-invitation", Message: json.RawMessage(`{"invitationId":"abc-1","title":"Card"}`)}, `"contentType":"forms/secure-invitation"`},
		"several files":   {lpsim.AgentMessage{Files: []lpsim.AgentFile{{FileType: "PDF", ContentBase64: "aGk="}, {FileType: "PNG", ContentBase64: "aGk="}}}, `"message":[{"caption":`},
		"rich as string":  {lpsim.AgentMessage{Rich: json.RawMessage(`"{\"type\":\"text\",\"text\":\"x\"}"`)}, `"content":"{\"type\":\"text\"`},
		"accordion":       {lpsim.AgentMessage{Rich: json.RawMessage(`{"type":"accordionSelect","elements":[]}`)}, `"type":"accordionSelect"`},
		"audience AGENTS": {lpsim.AgentMessage{Text: "psst", Audience: "AGENTS"}, `"messageAudience":"AGENTS"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
				c := w.open("ana")
				if _, err := w.sim.AgentMessage(c.id, test.message); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if len(r.with(test.body)) != 1 {
					t.Errorf("no notification has %s: %v", test.body, r.all())
				}
			})
		})
	}
}

// TestFilesNeedTheirFeature: agents cannot attach what the consumer's client did not
// declare, unless a knob lets them.
func TestFilesNeedTheirFeature(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	w.do("POST", sendPath, event(c.id, c.id, textEvent("x")), "Authorization", w.appJWT(), "X-LP-ON-BEHALF", c.jws,
		"Client-Properties", `{"type":".ClientProperties","features":["RICH_CONTENT"]}`)
	_, err := w.sim.AgentMessage(c.id, lpsim.AgentMessage{File: &lpsim.AgentFile{FileType: "PNG", ContentBase64: "aGk="}})
	if field, ok := errors.AsType[*lpsim.FieldError](err); !ok || field.Field != "file" {
		t.Errorf("a file to a client without FILE_SHARING: %v", err)
	}
	w.do("POST", sendPath, event(c.id, c.id, textEvent("x")), "Authorization", w.appJWT(), "X-LP-ON-BEHALF", c.jws,
		"Client-Properties", `{"type":".ClientProperties","features":["PHOTO_SHARING"]}`)
	if _, err = w.sim.AgentMessage(c.id, lpsim.AgentMessage{File: &lpsim.AgentFile{FileType: "PNG", ContentBase64: "aGk="}}); err != nil {
		t.Errorf("a picture with PHOTO_SHARING: %v", err)
	}
	if _, err = w.sim.AgentMessage(c.id, lpsim.AgentMessage{File: &lpsim.AgentFile{FileType: "PDF", ContentBase64: "aGk="}}); err == nil {
		t.Error("a document with PHOTO_SHARING only")
	}
	set(t, w, lpsim.Faults{DeclaredFiles: "ignore"})
	if _, err = w.sim.AgentMessage(c.id, lpsim.AgentMessage{File: &lpsim.AgentFile{FileType: "PDF", ContentBase64: "aGk="}}); err != nil {
		t.Errorf("a document where nothing is enforced: %v", err)
	}
}

func TestPublicProfilesOfAgents(t *testing.T) {
	w := start(t, lpsim.Config{})
	const path = "/api/account/sandbox/configuration/le-users/users/agent-1"
	if !strings.Contains(w.do("GET", "/api/account/sandbox/service/baseURI.json?version=1.0", "").text, `"acCdnDomain"`) {
		t.Error("the domain API does not know acCdnDomain")
	}
	want(t, "unknown agent", w.do("GET", path, "").status, 404)
	w.do("PUT", "/sim/agents/agent-1", `{"nickname":"Bo","fullName":"Bo Berg","pictureUrl":"https://x.test/bo.png"}`)
	r := w.do("GET", path, "")
	want(t, "nickname", r.field(t, "nickname"), any("Bo"))
	want(t, "picture", r.field(t, "pictureUrl"), any("https://x.test/bo.png"))
	set(t, w, lpsim.Faults{AgentProfiles: "missing"})
	want(t, "switched off", w.do("GET", path, "").status, 404)
}

func TestDialogsBesideTheMainOneAndLockedConversations(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		path := "/sim/conversations/" + c.id + "/agent/"
		want(t, "opened", w.do("POST", path+"dialogs", `{"dialogType":"COBROWSE"}`).status, 200)
		synctest.Wait()
		want(t, "announced", len(r.with(`"dialogType":"COBROWSE"`)), 1)
		want(t, "closed", w.do("POST", path+"dialogs", `{"dialogType":"COBROWSE","state":"CLOSE"}`).status, 200)
		want(t, "closed twice", w.do("POST", path+"dialogs", `{"dialogType":"COBROWSE","state":"CLOSE"}`).status, 400)
		want(t, "of a reserved type", w.do("POST", path+"dialogs", `{"dialogType":"MAIN"}`).status, 400)

		want(t, "locked", w.do("POST", path+"lock", ``).status, 200)
		synctest.Wait()
		want(t, "announced", len(r.with(`"stage":"LOCKED"`)), 1)
		want(t, "message", c.say("x").field(t, "body.msg"), any("Bad Request, Conversation is close"))
		want(t, "unlocked", w.do("POST", path+"lock", `{"locked":false}`).status, 200)
		want(t, "message after", c.say("x").status, 200)
	})
}

func TestDocumentsOfConsumersAreASwitch(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	ask := func(kind, size string) int {
		return c.send(`{"kind":"req","id":"f","type":"ms.GenerateURLForUploadFile","body":{"fileSize":"` + size + `","fileType":"` + kind + `"}}`).status
	}
	want(t, "PDF", ask("PDF", "10"), 400)
	want(t, "4 MiB", ask("PNG", "4194304"), 400)
	set(t, w, lpsim.Faults{ConsumerFileTypes: "documents", UploadLimitBytes: 5 << 20})
	want(t, "PDF allowed", ask("PDF", "10"), 200)
	want(t, "4 MiB allowed", ask("PNG", "4194304"), 200)
	want(t, "other types", ask("EXE", "10"), 400)
}

func TestWhatNoPageForbidsIsASwitch(t *testing.T) {
	w := start(t, lpsim.Config{})
	create := func(ext, extra, more string) reply {
		body := `[{"kind":"req","id":"1","type":"userprofile.SetUserProfile","body":{"authenticatedData":{"lp_sdes":[]}}},
 {"kind":"req","id":"2","type":"cm.ConsumerRequestConversation","body":{"brandId":"sandbox"` + extra + `}}` + more + `]`
		return w.do("POST", createPath, body, w.headers(w.consumerJWS(ext))...)
	}
	nulls := `,"campaignInfo":null,"conversationContext":null,"skillId":null,"ttrDefName":null`
	want(t, "null fields", create("a", nulls, "").status, 200)
	first := `,{"kind":"req","id":"3","type":"ms.PublishEvent","body":{"event":` + textEvent("hello") + `}}`
	r := create("b", "", first)
	want(t, "a message in the batch", r.field(t, "2.body.sequence"), any(0.0))
	id, _ := r.field(t, "1.body.conversationId").(string)
	if seen, _ := w.sim.Conversation(id); len(seen.Transcript) != 1 {
		t.Errorf("transcript %v", seen.Transcript)
	}
	want(t, "other TTR", create("c", `,"ttrDefName":"CUSTOM"`, "").status, 400)
	set(t, w, lpsim.Faults{NullOptionalFields: "reject", LongBatch: "reject", TTRNames: "any", SDETypes: "any"})
	want(t, "null fields refused", create("d", nulls, "").status, 400)
	want(t, "a message in the batch refused", create("e", "", first).field(t, "2.code"), any("BAD_REQUEST"))
	want(t, "other TTR allowed", create("f", `,"ttrDefName":"CUSTOM"`, "").status, 200)
}
