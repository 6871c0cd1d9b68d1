package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestCheckFindsAClockThatIsOff: tokens and signatures would be refused for it, and
// nobody would think of the clock.
func TestCheckFindsAClockThatIsOff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		date []string
		code int
		want string
	}{
		"five minutes behind": {[]string{time.Now().Add(5 * time.Minute).UTC().Format(http.TimeFormat)}, exitFailed, "FAIL  clock                  is -"},
		"five minutes ahead":  {[]string{time.Now().Add(-5 * time.Minute).UTC().Format(http.TimeFormat)}, exitFailed, "off from LivePerson's: tokens and signatures will be refused"},
		"nobody knows":        {nil, exitOK, "warn  clock                  cannot be compared"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = tc.date
				s.wire.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			got := outcome(t, s.with(map[string]string{"LP_DOMAIN_API_URL": server.URL}), "check")
			if got.code != tc.code || !strings.Contains(got.stdout, tc.want) {
				t.Errorf("exit code %d: %s", got.code, got.stdout)
			}
		})
	}
}
