package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// readyCache keeps probes, however many, from writing to the journal more
	// than once in this time.
	readyCache = time.Second
	// readyLimit is how long a check may take; kubelets wait one second by
	// default and operators seldom more than a few.
	readyLimit = 2 * time.Second
)

var errNoAnswer = fmt.Errorf("no answer within %s", readyLimit)

// serveHealth says that the process runs, and nothing about its surroundings:
// a restart mends none of those.
func serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready bool `json:"ready"`
	// NotReady names what is not ready.
	NotReady []NotReady `json:"notReady,omitempty"`
}

// NotReady is what is not ready: the bridge, a process that was told to stop, or
// an answer that nobody waited for.
type NotReady struct {
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
}

// readiness asks the bridge at most once a second, and never a second time while
// it has not answered: a disk that hangs must not collect goroutines.
type readiness struct {
	ask   func(context.Context) error
	owner *sync.WaitGroup
	free  chan struct{}
	log   *slog.Logger

	mu     sync.Mutex
	newest *round
	logged string
}

// round is one time of asking. Answer is set before done is closed.
type round struct {
	done   chan struct{}
	answer Readiness
	at     time.Time
}

func newReadiness(ask func(context.Context) error, owner *sync.WaitGroup, log *slog.Logger) *readiness {
	return &readiness{ask: ask, owner: owner, free: make(chan struct{}, 1), log: log}
}

// serveReady says yes or no to everybody, and why to operators: what an error says
// of the machine is theirs.
func (c *Console) serveReady(w http.ResponseWriter, req *http.Request) {
	answer := Readiness{NotReady: []NotReady{{Name: "stop", Reason: "the process was told to stop"}}}
	if !c.draining.Load() {
		answer = c.readiness.find(req.Context())
	}
	if !c.access.admit(req) {
		answer.NotReady = slices.Clone(answer.NotReady)
		for i := range answer.NotReady {
			answer.NotReady[i].Reason = ""
		}
	}
	status := http.StatusOK
	if !answer.Ready {
		// It is found out anew by then.
		w.Header().Set("Retry-After", strconv.Itoa(int(readyCache.Seconds())))
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, answer)
}

// Drain has /readyz say no from now on, whatever the bridge says: the process is
// about to stop.
func (c *Console) Drain() { c.draining.Store(true) }

// find returns an answer that is at most a second old. The first who asks for a
// new one works it out for all who ask meanwhile, even when it goes away.
func (r *readiness) find(ctx context.Context) Readiness {
	r.mu.Lock()
	current := r.newest
	if current != nil && (!current.over() || time.Since(current.at) < readyCache) {
		r.mu.Unlock()
		return current.wait(ctx)
	}
	current = &round{done: make(chan struct{})}
	r.newest = current
	r.mu.Unlock()

	current.answer = r.run(context.WithoutCancel(ctx))
	current.at = time.Now()
	close(current.done)
	r.report(current.answer)
	return current.answer
}

func (r *round) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (r *round) wait(ctx context.Context) Readiness {
	select {
	case <-r.done:
		return r.answer
	case <-ctx.Done():
		return Readiness{NotReady: []NotReady{{Name: "request", Reason: "was given up"}}}
	}
}

func (r *readiness) run(ctx context.Context) Readiness {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if err := r.answer(ctx); err != nil {
		return Readiness{NotReady: []NotReady{{Name: "bridge", Reason: err.Error()}}}
	}
	return Readiness{Ready: true}
}

// answer is the bridge's, if it comes in time.
func (r *readiness) answer(ctx context.Context) error {
	select {
	case r.free <- struct{}{}:
	default:
		return errNoAnswer
	}
	result := make(chan error, 1)
	r.owner.Go(func() {
		defer func() { <-r.free }()
		result <- r.ask(ctx)
	})
	select {
	case err := <-result:
		if errors.Is(err, context.DeadlineExceeded) {
			return errNoAnswer
		}
		return err
	case <-ctx.Done():
		return errNoAnswer
	}
}

// report logs readiness when it changes.
func (r *readiness) report(answer Readiness) {
	state := fmt.Sprint(answer.NotReady)
	r.mu.Lock()
	changed := state != r.logged
	first := r.logged == ""
	r.logged = state
	r.mu.Unlock()
	switch {
	case !changed, first && answer.Ready:
	case answer.Ready:
		r.log.Info("ready again")
	default:
		for _, n := range answer.NotReady {
			r.log.Warn("not ready", "check", n.Name, "reason", n.Reason)
		}
	}
}
