package front

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/connector/lpsim"
)

//go:embed page
var pages embed.FS

// Options are what a page is made with.
type Options struct {
	Watch *Watch
	Sim   *lpsim.Sim
	// Simulator is its address as a browser on this machine reaches it, Public is how
	// files of the bridge are addressed.
	Simulator, Public string
	// Channels are those the consumer's side may use.
	Channels []string
	// Kill ends the bridge as a power cut would; false when none runs.
	Kill func() bool
	// Pending is how many events the bridge has not settled.
	Pending func(context.Context) (int64, error)
	Logger  *slog.Logger
}

// Front is the one address of the sandbox: the page, what it needs, and for all else
// the way to the bridge. Run must run for as long as it is served.
type Front struct {
	watch     *Watch
	sim       *lpsim.Sim
	sink      *sink
	faults    *faults
	door      *door
	simulator string
	public    string
	pending   func(context.Context) (int64, error)
	local     *http.Client
	handler   http.Handler
	hello     hello

	// born is when the bridge began, in nanoseconds; kills is how often it was killed.
	born  atomic.Int64
	kills atomic.Int64
	up    atomic.Bool
	// console is its address, as a browser reaches it.
	console atomic.Pointer[string]
}

// hello is all a page must know when it opens.
type hello struct {
	Channels  []string    `json:"channels"`
	Simulator string      `json:"simulator"`
	Console   string      `json:"console"`
	Agent     string      `json:"agent"`
	Flows     []Flow      `json:"flows"`
	Ledger    Ledger      `json:"ledger"`
	Faults    FaultState  `json:"faults"`
	Bridge    BridgeState `json:"bridge"`
}

// BridgeState says whether the bridge runs.
type BridgeState struct {
	Up    bool  `json:"up"`
	Kills int64 `json:"kills"`
}

// agentID is who answers on the page: an agent of LivePerson's with a public profile.
const agentID = "5d2f7c61-9b0e-5f3a-8a44-6be0a9d1c7e2"

// introduce gives the agent a name and a picture, which the bridge looks up and
// consumers are shown.
func (f *Front) introduce() {
	// The id is not empty, which is all that could be wrong.
	_ = f.sim.SetAgentProfile(agentID, lpsim.AgentProfile{Nickname: "Bea", FullName: "Bea Jansen", PictureURL: f.public + "/sandbox/page/bea.svg"})
}

// New makes the front of a bridge that does not run yet.
func New(o Options) *Front {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	f := &Front{
		watch: o.Watch, sim: o.Sim, sink: newSink(o.Watch), door: newDoor(o.Watch, o.Logger), simulator: o.Simulator, public: o.Public,
		pending: o.Pending, local: &http.Client{Transport: transport},
		hello: hello{Channels: o.Channels, Simulator: o.Simulator, Agent: agentID},
	}
	f.faults = &faults{sim: o.Sim, changed: func(s FaultState) { o.Watch.stream.tell("faults", s) }}
	f.handler = f.routes(o)
	f.introduce()
	return f
}

// Run watches the simulator and the bridge until ctx ends, and then ends the streams.
func (f *Front) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { f.follow(ctx) })
	running.Go(func() { f.audit(ctx) })
	running.Wait()
	f.faults.stop()
	f.watch.stream.close()
	f.local.CloseIdleConnections()
}

// BridgeUp says where the bridge listens from now on, and its console.
func (f *Front) BridgeUp(address, console string) {
	f.console.Store(&console)
	f.door.bridge.Store(&url.URL{Scheme: "http", Host: address})
	f.born.Store(time.Now().UnixNano())
	f.up.Store(true)
	f.watch.stream.tell("bridge", f.bridgeState())
}

// BridgeDown says that the bridge is no more.
func (f *Front) BridgeDown() {
	f.door.bridge.Store(nil)
	f.up.Store(false)
	f.watch.stream.tell("bridge", f.bridgeState())
}

func (f *Front) bridgeState() BridgeState { return BridgeState{f.up.Load(), f.kills.Load()} }

// ServeHTTP implements [http.Handler].
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.handler.ServeHTTP(w, r) }

// routes are the page's own paths. The rest of the address is the bridge's.
func (f *Front) routes(o Options) http.Handler {
	own := http.NewServeMux()
	files, err := fs.Sub(pages, "page")
	if err != nil {
		panic("front: page: " + err.Error())
	}
	own.Handle("GET /{$}", http.FileServerFS(files))
	own.Handle("GET /sandbox/page/", http.StripPrefix("/sandbox/page/", http.FileServerFS(files)))
	own.HandleFunc("GET /sandbox/events", func(w http.ResponseWriter, r *http.Request) {
		f.watch.stream.serve(w, r, func() any { return f.everything() })
	})
	own.HandleFunc("GET /sandbox/ledger", func(w http.ResponseWriter, _ *http.Request) { reply(w, f.watch.ledgerNow()) })
	own.HandleFunc("GET /sandbox/faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, f.faults.state()) })
	own.HandleFunc("PUT /sandbox/faults", f.setSwitches)
	own.HandleFunc("POST /sandbox/kill", func(w http.ResponseWriter, _ *http.Request) { f.kill(w, o.Kill) })
	own.HandleFunc("POST /sandbox/shown", f.noteShown)
	own.Handle("POST /sandbox/webhook", f.sink)
	own.HandleFunc("GET /sandbox/threads/{thread}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, f.sink.thread(r.PathValue("thread")))
	})
	own.HandleFunc("/sandbox/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "there is no such page of the sandbox, or no such method for it", "")
	})
	mux := http.NewServeMux()
	page := http.NewCrossOriginProtection().Handler(secured(own, o.Public))
	mux.Handle("GET /{$}", page)
	mux.Handle("/sandbox/", page)
	mux.Handle("/sim/", f.sim)
	mux.Handle("/", f.door)
	return mux
}

// everything is what a page begins with.
func (f *Front) everything() hello {
	h := f.hello
	if console := f.console.Load(); console != nil {
		h.Console = *console
	}
	h.Flows, h.Ledger, h.Faults, h.Bridge = f.watch.flowsNow(), f.watch.ledgerNow(), f.faults.state(), f.bridgeState()
	return h
}

func (f *Front) setSwitches(w http.ResponseWriter, r *http.Request) {
	var wanted Switches
	if !read(w, r, &wanted) {
		return
	}
	if err := f.faults.set(wanted); err != nil {
		problem(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	reply(w, f.faults.state())
}

func (f *Front) kill(w http.ResponseWriter, kill func() bool) {
	if !kill() {
		problem(w, http.StatusConflict, "no bridge runs; it comes back", "")
		return
	}
	f.kills.Add(1)
	w.WriteHeader(http.StatusAccepted)
}

// noteShown takes what a consumer's client on the page was shown over a socket, where
// nobody else sees it.
func (f *Front) noteShown(w http.ResponseWriter, r *http.Request) {
	var shown struct {
		Channel string `json:"channel"`
		// Text is that of an agent's message, empty for a card or a file.
		Text    string `json:"text"`
		Message bool   `json:"message"`
		Typing  bool   `json:"typing"`
		// Composing is what the consumer does, said over a socket.
		Composing bool `json:"composing"`
	}
	if !read(w, r, &shown) {
		return
	}
	if shown.Channel == "" {
		problem(w, http.StatusBadRequest, "channel: is missing", "channel")
		return
	}
	switch {
	case shown.Composing:
		f.watch.composing(shown.Channel)
	case shown.Message:
		f.watch.shownTyping(shown.Channel, false)
		f.watch.shown(nil, shown.Text)
	default:
		f.watch.shownTyping(shown.Channel, shown.Typing)
	}
	w.WriteHeader(http.StatusNoContent)
}

// read decodes a small JSON object without members that are not known.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostRead))
	if err != nil {
		problem(w, http.StatusBadRequest, "the body was not received, or is larger than 1 MiB", "")
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		wrong, named := errors.AsType[*json.UnmarshalTypeError](err)
		field := ""
		if named {
			field = wrong.Field
		}
		problem(w, http.StatusBadRequest, strings.TrimPrefix(err.Error(), "json: "), field)
		return false
	}
	return true
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// A client that went away needs no answer.
	_ = json.NewEncoder(w).Encode(v)
}

// problem answers with RFC 9457 JSON, as the bridge does.
func problem(w http.ResponseWriter, status int, detail, field string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Status int    `json:"status"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Field  string `json:"field,omitempty"`
	}{status, http.StatusText(status), detail, field})
}

// secured sets the headers of the page. It needs nothing from elsewhere but the files
// that the bridge gives out under its public address.
func secured(next http.Handler, public string) http.Handler {
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: " + public +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
