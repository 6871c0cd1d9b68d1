package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"lpbridge/connector/lpsim"
)

// collector is one of OpenTelemetry's that takes spans as OTLP in JSON.
type collector struct {
	mu      sync.Mutex
	spans   []collected
	raw     string
	service string
	key     string
}

// collected is a span.
type collected struct {
	TraceID, SpanID, ParentSpanID, Name string
	Kind                                int
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	Links []struct{ TraceID, SpanID string }
}

func (s *collected) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue + a.Value.IntValue
		}
	}
	return ""
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var request struct {
		ResourceSpans []struct {
			Resource struct {
				Attributes []struct {
					Key   string
					Value struct{ StringValue string }
				}
			}
			ScopeSpans []struct{ Spans []collected }
		}
	}
	if r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw += string(body)
	c.key = r.Header.Get("Api-Key")
	for _, rs := range request.ResourceSpans {
		for _, a := range rs.Resource.Attributes {
			if a.Key == "service.name" {
				c.service = a.Value.StringValue
			}
		}
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
	fmt.Fprint(w, "{}")
}

// find waits for a span that fits.
func (c *collector) find(t *testing.T, what string, fits func(*collected) bool) (found collected) {
	t.Helper()
	await(t, "the span of "+what, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.IndexFunc(c.spans, func(s collected) bool { return fits(&s) })
		if i >= 0 {
			found = c.spans[i]
		}
		return i >= 0
	})
	return found
}

// way lists the spans of a trace below each other.
func (c *collector) way(trace, parent, indent string) string {
	var lines strings.Builder
	for _, s := range c.spans {
		if s.TraceID == trace && s.ParentSpanID == parent {
			fmt.Fprintf(&lines, "%s%s", indent, s.Name)
			for _, a := range s.Attributes {
				fmt.Fprintf(&lines, " %s=%s%s", a.Key, a.Value.StringValue, a.Value.IntValue)
			}
			for _, l := range s.Links {
				fmt.Fprintf(&lines, " link=%s", l.SpanID)
			}
			lines.WriteString("\n" + c.way(trace, s.SpanID, indent+"  "))
		}
	}
	return lines.String()
}

// TestTraces: the way of one message each way is one trace, which the channel's
// system began or hears of, and nothing in it is anybody's.
func TestTraces(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	traced := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_SERVICE_NAME": "the-bridge", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20key", "OTEL_BSP_SCHEDULE_DELAY": "50",
	}
	p := s.run(traced)
	const begun = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	const trace = "0af7651916cd43dd8448eb211c80319c"
	// The process that delivers is not the one that accepted.
	s.away(t, true)
	body := message("planted-thread", "planted-event", "planted words")
	header := signed(t, body)
	header.Set("Traceparent", begun)
	if a := do(t, http.MethodPost, p.public+"/channels/webhook", header, body); a.status != http.StatusOK {
		t.Fatalf("answered %d: %s", a.status, a.body)
	}
	c.find(t, "a delivery that failed", func(s *collected) bool {
		return s.TraceID == trace && s.Name == "deliver to_liveperson" && s.attribute("lpbridge.outcome") != "delivered"
	})
	p.terminate()
	s.away(t, false)
	p = s.run(traced)
	door := c.find(t, "the front door", func(s *collected) bool { return s.TraceID == trace && s.Name == "POST /channels/webhook" })
	if door.ParentSpanID != "b7ad6b7169203331" || door.attribute("http.response.status_code") != "200" || door.attribute("lpbridge.channel") != "webhook" {
		t.Errorf("the front door is %+v", door)
	}
	delivery := c.find(t, "the delivery", func(s *collected) bool {
		return s.TraceID == trace && s.Name == "deliver to_liveperson" && s.attribute("lpbridge.outcome") == "delivered"
	})
	if delivery.ParentSpanID != door.SpanID || len(delivery.Links) != 1 || delivery.Links[0].SpanID != door.SpanID {
		t.Errorf("the delivery is %+v", delivery)
	}
	c.find(t, "the SEND", func(s *collected) bool {
		return s.TraceID == trace && s.ParentSpanID == delivery.SpanID && s.Kind == 3 && s.attribute("http.response.status_code") == "200"
	})
	s.awaitTexts("planted-thread", "planted words")
	if _, err := s.sim.AgentMessage(s.conversations("planted-thread")[0].ConversationID, lpsim.AgentMessage{Text: "planted answer"}); err != nil {
		t.Fatal(err)
	}
	back := c.find(t, "the way back", func(s *collected) bool {
		return s.Name == "deliver to_channel" && s.attribute("lpbridge.kind") == "message" && s.attribute("lpbridge.outcome") == "delivered"
	})
	notification := c.find(t, "the notification", func(s *collected) bool { return s.SpanID == back.ParentSpanID })
	if notification.Name != "POST /webhooks/liveperson" || notification.TraceID != back.TraceID {
		t.Errorf("the notification is %+v", notification)
	}
	call := c.find(t, "the call to the channel", func(s *collected) bool { return s.ParentSpanID == back.SpanID && s.Kind == 3 })
	s.far.mu.Lock()
	heard := slices.ContainsFunc(s.far.traces, func(parent string) bool { return parent == "00-"+back.TraceID+"-"+call.SpanID+"-01" })
	s.far.mu.Unlock()
	if !heard {
		t.Error("the channel hears of another trace")
	}
	p.terminate()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("to LivePerson:\n%sto the channel:\n%s", c.way(trace, "b7ad6b7169203331", "  "), c.way(back.TraceID, "", "  "))
	if c.service != "the-bridge" || c.key != "a key" {
		t.Errorf("service %q, key %q", c.service, c.key)
	}
	for _, private := range []string{"planted", "consumer-of", "sandbox-secret"} {
		if strings.Contains(c.raw, private) {
			t.Errorf("%q is in the traces", private)
		}
	}
}

// TestTypingIsTraced: what tells of typing and takes it back belongs to the trace of the
// request that said so, each way.
func TestTypingIsTraced(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	p := s.run(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_BSP_SCHEDULE_DELAY": "50"})
	s.post(p, message("planted-thread", "planted-event", "planted words"))
	s.awaitTexts("planted-thread", "planted words")
	const trace = "0af7651916cd43dd8448eb211c80319c"
	types := func(state, parent string) {
		body := typing("planted-thread", state)
		header := signed(t, body)
		header.Set("Traceparent", "00-"+trace+"-"+parent+"-01")
		if a := do(t, http.MethodPost, p.public+"/channels/webhook", header, body); a.status != http.StatusOK {
			t.Fatalf("answered %d: %s", a.status, a.body)
		}
	}
	told := func(state, parent string) {
		t.Helper()
		door := c.find(t, "the request", func(s *collected) bool { return s.TraceID == trace && s.ParentSpanID == parent })
		span := c.find(t, state, func(s *collected) bool {
			return s.TraceID == trace && s.Name == "typing to_liveperson" && s.attribute("lpbridge.typing") == state && s.attribute("lpbridge.outcome") == "applied"
		})
		if span.ParentSpanID != door.SpanID || len(span.Links) != 1 || span.Links[0].SpanID != door.SpanID || span.attribute("lpbridge.channel") != "webhook" {
			t.Errorf("%s is %+v", state, span)
		}
		c.find(t, "the SEND", func(s *collected) bool {
			return s.ParentSpanID == span.SpanID && s.Kind == 3 && s.attribute("http.response.status_code") == "200"
		})
	}
	types("composing", "b7ad6b7169203331")
	told("composing", "b7ad6b7169203331")
	types("stopped", "b7ad6b7169203332")
	told("stopped", "b7ad6b7169203332")
	agentTypes := func(state string) {
		if err := s.sim.AgentTyping(s.conversations("planted-thread")[0].ConversationID, state, lpsim.Agent{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ says, want string }{{"COMPOSING", "composing"}, {"ACTIVE", "stopped"}} {
		agentTypes(step.says)
		shown := c.find(t, step.want+" at the channel", func(s *collected) bool {
			return s.Name == "typing to_channel" && s.attribute("lpbridge.typing") == step.want && s.attribute("lpbridge.outcome") == "applied"
		})
		c.find(t, "the notification", func(s *collected) bool {
			return s.SpanID == shown.ParentSpanID && s.Name == "POST /webhooks/liveperson"
		})
	}
	p.terminate()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("typing:\n%s", c.way(trace, "b7ad6b7169203331", "  ")+c.way(trace, "b7ad6b7169203332", "  "))
	for _, private := range []string{"planted", "consumer-of"} {
		if strings.Contains(c.raw, private) {
			t.Errorf("%q is in the traces", private)
		}
	}
}

// TestTracesAreConfigured: what is wrong is named, and what says nothing or no is off.
func TestTracesAreConfigured(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for name, test := range map[string]struct{ variable, value string }{
		"an address": {"OTEL_EXPORTER_OTLP_ENDPOINT", "collector"},
		"a protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
		"a time":     {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"},
		"headers":    {"OTEL_EXPORTER_OTLP_HEADERS", "nothing"},
	} {
		settings := s.with(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
		settings[test.variable] = test.value
		if got := outcome(t, settings, "run"); got.code != exitConfig || !strings.Contains(got.stderr, test.variable+": must be") {
			t.Errorf("%s: exit code %d: %s", name, got.code, got.stderr)
		}
	}
}
