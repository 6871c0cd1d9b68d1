package livechatai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

const (
	// overlap is how much of what was read is looked at again: messages may
	// appear later than their time says, and clocks differ.
	overlap = time.Minute
	// busyFor is how long after a message the pace stays quick.
	busyFor = 2 * time.Minute
	// settleAfter is how long after a lastMessageDate was first seen a
	// conversation is read once more: the date may be in whole seconds, and a
	// second message within the same one does not change it.
	settleAfter = 2 * time.Second
	// longPast is how much older than the newest conversation's date a date is
	// that no further message can have.
	longPast = 10 * time.Second
	// history is how much of what the visitor had said before is relayed when a
	// conversation comes to LivePerson. It is more after an outage.
	history = 24 * time.Hour
	// holdBack is how long a cursor stays where it is because rounds cannot read
	// everything. What fails is remembered by itself.
	holdBack = 10 * time.Minute
	// keepReadEvery is how often the time of a round without news is kept.
	keepReadEvery = 10 * time.Minute
	// verifyEvery is how often a conversation that is open in LivePerson and not
	// on the pages that were read is looked at by itself, and verifyAtOnce how
	// many of them one round looks at.
	verifyEvery  = 30 * time.Second
	verifyAtOnce = 10
	// maxPages bounds one walk through the list.
	maxPages = 500
	// maxFailures is how many conversations in a row one round tries to read
	// while LiveChatAI answers 5xx or not at all.
	maxFailures = 3

	firstBackOff = 2 * time.Second
	maxBackOff   = time.Minute

	// forgetAfter is how long after its end a conversation is remembered, and
	// pruneEvery how often old ones are looked for.
	forgetAfter = 30 * 24 * time.Hour
	pruneEvery  = time.Hour
	prunePage   = 200
)

// poller asks LiveChatAI for visitors' messages. Its fields are used by one
// round at a time, except told, lastTraffic and pushed.
type poller struct {
	*LiveChatAI

	loaded  bool
	cursors map[string]*cursor
	watched map[string]*watch
	failing map[string]*failure
	told    words
	// setbacks counts the rounds that failed since the last good one.
	setbacks int
	// prunedUntil is the record up to which old conversations were looked for.
	prunedUntil int64
	pruned      time.Time

	lastTraffic atomic.Int64
	pushed      pushed
}

// pushed are the conversations that were heard of by push since the last round.
type pushed struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (p *pushed) add(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ids == nil {
		p.ids = map[string]bool{}
	}
	p.ids[id] = true
}

// take returns them and forgets them.
func (p *pushed) take() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := p.ids
	p.ids = nil
	return ids
}

// watch is what is remembered of a conversation between two rounds.
type watch struct {
	agent string
	// open and taken are as in known.
	open, taken bool
	// date is the lastMessageDate last listed and since when by our clock;
	// settled says that all up to it was read.
	date    time.Time
	since   time.Time
	settled bool
	// checked is when it was last read, and listed that the last round found it
	// in the list.
	checked time.Time
	listed  bool
}

// failure is a conversation that could not be read.
type failure struct {
	item  listed
	agent string
	count int
	retry time.Time
}

func newPoller(l *LiveChatAI) *poller {
	return &poller{
		LiveChatAI: l, cursors: map[string]*cursor{}, watched: map[string]*watch{}, failing: map[string]*failure{},
	}
}

// traffic says that somebody writes, so that it pays to look often.
func (p *poller) traffic() { p.lastTraffic.Store(time.Now().UnixNano()) }

func (p *poller) busy() bool {
	return time.Since(time.Unix(0, p.lastTraffic.Load())) < busyFor
}

// poll makes one round through the lists of all AI agents.
func (p *poller) poll(ctx context.Context) (time.Duration, error) {
	if err := p.prune(ctx); err != nil {
		return p.backOff(err), fmt.Errorf("poll: %w", err)
	}
	if len(p.cfg.AgentIDs) == 0 {
		return pruneEvery, nil
	}
	if wait := p.far.hushed(); wait > 0 {
		return wait, nil
	}
	if err := p.load(ctx); err != nil {
		return p.backOff(err), fmt.Errorf("poll: %w", err)
	}
	p.watchPushed()
	for _, agent := range p.cfg.AgentIDs {
		if err := p.round(ctx, agent); err != nil {
			return p.backOff(err), fmt.Errorf("poll: %w", err)
		}
	}
	p.setbacks = 0
	if p.busy() {
		return jitter(p.cfg.pollBusy()), nil
	}
	return jitter(p.cfg.pollIdle()), nil
}

// backOff is the pause after a round that failed.
func (p *poller) backOff(err error) time.Duration {
	pause := min(firstBackOff<<min(p.setbacks, 10), maxBackOff)
	p.setbacks++
	if failed, ok := errors.AsType[*bridge.DeliveryError](err); ok {
		pause = max(pause, failed.RetryAfter)
	}
	return max(pause-rand.N(pause/5), p.far.hushed())
}

// jitter is d give or take a fifth, so that bridges that started together do not
// ask together.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(2*d/5) }

// load recalls the conversations that are open in LivePerson.
func (p *poller) load(ctx context.Context) error {
	if p.loaded {
		return nil
	}
	const page = 500
	for after := int64(0); ; {
		list, err := p.book.page(ctx, parentOpen, after, page)
		if err != nil {
			return err
		}
		for _, k := range list {
			after = k.record
			p.watched[k.ID] = &watch{agent: p.lister(k.Agent), open: true, taken: k.Taken, date: k.Listed, settled: !k.Listed.IsZero()}
		}
		if len(list) < page {
			p.loaded = true
			return nil
		}
	}
}

// lister is the AI agent in whose rounds a conversation is looked after that is
// in no list.
func (p *poller) lister(agent string) string {
	if slices.Contains(p.cfg.AgentIDs, agent) {
		return agent
	}
	return p.cfg.AgentIDs[0]
}

// watchPushed takes conversations that only pushes told of under watch, so that
// their end is noticed.
func (p *poller) watchPushed() {
	for id := range p.pushed.take() {
		if w := p.watched[id]; w != nil {
			w.open = true
			continue
		}
		p.watched[id] = &watch{agent: p.lister(""), open: true, checked: time.Now()}
	}
}

// cursor recalls how far an AI agent's list was read. The first time, the place
// to begin is kept before anything is read, so that it stays the same when the
// first round has to be made again.
func (p *poller) cursor(ctx context.Context, agent string) (*cursor, error) {
	if c := p.cursors[agent]; c != nil {
		return c, nil
	}
	c, err := p.book.cursor(ctx, agent)
	if err != nil {
		return nil, err
	}
	if c.record == 0 {
		c.Begun = p.cfg.Import
		if !p.cfg.Import {
			c.Start = time.Now().UTC()
		}
		if err := p.book.saveCursor(ctx, c); err != nil {
			return nil, err
		}
	}
	p.cursors[agent] = c
	return c, nil
}

// floor is how old a message may be that is the first of its conversation to be
// relayed.
func (c *cursor) floor(now time.Time) time.Time {
	floor := now.Add(-history)
	switch read := c.Read.Add(-overlap); {
	case c.Read.IsZero():
		floor = time.Time{}
	case read.Before(floor):
		floor = read
	}
	if c.Start.IsZero() {
		return floor
	}
	return later(floor, c.Start.Add(-overlap))
}

// since is the lastMessageDate down to which the list is walked.
func (c *cursor) since() time.Time {
	if c.Newest.IsZero() {
		return c.Start
	}
	return c.Newest
}

// round reads what is new in one AI agent's conversations.
func (p *poller) round(ctx context.Context, agent string) error {
	c, err := p.cursor(ctx, agent)
	if err != nil {
		return err
	}
	list, failed := p.walk(ctx, agent, c.since())
	if failed != nil {
		return failed
	}
	r := &reading{poller: p, agent: agent, cursor: c, newest: list.newest}
	if err := r.all(ctx, list); err != nil {
		return err
	}
	return p.advance(ctx, c, list, r.failed == 0 && !list.shifted)
}

// advance keeps how far the list was read. After a round that could not read
// everything, or may have overlooked something because the pages moved, the same
// stretch is walked over again, though not for ever.
func (p *poller) advance(ctx context.Context, c *cursor, list walked, complete bool) error {
	next, now := *c, time.Now().UTC()
	next.Begun = true
	switch {
	case complete:
		next.held = time.Time{}
		next.Newest = later(c.Newest, list.newest)
		if c.Read.IsZero() || !next.Newest.Equal(c.Newest) || now.Sub(c.Read) >= keepReadEvery {
			next.Read = now
		}
	case c.held.IsZero():
		next.held = now
	case now.Sub(c.held) >= holdBack:
		next.held = now
		next.Newest = later(c.Newest, list.newest)
	}
	if next.Begun != c.Begun || !next.Newest.Equal(c.Newest) || !next.Read.Equal(c.Read) {
		if err := p.book.saveCursor(ctx, &next); err != nil {
			return err
		}
	}
	*c = next
	return nil
}

// walked is what a walk through the list found.
type walked struct {
	items map[string]listed
	// newest is the newest lastMessageDate.
	newest time.Time
	// shifted says that the list changed while its pages were read, so that a
	// conversation may have slipped from one page to another unseen.
	shifted bool
}

// walk reads pages of the list until everything on them is older than since.
func (p *poller) walk(ctx context.Context, agent string, since time.Time) (walked, error) {
	w := walked{items: map[string]listed{}}
	total := 0
	for page := 1; page <= maxPages; page++ {
		list, failed := p.far.list(ctx, agent, page, perPage)
		if failed != nil {
			return walked{}, failed
		}
		p.tell(ctx, "conversation", list.unread)
		if page == 1 {
			total = list.total
		}
		w.shifted = w.shifted || list.total != total
		var oldest time.Time
		for _, item := range list.conversations {
			if _, twice := w.items[item.ID]; twice {
				w.shifted = true
			}
			w.items[item.ID] = item
			oldest = item.LastMessageDate
			if oldest.After(w.newest) {
				w.newest = oldest
			}
		}
		last := len(list.conversations)+list.unread.things < perPage || list.totalPages > 0 && page >= list.totalPages
		if last || oldest.Before(since.Add(-overlap)) {
			return w, nil
		}
	}
	return w, nil
}

// reading is one round's reading of conversations.
type reading struct {
	*poller
	agent  string
	cursor *cursor
	newest time.Time
	// failed counts the conversations that could not be read, and inRow those
	// that failed on the far side one after the other.
	failed, inRow int
}

// all reads the listed conversations that changed, the one that waits longest
// first, and then looks after those that are not in the list.
func (r *reading) all(ctx context.Context, list walked) error {
	items := make([]listed, 0, len(list.items))
	for _, item := range list.items {
		items = append(items, item)
	}
	slices.SortFunc(items, func(a, b listed) int {
		return cmp.Or(a.LastMessageDate.Compare(b.LastMessageDate), cmp.Compare(a.ID, b.ID))
	})
	for _, item := range items {
		if err := r.look(ctx, item); err != nil {
			return err
		}
	}
	for _, f := range r.failedElsewhere(list) {
		if err := r.visit(ctx, f.item); err != nil {
			return err
		}
	}
	return r.verify(ctx, list)
}

// look reads a listed conversation if there is a reason to.
func (r *reading) look(ctx context.Context, item listed) error {
	ours := item.IsAgent || r.cfg.Conversations == all
	if !ours && r.watched[item.ID] == nil {
		return nil
	}
	w, err := r.watch(ctx, item)
	if err != nil {
		return err
	}
	w.listed = true
	if !ours && !(w.open && w.taken) && !(w.open && item.IsResolved) {
		r.unwatch(item.ID, w)
		return nil
	}
	left := w.open && (item.IsResolved || !ours)
	if w.settled && !left {
		return nil
	}
	return r.visit(ctx, item)
}

// watch returns what is remembered of a listed conversation.
func (r *reading) watch(ctx context.Context, item listed) (*watch, error) {
	w := r.watched[item.ID]
	if w == nil {
		k, err := r.book.conversation(ctx, item.ID)
		if err != nil {
			return nil, err
		}
		w = &watch{open: k.Open, taken: k.Taken, date: k.Listed, settled: !k.Listed.IsZero()}
		r.watched[item.ID] = w
	}
	w.agent = r.agent
	if !w.date.Equal(item.LastMessageDate) || w.since.IsZero() {
		w.settled = w.settled && w.date.Equal(item.LastMessageDate)
		w.date, w.since = item.LastMessageDate, time.Now()
	}
	return w, nil
}

// unwatch forgets a conversation that is not LivePerson's.
func (r *reading) unwatch(id string, w *watch) {
	if !w.open {
		delete(r.watched, id)
	}
}

// visit reads a conversation, unless that failed a short while ago. The error is
// one that ends the round.
func (r *reading) visit(ctx context.Context, item listed) error {
	now := time.Now()
	if f := r.failing[item.ID]; f != nil && now.Before(f.retry) {
		r.failed++
		return nil
	}
	w := r.watched[item.ID]
	if w == nil {
		w = &watch{agent: r.agent, date: item.LastMessageDate, since: now}
		r.watched[item.ID] = w
	}
	w.checked = now
	calm := now.Sub(w.since) >= settleAfter || r.newest.Sub(w.date) > longPast
	result, err := r.fetch(ctx, item, r.agent, r.cursor)
	if err != nil {
		return r.judge(ctx, item, err)
	}
	delete(r.failing, item.ID)
	r.inRow = 0
	w.open, w.taken = result.open, result.taken
	if !calm || result.later {
		return nil
	}
	w.settled = true
	return r.settle(ctx, item.ID, w.date)
}

// judge decides whether a conversation that could not be read ends the round.
func (r *reading) judge(ctx context.Context, item listed, err error) error {
	failed, ok := errors.AsType[*bridge.DeliveryError](err)
	if !ok || ctx.Err() != nil || failed.Outcome == bridge.Throttled || farside.StatusOf(err) == http.StatusUnauthorized {
		return err
	}
	if failed.Outcome == bridge.Retry || failed.Outcome == bridge.Unknown {
		r.inRow++
	}
	if r.inRow >= maxFailures {
		return err
	}
	r.failed++
	f := r.failing[item.ID]
	if f == nil {
		f = &failure{}
		r.failing[item.ID] = f
		r.log.Warn("a conversation cannot be read", "error", err)
	}
	f.item, f.agent = item, r.agent
	f.retry = time.Now().Add(min(firstBackOff<<min(f.count, 10), maxBackOff))
	f.count++
	return nil
}

// failedElsewhere are the conversations that failed and are not on the pages
// that were read.
func (r *reading) failedElsewhere(list walked) []*failure {
	var elsewhere []*failure
	for id, f := range r.failing {
		if _, here := list.items[id]; !here && f.agent == r.agent {
			elsewhere = append(elsewhere, f)
		}
	}
	return elsewhere
}

// verify looks at conversations that are open in LivePerson and were not in the
// list: those that just left it, and now and then those that are too old for the
// pages that were read. Only their own word closes a conversation, because pages
// shift.
func (r *reading) verify(ctx context.Context, list walked) error {
	now := time.Now()
	var due []string
	for id, w := range r.watched {
		if w.agent != r.agent {
			continue
		}
		if _, here := list.items[id]; here {
			continue
		}
		switch {
		case !w.open:
			delete(r.watched, id)
		case w.listed || now.Sub(w.checked) >= verifyEvery:
			due = append(due, id)
		}
	}
	slices.SortFunc(due, func(a, b string) int {
		return cmp.Or(r.watched[a].checked.Compare(r.watched[b].checked), cmp.Compare(a, b))
	})
	for _, id := range due[:min(len(due), verifyAtOnce)] {
		r.watched[id].listed = false
		if err := r.visit(ctx, listed{ID: id, LastMessageDate: r.watched[id].date}); err != nil {
			return err
		}
	}
	return nil
}

// settle keeps that a conversation was read up to a date, so that a restart does
// not read it again.
func (p *poller) settle(ctx context.Context, id string, date time.Time) error {
	defer p.book.lock(id)()
	k, err := p.book.conversation(ctx, id)
	if err != nil || k.record == 0 || k.Listed.Equal(date) {
		return err
	}
	k.Listed = date
	return p.book.save(ctx, k)
}

// prune forgets conversations that ended long ago.
func (p *poller) prune(ctx context.Context) error {
	now := time.Now()
	if now.Sub(p.pruned) < pruneEvery {
		return nil
	}
	list, err := p.book.page(ctx, parentClosed, p.prunedUntil, prunePage)
	if err != nil {
		return err
	}
	for _, k := range list {
		p.prunedUntil = k.record
		if err := p.forget(ctx, k.ID, now); err != nil {
			return err
		}
	}
	if len(list) < prunePage {
		p.prunedUntil, p.pruned = 0, now
	}
	return nil
}

func (p *poller) forget(ctx context.Context, id string, now time.Time) error {
	defer p.book.lock(id)()
	k, err := p.book.conversation(ctx, id)
	if err != nil || k.record == 0 || k.Open {
		return err
	}
	if now.Sub(later(k.Ended, k.Newest)) < forgetAfter {
		return nil
	}
	return p.book.records().Delete(ctx, conversationRecords, k.record)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
