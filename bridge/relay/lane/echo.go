package lane

import (
	"context"
	"slices"

	"lpbridge/bridge"
)

// Sending notes that the first entry of a lane is about to be sent to a dialog.
// The returned function takes that back: it did not arrive.
func (s *Set) Sending(e *bridge.Entry, dialog string) (refused func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.byKey[e.Lane]
	if l == nil || l.delivering != e || slices.Contains(l.sentTo, dialog) {
		return func() {}
	}
	l.sentTo = append(l.sentTo, dialog)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.delivering == e {
			l.sentTo = slices.DeleteFunc(l.sentTo, func(d string) bool { return d == dialog })
		}
	}
}

// Arrival is a consumer's own message as LivePerson reports it.
type Arrival struct {
	Dialog   string
	Sequence int64
	// Known reports whether the ledger has the position: then it is a message whose
	// delivery has ended.
	Known func(ctx context.Context) (bool, error)
	// Excludes reports whether it cannot be an entry: it lies before the message
	// that was delivered before that one, or is a copy of another. doubted are all
	// messages of the consumer's lanes that may have arrived.
	Excludes func(ctx context.Context, e *bridge.Entry, doubted []bridge.EventID) (bool, error)
	// Matches compares it with an entry word for word.
	Matches func(*bridge.Entry) bool
	// Resembles says whether it may be an entry whose words LivePerson changed, as
	// masking and trimming do. It is asked of the only one in doubt.
	Resembles func(*bridge.Entry) bool
}

// Finding is what an arrival led to.
type Finding struct {
	// Settled says that it proved an entry to have been delivered.
	Settled bool
	// Undecided is closed when it can be told more: several entries may be what
	// arrived, and one of them is being delivered, whose answer will tell. It is
	// nil otherwise.
	Undecided <-chan struct{}
	// Known says that the ledger has it.
	Known bool
}

func (a *Arrival) excludes(ctx context.Context, e *bridge.Entry, doubted []bridge.EventID) (bool, error) {
	if a.Excludes == nil {
		return false, nil
	}
	return a.Excludes(ctx, e, doubted)
}

// Echo settles the entry that an arrival proves to have been delivered. The keys
// are those of the lanes of all threads of its consumer. It returns when that is
// on disk, and at once when no entry is in doubt.
//
// The ledger is asked once it is known which entry it would be: what it said
// before, the answer to the message that did arrive may have overtaken, and then
// the next one with the same words is on its way.
func (s *Set) Echo(ctx context.Context, keys []bridge.LaneKey, a Arrival) (Finding, error) {
	var asked *bridge.Entry
	var excluded []*bridge.Entry
	for {
		now, err := s.weigh(ctx, keys, a, asked, excluded)
		switch {
		case err != nil:
			return Finding{}, err
		case now.settling != nil:
			return now.finding, now.settling.wait(ctx)
		case now.ask == nil:
			return now.finding, nil
		}
		if known, err := a.Known(ctx); known || err != nil {
			return Finding{Known: known}, err
		}
		asked = now.ask
		switch another, err := a.excludes(ctx, asked, now.doubted); {
		case err != nil:
			return Finding{}, err
		case another:
			excluded = append(excluded, asked)
		}
	}
}

// weighed is what an arrival comes to at a moment: what it led to, the settlement
// it has or is, or the entry it would be if the ledger does not have it.
type weighed struct {
	finding  Finding
	settling *settling
	ask      *bridge.Entry
	// doubted are all messages of the lanes that may have arrived.
	doubted []bridge.EventID
}

// weigh finds out what an arrival is. It settles the entry that it is when the
// ledger was asked about it.
func (s *Set) weigh(ctx context.Context, keys []bridge.LaneKey, a Arrival, asked *bridge.Entry, excluded []*bridge.Entry) (weighed, error) {
	s.mu.Lock()
	lanes, err := s.lanesForEcho(ctx, keys)
	if err != nil {
		s.mu.Unlock()
		return weighed{}, err
	}
	for _, l := range lanes {
		if w := l.settlingAt(a); w != nil {
			s.mu.Unlock()
			return weighed{finding: Finding{Known: true}, settling: w}, nil
		}
	}
	found, undecided := prove(lanes, a, excluded)
	if found.lane == nil || found.entry != asked {
		doubted := doubtedIn(lanes)
		s.mu.Unlock()
		return weighed{finding: Finding{Undecided: undecided}, ask: found.entry, doubted: doubted}, nil
	}
	w, settlements := s.arrived(found, a)
	s.mu.Unlock()
	settle(s.Journal, settlements)
	return weighed{finding: Finding{Settled: true}, settling: w}, nil
}

// doubtedIn is called with the set's lock held.
func doubtedIn(lanes []*lane) (ids []bridge.EventID) {
	for _, l := range lanes {
		for _, e := range l.queue {
			if e.Doubt != nil || e == l.delivering {
				ids = append(ids, e.ID)
			}
		}
	}
	return ids
}

// arrived takes an entry off its lane that has proved to be there.
func (s *Set) arrived(c candidate, a Arrival) (*settling, []bridge.Settlement) {
	l := c.lane
	if l.trouble.second && c.at == 1 {
		l.trouble.opinionGiven(c.entry == l.delivering)
	}
	if c.entry == l.delivering {
		l.arrivedAt = position{a.Dialog, a.Sequence}
	}
	l.waitEnded(s, c.entry, Echoed)
	settlements := s.drop(l, c.at, 1, Verdict{
		Outcome: bridge.Delivered, Final: bridge.Done, Dialog: a.Dialog, Sequence: a.Sequence, Source: c.entry.ID,
	})
	if l.state == waiting {
		s.unpark(l)
		s.Schedule.Stop(&l.wake)
		s.enqueue(l)
		s.startWorkers()
	}
	return l.open[len(l.open)-1], settlements
}

// candidate is an entry that may lie in an arrival's dialog without our knowing.
type candidate struct {
	lane  *lane
	at    int
	entry *bridge.Entry
}

// prove finds the entry an arrival is. Of several with the same words it is the
// one that has been in doubt longest, once none of them is about to be answered: the
// answer names its own position. One whose words differ is it only when there is
// no other it could be.
func prove(lanes []*lane, a Arrival, excluded []*bridge.Entry) (found candidate, undecided <-chan struct{}) {
	var all, same []candidate
	for _, l := range lanes {
		all = append(all, l.candidates(a.Dialog)...)
	}
	all = slices.DeleteFunc(all, func(c candidate) bool { return slices.Contains(excluded, c.entry) })
	for _, c := range all {
		if a.Matches(c.entry) {
			same = append(same, c)
		}
	}
	switch {
	case len(same) == 1:
		return same[0], nil
	case len(same) == 0 && len(all) == 1 && a.Resembles != nil && a.Resembles(all[0].entry):
		return all[0], nil
	case len(same) == 0:
		return candidate{}, nil
	}
	found = same[0]
	for _, c := range same {
		if c.lane.delivering == c.entry {
			return candidate{}, c.lane.answered
		}
		if c.before(found) {
			found = c
		}
	}
	return found, nil
}

// before reports whether an entry has been in doubt for longer than another one, or
// was accepted before it.
func (c candidate) before(o candidate) bool {
	if since, other := c.entry.Doubt.Since, o.entry.Doubt.Since; !since.Equal(other) {
		return since.Before(other)
	}
	return c.entry.Seq < o.entry.Seq
}

// candidates are the entries of a lane that may lie in a dialog.
func (l *lane) candidates(dialog string) []candidate {
	var all []candidate
	for i, e := range l.queue {
		sent := e == l.delivering && slices.Contains(l.sentTo, dialog)
		doubted := e.Doubt != nil && (len(e.Doubt.Dialogs) == 0 || slices.Contains(e.Doubt.Dialogs, dialog))
		if sent || doubted {
			all = append(all, candidate{l, i, e})
		}
	}
	return all
}

// lanesForEcho finds the lanes of keys that there are, as they are now: reading one
// takes time in which another may have got a new place in memory.
func (s *Set) lanesForEcho(ctx context.Context, keys []bridge.LaneKey) ([]*lane, error) {
	for {
		var lanes []*lane
		read := false
		for _, key := range keys {
			l, took, err := s.laneForEcho(ctx, key)
			if err != nil {
				return nil, err
			}
			if read = read || took; l != nil && !slices.Contains(lanes, l) {
				lanes = append(lanes, l)
			}
		}
		if !read {
			return lanes, nil
		}
	}
}

// laneForEcho finds a lane, or nil. One that may hold entries of an earlier
// process is read first: the echo will not come again.
func (s *Set) laneForEcho(ctx context.Context, key bridge.LaneKey) (l *lane, read bool, err error) {
	l = s.byKey[key]
	if l == nil && s.sweeper.strays {
		l = s.newLane(key)
		s.enqueue(l)
		s.startWorkers()
	}
	for l != nil && l.recovered {
		read = true
		if !s.load(ctx, l) {
			return nil, read, bridge.ErrStorage
		}
	}
	return l, read, nil
}

// settlingAt returns the settlement of the entry that got the arrival's position.
func (l *lane) settlingAt(a Arrival) *settling {
	for _, w := range l.open {
		if w.Dialog == a.Dialog && w.Sequence == a.Sequence {
			return w
		}
	}
	return nil
}

func (w *settling) wait(ctx context.Context) error {
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
