package livechatai

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

// round reads what is new in one AI agent's conversations.
func (p *poller) round(ctx context.Context, agent string) error {
	c, err := p.loadCursor(ctx, agent)
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
		if err := p.store.saveCursor(ctx, &next); err != nil {
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
		k, err := r.store.conversation(ctx, item.ID)
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
		return r.endRound(ctx, item, err)
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

// endRound decides whether a conversation that could not be read ends the round.
func (r *reading) endRound(ctx context.Context, item listed, err error) error {
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
