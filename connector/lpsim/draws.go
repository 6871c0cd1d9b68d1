package lpsim

import (
	"hash/maphash"
	"maps"
	"regexp"
	"slices"
	"sync/atomic"
	"time"
)

// knob numbers the independent random sequences, so that one knob's draws never shift another's.
type knob int

const (
	rollError knob = iota
	rollThrottle
	rollLatency
	rollLostAnswer
	rollLostRequest
	rollUnauthorized
	rollDuplicate
	rollReorder
	rollEarly
	rollDelay
	rollDelayTime
	rollDrop
	rollBare
	rollForeign
	rollConversationID
	rollAudience
	rollMetadata
	rollStage
	rollDialogs
	rollEndTs
	rollSubscription
	rollParticipants
	rollReversed
	rollAppliedError
	rollBetween
	rollBetweenStatus
	rollBetweenAfter
	rollLateOpening
	rollForget
	rollDisown
	rollTrim
	rollShuffle
	rollShuffleOrder
	rollBroken
	rollPadding
	rollReplay
	rollOriginator
	rollReceiptNumber
	rollNulls
	rollOddNumber
	rollOddNumberForm
	rollOddTimestamp
	rollOddTimestampForm
	rollGap
	rollInvalidUTF8
	rollRichAsText
	knobs
)

// inForce is a set of faults together with the moment it was set and its random sequences. It replaces the former
// set as a whole, so a call sees one set from beginning to end.
type inForce struct {
	Faults
	since time.Time
	draws []atomic.Uint64
	// filtered are the words of the profanity filter.
	filtered []*regexp.Regexp
	// interposed counts the answers that were not LivePerson's.
	interposed atomic.Int64
}

func enforce(f Faults, now time.Time) *inForce {
	// The caller keeps its maps and may change them.
	for _, rates := range []*Rates{
		&f.ErrorRate, &f.AppliedErrorRate, &f.ThrottleRate, &f.LostAnswerRate, &f.LostRequestRate, &f.UnauthorizedRate, &f.BetweenRate,
	} {
		*rates = maps.Clone(*rates)
	}
	f.Outages, f.BetweenStatuses, f.FilterWords = slices.Clone(f.Outages), slices.Clone(f.BetweenStatuses), slices.Clone(f.FilterWords)
	force := &inForce{Faults: f.WithDefaults(), since: now, draws: make([]atomic.Uint64, int(knobs)*(len(apis)+1))}
	for _, word := range f.FilterWords {
		force.filtered = append(force.filtered, regexp.MustCompile(`(?i)`+regexp.QuoteMeta(word)))
	}
	return force
}

// roll draws the next number in [0,1) of a knob's sequence. Sequences are counters hashed with the seed, so drawing
// takes no lock.
func (f *inForce) roll(k knob, api API) float64 {
	slot := int(k)*(len(apis)+1) + api.index() + 1
	n := f.draws[slot].Add(1)
	return float64(mix(f.Seed^uint64(slot)*0x9e3779b97f4a7c15, n)>>11) / (1 << 53)
}

// mix is the finaliser of SplitMix64.
func mix(seed, n uint64) uint64 {
	z := seed + n*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// draw reports whether something happens that does at a rate.
func (f *inForce) draw(k knob, api API, rate float64) bool {
	return rate > 0 && f.roll(k, api) < rate
}

// drawAlone is draw for knobs that belong to no API.
func (f *inForce) drawAlone(k knob, rate float64) bool { return f.draw(k, "", rate) }

// drawLatency returns how long an answer takes.
func (f *inForce) drawLatency(api API) time.Duration {
	return f.span(rollLatency, api, f.LatencyMinMs, f.LatencyMaxMs)
}

func (f *inForce) span(k knob, api API, least, most int) time.Duration {
	if most <= least {
		return time.Duration(least) * time.Millisecond
	}
	return stretch(least, most, f.roll(k, api))
}

// drawDelay returns how long a notification comes late. With a tail, half of the delays lie in the first sixteenth of the span.
func (f *inForce) drawDelay() time.Duration {
	least, most := f.WebhookDelayMinMs, f.WebhookDelayMaxMs
	if most <= least {
		return time.Duration(least) * time.Millisecond
	}
	share := f.roll(rollDelayTime, "")
	if f.WebhookDelayShape == "tail" {
		share = share * share * share * share
	}
	return stretch(least, most, share)
}

func stretch(least, most int, share float64) time.Duration {
	span := float64(most-least) * share
	return time.Duration(least)*time.Millisecond + time.Duration(span*float64(time.Millisecond))
}

// outage is the window that now lies in, or nil.
func (f *inForce) outage(now time.Time) *Outage {
	for i := range f.Outages {
		o := &f.Outages[i]
		begin := f.since.Add(time.Duration(o.AfterMs) * time.Millisecond)
		if !now.Before(begin) && now.Before(begin.Add(time.Duration(o.ForMs)*time.Millisecond)) {
			return o
		}
	}
	return nil
}

// textSeed makes duplicate detection's hashes unpredictable, since texts come from outside.
var textSeed = maphash.MakeSeed()
