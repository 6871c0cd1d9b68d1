// Package lane delivers journalled events: those of one lane in order and one
// at a time, those of different lanes side by side, at the pace the far side
// bears. What a delivery is and what its end means, the caller says; the package
// knows when one may start, keeps its outcome, and finds what an earlier process
// left.
//
// Lanes wait for conditions rather than each for its own clock. A far side that
// is down, throttles or refuses our credential parks all its lanes; one of them
// asks it again and again, and the first success releases all, as fast as the
// limiter lets them. News wakes a lane that waits for it ([Set.Wake]). Only what
// concerns one message alone waits for a time of its own.
//
// The package assumes that the journal hands entries over in the order of their
// sequence and takes settlements without blocking.
package lane

import (
	"container/list"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

// Verdict is what a delivery decided about the entries it was given.
type Verdict struct {
	Outcome bridge.Outcome
	Final   bridge.Disposition
	// Sign is what the end says of the far side; RetryAfter, when that asked to
	// be left alone, for how long; Reason, what went wrong in words that are safe
	// to show.
	Sign       Sign
	RetryAfter time.Duration
	Reason     string
	// Next is when an entry that stays pending is tried again, whatever becomes
	// of the far side meanwhile. Zero leaves it to the lane.
	Next time.Time
	// Uncounted keeps the number of attempts: the delivery was cut off by
	// shutdown or never began. One that was throttled is never counted.
	Uncounted bool
	// Unsent says that no call had the entry in it, such as where a conversation
	// could not be opened for it: it cannot be what made the call fail.
	Unsent bool
	// Poison says that the message itself makes its deliveries fail.
	Poison bool
	// Dialog, Sequence and Source are as in [bridge.Settlement].
	Dialog   string
	Sequence int64
	Source   bridge.EventID
	Follow   []bridge.Entry
}

// state says who moves a lane next.
type state uint8

const (
	// resting lanes move when an entry is added.
	resting state = iota
	// queued lanes wait for a worker.
	queued
	// running lanes have a worker.
	running
	// waiting lanes move when their alarm rings.
	waiting
	// parked lanes move when the far side is well.
	parked
	// unsettled lanes move when the journal has written a settlement.
	unsettled
)

// lane is the ordered queue of one thread in one direction.
type lane struct {
	key   bridge.LaneKey
	state state
	// queue holds the entries in memory; the first is the next to deliver.
	queue []*bridge.Entry
	// held is what the queue takes of the budget; oldest, when what is not in the
	// queue was accepted.
	held   int64
	oldest time.Time
	// last is the highest Seq that was ever in queue.
	last int64
	// behind says that the journal holds entries after last that are not in
	// queue, and missed that more came while they were read.
	behind, missed bool
	// recovered says that nothing was loaded yet and entries of an earlier
	// process may be there.
	recovered bool
	// loading is closed when the reading under way has ended; nil when there is
	// none.
	loading chan struct{}
	// delivering is the entry that is being delivered, sentTo the dialogs it was
	// sent to meanwhile, arrivedAt where an echo says it lies, and answered is closed
	// when the delivery has ended.
	delivering *bridge.Entry
	sentTo     []string
	arrivedAt  position
	answered   chan struct{}
	// heard is when the far side first told of something that happened after the
	// doubt of the first entry began.
	heard time.Time
	wake  schedule.Alarm
	// open are the settlements that are not on disk yet.
	open []*settling
	// doubted says that the first entry is in doubt, as long as the journal does not
	// know.
	doubted *settling

	// expecting is its element among the lanes that go on when the far side is
	// well, nil when it is none of them.
	expecting *list.Element
	// now lets the first entry go although its time has not come, news says that
	// there was news while it was delivered or on its way there, and probe that its
	// delivery asks how the far side is.
	// fixed says that its time is its own: no news of the far side changes it.
	now, news, probe, fixed bool
	// overcome is the doubt of the first entry whose wait has ended.
	overcome *bridge.Doubt
	// waitedFor is the entry that waits, or waited last, for one missing before it.
	waitedFor int64
	// trouble is what the first entry has been through.
	trouble trouble
}

// waitsSince notes an entry that is not kept in memory.
func (l *lane) waitsSince(e *bridge.Entry) {
	if l.oldest.IsZero() {
		l.oldest = e.Accepted
	}
}

// mayHurry says that the first entry waits for nothing but what is news of the
// far side.
func (l *lane) mayHurry() bool {
	if len(l.queue) == 0 || l.queue[0].Attempts == 0 {
		return true
	}
	last := l.queue[0].Last
	return !l.fixed && last != bridge.Throttled
}

// position is where the far side put a message.
type position struct {
	dialog   string
	sequence int64
}

// settling is a settlement on its way to disk.
type settling struct {
	bridge.Settlement
	// next is the entry it marks as begun.
	next *bridge.Entry
	// refused is how often the journal did not take it; waits says that it is handed
	// over again later.
	refused int
	waits   bool
	alarm   schedule.Alarm
	done    chan struct{}
}
