package relay

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestClosedConnectionsDoNotFillTheLog: a thousand of a kind are one line a minute, which
// says how many there were.
func TestClosedConnectionsDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		c := newClosings(prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&out, nil)))
		for range 1000 {
			c.note("layer", "too_slow")
		}
		c.note("layer", "too_many")
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines at once:\n%s", n, &out)
		}
		time.Sleep(closingsPause)
		out.Reset()
		c.note("layer", "too_slow")
		if !strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "count=1000") {
			t.Errorf("a minute later: %s", &out)
		}
		if n := testutil.ToFloat64(c.counter.WithLabelValues("layer", "too_slow")); n != 1001 {
			t.Errorf("counted %v", n)
		}
	})
}
