package console

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"

	"lpbridge/bridge"
)

// policy lets the page load what this handler serves and nothing else.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// secure puts what protects an operator's browser around next.
func secure(hosts []string, next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(&bridge.Problem{
		Status: http.StatusForbidden, Title: "Forbidden", Detail: "requests of other origins change nothing here",
	})
	guarded := origins.Handler(next)
	unknownHost := &bridge.Problem{
		Status: http.StatusMisdirectedRequest, Title: "Misdirected Request",
		Detail: "this host name is not one of the console's; use its IP address or localhost, or add the name to LPBRIDGE_ADMIN_HOSTS", Field: "Host",
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !openToAnyHost(r.URL.Path) && !knownHost(r.Host, hosts) {
			unknownHost.ServeHTTP(w, r)
			return
		}
		if fromElsewhere(r) {
			elsewhere.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// elsewhere answers pages of others that ask for ours.
var elsewhere = &bridge.Problem{Status: http.StatusForbidden, Title: "Forbidden", Detail: "requests of other sites are not answered here"}

// fromElsewhere reports whether a page of another site made the browser ask. What
// it could not read would still cost us: a profile takes half a minute. Following
// a link to the page is fine.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.URL.Path != "/" || r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// openToAnyHost is true of what machines ask for by whatever name they know us.
// It holds nothing about persons and changes nothing.
func openToAnyHost(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics"
}

// knownHost tells names an attacker could own from those he could not. A page
// at a name that was rebound to our address counts as ours in the browser, so
// the check of origins does not see it.
func knownHost(host string, known []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if net.ParseIP(strings.Trim(name, "[]")) != nil {
		return true
	}
	if !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost") {
		return true
	}
	return slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
}

// plainErrorsAsProblems answers requests no route takes like all other errors.
// The mux writes plain text for them.
func plainErrorsAsProblems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &problemWriter{ResponseWriter: w, request: r}
		}
		mux.ServeHTTP(w, r)
	})
}

// problemWriter replaces the body of an error.
type problemWriter struct {
	http.ResponseWriter
	request  *http.Request
	replaced bool
}

// WriteHeader writes a problem instead of a plain error.
func (w *problemWriter) WriteHeader(status int) {
	if status < http.StatusBadRequest {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.replaced = true
	p := &bridge.Problem{Status: status, Title: http.StatusText(status), Detail: "there is nothing at this path"}
	if allowed := w.Header().Get("Allow"); allowed != "" {
		p.Detail = "this path takes " + allowed
	}
	p.ServeHTTP(w.ResponseWriter, w.request)
}

// Write drops the body that was replaced.
func (w *problemWriter) Write(b []byte) (int, error) {
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The connection is the client's to lose; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(v)
}
