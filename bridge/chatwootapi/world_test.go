package chatwootapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"lpbridge/bridge/bridgetest"
	"lpbridge/config"
)

// hmacKey and testHash are the check value of Chatwoot's own documentation of
// identity validation: the hash of the identifier "test".
const (
	hmacKey  = "wyHVRZzzJhjPMKR2h7LpeJVy"
	testHash = "45e289a669fbb7b4f7c09b3c68734dd9c52d508aba109dc7543c8133e0ec98be"
)

// base is the client API of the inbox that tests use.
const base = "/public/api/v1/inboxes/inbox-one"

// world is the channel with everything around it in memory.
type world struct {
	t    testing.TB
	core *bridgetest.Core
	api  *ChatwootAPI
	mux  *http.ServeMux
}

// newWorld builds a channel with two inboxes; change may change more.
func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	return worldOn(t, bridgetest.NewCore(), testConfig(change...))
}

// worldOn builds a channel on what a core holds.
func worldOn(t testing.TB, core *bridgetest.Core, cfg Config) *world {
	t.Helper()
	w := &world{t: t, core: core, mux: http.NewServeMux()}
	var err error
	w.api, err = New(cfg, w.core, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range w.api.Routes() {
		w.mux.Handle(r.Pattern, r.Handler)
	}
	return w
}

func testConfig(change ...func(*Config)) Config {
	cfg := Config{
		Inboxes: []string{"inbox-one", "inbox-two"}, InboxName: "API", HMACToken: config.NewSecret(hmacKey),
		AgentName: "Jane", PublicURL: &url.URL{Scheme: "https", Host: "bridge.example"}, MaxAttachment: 1 << 20,
	}
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

func withCSAT(c *Config) { c.CSAT = true }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// scrub replaces what is random.
func (a answer) scrub() string { return scrub(a.body) }

var random = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`"pubsub_token":"[1-9A-HJ-NP-Za-km-z]{24}"`), `"pubsub_token":"TOKEN"`},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`), `UUID`},
	{regexp.MustCompile(`"name":"[a-z]+-[a-z]+-[0-9]{1,3}"`), `"name":"GENERATED"`},
	{regexp.MustCompile(`/redirect/[A-Z2-7]{26}/`), `/redirect/SECRET/`},
}

func scrub(s string) string {
	for _, r := range random {
		s = r.pattern.ReplaceAllString(s, r.word)
	}
	return s
}

// call sends a request. A body that begins with { or [ is JSON, any other a form.
func (w *world) call(method, path, body string) answer {
	kind := "application/x-www-form-urlencoded"
	if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
		kind = "application/json"
	}
	return w.send(method, path, kind, strings.NewReader(body))
}

func (w *world) send(method, path, contentType string, body io.Reader) answer {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return w.serve(r)
}

func (w *world) serve(r *http.Request) answer {
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

// secretless is a key that is not set.
var secretless config.Secret

// must is call for requests that have to work.
func (w *world) must(method, path, body string) answer {
	w.t.Helper()
	a := w.call(method, path, body)
	if a.status != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a
}

// contact and conversation make what most tests need: source id s1 and a
// conversation with the returned path.
func (w *world) contact(source, more string) answer {
	w.t.Helper()
	return w.must("POST", base+"/contacts", `{"source_id":"`+source+`"`+more+`}`)
}

func (w *world) conversation() string {
	w.t.Helper()
	w.contact("s1", `,"name":"Alice Ray","email":"Alice@Acme.inc","phone_number":"+123456789"`)
	return w.another("s1")
}

func (w *world) another(source string) string {
	w.t.Helper()
	a := w.must("POST", base+"/contacts/"+source+"/conversations", "")
	var c struct{ ID int64 }
	decodeInto(w.t, a.body, &c)
	return base + "/contacts/" + source + "/conversations/" + formatID(c.ID)
}

func decodeInto(t testing.TB, body string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), v); err != nil {
		t.Fatalf("decode %s: %v", body, err)
	}
}

// form is a multipart body.
type form struct {
	bytes.Buffer
	w *multipart.Writer
}

func newForm() *form {
	f := &form{}
	f.w = multipart.NewWriter(&f.Buffer)
	return f
}

func (f *form) text(name, value string) *form {
	_ = f.w.WriteField(name, value)
	return f
}

func (f *form) file(name, fileName, data string) *form {
	part, _ := f.w.CreateFormFile(name, fileName)
	_, _ = io.WriteString(part, data)
	return f
}

func (w *world) post(path string, f *form) answer {
	_ = f.w.Close()
	return w.send("POST", path, f.w.FormDataContentType(), &f.Buffer)
}

// pixel is a PNG of one pixel.
const pixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
