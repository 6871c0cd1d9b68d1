package livechatai

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
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

	lastTraffic atomic.Pointer[time.Time]
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
func (p *poller) traffic() {
	now := time.Now()
	p.lastTraffic.Store(&now)
}

func (p *poller) busy() bool {
	last := p.lastTraffic.Load()
	return last != nil && time.Since(*last) < busyFor
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
		list, err := p.store.page(ctx, parentOpen, after, page)
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

// loadCursor recalls how far an AI agent's list was read. The first time, the place
// to begin is kept before anything is read, so that it stays the same when the
// first round has to be made again.
func (p *poller) loadCursor(ctx context.Context, agent string) (*cursor, error) {
	if c := p.cursors[agent]; c != nil {
		return c, nil
	}
	c, err := p.store.cursor(ctx, agent)
	if err != nil {
		return nil, err
	}
	if c.record == 0 {
		c.Begun = p.cfg.Import
		if !p.cfg.Import {
			c.Start = time.Now().UTC()
		}
		if err := p.store.saveCursor(ctx, c); err != nil {
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

// settle keeps that a conversation was read up to a date, so that a restart does
// not read it again.
func (p *poller) settle(ctx context.Context, id string, date time.Time) error {
	defer p.store.lock(id)()
	k, err := p.store.conversation(ctx, id)
	if err != nil || k.record == 0 || k.Listed.Equal(date) {
		return err
	}
	k.Listed = date
	return p.store.save(ctx, k)
}

// prune forgets conversations that ended long ago.
func (p *poller) prune(ctx context.Context) error {
	now := time.Now()
	if now.Sub(p.pruned) < pruneEvery {
		return nil
	}
	list, err := p.store.page(ctx, parentClosed, p.prunedUntil, prunePage)
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
	defer p.store.lock(id)()
	k, err := p.store.conversation(ctx, id)
	if err != nil || k.record == 0 || k.Open {
		return err
	}
	if now.Sub(later(k.Ended, k.Newest)) < forgetAfter {
		return nil
	}
	return p.store.records().Delete(ctx, conversationRecords, k.record)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
