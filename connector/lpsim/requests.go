package lpsim

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is one call to a LivePerson API and what came of it. Calls of Sentinel, IDP, login and app installations are kept
// without their bodies, and none with its headers: they are credentials.
type Request struct {
	Number int64     `json:"number"`
	Time   time.Time `json:"time"`
	API    API       `json:"api"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Body   string    `json:"body,omitempty"`
	// Status is that of the answer; 0 means that the connection was lost on purpose.
	Status int    `json:"status"`
	Answer string `json:"answer,omitempty"`
	// Reason says why it is not a success, or why an answer does not say what was done, and Page where LivePerson's
	// documentation does, if it does.
	Reason string `json:"reason,omitempty"`
	Page   string `json:"page,omitempty"`
	// Applied is what the call did.
	Applied []Applied `json:"applied,omitempty"`
}

const (
	keptRequests = 1000
	// keptBody is how much of a body is kept.
	keptBody = 8 << 10
)

// requests are the last calls, oldest first.
type requests struct {
	mu    sync.Mutex
	count int64
	list  []Request
}

func (r *requests) note(c *call, api API, a answer, now time.Time) {
	entry := Request{
		Time: now, API: api, Method: c.Method, Path: c.URL.Path, Status: a.status, Reason: c.reason, Page: c.page, Applied: c.applied,
	}
	if !slices.Contains([]API{SentinelAPI, IDPAPI, LoginAPI, InstallationsAPI, SwiftAPI}, api) {
		entry.Body, entry.Answer = shortened(c.body), shortened(a.body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	entry.Number = r.count
	r.list = keep(r.list, entry, keptRequests)
}

func shortened(body []byte) string {
	if len(body) > keptBody {
		body = body[:keptBody]
	}
	return strings.ToValidUTF8(string(body), "\ufffd")
}

func (r *requests) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = nil
}

// Requests are the last calls to LivePerson's APIs, newest first, at most as many as asked for; 0 means all that are
// kept, which are a thousand. api, if given, leaves out the others.
func (s *Sim) Requests(api API, most int) []Request { return s.requests.newest(api, most) }

func (r *requests) newest(api API, most int) []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := []Request{}
	for i := len(r.list) - 1; i >= 0 && (most <= 0 || len(found) < most); i-- {
		if one := r.list[i]; api == "" || one.API == api {
			found = append(found, one)
		}
	}
	return found
}
