package peers

import (
	"errors"
	"net/http"
	"time"

	"lpbridge/bridge"
)

// How handing a request on ended.
const (
	resultAnswered = "answered"
	// resultOwn: this replica became the owner and served it itself.
	resultOwn = "served_here"
	// resultFull and resultLate: too many were held or under way, or it was held for too
	// long.
	resultFull = "refused_full"
	resultLate = "refused_late"
	// resultLost: the owner went before it answered, and nobody knows what it did.
	resultLost = "answer_lost"
	// resultCut: the owner went in the middle of its answer, which ended there.
	resultCut = "answer_cut"
	// resultGone: the client went.
	resultGone = "client_gone"
)

// retryAfter is when who was turned away may come again: by then there may be an owner.
const retryAfter = 2 * time.Second

var (
	noOwner = &bridge.Problem{
		Status: http.StatusServiceUnavailable, Title: "Service Unavailable", Detail: "no replica owns the journal at the moment, send it again",
		RetryAfter: retryAfter,
	}
	tooManyHeld = &bridge.Problem{
		Status: http.StatusServiceUnavailable, Title: "Service Unavailable",
		Detail: "no replica owns the journal at the moment, and as many requests wait for one as may", RetryAfter: retryAfter,
	}
	crowded = &bridge.Problem{
		Status: http.StatusServiceUnavailable, Title: "Service Unavailable", Detail: "as many requests of this channel are under way as may be",
		RetryAfter: retryAfter,
	}
	answerLost = &bridge.Problem{
		Status: http.StatusBadGateway, Title: "Bad Gateway",
		Detail: "the replica that took the request is gone and its answer is lost: see whether it took effect before you send it again",
	}
	bodyLost = &bridge.Problem{Status: http.StatusRequestTimeout, Title: "Request Timeout", Detail: "the body did not come, or not all of it"}
)

// request is one that came to this replica, until it is answered.
type request struct {
	*http.Request
	w    http.ResponseWriter
	door bridge.Route
	body *body
	// number is its place among those that came.
	number uint64
	// safe says that the method promises to change nothing.
	safe bool
	// until is when it has been held for too long; zero before it was held.
	until time.Time
	// held is its place in the room, if it was held.
	held *ticket
	// lostAt is the epoch of the owner that went before it answered; 0 for none.
	lostAt int64
}

// ServeHTTP implements [http.Handler].
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if doors := f.own.Load(); doors != nil {
		(*doors).ServeHTTP(w, r)
		return
	}
	q := &request{Request: r, w: w, door: f.doors.of(r), number: f.room.arrive()}
	if !f.crowds.enter(q.door.Channel) {
		f.end(q, resultFull, crowded)
		return
	}
	defer f.crowds.leave(q.door.Channel)
	q.safe = r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	var err error
	if q.body, err = f.bodies.keep(r); err != nil {
		f.end(q, resultGone, bodyLost)
		return
	}
	defer q.body.release()
	f.handOn(q)
}

// handOn tries until a request is answered one way or the other.
func (f *Forwarder) handOn(q *request) {
	defer func() { q.held.end() }()
	for {
		if doors := f.own.Load(); doors != nil {
			q.body.rewind(q.Request)
			(*doors).ServeHTTP(q.w, q.Request)
			f.metrics.count(resultOwn)
			return
		}
		if to := f.reachable(); to != nil {
			if f.settle(q, f.try(to, q)) {
				return
			}
			continue
		}
		if !f.wait(q) {
			return
		}
	}
}

// settle decides what an attempt means, and reports whether the request is answered.
func (f *Forwarder) settle(q *request, a *attempt) (answered bool) {
	switch {
	case a.err == nil, a.switched:
		f.metrics.count(resultAnswered)
		return true
	case q.Context().Err() != nil:
		f.metrics.count(resultGone)
		return true
	case q.body.broken():
		f.end(q, resultGone, bodyLost)
		return true
	}
	f.doubt(a.to, a.err)
	if !a.sent.Load() || errors.Is(a.err, errDeclined) {
		if !q.body.unsent() {
			f.end(q, resultLost, noOwner)
			return true
		}
		return false
	}
	if !q.repeatable() || q.lostAt == a.to.Epoch {
		f.end(q, resultLost, answerLost)
		return true
	}
	q.lostAt = a.to.Epoch
	f.metrics.repeated.Inc()
	return false
}

// repeatable reports whether a request may be sent again though it may have been taken.
func (q *request) repeatable() bool {
	return (q.safe || q.door.Repeatable) && q.body.unsent()
}

// wait holds a request until there may be an owner. It reports false when that ended with
// an answer.
func (f *Forwarder) wait(q *request) bool {
	if q.until.IsZero() {
		q.until = time.Now().Add(f.hold)
	}
	left := time.Until(q.until)
	if left <= 0 {
		f.end(q, resultLate, noOwner)
		return false
	}
	q.held.end()
	if q.held = f.room.enter(q.door.Channel, q.number, q.safe); q.held == nil {
		f.end(q, resultFull, tooManyHeld)
		return false
	}
	if f.flowing() {
		// It came between the question and the waiting.
		f.room.open(f.flowing)
	}
	late := time.NewTimer(left)
	defer late.Stop()
	select {
	case <-q.held.released:
		return true
	case <-late.C:
		f.room.leave(q.held)
		f.end(q, resultLate, noOwner)
	case <-q.Context().Done():
		f.room.leave(q.held)
		f.metrics.count(resultGone)
	}
	return false
}

// end answers a request that is not handed on.
func (f *Forwarder) end(q *request, result string, p *bridge.Problem) {
	f.metrics.count(result)
	f.refused(q.door.Channel, p)
	// Its body may not have been read.
	q.w.Header().Set("Connection", "close")
	p.ServeHTTP(q.w, q.Request)
}
