package layer

import (
	"net/http"
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

// TestUploadsWithoutAPlaceAreNotRead sends bytes nobody awaits.
func TestUploadsWithoutAPlaceAreNotRead(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	large := strings.Repeat("x", 64<<10+1) // more than may be, were it read
	if got := w.send("", "PUT", "/content/"+thread1+"/upload", large); got.status != http.StatusNotFound {
		t.Errorf("no such place: %d", got.status)
	}
	id, _ := w.must(201, token, "POST", "/content", "", "Upload-Content-Length", "1").has("id").(string)
	path := "/content/" + strings.TrimPrefix(id, prefixContent) + "/upload"
	w.must(200, "", "PUT", path, "x")
	if got := w.send("", "PUT", path, large); got.status != http.StatusConflict {
		t.Errorf("a place that is taken: %d", got.status)
	}
}
