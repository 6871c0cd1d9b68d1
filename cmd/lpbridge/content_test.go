package main

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"lpbridge/connector/lpsim"
)

// agentContent is one kind of what agents and bots send (LivePerson, "Webhooks
// Events", "Rich Messaging Introduction" and "File Sharing" pages).
type agentContent struct {
	name string
	sent lpsim.AgentMessage
}

func rich(content string) lpsim.AgentMessage {
	return lpsim.AgentMessage{Rich: json.RawMessage(content)}
}

func other(contentType, message string) lpsim.AgentMessage {
	return lpsim.AgentMessage{ContentType: contentType, Message: json.RawMessage(message)}
}

const (
	picture = `{"type":"image","url":"https://shop.example/shoe.png","caption":"Runner"}`
	buttons = `{"type":"button","title":"Red","click":{"metadata":[{"type":"ExternalId","id":"red-1"}],"actions":[{"type":"publishText","text":"I want red"}]}},
		{"type":"button","title":"Blue","click":{"metadata":[{"type":"ExternalId","id":"blue-1"}],"actions":[{"type":"publishText","text":"I want blue"}]}}`
	leads = `{"type":"button","title":"Shop","click":{"actions":[{"type":"link","uri":"https://shop.example"}]}}`
)

// allContent is the first column of the table in docs/content.md; files is where the
// files of others lie.
func allContent(files string) []agentContent {
	return []agentContent{
		{"text", lpsim.AgentMessage{Text: "Good morning"}},
		{"text, `text/html`", lpsim.AgentMessage{Text: "<b>Hi</b> there", ContentType: "text/html"}},
		{"text with quick replies", lpsim.AgentMessage{Text: "Shall we?", QuickReplies: json.RawMessage(`["Yes","No"]`)}},
		{"picture (`hosted/file`)", lpsim.AgentMessage{File: &aPicture}},
		{"document (`hosted/file`)", lpsim.AgentMessage{File: &aDocument}},
		{"several files", lpsim.AgentMessage{Files: []lpsim.AgentFile{aPicture, aDocument}}},
		{"`external/file`", other("external/file", `{"url":"`+files+`/manual.pdf","caption":"Manual"}`)},
		{"`external/file` that cannot be had", other("external/file", `{"url":"`+files+`/none.pdf","caption":"Manual"}`)},
		{"card: picture, text, buttons that say something", rich(`{"type":"vertical","elements":[` + picture + `,{"type":"text","text":"Shoes","tag":"title"},{"type":"text","text":"Now 20% off"},` + buttons + `]}`)},
		{"card: picture, text, button that leads somewhere", rich(`{"type":"vertical","elements":[` + picture + `,{"type":"text","text":"Shoes"},` + leads + `]}`)},
		{"card: text, button that leads somewhere", rich(`{"type":"vertical","elements":[{"type":"text","text":"Shoes"},` + leads + `]}`)},
		{"card with quick replies", lpsim.AgentMessage{
			Rich: json.RawMessage(`{"type":"vertical","elements":[` + picture + `,{"type":"text","text":"Shoes"}]}`), QuickReplies: json.RawMessage(`["Yes","No"]`),
		}},
		{"carousel", rich(`{"type":"carousel","elements":[
			{"type":"vertical","elements":[` + picture + `,{"type":"text","text":"Shoes"},{"type":"button","title":"Take shoes","click":{"actions":[{"type":"publishText","text":"shoes"}]}}]},
			{"type":"vertical","elements":[{"type":"text","text":"Boots"},{"type":"button","title":"Take boots","click":{"actions":[{"type":"publishText","text":"boots"}]}}]}]}`)},
		{"structured content as a string of JSON", rich(`"{\"type\":\"vertical\",\"elements\":[{\"type\":\"text\",\"text\":\"product name (Title)\"}]}"`)},
		{"quick replies of the old template", rich(`{"type":"template","templateType":"quickReply","title":"Which one?","resp":["Left","Right"]}`)},
		{"`list`, `accordionSelect` and other selects", rich(`{"type":"accordionSelect","selectMode":{"name":"Pick your size"},"titles":[{"name":"Shoes","additional":"EU sizes"},{"name":"Shirts"}],
			"elements":[{"type":"vertical","elements":[{"type":"text","text":"42"}]},{"type":"vertical","elements":[{"type":"text","text":"L"}]}]}`)},
		{"`map`", rich(`{"type":"map","la":38.72,"lo":-9.14,"title":"Lisbon"}`)},
		{"`linkPreview`", rich(`{"type":"linkPreview","url":"https://shop.example","title":"Our shop"}`)},
		{"secure form (`forms/secure-invitation`)", other("forms/secure-invitation", `{"invitationId":"abc-1","title":"Credit card form"}`)},
		{"unknown content type", other("application/x-hologram", `{"beam":7}`)},
		{"note between agents", lpsim.AgentMessage{Text: "a difficult one", Private: true}},
	}
}

// contentTable runs everything an agent can send through a bridge that serves all
// channels and writes what each got.
func contentTable(t *testing.T, _ string) string {
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/manual.pdf" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "%PDF-1.4\n%%EOF\n")
	}))
	t.Cleanup(files.Close)
	x := newEveryChannel(t, map[string]string{"LPBRIDGE_ATTACHMENT_PRIVATE_NETWORKS": "true"})
	var table strings.Builder
	table.WriteString("| LivePerson's agent sends |")
	rule := "| --- |"
	for _, p := range x.parties {
		table.WriteString(" `" + p.channel + "` |")
		rule += " --- |"
	}
	table.WriteString(" the agent is told |\n" + rule + " --- |\n")
	for n, content := range allContent(files.URL) {
		shown, receipts := x.agentSends(n, content.sent)
		table.WriteString("| " + content.name + " |")
		for _, p := range x.parties {
			var cells []string
			for _, raw := range shown[p.channel] {
				cells = append(cells, p.describe(raw))
			}
			table.WriteString(" " + orDash(strings.Join(cells, "; then ")) + " |")
		}
		table.WriteString(" " + orDash(strings.Join(receipts, ", ")) + " |\n")
	}
	return table.String()
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// addressed are addresses of files, which differ each time.
var addressed = regexp.MustCompile(`https?://127\.0\.0\.1:\d+\S*`)

// cell puts words into a cell of a table.
func cell(words string) string {
	words = addressed.ReplaceAllString(words, "(address)")
	return "“" + strings.NewReplacer("\n", " / ", "|", "¦").Replace(strings.TrimSpace(words)) + "”"
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func describeWords(raw string) string { return cell(raw) }

// describeEnvelope reads what the generic channel is sent.
func describeEnvelope(raw string) string {
	var e struct {
		Message struct {
			Text         string
			Rich         json.RawMessage
			QuickReplies []struct{ Title string }
			Attachments  []struct{ ContentType string }
			Placeholder  bool
		}
	}
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		return err.Error()
	}
	var parts []string
	if e.Message.Text != "" {
		parts = append(parts, "`text`")
	}
	if e.Message.Rich != nil {
		parts = append(parts, "`rich`")
	}
	if n := len(e.Message.QuickReplies); n > 0 {
		parts = append(parts, fmt.Sprintf("%d `quickReplies`", n))
	}
	for _, a := range e.Message.Attachments {
		parts = append(parts, "attachment `"+a.ContentType+"`")
	}
	if e.Message.Placeholder {
		parts = append(parts, "`placeholder`")
	}
	return strings.Join(parts, ", ")
}

// describeChatwoot reads a message in Chatwoot's words, of either API.
func describeChatwoot(raw string) string {
	var m struct {
		Content     string
		ContentType string `json:"content_type"`
		Attributes  struct {
			Items []struct {
				MediaURL string `json:"media_url"`
				Actions  []struct{ Type string }
			}
		} `json:"content_attributes"`
		Attachments []struct {
			ContentType string `json:"content_type"`
		}
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return err.Error()
	}
	var parts []string
	switch m.ContentType {
	case "text":
		if m.Content != "" {
			parts = append(parts, cell(m.Content))
		}
	case "cards":
		for _, c := range m.Attributes.Items {
			words := "`cards`"
			if c.MediaURL != "" {
				words += " with picture"
			}
			for _, a := range c.Actions {
				words += ", " + a.Type
			}
			parts = append(parts, words)
		}
	default:
		parts = append(parts, "`"+m.ContentType+"` of "+counted(len(m.Attributes.Items), "item"))
	}
	for _, a := range m.Attachments {
		kind, _, _ := mime.ParseMediaType(a.ContentType)
		parts = append(parts, "attachment `"+kind+"`")
	}
	return strings.Join(parts, ", ")
}

// layerParts are the members that count something, by message type.
var layerParts = map[string]string{"choice": "choices", "buttons": "buttons"}

// describeLayer names the message types of a message's parts.
func describeLayer(raw string) string {
	var m struct {
		Parts []struct {
			Type string `json:"mime_type"`
			Body string
		}
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return err.Error()
	}
	var parts []string
	for _, p := range m.Parts {
		kind, _, _ := mime.ParseMediaType(p.Type)
		name, known := strings.CutPrefix(strings.TrimSuffix(kind, "+json"), "application/vnd.layer.")
		var body map[string]any
		switch _ = json.Unmarshal([]byte(p.Body), &body); {
		case !known:
			parts = append(parts, cell(p.Body))
		case layerParts[name] != "":
			list, _ := body[layerParts[name]].([]any)
			parts = append(parts, fmt.Sprintf("`%s` of %d", name, len(list)))
		default:
			parts = append(parts, "`"+name+"`")
		}
	}
	return strings.Join(parts, ", ")
}
