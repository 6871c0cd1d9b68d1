package lpsim

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	retryPause      = 30 * time.Second
	firstBackoff    = 2 * time.Second
	longestBackoff  = 5 * time.Minute
	drainWait       = 4 * time.Second
	slowTolerance   = 2 * time.Minute
	reorderedAtMost = time.Second
	// maxStoredNotifications may wait for delivery; further ones are dropped and counted.
	maxStoredNotifications = 100_000
)

// hookState is the app install's state in the time-to-live policy (Webhooks Retry Policy).
type hookState string

const (
	hooksUp           hookState = "up"
	hooksFailed       hookState = "failed"
	hooksInTransition hookState = "in transition"
	hooksRecovered    hookState = "recovered"
	hooksDisabled     hookState = "disabled"
)

// notification is one webhook request, with the changes it carries.
type notification struct {
	kind         EventType
	conversation string
	changes      [][]byte
	body         []byte
	stored       time.Time
	number       int64 // order of storing
	attempts     int
	late         bool          // delayed whatever the rate
	due          time.Time     // when one that is late is stored
	era          int64         // between which resets it belongs
	tried        chan struct{} // closed after the first attempt, for answers that wait
}

// settleWait lets go of an answer that waits for this notification.
func (n *notification) settleWait() {
	if n.tried != nil {
		close(n.tried)
		n.tried = nil
	}
}

// latecomers are the notifications of one conversation that are late, in their order, and when the last of them is stored.
type latecomers struct {
	until time.Time
	queue []*notification
}

// lane holds the notifications of one conversation, which go out one after the other.
type lane struct {
	conversation string
	queue        []*notification
	busy         bool
	replay       bool // has events stored while the app was failed
}

// hooks delivers the notifications of one app. One goroutine starts workers, each of which empties lanes that are ready.
type hooks struct {
	*installation
	id, secret string // the app's
	client     *http.Client
	ownClient  bool
	agenda     *agenda

	era atomic.Int64 // goes on at each reset

	mu      sync.Mutex // a leaf lock
	config  Webhooks
	state   hookState
	backoff time.Duration // the pause before the next probe while failed
	probed  *lane         // the lane whose first event is the probe under way
	lanes   map[string]*lane
	ready   []*lane
	running int
	waiting int // notifications stored
	pushed  int64
	held    map[string]*notification
	batches map[batchKey]*notification
	slow    time.Time              // begin of the present run of slow answers
	late    map[string]*latecomers // those of a conversation that wait for a delayed one
	wake    chan struct{}
}

type batchKey struct {
	conversation string
	kind         EventType
}

func newHooks(app *installation, a *agenda, id, secret string) *hooks {
	h := &hooks{
		installation: app, agenda: a, id: id, secret: secret, state: hooksUp,
		lanes: map[string]*lane{}, held: map[string]*notification{}, batches: map[batchKey]*notification{}, late: map[string]*latecomers{}, wake: make(chan struct{}, 1),
	}
	var client http.Client
	if app.WebhookClient != nil {
		client = *app.WebhookClient
	} else {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.Proxy, transport.MaxIdleConnsPerHost, transport.MaxIdleConns = nil, app.WebhookConcurrency, 0
		client.Transport, h.ownClient = transport, true
	}
	// A redirect is an answer other than 200 or 201, thus a failure.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.client = &client
	return h
}

func (h *hooks) configure(w Webhooks) {
	h.mu.Lock()
	h.config, h.state, h.probed, h.slow = w, hooksUp, nil, time.Time{}
	for _, l := range h.lanes {
		l.replay = false
		h.schedule(l)
	}
	h.mu.Unlock()
	nudge(h.wake)
}

func (h *hooks) status() (string, int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.state), int64(h.waiting)
}

func (h *hooks) wants(kind EventType) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.config.endpoint(kind)
	return ok
}

// push stores a notification behind those of its conversation.
func (h *hooks) push(n *notification) {
	h.mu.Lock()
	h.enter(n)
	h.mu.Unlock()
	nudge(h.wake)
}

// enter puts a notification into its lane. The lock is held.
func (h *hooks) enter(n *notification) {
	if former := n.era != h.era.Load(); former || h.state == hooksDisabled || h.waiting >= maxStoredNotifications {
		if !former {
			h.stats.lost.Add(1)
		}
		n.settleWait()
		return
	}
	l := h.lanes[n.conversation]
	if l == nil {
		l = &lane{conversation: n.conversation}
		h.lanes[n.conversation] = l
	}
	h.pushed++
	n.number = h.pushed
	l.queue = append(l.queue, n)
	h.waiting++
	if h.state == hooksRecovered && l.busy {
		h.agenda.after(drainWait, func() { h.breakOrder(l, n) })
	}
	h.schedule(l)
}

// schedule makes a lane ready unless it is at work, empty, or the app gets nothing at present. The lock is held.
func (h *hooks) schedule(l *lane) {
	if !l.busy && len(l.queue) > 0 && h.state != hooksFailed && h.state != hooksDisabled {
		l.busy = true
		h.ready = append(h.ready, l)
	}
}

// breakOrder sends an event of a drain conversation on its own once it has waited long enough.
func (h *hooks) breakOrder(l *lane, n *notification) {
	h.mu.Lock()
	i := slices.Index(l.queue, n)
	if i < 0 || h.state == hooksFailed {
		h.mu.Unlock()
		return
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	h.ready = append(h.ready, &lane{queue: []*notification{n}, busy: true})
	h.mu.Unlock()
	nudge(h.wake)
}

// run starts workers as lanes become ready, until ctx ends, and waits for them.
func (h *hooks) run(ctx context.Context) {
	var workers sync.WaitGroup
	for {
		h.mu.Lock()
		start := min(len(h.ready), h.WebhookConcurrency-h.running)
		h.running += start
		h.mu.Unlock()
		for range start {
			workers.Go(func() { h.work(ctx) })
		}
		select {
		case <-h.wake:
		case <-ctx.Done():
			workers.Wait()
			if h.ownClient {
				h.client.CloseIdleConnections()
			}
			return
		}
	}
}

func (h *hooks) work(ctx context.Context) {
	for {
		h.mu.Lock()
		if len(h.ready) == 0 || ctx.Err() != nil {
			h.running--
			h.mu.Unlock()
			return
		}
		l := h.ready[0]
		h.ready[0], h.ready = nil, h.ready[1:]
		n := l.queue[0]
		l.queue[0], l.queue = nil, l.queue[1:]
		config := h.config
		h.mu.Unlock()
		ok := h.deliver(ctx, n, config)
		n.settleWait()
		h.settle(l, n, ok, config)
	}
}

// settle decides what follows an attempt, and lets the lane go on.
func (h *hooks) settle(l *lane, n *notification, ok bool, config Webhooks) {
	endpoint, _ := config.endpoint(n.kind)
	h.mu.Lock()
	defer func() {
		h.mu.Unlock()
		nudge(h.wake)
	}()
	l.busy = false
	if n.era != h.era.Load() {
		return
	}
	probed := l == h.probed
	if probed {
		h.probed = nil
	}
	switch {
	case ok:
		h.waiting--
		if probed {
			h.recover()
		}
	case h.stores(n, endpoint, config) && h.faults().WebhookReplay == "event":
		h.agenda.after(min(firstBackoff<<min(n.attempts-1, 10), longestBackoff), func() { h.retry(n) })
	case h.stores(n, endpoint, config):
		h.store(n)
		h.fail(probed)
		return
	case config.RetentionSeconds == 0 && n.attempts <= config.retries(endpoint):
		h.agenda.after(retryPause, func() { h.retry(n) })
	default:
		h.waiting--
		h.stats.lost.Add(1)
		if probed {
			h.fail(true)
		}
	}
	h.advance(l)
}

// stores tells whether a failed event is kept by the time-to-live policy.
func (h *hooks) stores(n *notification, e Endpoint, config Webhooks) bool {
	retention := time.Duration(config.RetentionSeconds) * time.Second
	if retention == 0 || h.due().Sub(n.stored) >= retention || h.state == hooksDisabled {
		return false
	}
	return e.MaxRetries == nil || *e.MaxRetries > 0 || h.state == hooksFailed
}

// advance goes on with a lane whose front is done. The lock is held.
func (h *hooks) advance(l *lane) {
	if len(l.queue) == 0 {
		if h.lanes[l.conversation] == l {
			delete(h.lanes, l.conversation)
		}
		h.endReplay(l)
		return
	}
	h.schedule(l)
}

// retry repeats a notification by itself: the by-number policy keeps no order, nor does a replay by event.
func (h *hooks) retry(n *notification) {
	h.mu.Lock()
	if n.era != h.era.Load() {
		h.mu.Unlock()
		return
	}
	h.ready = append(h.ready, &lane{queue: []*notification{n}, busy: true})
	h.mu.Unlock()
	nudge(h.wake)
}

// store puts an event back to the front of its conversation. The lock is held.
func (h *hooks) store(n *notification) {
	home := h.lanes[n.conversation]
	if home == nil {
		home = &lane{conversation: n.conversation}
		h.lanes[n.conversation] = home
	}
	home.queue = slices.Insert(home.queue, 0, n)
}

// fail stops the whole app until a probe succeeds, and doubles the pause when a probe was what failed. Other
// attempts that were under way when the app failed change nothing. The lock is held.
func (h *hooks) fail(probed bool) {
	switch {
	case h.state != hooksFailed:
		h.state, h.backoff = hooksFailed, firstBackoff
		h.unready()
		h.Logger.Warn("webhooks failed, storing events")
	case probed:
		h.backoff = min(2*h.backoff, longestBackoff)
	default:
		return
	}
	h.agenda.after(h.backoff, h.probe)
}

// unready takes back the lanes that no worker has taken yet.
func (h *hooks) unready() {
	for _, l := range h.ready {
		l.busy = false
		if l.conversation == "" {
			h.adopt(l)
		}
	}
	h.ready = nil
}

// adopt moves what travelled alone back to its conversation.
func (h *hooks) adopt(alone *lane) {
	for _, n := range alone.queue {
		h.store(n)
	}
}

// probe tries the oldest stored event after a pause.
func (h *hooks) probe() {
	h.mu.Lock()
	defer func() {
		h.mu.Unlock()
		nudge(h.wake)
	}()
	if h.state != hooksFailed || h.probed != nil {
		return
	}
	h.expire()
	var oldest *lane
	for _, l := range h.lanes {
		if len(l.queue) > 0 && !l.busy && (oldest == nil || l.queue[0].number < oldest.queue[0].number) {
			oldest = l
		}
	}
	if oldest == nil {
		h.state = hooksUp
		return
	}
	h.probed, oldest.busy = oldest, true
	h.ready = append(h.ready, oldest)
}

// expire drops what is past its retention time.
func (h *hooks) expire() {
	limit := time.Duration(h.config.RetentionSeconds) * time.Second
	for id, l := range h.lanes {
		l.queue = slices.DeleteFunc(l.queue, func(n *notification) bool {
			old := h.due().Sub(n.stored) >= limit
			if old {
				h.waiting--
				h.stats.lost.Add(1)
				n.settleWait()
			}
			return old
		})
		if len(l.queue) == 0 && !l.busy {
			delete(h.lanes, id)
		}
	}
}

// recover begins to replay stored events after a probe succeeded. The lock is held.
func (h *hooks) recover() {
	h.state = hooksInTransition
	for _, l := range h.lanes {
		l.replay = len(l.queue) > 0
		if f := h.faults(); f.WebhookReplay == "shuffled" {
			shuffle(f, l.queue)
		}
		h.schedule(l)
	}
	h.endReplay(nil)
}

// endReplay moves on to the drain period when the last stored event has gone. The lock is held.
func (h *hooks) endReplay(done *lane) {
	if done != nil {
		done.replay = false
	}
	if h.state != hooksInTransition {
		return
	}
	for _, l := range h.lanes {
		if l.replay {
			return
		}
	}
	h.state = hooksRecovered
	h.agenda.after(drainWait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.state == hooksRecovered {
			h.state = hooksUp
		}
	})
}
