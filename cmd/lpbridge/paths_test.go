package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestSlashesTooMany sends requests as clients of Rails and people who paste
// addresses spell them. Their bodies must arrive.
func TestSlashesTooMany(t *testing.T) {
	mux := http.NewServeMux()
	for _, pattern := range []string{
		"POST /channels/webhook", "GET /public/api/{inbox}", "POST /public/api/{inbox}/contacts", "/public/", "/cable", "GET /layer/{$}", "/layer/",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, pattern+" "+r.PathValue("inbox")+" "+string(body))
		})
	}
	public := plainPaths(mux, problems(mux, newRefusals(slog.New(slog.DiscardHandler), prometheus.NewRegistry())))
	for _, tc := range []struct{ method, path, want string }{
		{"POST", "/channels/webhook/", "POST /channels/webhook  body"}, {"POST", "//channels//webhook", "POST /channels/webhook  body"},
		{"POST", "/public/api/i/contacts/", "POST /public/api/{inbox}/contacts i body"},
		{"POST", "/public//api/i/contacts//", "POST /public/api/{inbox}/contacts i body"},
		{"GET", "/public/api/i%2Fj/", "GET /public/api/{inbox} i/j body"}, {"HEAD", "/public/api/i/", ""},
		{"OPTIONS", "/public/api/i/contacts/", "/public/  body"}, {"OPTIONS", "//public/api/i/contacts", "/public/  body"},
		{"GET", "/public/nothing/", "/public/  body"}, {"GET", "/cable/", "/cable  body"}, {"GET", "//cable", "/cable  body"},
		{"GET", "/layer/", "GET /layer/{$}  body"}, {"GET", "//layer//", "GET /layer/{$}  body"}, {"POST", "/layer/x/", "/layer/  body"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tc.method, "http://host"+tc.path, strings.NewReader("body"))
		rec := httptest.NewRecorder()
		public.ServeHTTP(rec, r)
		if got := rec.Body.String(); rec.Code != http.StatusOK || tc.want != "" && got != tc.want {
			t.Errorf("%s %s: %d %q, want %q", tc.method, tc.path, rec.Code, got, tc.want)
		}
	}
	for path, want := range map[string]int{"/nothing/": 404, "/": 404, "//": 404, "/channels/webhook/": 405} {
		rec := httptest.NewRecorder()
		public.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "http://host"+path, nil))
		if rec.Code != want || !strings.HasPrefix(rec.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("GET %s: %d %s, want %d", path, rec.Code, rec.Header().Get("Content-Type"), want)
		}
	}
}
