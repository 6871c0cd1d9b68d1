package bridgetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
)

func checkDeliver(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	for _, k := range b.adapter.Channel().Delivers {
		b.far.reset()
		if err := b.deliver(t.Context(), b.event(k)); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		if c.Far != nil && len(b.far.recorded()) == 0 {
			t.Errorf("%s: the far side was not called", k)
		}
	}
}

func checkDeliverTwice(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	for _, k := range b.adapter.Channel().Delivers {
		var marks []string
		for range 2 {
			b.far.reset()
			if err := b.deliver(t.Context(), b.event(k)); err != nil {
				t.Errorf("%s: %v", k, err)
			}
			if c.Far == nil || c.Far.Identity == nil {
				continue
			}
			for _, call := range b.far.recorded() {
				marks = append(marks, c.Far.Identity(call))
			}
		}
		if slices.Contains(marks, "") || len(slices.Compact(marks)) > 1 {
			t.Errorf("%s: the far side cannot tell that the second call repeats the first", k)
		}
	}
}

func checkDeliverConcurrently(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	var wg sync.WaitGroup
	for range 8 {
		for _, k := range b.adapter.Channel().Delivers {
			wg.Go(func() {
				if err := b.adapter.Deliver(t.Context(), b.event(k)); err != nil {
					t.Errorf("%s: %v", k, err)
				}
			})
		}
	}
	wg.Wait()
}

// statusOutcomes is how the statuses of HTTP end a delivery when nothing in the
// response is the channel's own word: no event dies of what a proxy says, and
// what 5xx says nobody knows.
var statusOutcomes = map[int]bridge.Outcome{
	400: bridge.Retry, 401: bridge.Unauthorized, 403: bridge.Unauthorized, 404: bridge.Retry,
	307: bridge.Retry, 405: bridge.Retry, 407: bridge.Retry, 408: bridge.Retry, 409: bridge.Retry, 413: bridge.Retry,
	421: bridge.Retry, 422: bridge.Retry, 425: bridge.Retry, 429: bridge.Throttled, 451: bridge.Retry,
	500: bridge.Unknown, 502: bridge.Unknown, 503: bridge.Unknown, 504: bridge.Unknown, 520: bridge.Unknown,
}

// outcomes is how statuses end a delivery to the far side.
func (f *FarSide) outcomes() map[int]bridge.Outcome {
	wants := maps.Clone(statusOutcomes)
	if f.Form {
		for _, status := range []int{302, 307, 400, 403, 404, 405, 408, 409, 422, 451} {
			wants[status] = bridge.Unknown
		}
		wants[401] = bridge.Retry
	}
	maps.Copy(wants, f.Outcomes)
	return wants
}

// farRetryAfter is what the far side asks for when it refuses, in seconds.
const farRetryAfter = 7

func checkStatuses(t testing.TB, c AdapterCase) {
	if c.Far == nil {
		return
	}
	wants := c.Far.outcomes()
	for _, status := range slices.Sorted(maps.Keys(wants)) {
		b := ready(t, c)
		e := b.main()
		if e == nil {
			return
		}
		b.far.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", fmt.Sprint(farRetryAfter))
			w.Header().Set("X-Echo", strings.Join(c.private(), " "))
			w.WriteHeader(status)
			// What a far side repeats of a request must not reach our errors.
			_, _ = io.WriteString(w, strings.Join(c.private(), " "))
		})
		err := b.deliver(t.Context(), e)
		if !b.ended(fmt.Sprintf("status %d", status), err, wants[status]) {
			continue
		}
		d, _ := errors.AsType[*bridge.DeliveryError](err)
		if wants[status] == bridge.Throttled && d.RetryAfter != farRetryAfter*time.Second {
			t.Errorf("status %d: RetryAfter %s, want %ds", status, d.RetryAfter, farRetryAfter)
		}
	}
}

// ended checks how a delivery ended. It reports false when there is no
// *bridge.DeliveryError to look at, as after a success.
func (b *bench) ended(what string, err error, want bridge.Outcome) bool {
	b.t.Helper()
	if want == bridge.Delivered {
		if err != nil {
			b.t.Errorf("%s: %v, want no error", what, err)
		}
		return false
	}
	d, ok := errors.AsType[*bridge.DeliveryError](err)
	if !ok {
		b.t.Errorf("%s: error is a %T, want a *bridge.DeliveryError", what, err)
		return false
	}
	if d.Outcome != want {
		b.t.Errorf("%s: outcome %s, want %s", what, d.Outcome, want)
	}
	return true
}

func checkRedirect(t testing.TB, c AdapterCase) {
	if c.Far == nil {
		return
	}
	for _, location := range []string{"/suite-elsewhere", "http://%zz"} {
		b := ready(t, c)
		e := b.main()
		if e == nil {
			return
		}
		b.far.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		b.ended("redirect", b.deliver(t.Context(), e), c.Far.outcomes()[http.StatusTemporaryRedirect])
		for _, call := range b.far.recorded() {
			if call.Path == "/suite-elsewhere" {
				t.Error("the adapter followed a redirect")
			}
		}
	}
}

func checkAway(t testing.TB, c AdapterCase) {
	if c.Far == nil {
		return
	}
	b := ready(t, c)
	e := b.main()
	if e == nil {
		return
	}
	b.Client.CloseIdleConnections()
	b.far.server.Close()
	b.ended("refused connection", b.deliver(t.Context(), e), bridge.Retry)
}

func checkLostAnswer(t testing.TB, c AdapterCase) {
	if c.Far == nil {
		return
	}
	b := ready(t, c)
	e := b.main()
	if e == nil {
		return
	}
	b.far.answer(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	want := bridge.Unknown
	if c.Far.Lost != bridge.Delivered {
		want = c.Far.Lost
	}
	b.ended("connection closed after the request", b.deliver(t.Context(), e), want)
}

func checkCancel(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	e := b.main()
	if e == nil {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if c.Far == nil {
		// Nothing is waited for, so only that it returns is of interest.
		cancel()
		_ = b.deliver(ctx, e)
		return
	}
	release := make(chan struct{})
	defer close(release)
	b.far.answer(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-release
	})
	err := b.deliver(ctx, e)
	d, ok := errors.AsType[*bridge.DeliveryError](err)
	switch {
	case !errors.Is(err, context.Canceled):
		t.Errorf("error is a %T that does not wrap context.Canceled", err)
	case ok && d.Outcome != bridge.Retry && d.Outcome != bridge.Unknown:
		t.Errorf("outcome %s, want retry or unknown", d.Outcome)
	}
}

func checkTyping(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	out := b.adapter.Channel().TypingOut
	typist, ok := b.adapter.(bridge.Typist)
	if !out.Shown || !ok {
		return
	}
	states := []bridge.TypingState{bridge.Composing, bridge.Stopped}
	if out.HasPaused {
		states = append(states, bridge.Paused)
	}
	cue := bridge.TypingCue{
		Thread: b.event(bridge.KindMessage).Thread, Agent: bridge.Agent{ID: "agent-1", Role: "ASSIGNED_AGENT"},
	}
	for _, cue.State = range states {
		b.far.reset()
		if err := typist.ShowTyping(t.Context(), cue); err != nil {
			t.Errorf("%s: %v", cue.State, err)
		}
		if c.Far != nil && len(b.far.recorded()) == 0 {
			t.Errorf("%s: the far side was not called", cue.State)
		}
	}
	checkEndAfterACrash(t, c, cue)
	b.far.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	switch err := typist.ShowTyping(t.Context(), cue); {
	case c.Far == nil:
	case err == nil:
		t.Error("ShowTyping: no error although the far side answered 500")
	default:
		b.checkText("error of ShowTyping", err.Error())
	}
	b.checkLog()
}

// checkEndAfterACrash has an adapter that never showed typing told that it ended: the
// process that showed it is gone.
func checkEndAfterACrash(t testing.TB, c AdapterCase, cue bridge.TypingCue) {
	next := ready(t, c)
	cue.Thread, cue.State = next.event(bridge.KindMessage).Thread, bridge.Stopped
	next.far.reset()
	if err := next.adapter.(bridge.Typist).ShowTyping(t.Context(), cue); err != nil {
		t.Errorf("the end of what an earlier process showed: %v", err)
	}
	if c.Far != nil && len(next.far.recorded()) == 0 {
		t.Error("the end of what an earlier process showed is not told")
	}
}

func checkFindings(t testing.TB, c AdapterCase) {
	b := ready(t, c)
	checker, ok := b.adapter.(bridge.Checker)
	if !ok {
		return
	}
	var found []bridge.Finding
	found = append(found, checker.Check(t.Context())...)
	if len(found) == 0 {
		t.Error("Check found nothing to say")
	}
	for _, f := range found {
		if f.Err != nil {
			t.Errorf("%s: %v, although the far side is well", f.Subject, f.Err)
		}
	}
	if c.Far != nil {
		b.Client.CloseIdleConnections()
		b.far.server.Close()
		away := checker.Check(t.Context())
		if !slices.ContainsFunc(away, func(f bridge.Finding) bool { return f.Err != nil }) {
			t.Error("Check finds nothing wrong with a far side that is away")
		}
		found = append(found, away...)
	}
	for _, f := range found {
		b.checkText("finding", fmt.Sprint(f.Subject, f.Detail, f.Err))
		if f.Subject == "" || f.Detail == "" && f.Err == nil {
			t.Error("a finding does not say what it is about")
		}
	}
	b.checkLog()
}
