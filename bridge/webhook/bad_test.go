package webhook

import (
	"net/http"
	"strings"
	"testing"

	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
)

// with returns the plain message with one text replaced.
func with(old, replacement string) string { return strings.Replace(message, old, replacement, 1) }

// badRequests are bodies that are refused and the whole answer to each. lax
// marks those that the JSON Schema cannot tell from good ones.
var badRequests = []struct {
	name, body, want string
	lax              bool
}{
	{name: "empty", body: ``,
		want: `{"status":400,"title":"Bad Request","detail":"the body is not one valid JSON text"}`, lax: true},
	{name: "cut off", body: message[:40],
		want: `{"status":400,"title":"Bad Request","detail":"the body is not one valid JSON text"}`, lax: true},
	{name: "trailing data", body: message + message,
		want: `{"status":400,"title":"Bad Request","detail":"the body is not one valid JSON text"}`, lax: true},
	{name: "too deep", body: strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
		want: `{"status":400,"title":"Bad Request","detail":"[0]: must be an object","field":"[0]"}`, lax: true},
	{name: "deep", body: strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		want: `{"status":400,"title":"Bad Request","detail":"[0]: must be an object","field":"[0]"}`},
	{name: "deep below a text", body: with(`"hello"`, strings.Repeat("[", 5000)+strings.Repeat("]", 5000)),
		want: `{"status":400,"title":"Bad Request","detail":"message.text: must be a string","field":"message.text"}`},
	{name: "text", body: `"event"`,
		want: `{"status":400,"title":"Bad Request","detail":"the body must be an object"}`},
	{name: "null", body: `null`,
		want: `{"status":400,"title":"Bad Request","detail":"thread: is required","field":"thread"}`},
	{name: "no event", body: `[]`,
		want: `{"status":400,"title":"Bad Request","detail":"the array holds no event"}`},
	{name: "too many events", body: "[" + strings.Repeat(message+",", maxEvents) + message + "]",
		want: `{"status":400,"title":"Bad Request","detail":"the array holds more than 100 events"}`},
	{name: "null in an array", body: "[" + message + ",null]",
		want: `{"status":400,"title":"Bad Request","detail":"[1].thread: is required","field":"[1].thread"}`},
	{name: "empty event", body: `{}`,
		want: `{"status":400,"title":"Bad Request","detail":"thread: is required","field":"thread"}`},

	{name: "unknown name", body: with(`"type"`, `"extra":1,"type"`),
		want: `{"status":400,"title":"Bad Request","detail":"extra: is not known","field":"extra"}`},
	{name: "unknown name further in", body: with(`"hello"`, `"hello","html":"<b>"`),
		want: `{"status":400,"title":"Bad Request","detail":"message.html: is not known","field":"message.html"}`},
	{name: "unknown name in an array", body: "[" + message + "," + with(`"id":"u-7"`, `"id":"u-7","name":"Ana"`) + "]",
		want: `{"status":400,"title":"Bad Request","detail":"[1].consumer.name: is not known","field":"[1].consumer.name"}`},
	{name: "unknown name in a list", body: with(`"hello"`, `"hello","attachments":[{"url":"https://x/"},{"link":""}]`),
		want: `{"status":400,"title":"Bad Request","detail":"message.attachments[1].link: is not known","field":"message.attachments[1].link"}`},
	{name: "unknown name that says too much", body: with(`"type"`, `"Ana Silva <ana@example.com>":1,"type"`),
		want: `{"status":400,"title":"Bad Request","detail":"?: is not known","field":"?"}`},
	{name: "other case", body: with(`"thread"`, `"Thread"`),
		want: `{"status":400,"title":"Bad Request","detail":"Thread: is not known","field":"Thread"}`},
	{name: "given twice", body: with(`"type"`, `"id":"evt-2","type"`),
		want: `{"status":400,"title":"Bad Request","detail":"id: is given twice","field":"id"}`, lax: true},
	{name: "given twice in disguise", body: with(`"type"`, `"\u0069d":"evt-2","type"`),
		want: `{"status":400,"title":"Bad Request","detail":"id: is given twice","field":"id"}`, lax: true},
	{name: "attribute given twice", body: with(`"id":"u-7"`, `"id":"u-7","attributes":{"plan":"a","plan":"b"}`),
		want: `{"status":400,"title":"Bad Request","detail":"consumer.attributes.plan: is given twice","field":"consumer.attributes.plan"}`, lax: true},

	{name: "number for a text", body: with(`"evt-1"`, `1`),
		want: `{"status":400,"title":"Bad Request","detail":"id: must be a string","field":"id"}`},
	{name: "text for an object", body: with(`{"text":"hello"}`, `"hello"`),
		want: `{"status":400,"title":"Bad Request","detail":"message: must be an object","field":"message"}`},
	{name: "object for a list", body: with(`"hello"`, `"hello","attachments":{}`),
		want: `{"status":400,"title":"Bad Request","detail":"message.attachments: must be an array","field":"message.attachments"}`},
	{name: "number among attributes", body: with(`"id":"u-7"`, `"id":"u-7","attributes":{"age":41}`),
		want: `{"status":400,"title":"Bad Request","detail":"consumer.attributes.age: must be a string","field":"consumer.attributes.age"}`},
	{name: "time in seconds", body: with(`"type"`, `"time":1763632800,"type"`),
		want: `{"status":400,"title":"Bad Request","detail":"time: must be a time as in RFC 3339, such as 2026-11-20T10:00:00Z","field":"time"}`},
	{name: "time without zone", body: with(`"type"`, `"time":"2026-11-20T10:00:00","type"`),
		want: `{"status":400,"title":"Bad Request","detail":"time: must be a time as in RFC 3339, such as 2026-11-20T10:00:00Z","field":"time"}`},
	{name: "fraction for a score", body: rating(`{"score":4.5}`),
		want: `{"status":400,"title":"Bad Request","detail":"rating.score: must be a whole number","field":"rating.score"}`},
	{name: "huge score", body: rating(`{"score":99999999999999999999}`),
		want: `{"status":400,"title":"Bad Request","detail":"rating.score: must be a whole number","field":"rating.score"}`},
	{name: "text for yes", body: rating(`{"score":5,"resolved":"true"}`),
		want: `{"status":400,"title":"Bad Request","detail":"rating.resolved: must be true or false","field":"rating.resolved"}`},

	{name: "invalid UTF-8", body: with("hello", "hell\xff"),
		want: `{"status":400,"title":"Bad Request","detail":"message.text: is not valid UTF-8","field":"message.text"}`, lax: true},
	{name: "invalid UTF-8 in a name", body: "[" + with(`"text"`, "\"te\xc3xt\"") + "]",
		want: `{"status":400,"title":"Bad Request","detail":"[0].message: is not valid UTF-8","field":"[0].message"}`},
	{name: "control character in an id", body: with("evt-1", `evt\u0000`),
		want: `{"status":400,"title":"Bad Request","detail":"id: has control characters","field":"id"}`},
	{name: "long id", body: with("t-42", strings.Repeat("t", 513)),
		want: `{"status":400,"title":"Bad Request","detail":"thread: is longer than 512 bytes","field":"thread"}`},

	{name: "no id", body: with(`"id":"evt-1",`, ``),
		want: `{"status":400,"title":"Bad Request","detail":"id: is required","field":"id"}`},
	{name: "no consumer", body: with(`"consumer":{"id":"u-7"},`, ``),
		want: `{"status":400,"title":"Bad Request","detail":"consumer: is required","field":"consumer"}`},
	{name: "no consumer id", body: with(`"id":"u-7"`, ``),
		want: `{"status":400,"title":"Bad Request","detail":"consumer.id: is required","field":"consumer.id"}`},
	{name: "no type", body: with(`"type":"message",`, ``),
		want: `{"status":400,"title":"Bad Request","detail":"type: is required","field":"type"}`},
	{name: "unknown type", body: with(`"message"`, `"massage"`),
		want: `{"status":400,"title":"Bad Request","detail":"type: is not one of message, typing, receipt, click, close, reopen, profile, rating","field":"type"}`},
	{name: "type in other case", body: with(`"message"`, `"Message"`),
		want: `{"status":400,"title":"Bad Request","detail":"type: is not one of message, typing, receipt, click, close, reopen, profile, rating","field":"type"}`},
	{name: "type in capitals", body: with(`"message"`, `"MESSAGE"`),
		want: `{"status":400,"title":"Bad Request","detail":"type: is not one of message, typing, receipt, click, close, reopen, profile, rating","field":"type"}`},
	{name: "type of state, which only we tell", body: with(`"message"`, `"state"`),
		want: `{"status":400,"title":"Bad Request","detail":"type: state only goes to the channel","field":"type"}`},
	{name: "typing state in other case", body: event("typing", `"typing":{"state":"Composing"}`),
		want: `{"status":400,"title":"Bad Request","detail":"typing.state: is not one of composing, paused, stopped","field":"typing.state"}`},
	{name: "second event of an array is wrong", body: "[" + message + "," + with("t-42", "") + "]",
		want: `{"status":400,"title":"Bad Request","detail":"[1].thread: is required","field":"[1].thread"}`},
	{name: "message without message", body: with(`,"message":{"text":"hello"}`, ``),
		want: `{"status":400,"title":"Bad Request","detail":"message: is required","field":"message"}`},
	{name: "message without content", body: with(`"text":"hello"`, ``),
		want: `{"status":400,"title":"Bad Request","detail":"message.text: is required when there are no attachments","field":"message.text"}`},
	{name: "attachment nowhere", body: with(`"hello"`, `"hello","attachments":[{"name":"a.png"}]`),
		want: `{"status":400,"title":"Bad Request","detail":"message.attachments[0].url: is required","field":"message.attachments[0].url"}`},
	{name: "attachment of another kind", body: with(`"hello"`, `"","attachments":[{"url":"javascript:alert(1)"}]`),
		want: `{"status":400,"title":"Bad Request","detail":"message.attachments[0].url: is not an absolute http or https address","field":"message.attachments[0].url"}`},
	{name: "part of another type", body: with(`"type"`, `"rating":{"score":5},"type"`),
		want: `{"status":400,"title":"Bad Request","detail":"rating: does not belong to an event of this type","field":"rating"}`},
	{name: "typing state", body: event("typing", `"typing":{"state":"on"}`),
		want: `{"status":400,"title":"Bad Request","detail":"typing.state: is not one of composing, paused, stopped","field":"typing.state"}`},
	{name: "receipt of nothing", body: event("receipt", `"receipt":{"status":"read","messageIds":[]}`),
		want: `{"status":400,"title":"Bad Request","detail":"receipt.messageIds: is required","field":"receipt.messageIds"}`},
	{name: "receipt of an empty id", body: event("receipt", `"receipt":{"status":"read","messageIds":["a",""]}`),
		want: `{"status":400,"title":"Bad Request","detail":"receipt.messageIds[1]: is required","field":"receipt.messageIds[1]"}`},
	{name: "click on nothing", body: event("click", `"click":{"messageId":"a"}`),
		want: `{"status":400,"title":"Bad Request","detail":"click.replyId: is required","field":"click.replyId"}`},
	{name: "score", body: rating(`{"score":6}`),
		want: `{"status":400,"title":"Bad Request","detail":"rating.score: is not between 1 and 5","field":"rating.score"}`},

	{name: "state", body: event("state", ``),
		want: `{"status":400,"title":"Bad Request","detail":"type: state only goes to the channel","field":"type"}`},
	{name: "state with its part", body: event("state", `"state":{"conversation":"open"}`),
		want: `{"status":400,"title":"Bad Request","detail":"type: state only goes to the channel","field":"type"}`},
	{name: "failed receipt", body: event("receipt", `"receipt":{"status":"failed","messageIds":["a"]}`),
		want: `{"status":400,"title":"Bad Request","detail":"receipt.status: failed only goes to the channel","field":"receipt.status"}`},
	{name: "agent", body: with(`"type"`, `"agent":{"id":"a"},"type"`),
		want: `{"status":400,"title":"Bad Request","detail":"agent: only goes to the channel","field":"agent"}`},
	{name: "quick replies", body: with(`"hello"`, `"hello","quickReplies":[]`),
		want: `{"status":400,"title":"Bad Request","detail":"message.quickReplies: only goes to the channel","field":"message.quickReplies"}`},
}

// event returns an event with a part of its own.
func event(kind, part string) string {
	e := `{"id":"evt-1","type":"` + kind + `","thread":"t-42","consumer":{"id":"u-7"},` + part + `}`
	return strings.Replace(e, ",}", "}", 1)
}

func rating(part string) string { return event("rating", `"rating":`+part) }

func TestBadRequests(t *testing.T) {
	for _, tt := range badRequests {
		t.Run(tt.name, func(t *testing.T) {
			w, core := newWebhook(t, unsigned())
			rec := post(w, request(tt.body))
			if diff := cmp.Diff(tt.want, strings.TrimSpace(rec.Body.String())); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
			if ct := rec.Header().Get("Content-Type"); rec.Code != http.StatusBadRequest || ct != "application/problem+json" {
				t.Errorf("answered %d %s", rec.Code, ct)
			}
			if n := len(core.Events()); n != 0 {
				t.Errorf("%d events accepted of a request that is refused", n)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	signedConfig := Config{Secret: config.NewSecret(newSecret)}
	tests := []struct {
		name    string
		cfg     Config
		request func() *http.Request
		status  int
		want    string
		header  map[string]string
	}{
		{
			"no signature", signedConfig, func() *http.Request { return request(message) }, 401,
			`{"status":401,"title":"Unauthorized","detail":"webhook-id, webhook-timestamp and webhook-signature are required"}`,
			map[string]string{"WWW-Authenticate": "Standard-Webhooks"},
		},
		{
			"no token", Config{Token: config.NewSecret(token)}, func() *http.Request { return request(message) }, 401,
			`{"status":401,"title":"Unauthorized","detail":"the Authorization header does not carry the bearer token"}`,
			map[string]string{"WWW-Authenticate": "Bearer"},
		},
		{
			"content type", unsigned(), func() *http.Request {
				r := request(message)
				r.Header.Set("Content-Type", "text/plain")
				return r
			}, 415,
			`{"status":415,"title":"Unsupported Media Type","detail":"Content-Type must be application/json","field":"Content-Type"}`,
			nil,
		},
		{
			"too long", unsigned(), func() *http.Request { return request(strings.Repeat(" ", maxBody+1)) }, 413,
			`{"status":413,"title":"Content Too Large","detail":"the body is longer than 1048576 bytes"}`,
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := newWebhook(t, tt.cfg)
			rec := post(w, tt.request())
			if got := strings.TrimSpace(rec.Body.String()); rec.Code != tt.status || got != tt.want {
				t.Errorf("answered %d %s, want %d %s", rec.Code, got, tt.status, tt.want)
			}
			for name, want := range tt.header {
				if got := rec.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}
