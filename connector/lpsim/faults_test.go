package lpsim_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

func TestFaultsOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startInside(t, lpsim.Config{})
		c := w.open("ana")
		messages := func() int64 { return c.view().ConsumerMessages }
		w.sim.SetFaults(lpsim.Faults{ErrorRate: lpsim.Rates{lpsim.SendAPI: 1}, ErrorStatus: 502})
		want(t, "error", c.say("1").status, 502)
		want(t, "other API", w.do("POST", createPath, batch, w.headers(w.consumerJWS("bob"))...).status, 200)
		w.sim.SetFaults(lpsim.Faults{ThrottleRate: lpsim.Everywhere(1)})
		r := c.say("2")
		want(t, "throttled", r.status, 429)
		want(t, "no Retry-After", r.header.Get("Retry-After"), "")
		w.sim.SetFaults(lpsim.Faults{ThrottleRate: lpsim.Everywhere(1), RetryAfterSeconds: 7, ThrottleBody: "empty"})
		r = c.say("3")
		want(t, "Retry-After", r.header.Get("Retry-After"), "7")
		want(t, "body", r.text, "")
		w.sim.SetFaults(lpsim.Faults{LostRequestRate: lpsim.Everywhere(1)})
		if _, err := w.try("POST", sendPath, event(c.id, c.id, textEvent("4")), c.headers(c.jws)...); err == nil {
			t.Error("a lost request was answered")
		}
		want(t, "nothing applied so far", messages(), int64(0))
		w.sim.SetFaults(lpsim.Faults{LostAnswerRate: lpsim.Everywhere(1)})
		if _, err := w.try("POST", sendPath, event(c.id, c.id, textEvent("5")), c.headers(c.jws)...); err == nil {
			t.Error("a lost answer arrived")
		}
		want(t, "applied all the same", messages(), int64(1))
		w.sim.SetFaults(lpsim.Faults{LatencyMinMs: 2000, LatencyMaxMs: 1000})
		begin := time.Now()
		c.say("6")
		want(t, "latency", time.Since(begin), 2*time.Second)
		w.sim.SetFaults(lpsim.Faults{UnauthorizedRate: lpsim.Rates{lpsim.SendAPI: 1}})
		want(t, "forgotten", c.say("7").field(t, "body.errorCode"), any(40102.0))
		w.sim.SetFaults(lpsim.Faults{})
		want(t, "still forgotten", c.say("8").status, 401)
		w.app = ""
		want(t, "new token", c.say("9").status, 200)
		stats := w.sim.Stats()
		want(t, "401s counted", stats.Calls[lpsim.SendAPI]["401"], int64(2))
		want(t, "lost answers counted", stats.LostAnswers, int64(1))
		want(t, "lost answers of SEND counted", stats.LostAnswersOf[lpsim.SendAPI], int64(1))
		want(t, "lost requests counted", stats.LostRequests, int64(1))
	})
}

func TestALostConnectionIsReallyCut(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	w.sim.SetFaults(lpsim.Faults{LostAnswerRate: lpsim.Everywhere(1)})
	if r, err := w.try("POST", sendPath, event(c.id, c.id, textEvent("x")), c.headers(c.jws)...); err == nil {
		t.Errorf("answer %+v", r)
	}
	want(t, "applied", c.view().ConsumerMessages, int64(1))
}

func TestOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startInside(t, lpsim.Config{})
		c := w.open("ana")
		w.sim.SetFaults(lpsim.Faults{Outages: []lpsim.Outage{{AfterMs: 1000, ForMs: 1000, Status: 503}, {AfterMs: 5000, ForMs: 1000}}})
		want(t, "before", c.say("1").status, 200)
		time.Sleep(1500 * time.Millisecond)
		want(t, "during", c.say("2").status, 503)
		time.Sleep(time.Second)
		want(t, "between", c.say("3").status, 200)
		time.Sleep(3 * time.Second)
		if _, err := w.try("POST", sendPath, "{}"); err == nil {
			t.Error("the second outage answers")
		}
		time.Sleep(time.Second)
		want(t, "after", c.say("4").status, 200)
		want(t, "calls in outages counted", w.sim.Stats().LostInOutages, int64(2))
	})
}

func TestMoreCallsAtOnceThanAllowedAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startInside(t, lpsim.Config{})
		c := w.open("ana")
		headers := c.headers(c.jws)
		w.sim.SetFaults(lpsim.Faults{ConcurrencyLimit: 2, LatencyMinMs: 1000})
		var calls sync.WaitGroup
		for i := range 5 {
			calls.Go(func() {
				if _, err := w.try("POST", sendPath, event(c.id, c.id, textEvent(fmt.Sprint(i))), headers...); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		want(t, "throttled", w.sim.Stats().Calls[lpsim.SendAPI]["429"], int64(3))
		want(t, "applied", c.view().ConsumerMessages, int64(2))
	})
}

func TestTheSameSeedGivesTheSameFaults(t *testing.T) {
	outcomes := func(seed uint64, extra lpsim.Faults) string {
		extra.Seed, extra.ErrorRate = seed, lpsim.Everywhere(0.5)
		w := start(t, lpsim.Config{})
		c := w.open("ana")
		w.sim.SetFaults(extra)
		var b strings.Builder
		for range 64 {
			fmt.Fprint(&b, c.say("x").status/100)
		}
		return b.String()
	}
	first := outcomes(1, lpsim.Faults{})
	want(t, "again", outcomes(1, lpsim.Faults{}), first)
	want(t, "with another knob drawing", outcomes(1, lpsim.Faults{LatencyMinMs: 0, LatencyMaxMs: 1}), first)
	if outcomes(2, lpsim.Faults{}) == first {
		t.Error("another seed gives the same")
	}
	if n := strings.Count(first, "5"); n < 16 || n > 48 {
		t.Errorf("%d of 64 failed at a rate of 0.5", n)
	}
}

func TestFaultsAreReadAndWrittenAsJSON(t *testing.T) {
	w := start(t, lpsim.Config{})
	r := w.do("PUT", "/sim/faults", `{"errorRate":0.25,"throttleRate":{"send":1},"outages":[{"afterMs":10,"forMs":20,"status":503}],"seed":9}`)
	want(t, "status", r.status, 200)
	got := w.do("GET", "/sim/faults", "")
	want(t, "rate", got.field(t, "errorRate"), any(0.25))
	want(t, "rate of one", got.field(t, "throttleRate.send"), any(1.0))
	want(t, "default", got.field(t, "batchErrorStatus"), any(400.0))
	want(t, "written form is accepted", w.do("PUT", "/sim/faults", got.text).status, 200)
	want(t, "seed", w.sim.Faults().Seed, uint64(9))
}

func TestEventStream(t *testing.T) {
	w := start(t, lpsim.Config{})
	resp, err := http.Get(w.url + "/sim/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	want(t, "type", resp.Header.Get("Content-Type"), "text/event-stream")
	scan := bufio.NewScanner(resp.Body)
	next := func(kind string) string {
		for scan.Scan() {
			if scan.Text() == "event: "+kind {
				scan.Scan()
				return scan.Text()
			}
		}
		t.Fatalf("the stream ended before %s: %v", kind, scan.Err())
		return ""
	}
	next("hello")
	c := w.open("ana")
	if data := next("conversation"); !strings.Contains(data, c.id) {
		t.Error(data)
	}
	c.state("COMPOSING")
	if data := next("typing"); !strings.Contains(data, "COMPOSING") {
		t.Error(data)
	}
	c.say("hello")
	if data := next("message"); !strings.Contains(data, "hello") {
		t.Error(data)
	}
}

func TestTheAgentsPage(t *testing.T) {
	w := start(t, lpsim.Config{})
	for path, kind := range map[string]string{"/": "text/html", "/page/page.js": "text/javascript", "/page/page.css": "text/css", "/page/icon.svg": "image/svg"} {
		r := w.do("GET", path, "")
		want(t, path, r.status, 200)
		if got := r.header.Get("Content-Type"); !strings.HasPrefix(got, kind) {
			t.Errorf("%s is %s", path, got)
		}
		if got := r.header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'self';") {
			t.Errorf("%s has policy %q", path, got)
		}
	}
	page := w.do("GET", "/", "").text
	script := w.do("GET", "/page/page.js", "").text
	for _, forbidden := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
		if strings.Contains(script, forbidden) {
			t.Errorf("the page uses %s", forbidden)
		}
	}
	// Every element the script asks for by name must exist.
	for _, part := range strings.Split(script, `$("`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		if !strings.Contains(page, `id="`+id+`"`) {
			t.Errorf("the page has no element %q", id)
		}
	}
}

var update = flag.Bool("update", false, "rewrite the generated part of README.md")

const (
	tableBegin = "<!-- knobs: made from the Faults struct by go test -run TestReadme -update -->\n"
	tableEnd   = "<!-- end of knobs -->"
)

func TestReadmeListsEveryKnob(t *testing.T) {
	var table strings.Builder
	table.WriteString("\n| name | default | values | meaning |\n|---|---|---|---|\n")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[lpsim.Faults]()) {
		name, help := field.Tag.Get("json"), field.Tag.Get("help")
		if name == "" || help == "" {
			t.Errorf("%s has no name or no help", field.Name)
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, defaultOf(field), valuesOf(field), help)
	}
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatal("README.md has no place for the knobs")
	}
	wanted := before + tableBegin + table.String() + "\n" + tableEnd + after
	if *update {
		if err := os.WriteFile("README.md", []byte(wanted), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != wanted {
		t.Error("README.md does not list the knobs as they are: go test -run TestReadme -update")
	}
}

func defaultOf(field reflect.StructField) string {
	if def := field.Tag.Get("default"); def != "" {
		return "`" + def + "`"
	}
	switch field.Type.Kind() {
	case reflect.Bool:
		return "`false`"
	case reflect.Slice, reflect.String:
		return "none"
	}
	return "`0`"
}

func valuesOf(field reflect.StructField) string {
	if choices := field.Tag.Get("oneof"); choices != "" {
		if field.Type.Kind() == reflect.Slice {
			return "list of " + strings.ReplaceAll(choices, "|", ", ")
		}
		return strings.ReplaceAll(choices, "|", ", ")
	}
	if low := field.Tag.Get("min"); low != "" {
		return low + " to " + field.Tag.Get("max")
	}
	switch field.Type {
	case reflect.TypeFor[lpsim.Rates]():
		return "0 to 1, or by API"
	case reflect.TypeFor[[]lpsim.Outage]():
		return "list"
	}
	return field.Type.String()
}

func TestDefaultsAreValid(t *testing.T) {
	faults := lpsim.Faults{}.WithDefaults()
	if err := faults.Validate(); err != nil {
		t.Error(err)
	}
	data, _ := json.Marshal(faults)
	if _, err := lpsim.ParseFaults(data); err != nil {
		t.Error(err)
	}
}

func FuzzSend(f *testing.F) {
	w := start(f, lpsim.Config{MaxTranscript: 50})
	c := w.open("ana")
	f.Add(event(c.id, c.id, textEvent("hello")))
	f.Add(event(c.id, c.id, `{"type":"AcceptStatusEvent","status":"ACTION","sequenceList":[-1,99999999]}`))
	f.Add(`{"kind":"req","id":1,"type":"cm.UpdateConversationField","body":{"conversationId":"` + c.id + `","conversationField":[{"field":"DialogChange","type":"UPDATE","dialog":{}}]}}`)
	f.Add(`{"kind":"req","id":1,"type":"ms.GenerateURLForUploadFile","body":{"fileSize":"1","fileType":"PNG"}}`)
	f.Add(`{"kind":"req","id":null,"type":"x","body":{}}`)
	headers := c.headers(c.jws)
	hc := &http.Client{Transport: w.sim.Transport()}
	f.Fuzz(func(t *testing.T, body string) {
		inside := &world{t: t, sim: w.sim, url: "http://sim.invalid", hc: hc}
		r, err := inside.try("POST", sendPath, body, append(headers, "Content-Type", "application/json")...)
		if err != nil {
			t.Fatal(err)
		}
		if r.status != 200 && r.status != 400 && r.status != 401 {
			t.Errorf("answer %d", r.status)
		}
		if !json.Valid([]byte(r.text)) {
			t.Errorf("answer is not JSON: %q", r.text)
		}
	})
}

func FuzzBatch(f *testing.F) {
	w := start(f, lpsim.Config{MaxConversations: 10})
	headers := append(w.headers(w.consumerJWS("ana")), "Content-Type", "application/json")
	hc := &http.Client{Transport: w.sim.Transport()}
	f.Add(batch)
	f.Add(`[{},{}]`)
	f.Add(`[null,null]`)
	f.Fuzz(func(t *testing.T, body string) {
		inside := &world{t: t, sim: w.sim, url: "http://sim.invalid", hc: hc}
		r, err := inside.try("POST", createPath, body, headers...)
		if err != nil {
			t.Fatal(err)
		}
		if r.status != 200 && r.status != 400 || !json.Valid([]byte(r.text)) {
			t.Errorf("answer %d %q", r.status, r.text)
		}
	})
}

func FuzzParseFaults(f *testing.F) {
	f.Add([]byte(`{"errorRate":{"*":1},"outages":[{"forMs":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		faults, err := lpsim.ParseFaults(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(faults)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lpsim.ParseFaults(again); err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}

// discard is a response that is thrown away, so that the benchmark measures the simulator alone.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkSend(b *testing.B) {
	w := start(b, lpsim.Config{MaxTranscript: 100})
	c := w.open("ana")
	body := event(c.id, c.id, textEvent(strings.Repeat("word ", 24)))
	headers := append(c.headers(c.jws), "Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequest("POST", w.url+sendPath, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		w.sim.ServeHTTP(&discard{http.Header{}}, req)
	}
	b.StopTimer()
	want(b, "refused", w.sim.Stats().Calls[lpsim.SendAPI]["400"], int64(0))
}
