package lpsim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// interposition is an answer that does not come from LivePerson but from something in between: a proxy, a firewall, a
// content delivery network. It has an HTML page and nothing of LivePerson's form.
type interposition struct {
	page  answer
	after bool // LivePerson has applied the call already
}

// interpose decides whether something in between answers a call.
func (f *inForce) interpose(api API) *interposition {
	if !f.draw(rollBetween, api, f.BetweenRate.of(api)) {
		return nil
	}
	if n := f.interposed.Add(1); f.BetweenLimit > 0 && n > int64(f.BetweenLimit) {
		return nil
	}
	status := f.BetweenStatuses[int(f.roll(rollBetweenStatus, api)*float64(len(f.BetweenStatuses)))]
	return &interposition{htmlPage(f, status), f.draw(rollBetweenAfter, api, f.BetweenAfterShare)}
}

func htmlPage(f *inForce, status int) answer {
	words := http.StatusText(status)
	body := fmt.Sprintf("<html><head><title>%[1]d %[2]s</title></head><body><h1>%[2]s</h1><p>Reference #18.2d5c1702</p></body></html>\n", status, words)
	return answer{status: status, body: []byte(body), kind: "text/html; charset=utf-8", retryAfter: f.RetryAfterText}
}

// retryAfter is the header of a 429, empty for none.
func (f *inForce) retryAfter() string {
	switch {
	case f.RetryAfterText != "":
		return f.RetryAfterText
	case f.RetryAfterSeconds == 0:
		return ""
	case f.RetryAfterForm == "date":
		return time.Now().Add(time.Duration(f.RetryAfterSeconds) * time.Second).UTC().Format(http.TimeFormat)
	}
	return strconv.Itoa(f.RetryAfterSeconds)
}
