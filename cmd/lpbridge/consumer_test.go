package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// subject is a consumer of a channel and what was planted about them.
type subject struct {
	*party
	// external is the ext_consumer_id.
	external string
	// texts are what they and their agent wrote, and ids what they are known by.
	texts, ids []string
	// hidden are their credentials.
	hidden []string
}

// TestConsumersAreExportedAndErased: what is kept of one consumer, in every channel's
// records, is shown as a whole and erased without a trace in the journal's files.
func TestConsumersAreExportedAndErased(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, nil)
	admin := map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(x.p.admin, "http://")}
	files := x.settings["LPBRIDGE_STORE"]
	subjects := x.plant()
	for i, s := range subjects {
		x.exports(admin, s)
		refused := outcome(t, admin, "consumer", "erase", s.external)
		if refused.code != exitFailed || !strings.Contains(refused.stderr, "is open") {
			t.Errorf("%s: an open conversation: exit code %d: %s", s.channel, refused.code, refused.stderr)
		}
		erased := outcome(t, admin, "consumer", "erase", s.external, "--close")
		if erased.code != exitOK {
			t.Fatalf("%s: exit code %d: %s", s.channel, erased.code, erased.stderr)
		}
		t.Logf("%s: %s", s.channel, erased.stdout)
		if c, _ := x.sim.Conversation(s.conversation); c.Stage != "CLOSE" {
			t.Errorf("%s: the conversation is still open at LivePerson", s.channel)
		}
		searchFiles(t, files, s, false)
		for _, other := range subjects[i+1:] {
			searchFiles(t, files, other, true)
		}
		if again := outcome(t, admin, "consumer", "export", s.external); again.code != exitFailed || !strings.Contains(again.stderr, "nothing is kept") {
			t.Errorf("%s: afterwards: exit code %d: %s%s", s.channel, again.code, again.stdout, again.stderr)
		}
	}
	if n := x.p.status(t).Journal.DeadLetters; n != 0 {
		t.Errorf("%d dead letters are counted of those that were erased", n)
	}
	line := x.p.awaitLine("an operator erased what is kept of a consumer")
	if line["channel"] != "webhook" || fmt.Sprint(line["ext_consumer_ids"]) != "["+subjects[0].external+"]" {
		t.Errorf("the log says %v", line)
	}
	if got := get(t, x.p.admin+"/metrics").body; !strings.Contains(got, `lpbridge_consumer_actions_total{action="erase"} 5`) {
		t.Error("the erasures are not counted")
	}
	// They are taken for new when they come back.
	x.post(x.p, message("t-1", "m-9", "here I am again"))
	await(t, "a new conversation", func() bool { return x.conversationWith("here I am again") != "" })
	x.p.terminate()
	for _, s := range subjects[1:] {
		searchFiles(t, files, s, false)
	}
}

// plant has everybody leave traces of every kind.
func (x *everyChannel) plant() []*subject {
	x.t.Helper()
	external := map[string]string{}
	for _, c := range x.sim.Conversations() {
		external[c.ConversationID] = c.ExtConsumerID
	}
	x.post(x.p, `{"id":"p-1","type":"profile","thread":"t-1","consumer":{"id":"consumer-of-t-1","firstName":"Planted-Firstname","email":"planted@example.com","attributes":{"customerType":"planted-type"}}}`)
	x.agentSends(1, lpsim.AgentMessage{Text: "planted words of an agent", QuickReplies: json.RawMessage(`["planted choice","another one"]`)})
	x.agentSends(2, lpsim.AgentMessage{File: &lpsim.AgentFile{Caption: "planted-caption.png", FileType: "PNG", ContentBase64: onePixel}})
	var subjects []*subject
	for _, p := range x.parties {
		s := &subject{party: p, external: external[p.conversation], texts: []string{greeting + p.channel + `"`}, ids: []string{p.conversation, external[p.conversation]}}
		subjects = append(subjects, s)
	}
	webhook, chatwoot, api, layer, live := subjects[0], subjects[1], subjects[2], subjects[3], subjects[4]
	webhook.ids = append(webhook.ids, "consumer-of-t-1", "Planted-Firstname", "planted@example.com", "planted-type", "planted-dead-letter")
	webhook.texts = append(webhook.texts, "planted-dead-letter")
	chatwoot.ids = append(chatwoot.ids, "contact-inbox:31")
	live.ids = append(live.ids, "contact_1", "chat_1")
	x.plantDeadLetter(webhook)
	x.plantFile(api)
	layer.ids = append(layer.ids, "layer:///identities/ana")
	return subjects
}

// plantDeadLetter has a message of the agent be refused by the channel.
func (x *everyChannel) plantDeadLetter(s *subject) {
	x.t.Helper()
	x.far.refuseWith(http.StatusGone)
	if _, err := x.sim.AgentMessage(s.conversation, lpsim.AgentMessage{Text: "planted-dead-letter"}); err != nil {
		x.t.Fatal(err)
	}
	await(x.t, "a dead letter", func() bool { return x.p.status(x.t).Journal.DeadLetters == 1 })
	x.far.refuseWith(0)
}

// plantFile has a contact send a file, which the channel keeps.
func (x *everyChannel) plantFile(s *subject) {
	x.t.Helper()
	var contact struct {
		SourceID    string `json:"source_id"`
		PubsubToken string `json:"pubsub_token"`
	}
	x.call(http.MethodGet, publicAPI+"/ana", "", &contact)
	s.hidden = append(s.hidden, contact.PubsubToken)
	s.ids = append(s.ids, contact.PubsubToken, "planted-file.txt", "planted bytes of a file")
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("attachments[]", "planted-file.txt")
	if err != nil {
		x.t.Fatal(err)
	}
	fmt.Fprint(part, strings.Repeat("planted bytes of a file ", 20_000))
	form.Close()
	a := do(x.t, http.MethodPost, x.p.public+publicAPI+"/ana/conversations/1/messages", http.Header{"Content-Type": {form.FormDataContentType()}}, body.String())
	if a.status != http.StatusOK {
		x.t.Fatalf("the file was answered %d: %s", a.status, a.body)
	}
	await(x.t, "the file at LivePerson", func() bool {
		c, _ := x.sim.Conversation(s.conversation)
		return strings.Contains(c.Transcript[len(c.Transcript)-1].Text, "planted-file.txt")
	})
}

// keptBy are what else is kept of a channel's consumers.
var keptBy = map[string][]string{
	"webhook": {"consumer"}, "chatwoot": {"consumer", "contact"}, "livechatai": {"reply"},
	"chatwootapi": {"consumer", "contact", "contact_inbox", "message", "attachment"},
	"layer":       {"consumer", "identity", "session", "message", "change"},
}

// exports checks that an export shows what was planted and no credential.
func (x *everyChannel) exports(admin map[string]string, s *subject) {
	x.t.Helper()
	got := outcome(x.t, admin, "consumer", "export", s.external)
	if got.code != exitOK {
		x.t.Fatalf("%s: export: exit code %d: %s", s.channel, got.code, got.stderr)
	}
	whole := got.stdout
	kinds := map[string]int{}
	for line := range strings.Lines(got.stdout) {
		var k bridge.Kept
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			x.t.Fatalf("%s: a line of an export: %v: %s", s.channel, err, line)
		}
		kinds[k.What]++
		whole += string(k.Content)
	}
	x.t.Logf("%s keeps %v", s.channel, kinds)
	for _, want := range append(s.texts, "planted words of an agent", s.conversation, s.external) {
		if !strings.Contains(whole, want) {
			x.t.Errorf("%s: the export has nothing of %q", s.channel, want)
		}
	}
	for _, credential := range s.hidden {
		if strings.Contains(whole, credential) {
			x.t.Errorf("%s: the export shows a credential", s.channel)
		}
	}
	for _, what := range append(keptBy[s.channel], "thread", "conversation", "event", "position", "offer", "file") {
		if kinds[what] == 0 {
			x.t.Errorf("%s: the export has no %s", s.channel, what)
		}
	}
}

// searchFiles looks for what was planted in the files of the journal.
func searchFiles(t *testing.T, store string, s *subject, want bool) {
	t.Helper()
	path := strings.TrimPrefix(store, "sqlite:")
	var all []byte
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		content, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	wanted := append(s.texts, s.ids...)
	if want {
		wanted = s.texts[:1]
	}
	for _, planted := range wanted {
		found := bytes.Contains(all, []byte(planted)) || bytes.Contains(all, []byte(base64.StdEncoding.EncodeToString([]byte(planted))))
		if found != want {
			t.Errorf("%s: that %q is in the journal's files is %t", s.channel, planted, found)
		}
	}
}
