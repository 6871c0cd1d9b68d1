package front

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
)

const (
	// mostRead is the largest body that is looked at; larger ones pass unseen.
	mostRead = 1 << 20
	// mostText is the longest text the ledger follows, in bytes: longer ones may
	// reach LivePerson in several messages.
	mostText = 4000
)

// The paths at which consumers write and type.
var (
	webhookPath  = regexp.MustCompile(`^/channels/webhook$`)
	chatwootPath = regexp.MustCompile(`^/public/api/v1/inboxes/[^/]+/contacts/[^/]+/conversations/[^/]+/(messages|toggle_typing)$`)
	layerPath    = regexp.MustCompile(`^/layer/conversations/[^/]+/messages$`)
)

// door is the way to the bridge: a proxy that looks at the clock. While no bridge
// runs it says so.
type door struct {
	watch  *Watch
	proxy  *httputil.ReverseProxy
	bridge atomic.Pointer[url.URL]
}

var errNoBridge = errors.New("no bridge runs")

func newDoor(watch *Watch, log *slog.Logger) *door {
	d := &door{watch: watch}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// What a shell says of proxies is about the world outside.
	transport.Proxy, transport.MaxIdleConnsPerHost = nil, 64
	d.proxy = &httputil.ReverseProxy{
		Transport: through{d, transport},
		Rewrite: func(r *httputil.ProxyRequest) {
			// The sandbox is not a proxy that anybody set up: what one before it says holds.
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if said, is := r.In.Header[name]; is {
					r.Out.Header[name] = said
				}
			}
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "bridge", r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.Header().Set("Retry-After", "1")
			problem(w, http.StatusServiceUnavailable, "the bridge does not answer; it comes back", "")
			log.Debug("the bridge did not answer", "error", err)
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return d
}

// through sends requests to the bridge that runs now.
type through struct {
	door *door
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t through) RoundTrip(r *http.Request) (*http.Response, error) {
	to := t.door.bridge.Load()
	if to == nil {
		return nil, errNoBridge
	}
	r.URL.Host = to.Host
	return t.next.RoundTrip(r)
}

// ServeHTTP passes a request on and notes what a consumer says with it.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := d.watch.begin(d.look(r))
	if len(begun) == 0 {
		d.proxy.ServeHTTP(w, r)
		return
	}
	answer := &observed{ResponseWriter: w}
	// A connection that breaks off ends in a panic of the proxy's.
	defer func() { d.watch.answered(begun, answer.status >= 200 && answer.status < 300) }()
	d.proxy.ServeHTTP(answer, r)
}

// observed remembers the status of an answer.
type observed struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (o *observed) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] through.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// look finds what a request says, and leaves it as it was.
func (d *door) look(r *http.Request) []said {
	if r.Method != http.MethodPost {
		return nil
	}
	read := map[string]func(*http.Request, []byte) []said{"webhook": d.atWebhook, "chatwootapi": d.atChatwoot, "layer": d.atLayer}
	channel := channelAt(r.URL.Path)
	if channel == "" || r.ContentLength < 0 || r.ContentLength > mostRead {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, mostRead))
	r.Body = rest{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	if err != nil {
		return nil
	}
	var found []said
	for _, m := range read[channel](r, body) {
		if m.text = strings.TrimSpace(m.text); m.text != "" && len(m.text) <= mostText {
			m.channel = channel
			found = append(found, m)
		}
	}
	return found
}

// rest is a body of which a part was read.
type rest struct {
	io.Reader
	io.Closer
}

func channelAt(path string) string {
	switch {
	case webhookPath.MatchString(path):
		return "webhook"
	case chatwootPath.MatchString(path):
		return "chatwootapi"
	case layerPath.MatchString(path):
		return "layer"
	}
	return ""
}

// atWebhook reads one event, or a list of them.
func (d *door) atWebhook(_ *http.Request, body []byte) []said {
	type event struct {
		ID      string
		Type    string
		Message struct{ Text string }
		Typing  struct{ State string }
	}
	var events []event
	if json.Unmarshal(body, &events) != nil {
		events = make([]event, 1)
		if json.Unmarshal(body, &events[0]) != nil {
			return nil
		}
	}
	var found []said
	for _, e := range events {
		switch {
		case e.Type == "typing" && e.Typing.State == "composing":
			d.watch.composing("webhook")
		case e.Type == "message":
			found = append(found, said{id: e.ID, text: e.Message.Text})
		}
	}
	return found
}

// atChatwoot reads a message in any of the forms Chatwoot takes.
func (d *door) atChatwoot(r *http.Request, body []byte) []said {
	var m struct {
		Content      string
		TypingStatus string `json:"typing_status"`
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/json" || json.Unmarshal(body, &m) != nil {
		form := &http.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: io.NopCloser(bytes.NewReader(body))}
		m.Content, m.TypingStatus = form.FormValue("content"), form.FormValue("typing_status")
	}
	if strings.HasSuffix(r.URL.Path, "/toggle_typing") {
		if m.TypingStatus == "on" {
			d.watch.composing("chatwootapi")
		}
		return nil
	}
	return []said{{text: m.Content}}
}

// atLayer reads the first text of a message. What answers a choice is a click.
func (d *door) atLayer(_ *http.Request, body []byte) []said {
	var m struct {
		ID    string
		Parts []struct {
			MIMEType string `json:"mime_type"`
			Body     string
		}
	}
	if json.Unmarshal(body, &m) != nil {
		return nil
	}
	found := said{id: m.ID}
	for _, p := range m.Parts {
		switch {
		case strings.HasPrefix(p.MIMEType, "application/vnd.layer.response"):
			return nil
		case found.text == "" && strings.HasPrefix(p.MIMEType, "text/plain"):
			found.text = p.Body
		}
	}
	return []said{found}
}
