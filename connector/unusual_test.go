package connector

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// messaging wraps changes as LivePerson does.
func messaging(changes ...string) string {
	return `{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[` + strings.Join(changes, ",") + `]}}`
}

// byAgent is a change of an agent with more fields.
func byAgent(event, more string) string {
	return `{"originatorId":"agent-1","originatorMetadata":{"id":"agent-1","role":"ASSIGNED_AGENT"},"conversationId":"C","dialogId":"C","event":` + event + more + `}`
}

func text(words string) string {
	quoted, _ := json.Marshal(words)
	return `{"type":"ContentEvent","contentType":"text/plain","message":` + string(quoted) + `}`
}

func parsed(t testing.TB, body string) []MessagingChange {
	t.Helper()
	n, err := ParseNotification([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	m, ok := n.(*MessagingEventNotification)
	if !ok || len(m.Unreadable) > 0 {
		t.Fatalf("got %T %+v", n, m)
	}
	return m.Changes
}

func TestNumbersInAnySpelling(t *testing.T) {
	for spelling, want := range map[string]Sequence{
		"5": 5, "5.0": 5, `"5"`: 5, "5e0": 5, "50e-1": 5, `"5.0"`: 5, `" 5 "`: 5, "0": 0,
		"5.5": NoSequence, "-3": NoSequence, "1e300": NoSequence, "9e99999": NoSequence, `"five"`: NoSequence, `"0x5"`: NoSequence, `"Inf"`: NoSequence, "{}": NoSequence, "[5]": NoSequence, "true": NoSequence, "null": NoSequence, `""`: NoSequence,
	} {
		got := parsed(t, messaging(byAgent(text("hi"), `,"sequence":`+spelling)))[0]
		if got.Sequence != want || got.Event.Text != "hi" {
			t.Errorf("%s: sequence %d with %q, want %d", spelling, got.Sequence, got.Event.Text, want)
		}
	}
	got := parsed(t, messaging(byAgent(`{"type":"AcceptStatusEvent","status":"READ","sequenceList":[1.0,"2",{},3e0,-1]}`, "")))[0]
	if diff := cmp.Diff([]Sequence{1, 2, 3}, got.Event.SequenceList); diff != "" {
		t.Errorf("sequenceList (-want +got):\n%s", diff)
	}
}

func TestOddTimesCostNothing(t *testing.T) {
	for spelling, want := range map[string]string{
		"1528371199686": "2018-06-07T11:33:19.686Z", "1528371199686.0": "2018-06-07T11:33:19.686Z", `"1528371199686"`: "2018-06-07T11:33:19.686Z",
		"1528371199686123": "", "1528371199": "", "-1": "", "0": "", "1e300": "", `"2018-06-07T11:33:19Z"`: "", "{}": "", "9223372036854775807": "",
	} {
		changes := parsed(t, messaging(byAgent(text("one"), `,"sequence":1`), byAgent(text("two"), `,"sequence":2,"serverTimestamp":`+spelling), byAgent(text("three"), `,"sequence":3`)))
		if len(changes) != 3 {
			t.Fatalf("%s: %d changes", spelling, len(changes))
		}
		got := ""
		if at := changes[1].ServerTimestamp; !at.IsZero() {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", spelling, got, want)
		}
	}
	n, err := ParseNotification([]byte(`{"type":"cqm.ExConversationChangeNotification","body":{"changes":[{"type":"UPSERT","result":{"convId":7,"conversationDetails":{
		"state":"OPEN","stage":"LOCKED","startTs":"1528371199686","endTs":1528371199686123,"metaDataLastUpdateTs":1528371199686.0,"skillId":-1,"brandId":42,"closeReason":null,"dialogs":null}}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := n.(*ExConversationChangeNotification).Changes[0]
	if c.ConversationID != "7" || c.StartTime.Year() != 2018 || !c.EndTime.IsZero() || c.LastUpdate != 1528371199686 || c.Open() || c.Closed() {
		t.Errorf("got %+v", c)
	}
}

func TestChangesOfOneDialogAreInSequence(t *testing.T) {
	typing := byAgent(`{"type":"ChatStateEvent","chatState":"COMPOSING"}`, "")
	other := strings.ReplaceAll(byAgent(text("other"), `,"sequence":1`), `"dialogId":"C"`, `"dialogId":"D"`)
	changes := parsed(t, messaging(byAgent(text("ten"), `,"sequence":10`), typing, other, byAgent(text("nine"), `,"sequence":9`), byAgent(text("eight"), `,"sequence":"8"`)))
	var got []string
	for _, c := range changes {
		got = append(got, c.Event.Text+string(c.Event.ChatState))
	}
	if diff := cmp.Diff([]string{"eight", "COMPOSING", "other", "nine", "ten"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnOwnEchoIsKnownWithoutARole(t *testing.T) {
	const consumer = "29caf0c11486996d9387e3a44ec34229d127304db4966d7752716bceb538fa24"
	for name, c := range map[string]struct {
		fields string
		want   bool
	}{
		"consumer without metadata":   {`"originatorId":"` + consumer + `"`, true},
		"consumer with null metadata": {`"originatorId":"` + consumer + `","originatorMetadata":null`, true},
		"consumer in metadata only":   {`"originatorMetadata":{"id":"` + consumer + `"}`, true},
		"consumer by role":            {`"originatorId":"c-1","originatorMetadata":{"role":"consumer"}`, true},
		"agent without metadata":      {`"originatorId":"29c3019d-fe0b-5200-afe8-737abfeae4b4"`, false},
		"bot by role":                 {`"originatorId":"` + consumer + `","originatorMetadata":{"role":"MANAGER"}`, false},
		"odd metadata":                {`"originatorId":"agent-1","originatorMetadata":["x"]`, false},
	} {
		for _, event := range []string{text("hi"), `{"type":"ChatStateEvent","chatState":"COMPOSING"}`} {
			got := parsed(t, messaging(`{`+c.fields+`,"dialogId":"C","event":`+event+`}`))[0]
			if got.FromConsumer() != c.want {
				t.Errorf("%s: from consumer %v, want %v", name, got.FromConsumer(), c.want)
			}
		}
	}
}

func TestOnlyTheAudienceAllIsForConsumers(t *testing.T) {
	for spelling, private := range map[string]bool{
		`"ALL"`: false, `"all"`: false, `null`: false, `""`: false,
		`"AGENTS"`: true, `"AGENTS_AND_MANAGERS"`: true, `"agents"`: true, `"EVERYBODY"`: true, `{}`: true, `7`: true,
		`["ALL"]`: false, `[" all "]`: false, `["AGENTS_AND_MANAGERS"]`: true, `["ALL","AGENTS"]`: true, `["AGENTS","ALL"]`: true,
		`[]`: true, `[""]`: true, `[null]`: true, `[["ALL"]]`: true, `[7]`: true, `" "`: false,
	} {
		got := parsed(t, messaging(byAgent(text("hi"), `,"messageAudience":`+spelling)))[0]
		if got.Private() != private {
			t.Errorf("%s: private %v, want %v", spelling, got.Private(), private)
		}
	}
}

func TestEventsWithoutSequenceAreToldApart(t *testing.T) {
	receipt := func(status string) string {
		return byAgent(`{"type":"AcceptStatusEvent","status":"`+status+`","sequenceList":[1]}`, `,"serverTimestamp":1528371199686`)
	}
	changes := parsed(t, messaging(receipt("ACCEPT"), receipt("READ"), receipt("READ"), byAgent(text("a"), `,"serverTimestamp":1528371199686`), byAgent(text("b"), `,"serverTimestamp":1528371199686`)))
	keys := map[string]int{}
	for _, c := range changes {
		keys[c.Key()]++
	}
	if len(keys) != 4 || changes[1].Key() != changes[2].Key() {
		t.Errorf("keys %v", keys)
	}
	numbered := parsed(t, messaging(byAgent(text("a"), `,"sequence":4`)))[0]
	if numbered.Key() != "4" {
		t.Errorf("key %q", numbered.Key())
	}
}

func TestBytesThatAreNoUTF8AreReplaced(t *testing.T) {
	body := messaging(byAgent(`{"type":"RichContentEvent","content":{"type":"text","text":"caf`+"\xe9"+`"},"quickReplies":{"replies":[{"title":"`+"\xff"+`"}]}}`, `,"metadata":[{"type":"X","id":"`+"\xe9"+`"}]`))
	c := parsed(t, body)[0]
	for name, raw := range map[string][]byte{"content": c.Event.RichContent, "quick replies": c.Event.QuickReplies, "metadata": c.Metadata, "raw": c.Event.Raw} {
		if !utf8.Valid(raw) || !json.Valid(raw) || !strings.Contains(string(raw), "\ufffd") {
			t.Errorf("%s: %q", name, raw)
		}
	}
	if got := c.Event.FallbackText(); got != "caf\ufffd\n- \ufffd" {
		t.Errorf("words %q", got)
	}
	if _, err := ParseNotification([]byte("\xef\xbb\xbf" + messaging())); err != nil {
		t.Errorf("a byte order mark: %v", err)
	}
}

func TestWhatCannotBeReadIsHandedOut(t *testing.T) {
	n, err := ParseNotification([]byte(messaging(byAgent(text("fine"), ""), `"my words"`, `7`)))
	if err != nil {
		t.Fatal(err)
	}
	m := n.(*MessagingEventNotification)
	if len(m.Changes) != 1 || len(m.Unreadable) != 2 || m.Unreadable[0].Index != 1 || string(m.Unreadable[0].Raw) != `"my words"` || strings.Contains(m.Unreadable[0].Error(), "my words") {
		t.Errorf("got %d changes and %v", len(m.Changes), m.Unreadable)
	}
}

func TestContentsOfEveryKind(t *testing.T) {
	content := func(kind, message string) string {
		return `{"type":"ContentEvent","contentType":` + kind + `,"message":` + message + `}`
	}
	for name, c := range map[string]struct{ event, want string }{
		"plain with a charset":    {content(`"text/plain; charset=utf-8"`, `"Hi"`), "Hi"},
		"capitals":                {content(`"TEXT/PLAIN"`, `"Hi"`), "Hi"},
		"no content type":         {`{"type":"ContentEvent","message":"Hi"}`, "Hi"},
		"html":                    {content(`"text/html"`, `"<b>Hi</b> there"`), "Hi there"},
		"html, a head left open":  {content(`"text/html"`, `"<html><head><meta charset=utf-8><title>Mail</title><style>p{}</style><p>Good morning"`), "Good morning"},
		"html, a head alone":      {content(`"text/html"`, `"<head>Good morning"`), "Good morning"},
		"html, a body in no head": {content(`"text/html"`, `"<html><head><title>Mail<\/title><body>Hi<noscript><img src=x></noscript>"`), "Hi"},
		"html with blocks":        {content(`"text/html;charset=UTF-8"`, `"<style>p{}</style><p>One &amp; two</p><ul><li>three<li>four</ul><a href='https://x.test/'>here</a><script>evil()</script>"`), "One & two\nthree\nfour\nhere: https://x.test/"},
		"markdown":                {content(`"text/markdown"`, `"*Hi*"`), "*Hi*"},
		"external file":           {content(`"external/file"`, `{"url":"https://x.test/a.pdf","caption":"Bill"}`), "Bill: https://x.test/a.pdf"},
		"external files":          {content(`"external/file"`, `[{"url":"https://x.test/a"},"https://x.test/b",7]`), "https://x.test/a\nhttps://x.test/b\n7"},
		"secure form":             {content(`"forms/secure-invitation"`, `{"invitationId":"abc-1","title":"Credit card form"}`), ""},
		"unknown":                 {content(`"application/x"`, `"Hi"`), ""},
		"rich content as text":    {`{"type":"RichContentEvent","content":"{\"type\":\"vertical\",\"elements\":[{\"type\":\"text\",\"text\":\"product name (Title)\"}]}"}`, "product name (Title)"},
		"rich content as message": {`{"type":"RichContentEvent","message":{"type":"text","text":"x"}}`, "x"},
		"quick replies as text":   {`{"type":"ContentEvent","contentType":"text/plain","message":"Hi","quickReplies":"{\"replies\":[{\"title\":\"Yes\"}]}"}`, "Hi\n- Yes"},
	} {
		t.Run(name, func(t *testing.T) {
			got := parsed(t, messaging(byAgent(c.event, "")))[0].Event.FallbackText()
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	form := parsed(t, messaging(byAgent(content(`"forms/secure-submission"`, `{"invitationId":"abc-1","formId":"f","title":"Card"}`), "")))[0].Event.Form
	if form == nil || *form != (SecureForm{"abc-1", "f", "Card", true}) {
		t.Errorf("form %+v", form)
	}
	files := parsed(t, messaging(byAgent(content(`"hosted/file"`, `[{"relativePath":"/v1/a","fileType":"PDF","caption":7},{"fileType":"PNG"},{"relativePath":"/v1/b","fileType":"PNG"}]`), "")))[0].Event
	if len(files.Files) != 2 || files.File == nil || files.File.RelativePath != "/v1/a" || files.Files[1].RelativePath != "/v1/b" {
		t.Errorf("files %+v", files.Files)
	}
	seen := parsed(t, messaging(byAgent(`{"type":"AcceptStatusEvent","status":"VIEWED","sequenceList":3}`, "")))[0].Event
	if seen.Status != Read || len(seen.SequenceList) != 1 {
		t.Errorf("VIEWED is %q of %v", seen.Status, seen.SequenceList)
	}
}

func TestStructuredContentInWords(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"accordion": {`{"type":"accordionSelect","selectMode":{"name":"Pick your size"},"titles":[{"name":"Shoes","additional":"EU sizes"},{"name":"Shirts"}],
			"elements":[{"type":"vertical","elements":[{"type":"text","text":"42"}]},{"type":"vertical","elements":[{"type":"text","text":"L"}]}]}`, "Pick your size\nShoes (EU sizes)\n42\nShirts\nL"},
		"carousel select": {`{"type":"carouselSelect","selectMode":{"name":"Choose a colour","type":"single"},"elements":[{"type":"text","text":"Red"}]}`, "Choose a colour\nRed"},
		"slots": {`{"type":"vertical","elements":[{"type":"button","title":"Book","click":{"actions":[{"type":"scheduleSlotList","title":"Free times","slots":[
			{"type":"scheduleSlot","id":"1","start":1528371000,"end":1528372800,"title":"Ana"},{"id":"2","start":1528371000000},{"id":"3","title":"Call us"},7]}]}}]}`,
			"- Book\nFree times\n- 2018-06-07 11:30 - 12:00 UTC, Ana\n- 2018-06-07 11:30 UTC\n- Call us"},
		"link for one platform":  {`{"type":"button","title":"App","click":{"actions":[{"type":"link","ios":{"uri":"https://apps.test/1"}}]}}`, "- App: https://apps.test/1"},
		"coordinates as text":    {`{"type":"map","title":"Here","la":"37.77","lo":"-122.39"}`, "Here: 37.77, -122.39"},
		"checklist":              {`{"type":"sectionList","elements":[{"type":"section","sectionID":"a","elements":[{"type":"text","text":"Toppings"},{"type":"checklist","elements":[{"type":"checkbox","text":"Cheese"}]}]}]}`, "Toppings\n- Cheese"},
		"fields of wrong types":  {`{"type":"vertical","title":{},"elements":[{"type":"text","text":42,"click":"x"},{"type":"template","resp":["A",{},2]}],"selectMode":"x","titles":"y"}`, "42\n- A\n- 2"},
		"nulls":                  {`{"type":"vertical","elements":[null,{"type":"text","text":null},{"type":"text","text":"x"}],"click":null,"titles":null}`, "x"},
		"address by its caption": {`{"type":"image","url":"https://x.test/a.png","caption":"A"}`, "A: https://x.test/a.png"},
	} {
		t.Run(name, func(t *testing.T) {
			e := MessagingEvent{Type: TypeRichContentEvent, RichContent: json.RawMessage(c.content)}
			if got := e.FallbackText(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestClickables(t *testing.T) {
	const red = `{"type":"button","title":"Red","click":{"metadata":[{"type":"ExternalId","id":"red-1"}],"actions":[{"type":"publishText","text":"I want red"}]}}`
	rich := `{"type":"carousel","elements":[{"type":"vertical","elements":[{"type":"text","text":"Pick"},` + red + `]},{"type":"horizontal","elements":[
		{"type":"button","title":"Shop","click":{"actions":[{"type":"link","uri":"https://x.test/"}]}},{"type":"button","title":"Nothing"},
		{"type":"image","url":"u","alt":"A shoe","click":{"actions":[{"type":"navigate","la":1.5,"lo":2}],"metadata":null}},
		{"type":"template","templateType":"quickReply","title":"Sure?","resp":["Yes","No"]}]}]}`
	change := parsed(t, messaging(byAgent(`{"type":"RichContentEvent","content":`+rich+`,"quickReplies":{"type":"quickReplies","replies":[{"type":"button","title":"Later"},`+red+`]}}`, `,"sequence":5`)))[0]
	redMetadata := json.RawMessage(`[{"type":"ExternalId","id":"red-1"}]`)
	want := []Clickable{
		{ID: "0", Title: "Later", Sequence: 5, QuickReply: true},
		{ID: "1", Title: "Red", PublishText: "I want red", Metadata: redMetadata, Sequence: 5, QuickReply: true},
		{ID: "2", Title: "Red", Heading: "Pick", PublishText: "I want red", Metadata: redMetadata, Sequence: 5},
		{ID: "3", Title: "Shop", Link: "https://x.test/", Sequence: 5},
		{ID: "4", Title: "A shoe", Link: "1.5, 2", Sequence: 5},
		{ID: "5", Title: "Yes", Heading: "Sure?", PublishText: "Yes", Sequence: 5},
		{ID: "6", Title: "No", Heading: "Sure?", PublishText: "No", Sequence: 5},
	}
	if diff := cmp.Diff(want, change.Clickables()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	many := MessagingChange{Event: MessagingEvent{RichContent: json.RawMessage(`{"type":"vertical","elements":[` + strings.TrimSuffix(strings.Repeat(red+",", 2000), ",") + `]}`)}}
	if n := len(many.Clickables()); n != maxClickables {
		t.Errorf("%d clickables", n)
	}
}

func TestLargeNotifications(t *testing.T) {
	words := strings.Repeat("word ", 400_000)
	if got := parsed(t, messaging(byAgent(text(words), "")))[0].Event.Text; got != words {
		t.Errorf("%d bytes arrived of %d", len(got), len(words))
	}
}

func ExampleMessagingChange_Clickables() {
	n, err := ParseNotification([]byte(`{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[{"sequence":5,"dialogId":"D","event":{
		"type":"RichContentEvent","content":{"type":"button","title":"Red","click":{"actions":[{"type":"publishText","text":"I want red"}]}}}}]}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, change := range n.(*MessagingEventNotification).Changes {
		for _, choice := range change.Clickables() {
			fmt.Println(choice.ID, choice.Title, "says", choice.PublishText)
		}
	}
	// Output: 0 Red says I want red
}
