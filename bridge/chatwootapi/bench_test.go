package chatwootapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
)

// idleCore accepts everything and keeps records only, so that what is measured
// is the channel.
type idleCore struct{ *bridgetest.Core }

func (idleCore) Accept(context.Context, []bridge.Event, ...bridge.Record) (bridge.Accepted, error) {
	return bridge.Accepted{Events: 1}, nil
}

// BenchmarkCreateMessage is the channel's own share of a contact's message: the
// request read, the answer written, nothing stored.
func BenchmarkCreateMessage(b *testing.B) {
	w := newWorld(b)
	w.contact("s1", `,"name":"Alice Ray","email":"alice@acme.inc"`)
	at := w.another("s1")
	w.api.core = idleCore{w.core}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, at+"/messages", strings.NewReader(`{"content":"hello","echo_id":"e-1"}`))
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		w.mux.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Code)
		}
		// The flood guard is not what is measured.
		t, err := w.api.getConversation(b.Context(), 1)
		if err != nil {
			b.Fatal(err)
		}
		t.recent.times = t.recent.times[:0]
	}
}
