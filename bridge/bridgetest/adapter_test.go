package bridgetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lpbridge/bridge"
)

// model is an adapter that passes, and that can be spoilt.
type model struct {
	Setting
	channel bridge.Channel
	routes  []bridge.Route
	serve   func(m *model, w http.ResponseWriter, r *http.Request)
	deliver func(m *model, ctx context.Context, e *bridge.Event) error
	typing  func(m *model, ctx context.Context, cue bridge.TypingCue) error
	check   func(m *model, ctx context.Context) []bridge.Finding
}

func (m *model) Channel() bridge.Channel { return m.channel }

func (m *model) Routes() []bridge.Route { return m.routes }

func (m *model) Deliver(ctx context.Context, e *bridge.Event) error { return m.deliver(m, ctx, e) }

func (m *model) ShowTyping(ctx context.Context, cue bridge.TypingCue) error {
	return m.typing(m, ctx, cue)
}

func (m *model) Check(ctx context.Context) []bridge.Finding { return m.check(m, ctx) }

const (
	modelPath  = "/channels/model"
	modelToken = "model-token"
	modelText  = "model-text"
	modelLimit = 1000
)

func newModel(s Setting) *model {
	m := &model{
		Setting: s, serve: serveModel, deliver: deliverModel, check: checkModel,
		channel: bridge.Channel{
			Name: "model", Reports: []bridge.Kind{bridge.KindMessage, bridge.KindTyping},
			Delivers:  []bridge.Kind{bridge.KindMessage, bridge.KindState},
			TypingIn:  bridge.TypingSource{Reported: true, Hold: time.Minute},
			TypingOut: bridge.TypingTarget{Shown: true, MinInterval: 2, Refresh: 2, Expiry: 3, HasPaused: true},
		},
		typing: func(m *model, ctx context.Context, cue bridge.TypingCue) error {
			return m.deliver(m, ctx, &bridge.Event{ID: "typing", Kind: bridge.KindTyping, Typing: &bridge.Typing{State: cue.State}})
		},
	}
	m.routes = []bridge.Route{{Pattern: "POST " + modelPath, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { m.serve(m, w, r) })}}
	return m
}

func serveModel(m *model, w http.ResponseWriter, r *http.Request) {
	body, err := bridge.ReadJSON(w, r, modelLimit)
	if err == nil && r.Header.Get("Authorization") != modelToken {
		err = &bridge.Problem{Status: http.StatusUnauthorized, Title: "Unauthorized"}
	}
	var events []bridge.Event
	if err == nil {
		if json.Unmarshal(body, &events) != nil {
			err = &bridge.Problem{Status: http.StatusBadRequest, Title: "Bad Request"}
		}
	}
	if err == nil {
		_, err = m.Core.Accept(r.Context(), events)
	}
	if err != nil {
		bridge.ProblemOf(err).ServeHTTP(w, r)
	}
}

func deliverModel(m *model, ctx context.Context, e *bridge.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, m.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Event", string(e.ID))
	resp, err := m.Client.Transport.RoundTrip(req)
	if err != nil {
		d := &bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.Join(errors.New("lost"), ctx.Err())}
		if sent.Load() {
			d.Outcome = bridge.Unknown
		}
		return d
	}
	defer resp.Body.Close()
	outcome, refused := statusOutcomes[resp.StatusCode]
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	if !refused {
		outcome = bridge.Retry
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return &bridge.DeliveryError{
		Outcome: outcome, RetryAfter: time.Duration(seconds) * time.Second, Err: fmt.Errorf("answered %d", resp.StatusCode),
	}
}

func checkModel(m *model, ctx context.Context) []bridge.Finding {
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, m.URL, nil)
	if err == nil {
		var resp *http.Response
		if resp, err = m.Client.Transport.RoundTrip(req); err == nil {
			err = resp.Body.Close()
		}
	}
	return []bridge.Finding{{Subject: "far side", Detail: "answers", Err: err}}
}

func modelCase(spoil func(m *model)) AdapterCase {
	return AdapterCase{
		New: func(_ testing.TB, s Setting) bridge.Adapter {
			m := newModel(s)
			spoil(m)
			return m
		},
		Doors: []Door{{
			Name: "messages",
			Request: func() *http.Request {
				r := httptest.NewRequest(http.MethodPost, modelPath, strings.NewReader(
					`[{"id":"1","type":"message","thread":"t","consumer":{"id":"u"},"message":{"text":"`+modelText+`"}}]`))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", modelToken)
				return r
			},
			Strangers: map[string]func(r *http.Request){"no token": func(r *http.Request) { r.Header.Del("Authorization") }},
			Limit:     modelLimit,
		}},
		Far:     &FarSide{Identity: func(c Call) string { return c.Header.Get("X-Event") }},
		Private: []string{modelToken, modelText},
	}
}

func TestModelPasses(t *testing.T) { TestAdapter(t, modelCase(func(*model) {})) }

// TestFacadePasses is a channel that we serve ourselves: nobody is called and
// it has a shape of its own for refusals.
func TestFacadePasses(t *testing.T) {
	c := modelCase(func(m *model) {
		m.deliver = func(*model, context.Context, *bridge.Event) error { return nil }
	})
	c.Far = nil
	prepared := 0
	c.Prepare = func(testing.TB, bridge.Adapter, Setting) { prepared++ }
	c.Doors[0].Refused = func(t testing.TB, resp *http.Response, _ []byte) {
		if resp.StatusCode < 400 {
			t.Errorf("answered %d", resp.StatusCode)
		}
	}
	TestAdapter(t, c)
	if prepared == 0 {
		t.Error("Prepare was not called")
	}
}

// spectator is a testing.TB that notes failures instead of failing.
type spectator struct {
	testing.TB

	mu       sync.Mutex
	failures []string
}

func (s *spectator) Helper() {}

func (s *spectator) Error(args ...any) { s.note(fmt.Sprint(args...)) }

func (s *spectator) Errorf(format string, args ...any) { s.note(fmt.Sprintf(format, args...)) }

func (s *spectator) Fatal(args ...any) {
	s.note(fmt.Sprint(args...))
	runtime.Goexit()
}

func (s *spectator) Fatalf(format string, args ...any) {
	s.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (s *spectator) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, text)
}

// TestSuiteFindsFaults spoils the model in one way at a time.
func TestSuiteFindsFaults(t *testing.T) {
	answering := func(status int) func(m *model, w http.ResponseWriter, r *http.Request) {
		return func(m *model, w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			serveModel(m, rec, r)
			if rec.Code != http.StatusOK {
				(&bridge.Problem{Status: status, Title: "Wrong", RetryAfter: time.Second}).ServeHTTP(w, r)
			}
		}
	}
	failing := func(err error) func(*model, context.Context, *bridge.Event) error {
		return func(m *model, ctx context.Context, e *bridge.Event) error {
			if deliverModel(m, ctx, e) != nil {
				return err
			}
			return nil
		}
	}
	tests := []struct {
		name, check string
		spoil       func(m *model)
	}{
		{"odd name", "channel is stable", func(m *model) { m.channel.Name = "Model" }},
		{"abilities by chance", "channel is stable", func() func(m *model) {
			var n time.Duration
			return func(m *model) { n++; m.channel.TypingIn.Hold = n }
		}()},
		{"state reported", "kinds are consistent", func(m *model) { m.channel.Reports = append(m.channel.Reports, bridge.KindState) }},
		{"typing delivered", "kinds are consistent", func(m *model) { m.channel.Delivers = append(m.channel.Delivers, bridge.KindTyping) }},
		{"kind twice", "kinds are consistent", func(m *model) { m.channel.Delivers = append(m.channel.Delivers, bridge.KindMessage) }},
		{"typing reported unsaid", "kinds are consistent", func(m *model) { m.channel.Reports = m.channel.Reports[:1] }},
		{"no hold", "typing numbers are sane", func(m *model) { m.channel.TypingIn.Hold = 0 }},
		{"early refresh", "typing numbers are sane", func(m *model) { m.channel.TypingOut.Refresh = 1 }},
		{"late refresh", "typing numbers are sane", func(m *model) { m.channel.TypingOut.Expiry = 2 }},
		{"numbers of nothing", "typing numbers are sane", func(m *model) { m.channel.TypingOut.Shown = false }},
		{"pattern with host", "routes are served by one mux", func(m *model) { m.routes[0].Pattern = "host/x" }},
		{"overlap", "routes are served by one mux", func(m *model) { m.routes = append(m.routes, m.routes[0]) }},
		{"no handler", "routes are served by one mux", func(m *model) { m.routes[0].Handler = nil }},
		{"elsewhere", "routes are served by one mux", func(m *model) { m.routes[0].Pattern = "/elsewhere" }},
		{"nothing accepted", "request becomes events", func(m *model) { m.serve = func(*model, http.ResponseWriter, *http.Request) {} }},
		{"kind not reported", "request becomes events", func(m *model) { m.channel.Reports = m.channel.Reports[1:] }},
		{"text logged", "request becomes events", func(m *model) {
			m.serve = func(m *model, w http.ResponseWriter, r *http.Request) {
				serveModel(m, w, r)
				m.Log.Debug("accepted", slog.String("text", modelText))
			}
		}},
		{"fresh ids", "repeated request adds nothing", func(m *model) {
			n := 0
			m.serve = func(m *model, _ http.ResponseWriter, r *http.Request) {
				n++
				_, _ = m.Core.Accept(r.Context(), []bridge.Event{{ID: bridge.EventID(strconv.Itoa(n)), Kind: bridge.KindClose,
					Thread: "t", Consumer: &bridge.Consumer{ID: "u"}}})
			}
		}},
		{"stranger believed", "stranger is refused", func(m *model) {
			m.serve = func(m *model, w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Authorization", modelToken)
				serveModel(m, w, r)
			}
		}},
		{"stranger not found", "stranger is refused", func(m *model) { m.serve = answering(404) }},
		{"refusal is no problem", "stranger is refused", func(m *model) {
			m.serve = func(m *model, w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusUnauthorized) }
		}},
		{"refusal repeats text", "stranger is refused", func(m *model) {
			m.serve = func(m *model, w http.ResponseWriter, r *http.Request) {
				(&bridge.Problem{Status: 401, Title: "no " + modelText}).ServeHTTP(w, r)
			}
		}},
		{"no limit", "long body is refused", func(m *model) { m.serve = answering(400) }},
		{"any content type", "wrong content type is refused", func(m *model) {
			m.serve = func(m *model, w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Content-Type", "application/json")
				serveModel(m, w, r)
			}
		}},
		{"no Retry-After", "core that cannot take events is told", func(m *model) {
			m.serve = func(m *model, w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				serveModel(m, rec, r)
				if rec.Code != http.StatusOK {
					(&bridge.Problem{Status: rec.Code, Title: "Busy"}).ServeHTTP(w, r)
				}
			}
		}},
		{"busy is 500", "core that cannot take events is told", func(m *model) { m.serve = answering(500) }},
		{"no call", "every kind reaches the far side", func(m *model) {
			m.deliver = func(*model, context.Context, *bridge.Event) error { return nil }
		}},
		{"text in an error", "status decides the outcome", func(m *model) {
			m.deliver = failing(&bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.New(AgentText)})
		}},
		{"always retried", "status decides the outcome", func(m *model) {
			m.deliver = failing(&bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.New("no")})
		}},
		{"plain error", "far side that is away is retried", func(m *model) { m.deliver = failing(errors.New("no")) }},
		{"lost is retried", "lost answer is not certain", func(m *model) {
			m.deliver = failing(&bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.New("no")})
		}},
		{"fresh id", "event delivered twice is the same", func(m *model) {
			var n atomic.Int64
			m.deliver = func(m *model, ctx context.Context, e *bridge.Event) error {
				fresh := *e
				fresh.ID = bridge.EventID(fmt.Sprint(n.Add(1)))
				return deliverModel(m, ctx, &fresh)
			}
		}},
		{"redirect followed", "redirect is not followed", func(m *model) {
			m.deliver = func(m *model, ctx context.Context, e *bridge.Event) error {
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, strings.NewReader("{}"))
				resp, err := m.Client.Do(req)
				if err == nil {
					resp.Body.Close()
				}
				return &bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.New("no")}
			}
		}},
		{"cancel hidden", "cancelled delivery returns", func(m *model) {
			m.deliver = failing(&bridge.DeliveryError{Outcome: bridge.Unknown, Err: errors.New("no")})
		}},
		{"cancel is final", "cancelled delivery returns", func(m *model) {
			m.deliver = failing(&bridge.DeliveryError{Outcome: bridge.Invalid, Err: context.Canceled})
		}},
		{"typing unseen", "typing reaches the far side", func(m *model) {
			m.typing = func(*model, context.Context, bridge.TypingCue) error { return nil }
		}},
		{"check blind", "findings tell no secret", func(m *model) {
			m.check = func(*model, context.Context) []bridge.Finding {
				return []bridge.Finding{{Subject: "x", Detail: "well"}}
			}
		}},
		{"check tells", "findings tell no secret", func(m *model) {
			m.check = func(m *model, ctx context.Context) []bridge.Finding {
				f := checkModel(m, ctx)
				f[0].Detail = modelToken
				return f
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := slices.IndexFunc(adapterChecks, func(c adapterCheck) bool { return c.name == tt.check })
			if i < 0 {
				t.Fatalf("no check %q", tt.check)
			}
			s := &spectator{TB: t}
			var wg sync.WaitGroup
			wg.Go(func() { adapterChecks[i].run(s, modelCase(tt.spoil)) })
			wg.Wait()
			if len(s.failures) == 0 {
				t.Errorf("%q finds nothing wrong", tt.check)
			}
		})
	}
}

func TestCoreTakesTypingEveryTime(t *testing.T) {
	core := NewCore()
	typing := bridge.Event{ID: "1", Kind: bridge.KindTyping, Thread: "t", Consumer: &bridge.Consumer{ID: "u"},
		Typing: &bridge.Typing{State: bridge.Composing}}
	message := bridge.Event{ID: "1", Kind: bridge.KindMessage, Thread: "t", Consumer: &bridge.Consumer{ID: "u"},
		Message: &bridge.Message{Text: "x"}}
	got, err := core.Accept(t.Context(), []bridge.Event{typing, typing, message, message})
	if want := (bridge.Accepted{Events: 3, Duplicates: 1}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
