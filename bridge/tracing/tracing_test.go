package tracing_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/tracing"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestPayloadKeepsItsTrace: beside the event, whatever is in it.
func TestPayloadKeepsItsTrace(t *testing.T) {
	for name, test := range map[string]struct{ payload, traceparent, want string }{
		"an event":                  {`{"id":"e-1"}`, traceparent, traceparent},
		"no trace":                  {`{"id":"e-1"}`, "", ""},
		"what is no traceparent":    {`{"id":"e-1"}`, "00-xyz", ""},
		"what is no event":          {``, traceparent, ""},
		"metadata that looks so":    {`{"liveperson":{"metadata":{"a":1,"traceparent":"` + traceparent + `"}}}`, "", ""},
		"a text that looks like it": {`{"message":{"text":"\",\"traceparent\":\"` + traceparent + `\"}"}}`, "", ""},
	} {
		payload := []byte(test.payload)
		whole := bridge.WithTrace(payload, test.traceparent)
		if got := bridge.TraceOf(whole); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if string(payload) != test.payload || !strings.HasPrefix(string(whole), strings.TrimSuffix(test.payload, "}")) {
			t.Errorf("%s: the event became %s", name, whole)
		}
	}
}

// TestOffCostsNothing: without a collector nothing is wrapped and nothing allocated.
func TestOffCostsNothing(t *testing.T) {
	var off *tracing.Tracer
	handler, transport := http.NotFoundHandler(), http.DefaultTransport
	if off.Transport(transport) != transport {
		t.Error("calls are wrapped")
	}
	served := 0
	off.Door("webhook", "POST /", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, plain := w.(*httptest.ResponseRecorder); plain {
			served++
		}
		handler.ServeHTTP(w, nil)
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
	if served != 1 {
		t.Error("answers are wrapped")
	}
	entry := &bridge.Entry{Payload: []byte(`{"id":"e-1"}`)}
	if n := testing.AllocsPerRun(100, func() {
		ctx, end := off.Delivery(context.Background(), entry)
		entry.Payload = bridge.WithTrace(entry.Payload, off.Kept(ctx))
		end("delivered")
		_, told := off.Typing(ctx, "webhook", bridge.ToLivePerson, bridge.Composing, off.Kept(ctx))
		told("applied", true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOff(b *testing.B) {
	var off *tracing.Tracer
	entry := &bridge.Entry{Payload: []byte(`{"id":"e-1"}`)}
	b.ReportAllocs()
	for b.Loop() {
		ctx, end := off.Delivery(context.Background(), entry)
		entry.Payload = bridge.WithTrace(entry.Payload, off.Kept(ctx))
		end("delivered")
		_, told := off.Typing(ctx, "webhook", bridge.ToLivePerson, bridge.Composing, off.Kept(ctx))
		told("applied", true)
	}
}
