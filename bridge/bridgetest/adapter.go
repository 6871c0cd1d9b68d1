package bridgetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"

	gocmp "github.com/google/go-cmp/cmp"
)

// AdapterCase is an adapter together with what its channel does, as far as the
// suite has to know. A part that a channel does not have is left out.
type AdapterCase struct {
	// New builds the adapter with all its abilities switched on.
	New func(t testing.TB, s Setting) bridge.Adapter
	// Doors are the requests the adapter takes; none for a channel that is
	// polled.
	Doors []Door
	// Far is the far side that Deliver calls; nil for a channel that we serve
	// ourselves, whose Deliver calls nobody.
	Far *FarSide
	// Prepare brings the adapter to where it can deliver, such as by having a
	// consumer write first. May be nil.
	Prepare func(t testing.TB, a bridge.Adapter, s Setting)
	// Event returns an event to deliver; nil stands for [AgentEvent].
	Event func(k bridge.Kind) bridge.Event
	// Private are the secrets of the configuration and the texts and personal
	// data of the requests. None may turn up in a log, an error or an answer
	// that refuses.
	Private []string
}

// Setting is what an adapter under test is built with.
type Setting struct {
	Core *Core
	// URL is the address of the far side.
	URL    string
	Client *http.Client
	Log    *slog.Logger
}

// Door is one request that the adapter takes.
type Door struct {
	Name string
	// Request returns a good request, the same each time, from which at least
	// one event follows. Its body may be replaced.
	Request func() *http.Request
	// Strangers turn the request into one that must not be believed, by name.
	Strangers map[string]func(r *http.Request)
	// Limit is the longest body taken, in bytes; 0 when that is not of interest.
	Limit int64
	// AnyContentType says that the door does not look at Content-Type.
	AnyContentType bool
	// Repeats says that by the channel's protocol the same request again is
	// another event.
	Repeats bool
	// Answers are the statuses where they differ from those of our own API.
	Answers Answers
	// Refused checks an answer that refuses beyond its status; nil asks for a
	// problem of RFC 9457 and, when the core could not take the events, for
	// Retry-After.
	Refused func(t testing.TB, resp *http.Response, body []byte)
}

// Answers are statuses; 0 stands for the one in brackets.
type Answers struct {
	Accepted  int // (200)
	Stranger  int // (401)
	TooLong   int // (413)
	WrongType int // (415)
	Busy      int // (503)
}

// FarSide is what the adapter calls.
type FarSide struct {
	// Handler answers as the channel does when all is well; nil answers 200 with
	// an empty JSON object.
	Handler http.Handler
	// Outcomes are the ends of a delivery by the far side's status, where they
	// differ from those of the suite.
	Outcomes map[int]bridge.Outcome
	// Lost is the end of a delivery that was sent and not answered; zero stands
	// for Unknown.
	Lost bridge.Outcome
	// Identity returns by what the far side knows a repeated call; nil when it
	// cannot.
	Identity func(c Call) string
}

// Call is a request that the far side received.
type Call struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte
}

// AgentText is the text of the message that [AgentEvent] makes. It counts as
// private in every case.
const AgentText = "suite-text-of-the-agent"

// AgentEvent returns an event as the core hands it to adapters.
func AgentEvent(k bridge.Kind) bridge.Event {
	e := bridge.Event{
		ID: bridge.EventID("dialog-1:" + string(k)), Kind: k, Thread: "thread-1",
		Time:  time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		Agent: &bridge.Agent{ID: "agent-1", Role: "ASSIGNED_AGENT"},
	}
	switch k {
	case bridge.KindMessage:
		e.Message = &bridge.Message{Text: AgentText}
	case bridge.KindReceipt:
		e.Receipt = &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"evt-1"}}
	case bridge.KindState:
		e.State = &bridge.State{Conversation: bridge.StateClosed, By: "agent"}
	}
	return e
}

// TestAdapter holds an adapter against the contract of [bridge.Adapter] and
// against what every channel promises.
func TestAdapter(t *testing.T, c AdapterCase) {
	for _, check := range adapterChecks {
		t.Run(check.name, func(t *testing.T) { check.run(t, c) })
	}
}

type adapterCheck struct {
	name string
	run  func(t testing.TB, c AdapterCase)
}

// adapterChecks take a testing.TB, so that the suite itself can be tested.
var adapterChecks = []adapterCheck{
	{"private texts can be found", checkPrivate},
	{"channel is stable", checkStable},
	{"kinds are consistent", checkKinds},
	{"typing numbers are sane", checkTypingNumbers},
	{"routes are served by one mux", checkRoutes},
	{"request becomes events", checkAccepted},
	{"repeated request adds nothing", checkRepeated},
	{"stranger is refused", checkStrangers},
	{"long body is refused", checkTooLong},
	{"wrong content type is refused", checkContentType},
	{"core that cannot take events is told", checkBusy},
	{"every kind reaches the far side", checkDeliver},
	{"event delivered twice is the same", checkDeliverTwice},
	{"threads are delivered at once", checkDeliverConcurrently},
	{"status decides the outcome", checkStatuses},
	{"redirect is not followed", checkRedirect},
	{"far side that is away is retried", checkAway},
	{"lost answer is not certain", checkLostAnswer},
	{"cancelled delivery returns", checkCancel},
	{"typing reaches the far side", checkTyping},
	{"findings tell no secret", checkFindings},
}

// bench is an adapter under test and all it talks to.
type bench struct {
	Setting
	t       testing.TB
	c       AdapterCase
	adapter bridge.Adapter
	far     *farServer
	log     *logBook
	mux     *http.ServeMux
}

// newBench builds the adapter anew. At the end of the check its log is searched
// for what is private.
func newBench(t testing.TB, c AdapterCase) *bench {
	t.Helper()
	b := &bench{t: t, c: c, far: newFarServer(t, c.Far), log: &logBook{}}
	b.Setting = Setting{
		Core: NewCore(), URL: b.far.server.URL, Client: b.far.server.Client(),
		Log: slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	b.adapter = c.New(t, b.Setting)
	b.mux = http.NewServeMux()
	for _, r := range b.adapter.Routes() {
		b.mux.Handle(r.Pattern, r.Handler)
	}
	if closer, ok := b.adapter.(bridge.Closer); ok {
		t.Cleanup(func() {
			if err := closer.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	return b
}

// ready is newBench for deliveries.
func ready(t testing.TB, c AdapterCase) *bench {
	t.Helper()
	b := newBench(t, c)
	if c.Prepare != nil {
		c.Prepare(t, b.adapter, b.Setting)
		b.far.reset()
	}
	return b
}

func (b *bench) event(k bridge.Kind) *bridge.Event {
	build := AgentEvent
	if b.c.Event != nil {
		build = b.c.Event
	}
	e := build(k)
	return &e
}

// main returns an event of the first kind that the channel delivers, or nil.
func (b *bench) main() *bridge.Event {
	kinds := b.adapter.Channel().Delivers
	if len(kinds) == 0 {
		return nil
	}
	return b.event(kinds[0])
}

// send has the adapter's routes answer a request.
func (b *bench) send(r *http.Request) (*http.Response, []byte) {
	rec := httptest.NewRecorder()
	b.mux.ServeHTTP(rec, r)
	b.checkLog()
	return rec.Result(), rec.Body.Bytes()
}

// deliver delivers and searches error and log for what is private.
func (b *bench) deliver(ctx context.Context, e *bridge.Event) error {
	b.t.Helper()
	err := b.adapter.Deliver(ctx, e)
	if err != nil {
		b.checkText("error of Deliver", err.Error())
	}
	b.checkLog()
	return err
}

func (b *bench) checkLog() {
	b.t.Helper()
	b.checkText("log", b.log.String())
}

func (b *bench) checkText(where, text string) {
	b.t.Helper()
	for i, p := range b.c.private() {
		if strings.Contains(text, p) {
			b.t.Errorf("%s contains private text %d", where, i)
		}
	}
}

func (c AdapterCase) private() []string { return append([]string{AgentText}, c.Private...) }

// checkRefused checks an answer that refuses, and that nothing came of it.
func (b *bench) checkRefused(d Door, what string, want int, resp *http.Response, body []byte) {
	b.t.Helper()
	if resp.StatusCode != want {
		b.t.Errorf("%s, %s: answered %d, want %d", d.Name, what, resp.StatusCode, want)
	}
	if n := len(b.Core.Events()); n != 0 {
		b.t.Errorf("%s, %s: %d events accepted, want none", d.Name, what, n)
	}
	if len(b.Core.DisconnectedThreads()) != 0 {
		b.t.Errorf("%s, %s: a thread was disconnected", d.Name, what)
	}
	b.checkText(d.Name+", "+what+": answer", string(body))
	if d.Refused != nil {
		d.Refused(b.t, resp, body)
		return
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		b.t.Errorf("%s, %s: Content-Type %q, want a problem", d.Name, what, ct)
	}
	var p bridge.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status != resp.StatusCode || p.Title == "" {
		b.t.Errorf("%s, %s: the answer is no problem of its status", d.Name, what)
	}
}

func checkPrivate(t testing.TB, c AdapterCase) {
	for i, p := range c.private() {
		encoded, err := json.Marshal(p)
		if err != nil || len(p) < 6 || string(encoded) != `"`+p+`"` {
			t.Errorf("private text %d is too short or too odd to be found in a log", i)
		}
	}
}

func checkStable(t testing.TB, c AdapterCase) {
	b := newBench(t, c)
	first := b.adapter.Channel()
	if !regexp.MustCompile(`^[a-z][a-z0-9]*$`).MatchString(first.Name) {
		t.Errorf("name %q is not lower-case letters and digits", first.Name)
	}
	if diff := gocmp.Diff(first, b.adapter.Channel()); diff != "" {
		t.Errorf("Channel changed between two calls (-first +second):\n%s", diff)
	}
	if diff := gocmp.Diff(first, newBench(t, c).adapter.Channel()); diff != "" {
		t.Errorf("Channel differs between two adapters (-first +second):\n%s", diff)
	}
}

// The kinds that may travel each way as events. Typing towards the channel is a
// cue and no event.
var (
	kindsToLivePerson = []bridge.Kind{
		bridge.KindMessage, bridge.KindTyping, bridge.KindReceipt, bridge.KindClick,
		bridge.KindClose, bridge.KindReopen, bridge.KindProfile, bridge.KindRating,
	}
	kindsToChannel = []bridge.Kind{
		bridge.KindMessage, bridge.KindReceipt, bridge.KindClose, bridge.KindReopen, bridge.KindState,
	}
)

func checkKinds(t testing.TB, c AdapterCase) {
	a := newBench(t, c).adapter
	ch := a.Channel()
	checkKindList(t, "Reports", ch.Reports, kindsToLivePerson)
	checkKindList(t, "Delivers", ch.Delivers, kindsToChannel)
	if reports := slices.Contains(ch.Reports, bridge.KindTyping); reports != ch.TypingIn.Reported {
		t.Errorf("Reports names typing: %t, TypingIn.Reported: %t", reports, ch.TypingIn.Reported)
	}
	if _, typist := a.(bridge.Typist); ch.TypingOut.Shown && !typist {
		t.Error("TypingOut.Shown, but the adapter is no Typist")
	}
	if len(c.Doors) > 0 && len(ch.Reports) == 0 {
		t.Error("there are doors, but Reports is empty")
	}
}

func checkKindList(t testing.TB, name string, kinds, known []bridge.Kind) {
	t.Helper()
	for i, k := range kinds {
		if !slices.Contains(known, k) {
			t.Errorf("%s: %q does not travel this way", name, k)
		}
		if slices.Contains(kinds[:i], k) {
			t.Errorf("%s: %q is named twice", name, k)
		}
	}
}

func checkTypingNumbers(t testing.TB, c AdapterCase) {
	ch := newBench(t, c).adapter.Channel()
	in, out := ch.TypingIn, ch.TypingOut
	switch {
	case !in.Reported && in != (bridge.TypingSource{}):
		t.Error("TypingIn is not Reported, but has numbers")
	case in.Reported && in.Hold <= 0:
		t.Error("TypingIn.Hold: typing that is reported must end by itself")
	case in.PhantomWindow < 0:
		t.Error("TypingIn.PhantomWindow is negative")
	}
	switch {
	case !out.Shown && out != (bridge.TypingTarget{}):
		t.Error("TypingOut is not Shown, but has numbers")
	case out.MinInterval < 0 || out.Refresh < 0 || out.Expiry < 0:
		t.Error("TypingOut has a negative number")
	case out.Refresh > 0 && out.Refresh < out.MinInterval:
		t.Error("TypingOut.Refresh is shorter than MinInterval")
	case out.Expiry > 0 && (out.Refresh == 0 || out.Expiry <= out.Refresh):
		t.Error("TypingOut.Expiry comes before a Refresh")
	}
}

func checkRoutes(t testing.TB, c AdapterCase) {
	routes := newRoutes(t, c)
	mux := http.NewServeMux()
	for _, r := range routes {
		if r.Handler == nil {
			t.Errorf("route %q has no handler", r.Pattern)
			continue
		}
		if path := r.Pattern[strings.LastIndexByte(r.Pattern, ' ')+1:]; !strings.HasPrefix(path, "/") {
			t.Errorf("route %q names a host or has no path", r.Pattern)
		}
		if err := handle(mux, r); err != nil {
			t.Errorf("route %q: %v", r.Pattern, err)
		}
	}
	for _, d := range c.Doors {
		if _, pattern := mux.Handler(d.Request()); pattern == "" {
			t.Errorf("%s: no route for it", d.Name)
		}
	}
}

// newRoutes builds the adapter without serving it.
func newRoutes(t testing.TB, c AdapterCase) []bridge.Route {
	far := newFarServer(t, c.Far)
	a := c.New(t, Setting{
		Core: NewCore(), URL: far.server.URL, Client: far.server.Client(), Log: slog.New(slog.DiscardHandler),
	})
	return a.Routes()
}

// handle registers a route; the mux panics at patterns that do not parse or that
// overlap without one being the more exact.
func handle(mux *http.ServeMux, r bridge.Route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.Handle(r.Pattern, r.Handler)
	return nil
}

func checkAccepted(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		b := newBench(t, c)
		resp, _ := b.send(d.Request())
		if want := cmp.Or(d.Answers.Accepted, http.StatusOK); resp.StatusCode != want {
			t.Errorf("%s: answered %d, want %d", d.Name, resp.StatusCode, want)
		}
		events := b.Core.Events()
		if len(events) == 0 {
			t.Errorf("%s: no event accepted", d.Name)
		}
		reports := b.adapter.Channel().Reports
		for _, e := range events {
			if !slices.Contains(reports, e.Kind) {
				t.Errorf("%s: made a %s, which Reports does not name", d.Name, e.Kind)
			}
		}
	}
}

func checkRepeated(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		if d.Repeats {
			continue
		}
		b := newBench(t, c)
		b.send(d.Request())
		first := withoutTyping(b.Core.Events())
		resp, _ := b.send(d.Request())
		if want := cmp.Or(d.Answers.Accepted, http.StatusOK); resp.StatusCode != want {
			t.Errorf("%s: the repetition was answered %d, want %d", d.Name, resp.StatusCode, want)
		}
		if diff := gocmp.Diff(first, withoutTyping(b.Core.Events())); diff != "" {
			t.Errorf("%s: the repetition made further events (-once +twice):\n%s", d.Name, diff)
		}
	}
}

func withoutTyping(events []bridge.Event) []bridge.Event {
	return slices.DeleteFunc(events, func(e bridge.Event) bool { return e.Kind == bridge.KindTyping })
}

func checkStrangers(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		for _, name := range slices.Sorted(maps.Keys(d.Strangers)) {
			b := newBench(t, c)
			r := d.Request()
			d.Strangers[name](r)
			resp, body := b.send(r)
			b.checkRefused(d, name, cmp.Or(d.Answers.Stranger, http.StatusUnauthorized), resp, body)
		}
	}
}

func checkTooLong(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		if d.Limit == 0 {
			continue
		}
		for what, length := range map[string]int64{"long body": d.Limit + 1, "long body of unknown length": -1} {
			b := newBench(t, c)
			r := d.Request()
			r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", int(d.Limit)+1)))
			r.ContentLength = length
			resp, body := b.send(r)
			b.checkRefused(d, what, cmp.Or(d.Answers.TooLong, http.StatusRequestEntityTooLarge), resp, body)
		}
	}
}

func checkContentType(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		if d.AnyContentType {
			continue
		}
		for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", ";"} {
			b := newBench(t, c)
			r := d.Request()
			r.Header.Set("Content-Type", ct)
			resp, body := b.send(r)
			b.checkRefused(d, fmt.Sprintf("content type %q", ct),
				cmp.Or(d.Answers.WrongType, http.StatusUnsupportedMediaType), resp, body)
		}
	}
}

func checkBusy(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		for _, refusal := range []error{bridge.ErrBusy, bridge.ErrStorage} {
			b := newBench(t, c)
			b.Core.Refuse(fmt.Errorf("accept: %w", refusal))
			resp, body := b.send(d.Request())
			b.checkRefused(d, refusal.Error(), cmp.Or(d.Answers.Busy, http.StatusServiceUnavailable), resp, body)
			if d.Refused == nil && resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %v: no Retry-After", d.Name, refusal)
			}
			b.Core.Refuse(nil)
			if b.send(d.Request()); len(b.Core.Events()) == 0 {
				t.Errorf("%s: after %v the same request made no event", d.Name, refusal)
			}
		}
	}
}

func checkDeliver(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	for _, k := range b.adapter.Channel().Delivers {
		b.far.reset()
		if err := b.deliver(t.Context(), b.event(k)); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		if c.Far != nil && len(b.far.recorded()) == 0 {
			t.Errorf("%s: the far side was not called", k)
		}
	}
}

func checkDeliverTwice(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	for _, k := range b.adapter.Channel().Delivers {
		var marks []string
		for range 2 {
			b.far.reset()
			if err := b.deliver(t.Context(), b.event(k)); err != nil {
				t.Errorf("%s: %v", k, err)
			}
			if c.Far == nil || c.Far.Identity == nil {
				continue
			}
			for _, call := range b.far.recorded() {
				marks = append(marks, c.Far.Identity(call))
			}
		}
		if slices.Contains(marks, "") || len(slices.Compact(marks)) > 1 {
			t.Errorf("%s: the far side cannot tell that the second call repeats the first", k)
		}
	}
}

func checkDeliverConcurrently(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	var wg sync.WaitGroup
	for range 8 {
		for _, k := range b.adapter.Channel().Delivers {
			wg.Go(func() {
				if err := b.adapter.Deliver(t.Context(), b.event(k)); err != nil {
					t.Errorf("%s: %v", k, err)
				}
			})
		}
	}
	wg.Wait()
}

// statusOutcomes is how the statuses of HTTP end a delivery when nothing in the
// response is the channel's own word: no event dies of what a proxy says, and
// what 5xx says nobody knows.
var statusOutcomes = map[int]bridge.Outcome{
	400: bridge.Retry, 401: bridge.Unauthorized, 403: bridge.Unauthorized, 404: bridge.Retry,
	405: bridge.Retry, 407: bridge.Retry, 408: bridge.Retry, 409: bridge.Retry, 413: bridge.Retry,
	421: bridge.Retry, 422: bridge.Retry, 425: bridge.Retry, 429: bridge.Throttled, 451: bridge.Retry,
	500: bridge.Unknown, 502: bridge.Unknown, 503: bridge.Unknown, 504: bridge.Unknown, 520: bridge.Unknown,
}

// farRetryAfter is what the far side asks for when it refuses, in seconds.
const farRetryAfter = 7

func checkStatuses(t testing.TB, c AdapterCase) {
	if c.Far == nil {
		return
	}
	wants := maps.Clone(statusOutcomes)
	maps.Copy(wants, c.Far.Outcomes)
	for _, status := range slices.Sorted(maps.Keys(wants)) {
		b := ready(t, c)
		e := b.main()
		if e == nil {
			return
		}
		b.far.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", fmt.Sprint(farRetryAfter))
			w.Header().Set("X-Echo", strings.Join(c.private(), " "))
			w.WriteHeader(status)
			// What a far side repeats of a request must not reach our errors.
			_, _ = io.WriteString(w, strings.Join(c.private(), " "))
		})
		err := b.deliver(t.Context(), e)
		if !b.ended(fmt.Sprintf("status %d", status), err, wants[status]) {
			continue
		}
		d, _ := errors.AsType[*bridge.DeliveryError](err)
		if wants[status] == bridge.Throttled && d.RetryAfter != farRetryAfter*time.Second {
			t.Errorf("status %d: RetryAfter %s, want %ds", status, d.RetryAfter, farRetryAfter)
		}
	}
}

// ended checks how a delivery ended. It reports false when there is no
// *bridge.DeliveryError to look at, as after a success.
func (b *bench) ended(what string, err error, want bridge.Outcome) bool {
	b.t.Helper()
	if want == bridge.Delivered {
		if err != nil {
			b.t.Errorf("%s: %v, want no error", what, err)
		}
		return false
	}
	d, ok := errors.AsType[*bridge.DeliveryError](err)
	if !ok {
		b.t.Errorf("%s: error is a %T, want a *bridge.DeliveryError", what, err)
		return false
	}
	if d.Outcome != want {
		b.t.Errorf("%s: outcome %s, want %s", what, d.Outcome, want)
	}
	return true
}

func checkRedirect(t testing.TB, c AdapterCase) {
	if c.Far == nil {
		return
	}
	for _, location := range []string{"/suite-elsewhere", "http://%zz"} {
		b := ready(t, c)
		e := b.main()
		if e == nil {
			return
		}
		b.far.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		b.ended("redirect", b.deliver(t.Context(), e), bridge.Retry)
		for _, call := range b.far.recorded() {
			if call.Path == "/suite-elsewhere" {
				t.Error("the adapter followed a redirect")
			}
		}
	}
}

func checkAway(t testing.TB, c AdapterCase) {
	if c.Far == nil {
		return
	}
	b := ready(t, c)
	e := b.main()
	if e == nil {
		return
	}
	b.Client.CloseIdleConnections()
	b.far.server.Close()
	b.ended("refused connection", b.deliver(t.Context(), e), bridge.Retry)
}

func checkLostAnswer(t testing.TB, c AdapterCase) {
	if c.Far == nil {
		return
	}
	b := ready(t, c)
	e := b.main()
	if e == nil {
		return
	}
	b.far.answer(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	want := bridge.Unknown
	if c.Far.Lost != bridge.Delivered {
		want = c.Far.Lost
	}
	b.ended("connection closed after the request", b.deliver(t.Context(), e), want)
}

func checkCancel(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	e := b.main()
	if e == nil {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if c.Far == nil {
		// Nothing is waited for, so only that it returns is of interest.
		cancel()
		_ = b.deliver(ctx, e)
		return
	}
	release := make(chan struct{})
	defer close(release)
	b.far.answer(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-release
	})
	err := b.deliver(ctx, e)
	d, ok := errors.AsType[*bridge.DeliveryError](err)
	switch {
	case !errors.Is(err, context.Canceled):
		t.Errorf("error is a %T that does not wrap context.Canceled", err)
	case ok && d.Outcome != bridge.Retry && d.Outcome != bridge.Unknown:
		t.Errorf("outcome %s, want retry or unknown", d.Outcome)
	}
}

func checkTyping(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	out := b.adapter.Channel().TypingOut
	typist, ok := b.adapter.(bridge.Typist)
	if !out.Shown || !ok {
		return
	}
	states := []bridge.TypingState{bridge.Composing, bridge.Stopped}
	if out.HasPaused {
		states = append(states, bridge.Paused)
	}
	cue := bridge.TypingCue{
		Thread: b.event(bridge.KindMessage).Thread, Agent: bridge.Agent{ID: "agent-1", Role: "ASSIGNED_AGENT"},
	}
	for _, cue.State = range states {
		b.far.reset()
		if err := typist.ShowTyping(t.Context(), cue); err != nil {
			t.Errorf("%s: %v", cue.State, err)
		}
		if c.Far != nil && len(b.far.recorded()) == 0 {
			t.Errorf("%s: the far side was not called", cue.State)
		}
	}
	b.far.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	switch err := typist.ShowTyping(t.Context(), cue); {
	case c.Far == nil:
	case err == nil:
		t.Error("ShowTyping: no error although the far side answered 500")
	default:
		b.checkText("error of ShowTyping", err.Error())
	}
	b.checkLog()
}

func checkFindings(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	checker, ok := b.adapter.(bridge.Checker)
	if !ok {
		return
	}
	var found []bridge.Finding
	found = append(found, checker.Check(t.Context())...)
	if len(found) == 0 {
		t.Error("Check found nothing to say")
	}
	for _, f := range found {
		if f.Err != nil {
			t.Errorf("%s: %v, although the far side is well", f.Subject, f.Err)
		}
	}
	if c.Far != nil {
		b.Client.CloseIdleConnections()
		b.far.server.Close()
		away := checker.Check(t.Context())
		if !slices.ContainsFunc(away, func(f bridge.Finding) bool { return f.Err != nil }) {
			t.Error("Check finds nothing wrong with a far side that is away")
		}
		found = append(found, away...)
	}
	for _, f := range found {
		b.checkText("finding", fmt.Sprint(f.Subject, f.Detail, f.Err))
		if f.Subject == "" || f.Detail == "" && f.Err == nil {
			t.Error("a finding does not say what it is about")
		}
	}
	b.checkLog()
}

// farServer is the far side.
type farServer struct {
	server *httptest.Server

	mu      sync.Mutex
	calls   []Call
	handler http.Handler
}

func newFarServer(t testing.TB, far *FarSide) *farServer {
	f := &farServer{handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})}
	if far != nil && far.Handler != nil {
		f.handler = far.Handler
	}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

// ServeHTTP notes the call and answers it.
func (f *farServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	f.calls = append(f.calls, Call{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body})
	handler := f.handler
	f.mu.Unlock()
	handler.ServeHTTP(w, r)
}

// answer replaces how the far side answers.
func (f *farServer) answer(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handler = h
}

func (f *farServer) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

func (f *farServer) recorded() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// logBook keeps what was logged.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements [io.Writer].
func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
