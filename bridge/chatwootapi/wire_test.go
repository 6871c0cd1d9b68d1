package chatwootapi

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// request is one step of a test.
type request struct{ method, path, body string }

const (
	jsonType = "application/json; charset=utf-8"
	alice    = `{"source_id":"s1","name":"Alice Ray","email":"Alice@Acme.inc","phone_number":"+123456789","identifier":"id-1","custom_attributes":{"plan":"premium"}}`

	aliceFull = `{"id":1,"name":"Alice Ray","email":"alice@acme.inc","phone_number":"+123456789","account_id":1,` +
		`"created_at":"2000-01-01T00:00:00.000Z","updated_at":"2000-01-01T00:00:00.000Z","additional_attributes":{},"identifier":"id-1",` +
		`"custom_attributes":{"plan":"premium"},"last_activity_at":null,"contact_type":"lead","middle_name":"","last_name":"","location":"",` +
		`"country_code":"","blocked":false,"company_id":null,"label_list":[]}`
	aliceActive = `{"id":1,"name":"Alice Ray","email":"alice@acme.inc","phone_number":"+123456789","account_id":1,` +
		`"created_at":"2000-01-01T00:00:00.000Z","updated_at":"2000-01-01T00:00:00.000Z","additional_attributes":{},"identifier":"id-1",` +
		`"custom_attributes":{"plan":"premium"},"last_activity_at":"2000-01-01T00:00:00.000Z","contact_type":"lead","middle_name":"","last_name":"","location":"",` +
		`"country_code":"","blocked":false,"company_id":null,"label_list":[]}`
	aliceSender = `{"additional_attributes":{},"custom_attributes":{"plan":"premium"},"email":"alice@acme.inc","id":1,"identifier":"id-1",` +
		`"name":"Alice Ray","phone_number":"+123456789","thumbnail":"","blocked":false,"type":"contact"}`
	hello = `{"id":1,"content":"hello","message_type":0,"content_type":"text","content_attributes":{},"created_at":946684800,"conversation_id":1,"sender":` + aliceSender + `}`

	notFound   = `{"status":404,"error":"Not Found"}`
	internal   = `{"status":500,"error":"Internal Server Error"}`
	emptyPlain = "{\"source_id\":\"s1\",\"pubsub_token\":\"TOKEN\",\"id\":1,\"name\":\"GENERATED\",\"email\":null,\"phone_number\":null}"
)

var (
	newAlice    = request{"POST", base + "/contacts", alice}
	newThread   = request{"POST", base + "/contacts/s1/conversations", ""}
	sayHello    = request{"POST", base + "/contacts/s1/conversations/1/messages", `{"content":"hello","echo_id":"e-1"}`}
	resolve     = request{"POST", base + "/contacts/s1/conversations/1/toggle_status", ""}
	withThread  = []request{newAlice, newThread}
	withMessage = []request{newAlice, newThread, sayHello}
)

func conversationJSON(status, messages, contact string) string {
	return `{"id":1,"uuid":"UUID","inbox_id":1,"contact_last_seen_at":0,"status":"` + status +
		`","agent_last_seen_at":0,"messages":[` + messages + `],"contact":` + contact + `}`
}

// TestAnswers holds every endpoint and every error against exact bodies. Time
// stands still at the start of 2000.
func TestAnswers(t *testing.T) {
	mandatory := func(c *Config) { c.HMACMandatory = true }
	keyless := func(c *Config) { c.HMACToken = secretless }
	for _, tc := range []struct {
		name   string
		config func(*Config)
		before []request
		request
		status int
		kind   string // jsonType when empty
		want   string
	}{
		{
			name: "inbox", request: request{"GET", base, ""}, status: 200,
			want: `{"identifier":"inbox-one","identity_validation_enabled":false,"name":"API","timezone":"UTC","working_hours":[` +
				`{"day_of_week":0,"closed_all_day":true,"open_hour":null,"open_minutes":null,"close_hour":null,"close_minutes":null,"open_all_day":false},` +
				strings.Join(weekdays(), ",") +
				`,{"day_of_week":6,"closed_all_day":true,"open_hour":null,"open_minutes":null,"close_hour":null,"close_minutes":null,"open_all_day":false}],` +
				`"working_hours_enabled":false,"csat_survey_enabled":false,"greeting_enabled":false}`,
		},
		{name: "unknown inbox", request: request{"GET", "/public/api/v1/inboxes/none", ""}, status: 404, want: notFound},
		{name: "unrouted path", request: request{"GET", "/public/api/v2/x", ""}, status: 404, kind: "text/html; charset=utf-8"},
		{name: "unrouted method", request: request{"DELETE", base + "/contacts/s1", ""}, status: 404, kind: "text/html; charset=utf-8"},

		{
			name: "create contact", request: newAlice, status: 200,
			want: `{"source_id":"s1","pubsub_token":"TOKEN","id":1,"name":"Alice Ray","email":"alice@acme.inc","phone_number":"+123456789"}`,
		},
		{
			name: "create contact without anything", request: request{"POST", base + "/contacts", ""}, status: 200,
			want: `{"source_id":"UUID","pubsub_token":"TOKEN","id":1,"name":"GENERATED","email":null,"phone_number":null}`,
		},
		{
			name: "create contact for clients that cannot take null", config: func(c *Config) { c.EmptyStrings = true },
			request: request{"POST", base + "/contacts", `{"source_id":"s1"}`}, status: 200,
			want: strings.ReplaceAll(emptyPlain, "null", `""`),
		},
		{
			name: "known source id changes nothing", before: []request{{"POST", base + "/contacts", `{"source_id":"s1"}`}},
			request: newAlice, status: 200, want: emptyPlain,
		},
		{
			name: "an e-mail that is known finds nobody", before: []request{newAlice},
			request: request{"POST", base + "/contacts", `{"source_id":"s2","email":"ALICE@acme.inc","name":"Bob"}`}, status: 200,
			want: `{"source_id":"s2","pubsub_token":"TOKEN","id":2,"name":"Bob","email":"alice@acme.inc","phone_number":null}`,
		},
		{
			name: "an identifier without proof finds nobody", before: []request{newAlice},
			request: request{"POST", base + "/contacts", `{"source_id":"s2","email":"b@b.b","identifier":"id-1"}`}, status: 200,
			want: `{"source_id":"s2","pubsub_token":"TOKEN","id":2,"name":"GENERATED","email":"b@b.b","phone_number":null}`,
		},
		{
			name:    "a proven identifier finds its contact",
			before:  []request{{"POST", base + "/contacts", `{"source_id":"s1","name":"T","email":"t@t.t","identifier":"test","identifier_hash":"` + testHash + `"}`}},
			request: request{"POST", base + "/contacts", `{"source_id":"s2","name":"U","identifier":"test","identifier_hash":"` + testHash + `"}`}, status: 200,
			want: `{"source_id":"s2","pubsub_token":"TOKEN","id":1,"name":"T","email":"t@t.t","phone_number":null}`,
		},
		{
			name: "query wins over body", request: request{"POST", base + "/contacts?name=Query", `{"source_id":"s1","name":"Body"}`}, status: 200,
			want: `{"source_id":"s1","pubsub_token":"TOKEN","id":1,"name":"Query","email":null,"phone_number":null}`,
		},
		{
			name: "form body", request: request{"POST", base + "/contacts", "source_id=s1&name=A+%3CB%3E&custom_attributes[plan]=x"}, status: 200,
			want: `{"source_id":"s1","pubsub_token":"TOKEN","id":1,"name":"A \u003cB\u003e","email":null,"phone_number":null}`,
		},
		{name: "unparsable JSON", request: request{"POST", base + "/contacts", `{"name":`}, status: 400, kind: "text/html; charset=utf-8"},
		{name: "unparsable JSON", request: request{"POST", base + "/contacts", `{"name":`}, status: 400, kind: "text/html; charset=utf-8"},
		{name: "unknown inbox goes before what is in the body", request: request{"POST", "/public/api/v1/inboxes/none/contacts", `{"name":`}, status: 404, want: notFound},
		{
			name: "malformed e-mail and phone", request: request{"POST", base + "/contacts", `{"email":"no","phone_number":"0123"}`}, status: 422,
			want: `{"message":"Email Invalid email, Phone number should be in e164 format","attributes":["email","phone_number"]}`,
		},
		{
			name: "long name", request: request{"POST", base + "/contacts", `{"name":"` + strings.Repeat("é", 256) + `"}`}, status: 422,
			want: `{"message":"Name is too long (maximum is 255 characters)","attributes":["name"]}`,
		},
		{
			name: "long source id", request: request{"POST", base + "/contacts", `{"source_id":"` + strings.Repeat("s", 256) + `"}`}, status: 422,
			want: `{"message":"Source is too long (maximum is 255 characters)","attributes":["source_id"]}`,
		},

		{
			name: "right hash", request: request{"POST", base + "/contacts", `{"source_id":"s1","name":"T","identifier":"test","identifier_hash":"` + testHash + `"}`},
			status: 200, want: `{"source_id":"s1","pubsub_token":"TOKEN","id":1,"name":"T","email":null,"phone_number":null}`,
		},
		{name: "wrong hash", request: request{"POST", base + "/contacts", `{"identifier":"test","identifier_hash":"00"}`}, status: 500, want: internal},
		{name: "upper-case hash", request: request{"POST", base + "/contacts", `{"identifier":"test","identifier_hash":"` + strings.ToUpper(testHash) + `"}`}, status: 500, want: internal},
		{name: "hash without a key", config: keyless, request: request{"POST", base + "/contacts", `{"identifier":"test","identifier_hash":"` + testHash + `"}`}, status: 500, want: internal},
		{name: "missing hash", config: mandatory, request: newAlice, status: 500, want: internal},
		{
			name: "known source id of another identity", before: []request{newAlice},
			request: request{"POST", base + "/contacts", `{"source_id":"s1","identifier":"test","identifier_hash":"` + testHash + `"}`}, status: 500, want: internal,
		},
		{
			name: "hash of another identity", before: []request{newAlice},
			request: request{"GET", base + "/contacts/s1?identifier=test&identifier_hash=" + testHash, ""}, status: 500, want: internal,
		},
		{
			name: "get contact with enforced hash", config: mandatory,
			before:  []request{{"POST", base + "/contacts", `{"source_id":"s1","name":"T","identifier":"test","identifier_hash":"` + testHash + `"}`}},
			request: request{"GET", base + "/contacts/s1?identifier=test&identifier_hash=" + testHash, ""}, status: 200,
			want: `{"source_id":"s1","pubsub_token":"TOKEN","id":1,"name":"T","email":null,"phone_number":null}`,
		},
		{
			name: "get contact lacks the enforced hash", config: mandatory,
			before:  []request{{"POST", base + "/contacts", `{"source_id":"s1","identifier":"test","identifier_hash":"` + testHash + `"}`}},
			request: request{"GET", base + "/contacts/s1", ""}, status: 500, want: internal,
		},

		{
			name: "get contact", before: []request{newAlice}, request: request{"GET", base + "/contacts/s1", ""}, status: 200,
			want: `{"source_id":"s1","pubsub_token":"TOKEN","id":1,"name":"Alice Ray","email":"alice@acme.inc","phone_number":"+123456789"}`,
		},
		{name: "get contact of another inbox", before: []request{newAlice}, request: request{"GET", "/public/api/v1/inboxes/inbox-two/contacts/s1", ""}, status: 404, want: notFound},
		{name: "get unknown contact", request: request{"GET", base + "/contacts/s1", ""}, status: 404, want: notFound},
		{
			name: "change contact", before: []request{newAlice},
			request: request{"PATCH", base + "/contacts/s1", `{"name":"Al","email":" ","identifier":"other","custom_attributes":{"seats":2.50}}`}, status: 200,
			want: `{"source_id":"s1","pubsub_token":"TOKEN",` + strings.NewReplacer(`"Alice Ray"`, `"Al"`, `"plan":"premium"`, `"plan":"premium","seats":2.50`).Replace(aliceFull)[1:],
		},
		{name: "change contact by PUT", before: []request{newAlice}, request: request{"PUT", base + "/contacts/s1", ""}, status: 200, want: `{"source_id":"s1","pubsub_token":"TOKEN",` + aliceFull[1:]},
		{name: "change unknown contact", request: request{"PATCH", base + "/contacts/s1", `{"name":"x"}`}, status: 404, want: notFound},
		{
			name: "change contact to a malformed phone", before: []request{newAlice}, request: request{"PATCH", base + "/contacts/s1", `{"phone_number":"+0"}`}, status: 422,
			want: `{"message":"Phone number should be in e164 format","attributes":["phone_number"]}`,
		},

		{name: "create conversation", before: []request{newAlice}, request: newThread, status: 200, want: conversationJSON("open", "", aliceFull)},
		{name: "create conversation of unknown contact", request: newThread, status: 404, want: notFound},
		{name: "list conversations", before: withMessage, request: request{"GET", base + "/contacts/s1/conversations", ""}, status: 200, want: "[" + conversationJSON("open", hello, aliceActive) + "]"},
		{name: "list no conversations", before: []request{newAlice}, request: request{"GET", base + "/contacts/s1/conversations", ""}, status: 200, want: "[]"},
		{name: "get conversation", before: withMessage, request: request{"GET", base + "/contacts/s1/conversations/1", ""}, status: 200, want: conversationJSON("open", hello, aliceActive)},
		{name: "get unknown conversation", before: []request{newAlice}, request: request{"GET", base + "/contacts/s1/conversations/1", ""}, status: 404, want: notFound},
		{name: "get conversation with a word for id", before: withThread, request: request{"GET", base + "/contacts/s1/conversations/one", ""}, status: 404, want: notFound},
		{
			name: "get conversation of somebody else", before: append(withThread[:2:2], request{"POST", base + "/contacts", `{"source_id":"s2"}`}),
			request: request{"GET", base + "/contacts/s2/conversations/1", ""}, status: 404, want: notFound,
		},
		{
			name: "get conversation of another source id of the same contact", before: append(withThread[:2:2], request{"POST", base + "/contacts", `{"source_id":"s2","identifier":"id-1"}`}),
			request: request{"GET", base + "/contacts/s2/conversations/1", ""}, status: 404, want: notFound,
		},
		{name: "resolve", before: withThread, request: resolve, status: 200, want: conversationJSON("resolved", "", aliceFull)},
		{name: "resolve again", before: append(withThread[:2:2], resolve), request: resolve, status: 200, want: conversationJSON("resolved", "", aliceFull)},
		{name: "resolve unknown", before: []request{newAlice}, request: resolve, status: 404, want: notFound},
		{
			name: "resolve with survey", config: withCSAT, before: withThread, request: resolve, status: 200,
			want: conversationJSON("resolved", `{"id":1,"content":"Please rate this conversation","message_type":3,"content_type":"input_csat","content_attributes":{"display_type":"emoji"},"created_at":946684800,"conversation_id":1}`, aliceFull),
		},

		{name: "typing on in the query", before: withThread, request: request{"POST", base + "/contacts/s1/conversations/1/toggle_typing?typing_status=on", ""}, status: 200, kind: "application/json"},
		{name: "typing with another word", before: withThread, request: request{"POST", base + "/contacts/s1/conversations/1/toggle_typing", `{"typing_status":"maybe"}`}, status: 200, kind: "application/json"},
		{name: "typing without a word", before: withThread, request: request{"POST", base + "/contacts/s1/conversations/1/toggle_typing", ""}, status: 200, kind: "application/json"},
		{name: "typing without conversation", before: []request{newAlice}, request: request{"POST", base + "/contacts/s1/conversations/1/toggle_typing?typing_status=on", ""}, status: 404, want: notFound},
		{name: "seen", before: withThread, request: request{"POST", base + "/contacts/s1/conversations/1/update_last_seen", ""}, status: 200, kind: "application/json"},
		{name: "seen without conversation", before: []request{newAlice}, request: request{"POST", base + "/contacts/s1/conversations/1/update_last_seen", ""}, status: 404, want: notFound},

		{name: "create message", before: withThread, request: sayHello, status: 200, want: hello},
		{name: "create message from a form", before: withThread, request: request{"POST", sayHello.path, "content=hello"}, status: 200, want: hello},
		{
			name: "create message takes nothing else", before: withThread, status: 200, want: hello,
			request: request{"POST", sayHello.path, `{"content":"hello","message_type":1,"private":true,"content_type":"cards","content_attributes":{"a":1}}`},
		},
		{name: "create empty message", before: withThread, request: request{"POST", sayHello.path, ""}, status: 200, want: strings.Replace(hello, `"hello"`, "null", 1)},
		{name: "create message without conversation", before: []request{newAlice}, request: sayHello, status: 404, want: notFound},
		{
			name: "create long message", before: withThread, request: request{"POST", sayHello.path, `{"content":"` + strings.Repeat("é", 150_001) + `"}`}, status: 422,
			want: `{"message":"Content is too long (maximum is 150000 characters)","attributes":["content"]}`,
		},
		{name: "create huge message", before: withThread, request: request{"POST", sayHello.path, `{"content":"` + strings.Repeat("x", maxPlainBody) + `"}`}, status: 413, want: `{"status":413,"error":"Payload Too Large"}`},
		{
			name: "attachment that is no file", before: withThread, request: request{"POST", sayHello.path, `{"attachments":["https://x/y.png"]}`}, status: 422,
			want: `{"message":"Attachments must be files","attributes":["attachments"]}`,
		},
		{name: "list messages", before: withMessage, request: request{"GET", sayHello.path, ""}, status: 200, want: "[" + hello + "]"},
		{name: "list messages before the first", before: withMessage, request: request{"GET", sayHello.path + "?before=1", ""}, status: 200, want: "[]"},
		{name: "list messages before a word", before: withMessage, request: request{"GET", sayHello.path + "?before=x", ""}, status: 200, want: "[]"},
		{name: "list messages of unknown conversation", before: []request{newAlice}, request: request{"GET", sayHello.path, ""}, status: 404, want: notFound},
		{
			name: "answer a message", before: withMessage,
			request: request{"PATCH", sayHello.path + "/1", `{"submitted_values":[{"name":"n","value":5,"evil":1},"x"],"content":"changed"}`}, status: 200,
			want: strings.Replace(hello, `"content_attributes":{}`, `"content_attributes":{"submitted_values":[{"name":"n","value":5}]}`, 1),
		},
		{
			name: "answer a message with an object by PUT", before: withMessage,
			request: request{"PUT", sayHello.path + "/1", `{"submitted_values":{"title":"Yes","csat_survey_response":{"rating":4,"x":1}}}`}, status: 200,
			want: strings.Replace(hello, `"content_attributes":{}`, `"content_attributes":{"submitted_values":{"csat_survey_response":{"rating":4},"title":"Yes"}}`, 1),
		},
		{name: "answer a message with nothing", before: withMessage, request: request{"PATCH", sayHello.path + "/1", ""}, status: 200, want: hello},
		{name: "answer an unknown message", before: withThread, request: request{"PATCH", sayHello.path + "/1", ""}, status: 404, want: notFound},
		{
			name: "answer a message of another conversation", before: append(withMessage[:3:3], newThread),
			request: request{"PATCH", base + "/contacts/s1/conversations/2/messages/1", `{"submitted_values":[]}`}, status: 404, want: notFound,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) {
					if tc.config != nil {
						tc.config(c)
					}
				})
				for _, r := range tc.before {
					w.must(r.method, r.path, r.body)
				}
				got := w.call(tc.method, tc.path, tc.body)
				kind := tc.kind
				if kind == "" {
					kind = jsonType
				}
				if got.status != tc.status || got.header.Get("Content-Type") != kind {
					t.Errorf("answered %d %q, want %d %q", got.status, got.header.Get("Content-Type"), tc.status, kind)
				}
				if diff := cmp.Diff(tc.want, got.scrub()); diff != "" {
					t.Errorf("body (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func weekdays() []string {
	var days []string
	for _, d := range "12345" {
		days = append(days, `{"day_of_week":`+string(d)+`,"closed_all_day":false,"open_hour":9,"open_minutes":0,"close_hour":17,"close_minutes":0,"open_all_day":false}`)
	}
	return days
}

func TestPreflight(t *testing.T) {
	w := newWorld(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, base+"/contacts", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://shop.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "content-type,x-custom")
	got := w.serve(r)
	if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(got.header.Get("Access-Control-Allow-Methods"), "POST") ||
		!strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "x-custom") {
		t.Errorf("preflight answered %d %v", got.status, got.header)
	}
}

func TestForeignOriginMayRead(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{base, "/public/api/v1/inboxes/none", "/public/none"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://shop.example")
		if got := w.serve(r); got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: no Access-Control-Allow-Origin", path)
		}
	}
}
