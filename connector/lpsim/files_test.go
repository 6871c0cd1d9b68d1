package lpsim_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

func (c *chat) fileURL(t *testing.T, kind, body string) (reply, string) {
	t.Helper()
	r := c.send(`{"kind":"req","id":"3","type":"` + kind + `","body":` + body + `}`)
	path, _ := r.field(t, "body.relativePath").(string)
	if path == "" {
		return r, ""
	}
	query := url.Values{}
	for name, value := range r.field(t, "body.queryParams").(map[string]any) {
		query.Set(name, value.(string))
	}
	return r, path + "?" + query.Encode()
}

func hosted(path, kind, preview string) string {
	data, _ := json.Marshal(map[string]any{"type": "ContentEvent", "contentType": "hosted/file",
		"message": map[string]string{"caption": "logo", "relativePath": path, "fileType": kind, "preview": preview}})
	return string(data)
}

func TestFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startInside(t, lpsim.Config{})
		c, other := w.open("ana"), w.open("bob")
		r, put := c.fileURL(t, "ms.GenerateURLForUploadFile", `{"fileSize":"5","fileType":"PNG"}`)
		path := r.field(t, "body.relativePath").(string)
		want(t, "id", r.field(t, "reqId"), any("3"))
		want(t, "form", strings.HasPrefix(path, "/v1/AUTH_async-images/") && strings.HasSuffix(path, ".PNG"), true)
		want(t, "message before the upload", c.event(hosted(path, "PNG", "")).status, 400)
		want(t, "GET with a PUT signature", w.do("GET", put, "").status, 401)
		want(t, "broken signature", w.do("PUT", put+"0", "12345").status, 401)
		want(t, "upload", w.do("PUT", put, "12345").status, 201)
		want(t, "too large", w.do("PUT", put, strings.Repeat("x", 3<<20+1)).status, 413)
		want(t, "message", c.event(hosted(path, "PNG", "data:image/png;base64,"+strings.Repeat("x", 20<<10))).status, 200)
		want(t, "large preview", c.event(hosted(path, "PNG", strings.Repeat("x", 31<<10))).status, 400)
		want(t, "type", c.event(hosted(path, "PDF", "")).status, 400)
		want(t, "another's file", other.event(hosted(path, "PNG", "")).status, 400)
		_, get := c.fileURL(t, "ms.GenerateURLForDownloadFile", `{"relativePath":"`+path+`"}`)
		want(t, "download", w.do("GET", get, "").text, "12345")
		denied, _ := other.fileURL(t, "ms.GenerateURLForDownloadFile", `{"relativePath":"`+path+`"}`)
		want(t, "another's download", denied.status, 401)
		time.Sleep(61 * time.Second)
		want(t, "download after a minute", w.do("GET", get, "").status, 401)
		want(t, "upload after a minute", w.do("PUT", put, "12345").status, 401)
		for name, body := range map[string]string{
			"too large": `{"fileSize":"3145729","fileType":"PNG"}`, "empty": `{"fileSize":"0","fileType":"PNG"}`,
			"type": `{"fileSize":"5","fileType":"PDF"}`, "no size": `{"fileType":"PNG"}`, "size": `{"fileSize":"x","fileType":"PNG"}`,
		} {
			r, _ := c.fileURL(t, "ms.GenerateURLForUploadFile", body)
			want(t, name, r.status, 400)
		}
		number, _ := c.fileURL(t, "ms.GenerateURLForUploadFile", `{"fileSize":5,"fileType":"GIF"}`)
		want(t, "size as a number", number.status, 200)
	})
}

func TestAnAgentsFileCanBeFetchedEvenAfterTheEnd(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	if _, err := w.sim.AgentMessage(c.id, lpsim.AgentMessage{File: &lpsim.AgentFile{Caption: "bill", FileType: "PDF", ContentBase64: "aGVsbG8="}}); err != nil {
		t.Fatal(err)
	}
	var message struct{ RelativePath, FileType string }
	if err := json.Unmarshal(c.view().Transcript[0].File, &message); err != nil {
		t.Fatal(err)
	}
	c.update(`{"field":"Stage","conversationState":"CLOSE"}`)
	_, get := c.fileURL(t, "ms.GenerateURLForDownloadFile", `{"relativePath":"`+message.RelativePath+`"}`)
	r := w.do("GET", get, "")
	want(t, "content", r.text, "hello")
	want(t, "type", r.header.Get("Content-Type"), "application/octet-stream")
}

func TestOldFilesMakeRoom(t *testing.T) {
	w := start(t, lpsim.Config{MaxFileBytes: 8})
	c := w.open("ana")
	var gets []string
	for range 2 {
		r, put := c.fileURL(t, "ms.GenerateURLForUploadFile", `{"fileSize":"5","fileType":"PNG"}`)
		w.do("PUT", put, "12345")
		_, get := c.fileURL(t, "ms.GenerateURLForDownloadFile", `{"relativePath":"`+r.field(t, "body.relativePath").(string)+`"}`)
		gets = append(gets, get)
	}
	want(t, "first", w.do("GET", gets[0], "").status, 404)
	want(t, "second", w.do("GET", gets[1], "").status, 200)
}

func TestEngagement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startInside(t, lpsim.Config{})
		const path = "/api/account/sandbox/app/sandbox-client/engagement?v=1.0"
		const body = `{"consumerId":"ana","entryPoints":["sec://Sport"]}`
		first := w.do("POST", path, body)
		want(t, "new session", first.status, 201)
		want(t, "status", first.field(t, "engagementDetails.0.status"), any("expose"))
		want(t, "context", first.field(t, "engagementDetails.0.contextId"), any("1"))
		session := path + "&vid=" + first.field(t, "visitorId").(string) + "&sid=" + first.field(t, "sessionId").(string)
		want(t, "same session", w.do("POST", session, body).status, 200)
		time.Sleep(31 * time.Minute)
		want(t, "idle session", w.do("POST", session, body).status, 201)
		c := w.open("ana")
		active := w.do("POST", path, body)
		want(t, "active conversation", active.field(t, "engagementDetails.0.conversationId"), any(c.id))
		want(t, "its status", active.field(t, "engagementDetails.0.status"), any("conversation"))
		byIdentity := w.do("POST", path, `{"identities":[{"iss":"x","acr":"loa1","sub":"ana"}]}`)
		want(t, "by identity", byIdentity.field(t, "engagementDetails.0.conversationId"), any(c.id))
		for name, wrong := range map[string]string{"identity": `{"identities":[{"sub":"x"}]}`, "array": `[]`, "none": ``} {
			want(t, name, w.do("POST", path, wrong, "Content-Type", "application/json").status, 400)
		}
		want(t, "unknown app", w.do("POST", strings.Replace(path, "-client", "-other", 1), body).status, 404)
		w.sim.SetFaults(lpsim.Faults{EngagementIDs: "strings", EngagementNeeds: "sec://Sport"})
		want(t, "ids as text", w.do("POST", path, body).field(t, "engagementDetails.0.campaignId"), any("2695999112"))
		want(t, "another entry point", w.do("POST", path, `{"entryPoints":["sec://News"]}`).field(t, "engagementDetails"), any(nil))
		w.sim.SetFaults(lpsim.Faults{Engagement: "none"})
		want(t, "not eligible", w.do("POST", path, body).field(t, "engagementDetails"), any(nil))
		w.sim.SetFaults(lpsim.Faults{Engagement: "loading"})
		loading := w.do("POST", path, body)
		want(t, "loading", loading.status, 500)
		want(t, "code", loading.field(t, "internalCode"), any(20.0))
		w.sim.SetFaults(lpsim.Faults{Engagement: "unavailable"})
		want(t, "unavailable", w.do("POST", path, body).status, 503)
	})
}
