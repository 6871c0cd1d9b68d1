package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	notifyPath = "/webhooks/liveperson"
	secret     = "load-secret"
	// textBytes is how long a message is.
	textBytes = 120
	// drainTime is how long what was accepted may take to arrive, and drainEach how
	// much longer for each message, which may open a conversation.
	drainTime = 60 * time.Second
	drainEach = 3 * time.Millisecond
	// typingShare of the events are typing where latency is measured.
	typingShare = 0.3
	// typingMatch is how late composing may arrive and still count as what was
	// sent; composing that changes nothing is rightly not passed on.
	typingMatch = 900 * time.Millisecond
	// typingApart is for how long after LivePerson was told a thread's state
	// another one has to wait: LivePerson is told of at most one a second.
	typingApart = 1200 * time.Millisecond
)

// load drives one system after the other against the same upstream.
type load struct {
	options
	upstream string
	client   *http.Client
	// epoch makes ids unique over all measurements.
	epoch  atomic.Int64
	failed atomic.Int64
}

func newLoad(o options, upstream string) *load {
	return &load{options: o, upstream: upstream, client: newClient(o.connections)}
}

// introduction is a message that also names its consumer after their thread, as the
// first in a thread must: the upstream learns from the profile whose conversation is
// asked for.
func introduction(b []byte, epoch int64, n, thread int) []byte {
	name := threadName(thread)
	b = fmt.Appendf(b, `{"id":"e%d-%d","type":"message","thread":%q,"consumer":{"id":%q,"firstName":%q},"message":{"text":"%s%09d`, epoch, n, name, name, name, mark, n)
	b = append(b, padding...)
	return append(b, `"}}`...)
}

// message is the envelope of one message.
func message(b []byte, epoch int64, n, thread int) []byte {
	name := threadName(thread)
	b = fmt.Appendf(b, `{"id":"e%d-%d","type":"message","thread":%q,"consumer":{"id":%q},"message":{"text":"%s%09d`, epoch, n, name, name, mark, n)
	b = append(b, padding...)
	return append(b, `"}}`...)
}

var padding = strings.Repeat(" lorem ipsum", textBytes/12+1)[:textBytes-len(mark)-markDigits]

func composing(thread int) []byte {
	name := threadName(thread)
	return fmt.Appendf(nil, `{"type":"typing","thread":%q,"consumer":{"id":%q},"typing":{"state":"composing"}}`, name, name)
}

// say sends one request and counts what is not answered with 2xx.
func (l *load) say(ctx context.Context, to string, body []byte) bool {
	if err := post(ctx, l.client, to, body); err != nil {
		if ctx.Err() == nil {
			l.failed.Add(1)
		}
		return false
	}
	return true
}

func (l *load) control(ctx context.Context, what string) error {
	if err := get(ctx, l.upstream+"/load/"+what); err != nil {
		return fmt.Errorf("upstream %s: %w", what, err)
	}
	return nil
}

func (l *load) read(ctx context.Context, what string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.upstream+"/load/"+what, nil)
	if err != nil {
		return nil, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func (l *load) progress(ctx context.Context) (p progress, err error) {
	data, err := l.read(ctx, "count")
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(data, &p)
}

// drain waits until n messages arrived, and for as long as more keep arriving.
func (l *load) drain(ctx context.Context, n int64) (progress, error) {
	limit := time.Now().Add(drainTime + time.Duration(n)*drainEach)
	for {
		p, err := l.progress(ctx)
		if err != nil || p.Count >= n || time.Now().After(limit) {
			return p, err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return p, err
		}
	}
}

// meet sends one message in each thread, a hundred in a request, so that every
// conversation exists. Only lpbridge needs it.
func (l *load) meet(ctx context.Context, s *system, threads int) error {
	_, err := l.pour(ctx, s, threads, threads)
	return err
}

// pour sends n messages over some threads, a hundred in a request, and waits
// until they arrived.
func (l *load) pour(ctx context.Context, s *system, n, threads int) (progress, error) {
	if err := l.control(ctx, "reset"); err != nil {
		return progress{}, err
	}
	if err := l.pourOnly(ctx, s, n, threads); err != nil {
		return progress{}, err
	}
	p, err := l.drain(ctx, int64(n))
	if err == nil && p.Count < int64(n) {
		err = fmt.Errorf("%s: only %d of %d messages arrived", s.name, p.Count, n)
	}
	return p, err
}

// batch is the most events of one request.
const batch = 100

func (l *load) pourOnly(ctx context.Context, s *system, n, threads int) error {
	epoch := l.epoch.Add(1)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for from := 0; from < n; from += batch {
		group.Go(func() error {
			body := []byte{'['}
			for i := from; i < min(from+batch, n); i++ {
				if i > from {
					body = append(body, ',')
				}
				body = introduction(body, epoch, i, i%threads)
			}
			return post(ctx, l.client, s.chooseDoor(), append(body, ']'))
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// saturation is what a system reaches when the load never waits.
type saturation struct {
	perSecond  float64
	cpuPer1000 time.Duration
	// database is the same of PostgreSQL, where there is one.
	database    time.Duration
	lost, count int64
	// each is what one message takes besides.
	each spending
}

// saturate sends over all connections as fast as answers come, and counts until
// the last message arrived.
func (l *load) saturate(ctx context.Context, s *system, threads int, d time.Duration) (saturation, error) {
	if err := l.control(ctx, "reset"); err != nil {
		return saturation{}, err
	}
	epoch := l.epoch.Add(1)
	spent, err := s.spent(ctx)
	if err != nil {
		return saturation{}, err
	}
	before, err := s.usage()
	if err != nil {
		return saturation{}, err
	}
	began := time.Now()
	var next, sent atomic.Int64
	var senders sync.WaitGroup
	for worker := range l.connections {
		senders.Go(func() {
			body := make([]byte, 0, 512)
			for i := worker; time.Since(began) < d && ctx.Err() == nil; i += l.connections {
				n := int(next.Add(1) - 1)
				if n >= maxMessages {
					return
				}
				// A thread belongs to one connection, which keeps its order.
				body = message(body[:0], epoch, n, i%max(threads-threads%l.connections, 1))
				if l.say(ctx, s.chooseDoor(), body) {
					sent.Add(1)
				}
			}
		})
	}
	senders.Wait()
	p, err := l.drain(ctx, sent.Load())
	if err != nil {
		return saturation{}, err
	}
	after, err := s.usage()
	if err != nil {
		return saturation{}, err
	}
	all, err := s.spent(ctx)
	if err != nil {
		return saturation{}, err
	}
	took := time.Unix(0, p.Last).Sub(began).Seconds()
	return saturation{
		perSecond: float64(p.Count) / took, count: p.Count, lost: sent.Load() - p.Count, each: all.since(spent).per(float64(max(p.Count, 1))),
		cpuPer1000: time.Duration(float64(after.system-before.system) / float64(max(p.Count, 1)) * 1000),
		database:   time.Duration(float64(after.database-before.database) / float64(max(p.Count, 1)) * 1000),
	}, nil
}

// latencies at a steady rate.
type latencies struct {
	accepted, arrived []time.Duration
	// typing is composing that nothing held back, held what the clock kept for the
	// second between two states of a thread or until a message was through.
	typing, held []time.Duration
	// typed is how many composing nothing held back.
	typed int
}

// event is one thing due.
type event struct {
	thread int
	number int // of a message; -1 is composing
	due    time.Time
}

// steady sends at a rate, whatever the answers do, and measures from when each
// event was due.
func (l *load) steady(ctx context.Context, s *system, d time.Duration) (latencies, error) {
	sent, err := l.paced(ctx, s, l.rate, d)
	if err != nil {
		return latencies{}, err
	}
	if _, err := l.drain(ctx, int64(sent.messages)); err != nil {
		return latencies{}, err
	}
	return l.collect(ctx, sent)
}

// troubledRate is how many events a second are sent while LivePerson refuses some.
const troubledRate = 200

// trouble measures how many messages a second arrive while LivePerson answers two in a
// hundred with 429 and two with 500. Nothing is waited for: what a far side's
// trouble holds up counts as not delivered.
func (l *load) trouble(ctx context.Context, s *system, d time.Duration) (perSecond float64, err error) {
	if err := l.control(ctx, "trouble?share=0.02"); err != nil {
		return 0, err
	}
	began := time.Now()
	sent, err := l.paced(ctx, s, troubledRate, d)
	if err != nil {
		return 0, err
	}
	p, err := l.progress(ctx)
	took := time.Since(began)
	if err := errors.Join(err, l.control(ctx, "trouble?share=0")); err != nil {
		return 0, err
	}
	if s.isBridge() {
		_, err = l.drain(ctx, int64(sent.messages))
	}
	return float64(p.Count) / took.Seconds(), err
}

// sending is what was sent at a rate.
type sending struct {
	events   []event
	accepted []time.Duration
	messages int
}

// paced sends at a rate until all was answered.
func (l *load) paced(ctx context.Context, s *system, rate int, d time.Duration) (sending, error) {
	if err := l.control(ctx, "reset"); err != nil {
		return sending{}, err
	}
	epoch := l.epoch.Add(1)
	total := int(d.Seconds() * float64(rate))
	out := sending{events: make([]event, total), accepted: make([]time.Duration, total)}
	queues := make([]chan int, l.connections)
	var senders sync.WaitGroup
	for w := range queues {
		queues[w] = make(chan int, total)
		senders.Go(func() {
			body := make([]byte, 0, 512)
			for i := range queues[w] {
				e := &out.events[i]
				if e.number < 0 {
					l.say(ctx, s.chooseDoor(), composing(e.thread))
					continue
				}
				body = message(body[:0], epoch, e.number, e.thread)
				if l.say(ctx, s.chooseDoor(), body) {
					out.accepted[i] = time.Since(e.due)
				}
			}
		})
	}
	out.messages = l.schedule(ctx, out.events, rate, queues)
	senders.Wait()
	return out, ctx.Err()
}

// schedule hands every event to the connection of its thread when it is due.
func (l *load) schedule(ctx context.Context, events []event, rate int, queues []chan int) (messages int) {
	rng := rand.New(rand.NewPCG(1, 2))
	began := time.Now()
	for i := range events {
		e := &events[i]
		e.thread, e.number = rng.IntN(l.threads), -1
		if rng.Float64() >= typingShare {
			e.number = messages
			messages++
		}
		due := began.Add(time.Duration(float64(i) / float64(rate) * float64(time.Second)))
		if wait := time.Until(due); wait > 0 && pause(ctx, wait) != nil {
			break
		}
		e.due = time.Now()
		queues[e.thread%len(queues)] <- i
	}
	for _, q := range queues {
		close(q)
	}
	return messages
}

// collect joins what was sent with what arrived.
func (l *load) collect(ctx context.Context, sent sending) (latencies, error) {
	raw, err := l.read(ctx, fmt.Sprintf("arrivals?n=%d", sent.messages))
	if err != nil {
		return latencies{}, err
	}
	var typed []typingArrival
	data, err := l.read(ctx, "typing")
	if err == nil {
		err = json.Unmarshal(data, &typed)
	}
	if err != nil {
		return latencies{}, err
	}
	shown := map[int][]typingArrival{}
	for _, t := range typed {
		shown[t.Thread] = append(shown[t.Thread], t)
	}
	var out latencies
	// through is when the last message of a thread arrived.
	through := map[int]time.Time{}
	for i, e := range sent.events {
		switch {
		case e.due.IsZero():
		case e.number < 0:
			out.addTyping(e.due, through[e.thread], shown[e.thread])
		default:
			if sent.accepted[i] > 0 {
				out.accepted = append(out.accepted, sent.accepted[i])
			}
			if at := int64(binary.LittleEndian.Uint64(raw[8*e.number:])); at > 0 {
				through[e.thread] = time.Unix(0, at)
				out.arrived = append(out.arrived, time.Unix(0, at).Sub(e.due))
			}
		}
	}
	return out, nil
}

// addTyping adds how long composing took, with what was free to go or with what
// had to wait.
func (l *latencies) addTyping(due, through time.Time, told []typingArrival) {
	free := !through.After(due)
	var took time.Duration
	for _, t := range told {
		at := time.Unix(0, t.At)
		if !at.After(due) {
			free = free && due.Sub(at) >= typingApart
		} else if t.Composing {
			took = at.Sub(due)
			break
		}
	}
	arrived := took > 0 && took < typingMatch
	switch {
	case free && arrived:
		l.typed++
		l.typing = append(l.typing, took)
	case free:
		l.typed++
	case arrived:
		l.held = append(l.held, took)
	}
}

// notifications measures how long LivePerson waits for an answer. The rate is a
// fifth of that of events.
func (l *load) notifications(ctx context.Context, s *system, d time.Duration) ([]time.Duration, error) {
	total := int(d.Seconds() * float64(l.rate) / 5)
	took := make([]time.Duration, total)
	base := int(l.epoch.Add(1)) * 10_000_000
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i := range total {
		if wait := time.Until(began.Add(time.Duration(i) * d / time.Duration(total))); wait > 0 && pause(ctx, wait) != nil {
			break
		}
		group.Go(func() error {
			body := notification(threadName(i%l.threads), base+i)
			due := time.Now()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.notify, bytes.NewReader(body))
			if err != nil {
				return err
			}
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(body)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("X-Liveperson-Signature", "sha256="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
			resp, err := l.client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			took[i] = time.Since(due)
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answered a notification with %d", s.name, resp.StatusCode)
			}
			return err
		})
	}
	return took, group.Wait()
}

func notification(dialog string, sequence int) []byte {
	return fmt.Appendf(nil, `{"kind":"notification","body":{"changes":[{"sequence":%d,"originatorId":"agent-1","originatorMetadata":{"id":"agent-1","role":"ASSIGNED_AGENT"},"serverTimestamp":%d,"event":{"type":"ContentEvent","message":"Good morning,%s","contentType":"text/plain"},"conversationId":%q,"dialogId":%q}]},"type":"ms.MessagingEventNotification"}`,
		sequence, time.Now().UnixMilli(), padding, dialog, dialog)
}

// percentile of values, which it sorts; p is 0 to 1.
func percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(p*float64(len(values))), len(values)-1)]
}
