package lpsim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	retryPause      = 30 * time.Second
	firstBackoff    = 2 * time.Second
	longestBackoff  = 5 * time.Minute
	drainWait       = 4 * time.Second
	slowTolerance   = 2 * time.Minute
	reorderedAtMost = time.Second
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
	tried        chan struct{} // closed after the first attempt, for answers that wait
}

// settleWait lets go of an answer that waits for this notification.
func (n *notification) settleWait() {
	if n.tried != nil {
		close(n.tried)
		n.tried = nil
	}
}

// lane holds the notifications of one conversation, which go out one after the other.
type lane struct {
	conversation string
	queue        []*notification
	busy         bool
	replay       bool // has events stored while the app was failed
}

// hooks delivers notifications. One goroutine starts workers, each of which empties lanes that are ready.
type hooks struct {
	accountID, clientID string
	secret              []byte
	client              *http.Client
	ownClient           bool
	logger              *slog.Logger
	agenda              *agenda
	faults              func() *inForce
	stats               *stats
	most                int
	workers             int

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
	slow    time.Time // begin of the present run of slow answers
	wake    chan struct{}
}

type batchKey struct {
	conversation string
	kind         EventType
}

func newHooks(c Config, a *agenda, faults func() *inForce, s *stats) *hooks {
	h := &hooks{
		accountID: c.Account, clientID: c.ClientID, secret: []byte(c.ClientSecret), logger: c.Logger, agenda: a, faults: faults,
		stats: s, most: c.MaxStoredNotifications, workers: c.WebhookConcurrency, config: c.Webhooks, state: hooksUp,
		lanes: map[string]*lane{}, held: map[string]*notification{}, batches: map[batchKey]*notification{}, wake: make(chan struct{}, 1),
	}
	var client http.Client
	if c.WebhookClient != nil {
		client = *c.WebhookClient
	} else {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.Proxy, transport.MaxIdleConnsPerHost, transport.MaxIdleConns = nil, c.WebhookConcurrency, 0
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

func (h *hooks) configuration() Webhooks {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.config
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

// dispatch gathers changes that share a notification, and then applies the faults of delivery.
func (h *hooks) dispatch(n *notification) {
	f := h.faults()
	if f.WebhookBatchMs == 0 {
		h.launch(n, f)
		return
	}
	key := batchKey{n.conversation, n.kind}
	h.mu.Lock()
	if open := h.batches[key]; open != nil {
		open.changes = append(open.changes, n.changes...)
		h.mu.Unlock()
		n.settleWait()
		return
	}
	h.batches[key] = n
	h.mu.Unlock()
	h.agenda.after(time.Duration(f.WebhookBatchMs)*time.Millisecond, func() {
		h.mu.Lock()
		delete(h.batches, key)
		h.mu.Unlock()
		h.launch(n, f)
	})
}

func (h *hooks) launch(n *notification, f *inForce) {
	n.body = n.encode(f)
	n.changes = nil
	switch {
	case f.happens(rollDrop, f.WebhookDropRate):
		h.stats.dropped.Add(1)
		n.settleWait()
		return
	case f.happens(rollDelay, f.WebhookDelayRate):
		h.stats.delayed.Add(1)
		h.agenda.after(f.between(rollDelayTime, "", f.WebhookDelayMinMs, f.WebhookDelayMaxMs), func() { h.push(n) })
		return
	case h.holdBack(n, f):
		return
	}
	h.push(n)
	if f.happens(rollDuplicate, f.WebhookDuplicateRate) {
		h.stats.duplicated.Add(1)
		h.push(&notification{kind: n.kind, conversation: n.conversation, body: n.body, stored: n.stored})
	}
	h.release(n.conversation, nil)
}

// holdBack keeps a notification until the next one of its conversation has gone.
func (h *hooks) holdBack(n *notification, f *inForce) bool {
	if !f.happens(rollReorder, f.WebhookReorderRate) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[n.conversation] != nil {
		return false
	}
	h.stats.reordered.Add(1)
	h.held[n.conversation] = n
	h.agenda.after(reorderedAtMost, func() { h.release(n.conversation, n) })
	return true
}

// release sends what was held back for a conversation; only that notification, when one is given.
func (h *hooks) release(conversation string, only *notification) {
	h.mu.Lock()
	n := h.held[conversation]
	if n == nil || only != nil && n != only {
		h.mu.Unlock()
		return
	}
	delete(h.held, conversation)
	h.mu.Unlock()
	h.push(n)
}

// encode writes the envelope around the changes.
func (n *notification) encode(f *inForce) []byte {
	kind := "ms.MessagingEventNotification"
	if n.kind == ConversationEvents {
		kind = string(ConversationEvents)
	}
	var b bytes.Buffer
	b.WriteString(`{"kind":"notification","body":{`)
	if n.kind == ConversationEvents && f.happens(rollSubscription, f.SubscriptionIDRate) {
		b.WriteString(`"subscriptionId":"` + uuid.NewString() + `",`)
	}
	b.WriteString(`"changes":`)
	if len(n.changes) == 1 && f.happens(rollBare, f.WebhookBareChangeRate) {
		b.Write(n.changes[0])
	} else {
		b.WriteByte('[')
		b.Write(bytes.Join(n.changes, []byte{','}))
		b.WriteByte(']')
	}
	b.WriteString(`},"type":"` + kind + `"}`)
	return b.Bytes()
}

// push stores a notification behind those of its conversation.
func (h *hooks) push(n *notification) {
	h.mu.Lock()
	if h.state == hooksDisabled || h.waiting >= h.most {
		h.stats.lost.Add(1)
		h.mu.Unlock()
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
	h.mu.Unlock()
	nudge(h.wake)
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
		start := min(len(h.ready), h.workers-h.running)
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
		h.ready = slices.Delete(h.ready, 0, 1)
		n := l.queue[0]
		l.queue = slices.Delete(l.queue, 0, 1)
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
	if retention == 0 || time.Since(n.stored) >= retention || h.state == hooksDisabled {
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

// retry repeats a notification by itself: the by-number policy keeps no order.
func (h *hooks) retry(n *notification) {
	h.mu.Lock()
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
		h.logger.Warn("webhooks failed, storing events")
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
			old := time.Since(n.stored) >= limit
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

// deliver makes one attempt and tells whether the answer was 200 or 201 in time.
func (h *hooks) deliver(ctx context.Context, n *notification, config Webhooks) bool {
	f := h.faults()
	endpoint, subscribed := config.endpoint(n.kind)
	if !subscribed {
		return true
	}
	h.stats.attempts.Add(1)
	if n.attempts++; n.attempts > 1 {
		h.stats.retried.Add(1)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.WebhookTimeoutMs)*time.Millisecond)
	defer cancel()
	begin := time.Now()
	status, err := h.request(ctx, n, endpoint, config, f)
	h.noteTime(time.Since(begin), f)
	switch {
	case err != nil:
		h.stats.failed.Add(1)
		h.logger.Debug("webhook not answered", "kind", n.kind, "attempt", n.attempts)
		return false
	case status != http.StatusOK && status != http.StatusCreated:
		h.stats.refused.Add(1)
		h.logger.Debug("webhook refused", "kind", n.kind, "attempt", n.attempts, "status", status)
		return false
	}
	h.stats.delivered.Add(1)
	return true
}

func (h *hooks) request(ctx context.Context, n *notification, e Endpoint, config Webhooks, f *inForce) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(n.body))
	if err != nil {
		return 0, err
	}
	for _, headers := range []map[string]string{config.Headers, e.Headers} {
		for name, value := range headers {
			req.Header.Set(name, value)
		}
	}
	req.Header.Set("Content-Type", f.WebhookContentType)
	req.Header.Set("x-liveperson-account-id", h.accountID)
	req.Header.Set("x-liveperson-client-id", h.clientID)
	req.Header.Set("x-liveperson-signature", signature(h.secret, n.body, config.SHA256))
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	// The body is ignored, but reading a little of it keeps the connection usable.
	_, err = io.CopyN(io.Discard, resp.Body, 4096)
	if err == io.EOF {
		err = nil
	}
	return resp.StatusCode, err
}

// signature is x-liveperson-signature over the exact bytes of a body.
func signature(secret, body []byte, sha2 bool) string {
	name, algorithm := "sha1=", func() hash.Hash { return sha1.New() }
	if sha2 {
		name, algorithm = "sha256=", sha256.New
	}
	mac := hmac.New(algorithm, secret)
	mac.Write(body)
	return name + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// noteTime counts slow answers and, when asked to, disables an app that gave nothing else for two minutes.
func (h *hooks) noteTime(took time.Duration, f *inForce) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if took <= time.Duration(f.WebhookSlowMs)*time.Millisecond {
		h.slow = time.Time{}
		return
	}
	h.stats.slow.Add(1)
	if h.slow.IsZero() {
		h.slow = time.Now()
	}
	if f.WebhookDisableWhenSlow && time.Since(h.slow) > slowTolerance {
		h.state = hooksDisabled
		h.logger.Warn("webhooks disabled for slowness")
	}
}
