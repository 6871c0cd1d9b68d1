package layer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoginsOfOneSourceAreBounded asks for nonces and sessions as fast as can be.
func TestLoginsOfOneSourceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Logins, c.ClientHeader = 4, "X-Real-IP" })
		from := []string{"X-Real-IP", "203.0.113.1"}
		for range 4 {
			w.must(201, "", "POST", "/nonces", "", from...)
		}
		for _, path := range []string{"/nonces", "/sessions"} {
			got := w.send("", "POST", path, `{}`, from...)
			if got.status != http.StatusTooManyRequests || got.has("id") != "rate_limit_exceeded" || got.header.Get("Retry-After") == "" {
				t.Errorf("POST %s: %d %v", path, got.status, got.body)
			}
		}
		w.must(201, "", "POST", "/nonces", "", "X-Real-IP", "203.0.113.2")
		time.Sleep(time.Minute)
		w.must(201, "", "POST", "/nonces", "", from...)
	})
}

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("a body that nobody awaits is read")
	return 0, io.EOF
}

// TestUploadsWithoutAPlaceAreNotRead sends bytes nobody awaits.
func TestUploadsWithoutAPlaceAreNotRead(t *testing.T) {
	w := newWorld(t)
	mux := http.NewServeMux()
	for _, r := range w.layer.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	id, _ := w.must(201, w.login("consumer-1"), "POST", "/content", "", "Upload-Content-Length", "1").has("id").(string)
	taken := "/content/" + strings.TrimPrefix(id, prefixContent) + "/upload"
	w.must(200, "", "PUT", taken, "x")
	for path, want := range map[string]int{"/content/" + thread1 + "/upload": http.StatusNotFound, taken: http.StatusConflict} {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPut, mount+path, untouched{t}))
		if rec.Code != want {
			t.Errorf("PUT %s: %d, want %d", path, rec.Code, want)
		}
	}
}
