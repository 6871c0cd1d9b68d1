package relay_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// fault is what a request meets on its way to LivePerson: an answer or an error
// instead of LivePerson's, or neither, and then LivePerson answers. Requests meet
// it at once, and the body of the test runs beside them; the faults here are safe
// for that, and one that ends is taken away with wire.fail(nil).
type fault = func(r *http.Request, body string) (*http.Response, error)

// about is a fault of the requests that have the words in their path or body.
func about(words string, f fault) fault {
	return func(r *http.Request, body string) (*http.Response, error) {
		if strings.Contains(r.URL.Path+body, words) {
			return f(r, body)
		}
		return nil, nil
	}
}

// inTurn is the first fault for the first request, the second for the second and
// so on; requests beyond get through.
func inTurn(faults ...fault) fault {
	var met atomic.Int64
	return func(r *http.Request, body string) (*http.Response, error) {
		if n := int(met.Add(1)); n <= len(faults) {
			return faults[n-1](r, body)
		}
		return nil, nil
	}
}

// counted counts the requests that meet a fault.
func counted(n *atomic.Int64, f fault) fault {
	return func(r *http.Request, body string) (*http.Response, error) {
		n.Add(1)
		return f(r, body)
	}
}

// says is an answer of something in between, or of LivePerson without doing
// what it was asked.
func says(status int, text string, header ...string) fault {
	return func(*http.Request, string) (*http.Response, error) { return answer(status, text, header...), nil }
}

// answers is an answer without a body.
func answers(status int, header ...string) fault { return says(status, "", header...) }

// hangs is no answer at all, for as long as somebody waits for one.
func hangs(r *http.Request, _ string) (*http.Response, error) {
	<-r.Context().Done()
	return nil, io.ErrUnexpectedEOF
}

// isLost is the loss of a request.
func isLost(*http.Request, string) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// isLostAfter is the loss of a request or its answer, of which one hears after a time.
func isLostAfter(d time.Duration) fault {
	return func(*http.Request, string) (*http.Response, error) {
		time.Sleep(d)
		return nil, io.ErrUnexpectedEOF
	}
}

// applied passes a request on to LivePerson.
func (r *rig) applied(req *http.Request, body string) (*http.Response, error) {
	again := req.Clone(req.Context())
	again.Body = io.NopCloser(strings.NewReader(body))
	return r.wire.sim.RoundTrip(again)
}

// appliedThen has LivePerson do what a request asks, and then something else
// than its answer.
func (r *rig) appliedThen(f fault) fault {
	return func(req *http.Request, body string) (*http.Response, error) {
		if _, err := r.applied(req, body); err != nil {
			return nil, err
		}
		return f(req, body)
	}
}

// answeredAfter has LivePerson do what a request asks, and its answer take a time.
func (r *rig) answeredAfter(d time.Duration) fault {
	return func(req *http.Request, body string) (*http.Response, error) {
		resp, err := r.applied(req, body)
		time.Sleep(d)
		return resp, err
	}
}

// loseAnswer lets the simulator apply the next request with the words and loses
// the answer.
func (r *rig) loseAnswer(words string) {
	r.wire.fail(about(words, inTurn(r.appliedThen(isLost))))
}

// failing makes requests with the words fail with a status until the fault is
// taken away.
func (r *rig) failing(status int, words string) {
	r.wire.fail(about(words, answers(status)))
}
