package console

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
)

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "after=3&limit=10", "limit=501", "outcome=invalid&channel=chatwoot", "after=%zz", "after=1;limit=2", "limit=1&limit=2",
		"direction=to_channel", "after=-1", "%00=1", "channel=%ff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, problem := parseQuery(raw)
		if problem != nil {
			checkProblem(t, problem, "after", "limit", "channel", "direction", "outcome")
			return
		}
		if q.limit < 1 || q.limit > maxLimit || q.After < 0 {
			t.Errorf("%q gives limit %d after %d", raw, q.limit, q.After)
		}
		if q.All || !q.DiedBefore.IsZero() {
			t.Errorf("%q sets what a query cannot", raw)
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		`{"all":true}`, `{"channel":"layer","outcome":"retry"}`, `{}`, `null`, `[]`, `{"all":true} x`, `{"ALL":true}`,
		`{"direction":"to_channel","diedBefore":"2026-11-20T10:00:00Z","after":4}`, `{"after":-1,"all":true}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		filter, problem := parseFilter(body)
		if problem != nil {
			checkProblem(t, problem, "all", "after", "direction", "outcome")
			return
		}
		if filter.Channel == "" && filter.Direction == "" && filter.Outcome == "" && !filter.All {
			t.Errorf("%q means everything without saying so", body)
		}
		encoded, err := json.Marshal(filter)
		if err != nil {
			t.Fatal(err)
		}
		again, problem := parseFilter(encoded)
		if problem != nil || again.Channel != filter.Channel || again.All != filter.All || again.After != filter.After || !again.DiedBefore.Equal(filter.DiedBefore) {
			t.Errorf("%+v comes back as %+v, %v", filter, again, problem)
		}
	})
}

func FuzzHost(f *testing.F) {
	for _, seed := range []string{"127.0.0.1", "localhost", "evil.example", "127.0.0.1.evil", "console", "::1", "[", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsAny(name, ":[]") {
			return // not part of a name
		}
		for _, host := range []string{name + ".example", name + ".example:8081", name + ".example.", name + ".EXAMPLE.:80"} {
			if knownHost(host, []string{"bridge.corp.internal"}) {
				t.Errorf("%q is taken for one of ours", host)
			}
		}
	})
}

func checkProblem(t *testing.T, p *bridge.Problem, fields ...string) {
	t.Helper()
	if p.Status != 400 || p.Detail == "" {
		t.Errorf("problem is %+v", p)
	}
	if p.Field == "" {
		return
	}
	if slices.Contains(fields, p.Field) {
		return
	}
	t.Errorf("problem names the field %q", p.Field)
}

// FuzzSeq goes through the whole handler, for the mux decodes the path.
func FuzzSeq(f *testing.F) {
	for _, seed := range []string{"5", "-1", "%35", "a%2Fb", "9223372036854775808", "+5", "0x5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seq string) {
		if strings.ContainsFunc(seq, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("/?#%.", r) }) {
			return
		}
		c := New(Options{Bridge: &runningBridge{}, DeadLetters: fourLetters(), Gatherer: prometheus.NewRegistry()})
		resp := request(c, "DELETE", "/deadletters/"+seq, "")
		body := []byte(bodyOf(t, resp))
		if resp.StatusCode == 200 {
			return
		}
		var p bridge.Problem
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&p); err != nil || p.Status != resp.StatusCode {
			t.Errorf("%q: status %d, body %s", seq, resp.StatusCode, body)
		}
	})
}
