package bridgetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lpbridge/bridge"

	gocmp "github.com/google/go-cmp/cmp"
)

func checkPrivate(t testing.TB, c AdapterCase) {
	for i, p := range c.private() {
		encoded, err := json.Marshal(p)
		if err != nil || len(p) < 6 || string(encoded) != `"`+p+`"` {
			t.Errorf("private text %d is too short or too odd to be found in a log", i)
		}
	}
}

func checkStable(t testing.TB, c AdapterCase) {
	b := newBench(t, c)
	first := b.adapter.Channel()
	if !regexp.MustCompile(`^[a-z][a-z0-9]*$`).MatchString(first.Name) {
		t.Errorf("name %q is not lower-case letters and digits", first.Name)
	}
	if diff := gocmp.Diff(first, b.adapter.Channel()); diff != "" {
		t.Errorf("Channel changed between two calls (-first +second):\n%s", diff)
	}
	if diff := gocmp.Diff(first, newBench(t, c).adapter.Channel()); diff != "" {
		t.Errorf("Channel differs between two adapters (-first +second):\n%s", diff)
	}
}

// The kinds that may travel each way as events. Typing towards the channel is a
// cue and no event.
var (
	kindsToLivePerson = []bridge.Kind{
		bridge.KindMessage, bridge.KindTyping, bridge.KindReceipt, bridge.KindClick,
		bridge.KindClose, bridge.KindReopen, bridge.KindProfile, bridge.KindRating,
	}
	kindsToChannel = []bridge.Kind{
		bridge.KindMessage, bridge.KindReceipt, bridge.KindClose, bridge.KindReopen, bridge.KindState,
	}
)

func checkKinds(t testing.TB, c AdapterCase) {
	a := newBench(t, c).adapter
	ch := a.Channel()
	checkKindList(t, "Reports", ch.Reports, kindsToLivePerson)
	checkKindList(t, "Delivers", ch.Delivers, kindsToChannel)
	if reports := slices.Contains(ch.Reports, bridge.KindTyping); reports != ch.TypingIn.Reported {
		t.Errorf("Reports names typing: %t, TypingIn.Reported: %t", reports, ch.TypingIn.Reported)
	}
	if _, typist := a.(bridge.Typist); ch.TypingOut.Shown && !typist {
		t.Error("TypingOut.Shown, but the adapter is no Typist")
	}
	if len(c.Doors) > 0 && len(ch.Reports) == 0 {
		t.Error("there are doors, but Reports is empty")
	}
}

func checkKindList(t testing.TB, name string, kinds, known []bridge.Kind) {
	t.Helper()
	for i, k := range kinds {
		if !slices.Contains(known, k) {
			t.Errorf("%s: %q does not travel this way", name, k)
		}
		if slices.Contains(kinds[:i], k) {
			t.Errorf("%s: %q is named twice", name, k)
		}
	}
}

func checkTypingNumbers(t testing.TB, c AdapterCase) {
	ch := newBench(t, c).adapter.Channel()
	in, out := ch.TypingIn, ch.TypingOut
	switch {
	case !in.Reported && in != (bridge.TypingSource{}):
		t.Error("TypingIn is not Reported, but has numbers")
	case in.Reported && in.Hold <= 0:
		t.Error("TypingIn.Hold: typing that is reported must end by itself")
	case in.PhantomWindow < 0:
		t.Error("TypingIn.PhantomWindow is negative")
	}
	switch {
	case !out.Shown && out != (bridge.TypingTarget{}):
		t.Error("TypingOut is not Shown, but has numbers")
	case out.MinInterval < 0 || out.Refresh < 0 || out.Expiry < 0:
		t.Error("TypingOut has a negative number")
	case out.Refresh > 0 && out.Refresh < out.MinInterval:
		t.Error("TypingOut.Refresh is shorter than MinInterval")
	case out.Expiry > 0 && (out.Refresh == 0 || out.Expiry <= out.Refresh):
		t.Error("TypingOut.Expiry comes before a Refresh")
	}
}

func checkRoutes(t testing.TB, c AdapterCase) {
	routes := newRoutes(t, c)
	mux := http.NewServeMux()
	for _, r := range routes {
		if r.Handler == nil {
			t.Errorf("route %q has no handler", r.Pattern)
			continue
		}
		if path := r.Pattern[strings.LastIndexByte(r.Pattern, ' ')+1:]; !strings.HasPrefix(path, "/") {
			t.Errorf("route %q names a host or has no path", r.Pattern)
		}
		if err := handle(mux, r); err != nil {
			t.Errorf("route %q: %v", r.Pattern, err)
		}
	}
	for _, d := range c.Doors {
		if _, pattern := mux.Handler(d.Request()); pattern == "" {
			t.Errorf("%s: no route for it", d.Name)
		}
	}
}

// newRoutes builds the adapter without serving it.
func newRoutes(t testing.TB, c AdapterCase) []bridge.Route {
	far := newFarServer(t, c.Far)
	a := c.New(t, Setting{
		Core: NewCore(), URL: far.server.URL, Client: far.server.Client(), Log: slog.New(slog.DiscardHandler),
	})
	return a.Routes()
}

// handle registers a route; the mux panics at patterns that do not parse or that
// overlap without one being the more exact.
func handle(mux *http.ServeMux, r bridge.Route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.Handle(r.Pattern, r.Handler)
	return nil
}

func checkAccepted(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		b := newBench(t, c)
		resp, _ := b.send(d.Request())
		if want := cmp.Or(d.Answers.Accepted, http.StatusOK); resp.StatusCode != want {
			t.Errorf("%s: answered %d, want %d", d.Name, resp.StatusCode, want)
		}
		events := b.Core.Events()
		if len(events) == 0 {
			t.Errorf("%s: no event accepted", d.Name)
		}
		reports := b.adapter.Channel().Reports
		for _, e := range events {
			if !slices.Contains(reports, e.Kind) {
				t.Errorf("%s: made a %s, which Reports does not name", d.Name, e.Kind)
			}
		}
	}
}

func checkRepeated(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		if d.Repeats {
			continue
		}
		b := newBench(t, c)
		b.send(d.Request())
		first := withoutTyping(b.Core.Events())
		resp, _ := b.send(d.Request())
		if want := cmp.Or(d.Answers.Accepted, http.StatusOK); resp.StatusCode != want {
			t.Errorf("%s: the repetition was answered %d, want %d", d.Name, resp.StatusCode, want)
		}
		if diff := gocmp.Diff(first, withoutTyping(b.Core.Events())); diff != "" {
			t.Errorf("%s: the repetition made further events (-once +twice):\n%s", d.Name, diff)
		}
	}
}

func withoutTyping(events []bridge.Event) []bridge.Event {
	return slices.DeleteFunc(events, func(e bridge.Event) bool { return e.Kind == bridge.KindTyping })
}

func checkStrangers(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		for _, name := range slices.Sorted(maps.Keys(d.Strangers)) {
			b := newBench(t, c)
			r := d.Request()
			d.Strangers[name](r)
			resp, body := b.send(r)
			b.checkRefused(d, name, cmp.Or(d.Answers.Stranger, http.StatusUnauthorized), resp, body)
		}
	}
}

func checkTooLong(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		if d.Limit == 0 {
			continue
		}
		for what, length := range map[string]int64{"long body": d.Limit + 1, "long body of unknown length": -1} {
			b := newBench(t, c)
			r := d.Request()
			r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", int(d.Limit)+1)))
			r.ContentLength = length
			resp, body := b.send(r)
			b.checkRefused(d, what, cmp.Or(d.Answers.TooLong, http.StatusRequestEntityTooLarge), resp, body)
		}
	}
}

func checkContentType(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		if d.AnyContentType {
			continue
		}
		for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", ";"} {
			b := newBench(t, c)
			r := d.Request()
			r.Header.Set("Content-Type", ct)
			resp, body := b.send(r)
			b.checkRefused(d, fmt.Sprintf("content type %q", ct),
				cmp.Or(d.Answers.WrongType, http.StatusUnsupportedMediaType), resp, body)
		}
	}
}

func checkBusy(t testing.TB, c AdapterCase) {
	for _, d := range c.Doors {
		for _, refusal := range []error{bridge.ErrBusy, bridge.ErrStorage} {
			b := newBench(t, c)
			b.Core.Refuse(fmt.Errorf("accept: %w", refusal))
			resp, body := b.send(d.Request())
			b.checkRefused(d, refusal.Error(), cmp.Or(d.Answers.Busy, http.StatusServiceUnavailable), resp, body)
			if d.Refused == nil && resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %v: no Retry-After", d.Name, refusal)
			}
			b.Core.Refuse(nil)
			if b.send(d.Request()); len(b.Core.Events()) == 0 {
				t.Errorf("%s: after %v the same request made no event", d.Name, refusal)
			}
		}
	}
}
