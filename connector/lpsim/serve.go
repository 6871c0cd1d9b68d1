package lpsim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// call is one request to a LivePerson API while it is worked on.
type call struct {
	*http.Request
	faults *inForce
	path   []string // the path's segments
	body   []byte
	early  []<-chan struct{} // notifications the answer waits for
	// between is the page that something in between answers with, if it does.
	between *interposition
	// opensLate means that this call's answer is lost and its first notification late.
	opensLate bool
	applied   []Applied
	// reason and page say why the call was refused.
	reason, page string
}

// answer is what a call is answered with. Handlers return it instead of writing it, so that an answer can be late
// or lost after the call was applied.
type answer struct {
	status     int
	body       []byte
	kind       string
	retryAfter string
	allow      string
	header     map[string]string
}

const jsonType = "application/json;charset=utf-8"

func jsonAnswer(status int, body []byte) answer {
	return answer{status: status, body: body, kind: jsonType}
}

// endpoint is who answers an API, and the methods it takes.
type endpoint struct {
	methods string
	handle  func(*call) answer
}

// gateway stands before all of LivePerson's APIs. It applies the faults that come before and after a call has an
// effect, and remembers the calls.
type gateway struct {
	*installation
	endpoints  map[API]endpoint
	requests   *requests
	stream     *stream
	inProgress atomic.Int64
	onApplied  atomic.Pointer[func(Applied)]
}

func newGateway(app *installation, r *requests, s *stream, endpoints map[API]endpoint) *gateway {
	return &gateway{installation: app, endpoints: endpoints, requests: r, stream: s}
}

// route tells which API a path belongs to. It is written out instead of left to http.ServeMux because a mux
// redirects unclean paths, and LivePerson's answer to a missing account is an error of its own.
func route(path string) (API, bool) {
	switch {
	case strings.HasPrefix(path, "/api/account/"):
		return routeAccount(strings.Split(path, "/")[4:])
	case strings.HasPrefix(path, "/sentinel/"):
		return SentinelAPI, true
	case strings.HasPrefix(path, "/v1/AUTH_"):
		return SwiftAPI, true
	case strings.HasPrefix(path, "/messaging_history/"):
		return HistoryAPI, true
	}
	return "", false
}

func routeAccount(rest []string) (API, bool) {
	switch strings.Join(rest, "/") {
	case "messaging/consumer/conversation/send":
		return SendAPI, true
	case "messaging/consumer/conversation":
		return ConversationAPI, true
	case "consumer":
		return IDPAPI, true
	case "login":
		return LoginAPI, true
	case "configuration/provision/featureGrants":
		return FeaturesAPI, true
	}
	switch {
	case len(rest) > 1 && rest[0] == "service":
		return DomainAPI, true
	case len(rest) == 3 && rest[0] == "app" && rest[2] == "engagement":
		return EngagementAPI, true
	case len(rest) > 2 && len(rest) < 5 && strings.Join(rest[:3], "/") == "configuration/app-install/installations":
		return InstallationsAPI, true
	case len(rest) == 4 && strings.Join(rest[:3], "/") == "configuration/le-users/users":
		return ProfileAPI, true
	}
	return "", false
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request, api API) {
	c := &call{Request: r, faults: g.faults(), path: strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")}
	c.between = c.faults.interpose(api)
	c.opensLate = api == ConversationAPI && c.faults.drawAlone(rollLateOpening, c.faults.LateOpeningRate)
	if api == SendAPI || api == ConversationAPI {
		defer g.inProgress.Add(-1)
		if n := g.inProgress.Add(1); c.faults.ConcurrencyLimit > 0 && n > int64(c.faults.ConcurrencyLimit) {
			c.because("fault: concurrencyLimit", pageRetry)
			g.write(w, c, api, throttled(c.faults))
			return
		}
	}
	latency := c.faults.drawLatency(api)
	before := time.Duration(float64(latency) * c.faults.LatencyBeforeShare)
	if pause(r.Context(), before) != nil {
		return
	}
	if a, refused := g.refuse(c, api); refused {
		if pause(r.Context(), latency-before) == nil {
			g.write(w, c, api, a)
		}
		return
	}
	a := g.handle(w, c, api)
	g.announce(c)
	awaitEarly(c)
	if pause(r.Context(), latency-before) != nil {
		g.stats.abandoned.Add(1)
		return
	}
	if c.faults.draw(rollLostAnswer, api, c.faults.LostAnswerRate.of(api)) || c.opensLate {
		g.stats.lostAnswers[api.index()].Add(1)
		c.because("fault: the answer was lost", "")
		g.requests.note(c, api, answer{}, g.Now())
		panic(http.ErrAbortHandler)
	}
	g.write(w, c, api, g.spoil(c, api, a))
}

// spoil replaces the answer of a call that was applied by one that does not say so.
func (g *gateway) spoil(c *call, api API, a answer) answer {
	switch {
	case a.status >= http.StatusMultipleChoices:
		return a
	case c.between != nil:
		g.stats.interposed.Add(1)
		c.because("fault: betweenRate, after the call was applied", "")
		return c.between.page
	case c.faults.draw(rollAppliedError, api, c.faults.AppliedErrorRate.of(api)):
		g.stats.appliedErrors.Add(1)
		c.because("fault: appliedErrorRate, after the call was applied", "")
		return failure(c.faults)
	}
	return a
}

// refuse applies the faults that come before a call has any effect.
func (g *gateway) refuse(c *call, api API) (answer, bool) {
	f := c.faults
	if o := f.outage(g.Now()); o != nil {
		g.stats.lostInOutages.Add(1)
		c.because("fault: outages", "")
		if o.Status == 0 {
			g.requests.note(c, api, answer{}, g.Now())
			panic(http.ErrAbortHandler)
		}
		a := plainError(o.Status)
		a.retryAfter = f.RetryAfterText
		return a, true
	}
	if c.between != nil && !c.between.after {
		g.stats.interposed.Add(1)
		c.because("fault: betweenRate", "")
		return c.between.page, true
	}
	if f.draw(rollLostRequest, api, f.LostRequestRate.of(api)) {
		g.stats.lostRequests.Add(1)
		c.because("fault: lostRequestRate", "")
		g.requests.note(c, api, answer{}, g.Now())
		panic(http.ErrAbortHandler)
	}
	if f.draw(rollError, api, f.ErrorRate.of(api)) {
		c.because("fault: errorRate", "")
		return failure(f), true
	}
	if f.draw(rollThrottle, api, f.ThrottleRate.of(api)) {
		c.because("fault: throttleRate", pageRetry)
		return throttled(f), true
	}
	return answer{}, false
}

func plainError(status int) answer {
	return answer{status: status, body: []byte(http.StatusText(status) + "\n"), kind: "text/plain; charset=utf-8"}
}

// failure is a 5xx of LivePerson's.
func failure(f *inForce) answer {
	a := plainError(f.ErrorStatus)
	switch f.ErrorBody {
	case "json":
		a = jsonAnswer(f.ErrorStatus, []byte(`{"code":"INTERNAL_SERVER_ERROR","body":{"msg":"Internal server error"}}`))
	case "empty":
		a = answer{status: f.ErrorStatus}
	}
	a.retryAfter = f.RetryAfterText
	return a
}

func throttled(f *inForce) answer {
	a := answer{status: http.StatusTooManyRequests, retryAfter: f.retryAfter()}
	if f.ThrottleBody == "json" {
		a.kind, a.body = jsonType, []byte(`{"code":"TOO_MANY_REQUESTS","body":{"msg":"Too many requests"}}`)
	}
	return a
}

func (g *gateway) handle(w http.ResponseWriter, c *call, api API) answer {
	endpoint := g.endpoints[api]
	if !strings.Contains(endpoint.methods, c.Method) {
		c.because("the method is not that of this API", "")
		a := plainError(http.StatusMethodNotAllowed)
		a.allow = strings.ReplaceAll(endpoint.methods, " ", ", ")
		return a
	}
	limit := int64(maxRequestBytes)
	if api == SwiftAPI {
		limit = int64(c.faults.UploadLimitBytes)
	}
	var err error
	if c.body, err = readAll(http.MaxBytesReader(w, c.Body, limit), c.ContentLength); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			c.because("the body is larger than the simulator, or uploadLimitBytes, takes", pageFiles)
			return plainError(http.StatusRequestEntityTooLarge)
		}
		c.because("the body was not received completely", "")
		return plainError(http.StatusBadRequest)
	}
	return endpoint.handle(c)
}

// maxRequestBytes is far above every documented limit, so that those are what a client meets.
const maxRequestBytes = 1 << 20

// readAll reads a body, in one piece when its length is known and modest.
func readAll(body io.Reader, length int64) ([]byte, error) {
	if length <= 0 || length > 64<<10 {
		return io.ReadAll(body)
	}
	data := make([]byte, length)
	_, err := io.ReadFull(body, data)
	return data, err
}

// awaitEarly holds the answer until its notifications were tried, for at most the time a webhook may take.
func awaitEarly(c *call) {
	if len(c.early) == 0 {
		return
	}
	limit := time.NewTimer(time.Duration(c.faults.WebhookTimeoutMs) * time.Millisecond)
	defer limit.Stop()
	for _, delivered := range c.early {
		select {
		case <-delivered:
		case <-limit.C:
			return
		case <-c.Context().Done():
			return
		}
	}
}

func (g *gateway) write(w http.ResponseWriter, c *call, api API, a answer) {
	g.stats.count(api, a.status)
	g.requests.note(c, api, a, g.Now())
	h := w.Header()
	if a.status >= http.StatusMultipleChoices || c.reason != "" {
		h.Set(HeaderReason, orElse(c.reason, http.StatusText(a.status)))
		if c.page != "" {
			h.Set(HeaderPage, c.page)
		}
	}
	if a.kind != "" {
		h["Content-Type"] = []string{a.kind}
	}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	for name, value := range a.header {
		h.Set(name, value)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

// pause waits on a timer or until the client is gone.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
