package typing

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"lpbridge/bridge"
)

// typingPair is a source and a target that the clock stands between.
type typingPair struct {
	name    string
	source  bridge.TypingSource
	target  bridge.TypingTarget
	expired bridge.TypingState
	// typists are how many persons or devices there are.
	typists int
	// moves says that typing is shown in conversations, which threads leave.
	moves bool
}

var typingPairs = []typingPair{
	{"layer to liveperson", layerSource, livePersonTarget, bridge.Paused, 2, true},
	{"chatwoot to liveperson", chatwootSource, livePersonTarget, bridge.Paused, 1, true},
	{"agents to layer", agentSource, layerTarget, bridge.Stopped, 2, false},
	{"agents to livechatai", agentSource, liveChatAITarget, bridge.Stopped, 2, false},
	{"agents to chatwoot", agentSource, chatwootTarget, bridge.Stopped, 2, false},
	{"agents to webhook", agentSource, webhookTarget, bridge.Stopped, 2, false},
}

func drawLife(number uint64) *typingLife {
	r := rand.New(rand.NewPCG(number, 0))
	life := &typingLife{number: number, pair: typingPairs[r.IntN(len(typingPairs))], faulty: r.IntN(2) == 0}
	// In some lives the far side says nothing or no for long, and in some all
	// happens to one typist of one thread.
	down, close, story := r.IntN(6), r.IntN(2) == 0, stories[r.IntN(len(stories))]
	for i := range life.first {
		for n := range r.IntN(21) {
			f := drawFate(r, life.faulty)
			switch {
			case !life.faulty || n == 0:
			case down == 0:
				f = fate{end: Uncertain, latency: drawSpan(r, 0, 2000)}
			case down == 1:
				f = fate{end: Refused, latency: drawSpan(r, 0, 2000)}
			}
			life.first[i] = append(life.first[i], f)
		}
	}
	life.fates = life.first
	var now time.Duration
	sent := make([]time.Duration, lifeThreads)
	for n := range 1 + r.IntN(50) {
		now += drawSpan(r, 0, 300, 300, 3000, 3000, 40_000)
		e := lifeEvent{at: now, thread: r.IntN(lifeThreads), verb: drawVerb(r, &life.pair)}
		if close && n < len(story) {
			e.verb = story[n]
		}
		if life.pair.typists > 1 {
			e.who = []string{"A", "B"}[r.IntN(2)]
		}
		if close {
			e.thread, e.who = 0, strings.Replace(e.who, "B", "A", 1)
		}
		if e.verb == "queued" {
			e.message = n + 1
		}
		life.events = append(life.events, e)
		if e.verb == "queued" {
			// A lane delivers one message after the other.
			e.at = max(now, sent[e.thread]) + drawSpan(r, 0, 200, 4000, 90_000)
			sent[e.thread] = e.at
			e.verb = "sent"
			life.events = append(life.events, e)
		}
	}
	slices.SortStableFunc(life.events, func(a, b lifeEvent) int { return cmp.Compare(a.at, b.at) })
	return life
}

var lifeVerbs = []string{
	"composing", "composing", "composing", "composing", "composing", "stopped", "stopped", "paused", "paused", "queued", "queued",
	"nonsense", "lost", "left", "clear", "forget", "traffic", "well", "crash", "restart", "gone",
}

// stories are what typists do, and begin some of the lives.
var stories = [][]string{
	{"composing", "paused", "composing", "queued"},
	{"composing", "queued", "composing", "queued"},
	{"queued", "composing", "stopped"},
	{"composing", "stopped", "composing", "stopped"},
}

func drawVerb(r *rand.Rand, pair *typingPair) string {
	// Whole bursts come more often than verbs drawn one by one would make them.
	if r.IntN(3) == 0 {
		return "composing"
	}
	verb := lifeVerbs[r.IntN(len(lifeVerbs))]
	switch {
	case verb == "gone" && (!pair.moves || r.IntN(3) > 0), (verb == "crash" || verb == "restart") && r.IntN(2) > 0:
		return "composing"
	case verb == "forget" && pair.moves:
		return []string{"leave", "back", "forget"}[r.IntN(3)]
	}
	return verb
}

// drawSpan draws a time below one of some bounds in milliseconds.
func drawSpan(r *rand.Rand, bounds ...int) time.Duration {
	return time.Duration(r.IntN(bounds[r.IntN(len(bounds))]+1)) * time.Millisecond
}

const (
	// maxGoodLatency is the slowest call of a life without faults, maxGoodDisk its
	// slowest mark.
	maxGoodLatency = 300 * time.Millisecond
	maxGoodDisk    = 30 * time.Millisecond
)

func drawFate(r *rand.Rand, faulty bool) fate {
	f := fate{
		latency: drawSpan(r, int(maxGoodLatency.Milliseconds())),
		disk:    drawSpan(r, int(maxGoodDisk.Milliseconds())),
	}
	if !faulty {
		return f
	}
	switch []string{"good", "good", "refused", "throttled", "lost", "answer lost", "slow", "disk full", "disk slow"}[r.IntN(9)] {
	case "refused":
		f.end = Refused
	case "throttled":
		f.end, f.pause = Refused, time.Duration(1+r.IntN(20))*time.Second
	case "lost":
		f.end, f.latency = Uncertain, CallTimeout
	case "answer lost":
		f.end, f.took = Uncertain, true
	case "slow":
		f.latency = CallTimeout - time.Millisecond
	case "disk full":
		f.full = true
	case "disk slow":
		f.disk = drawSpan(r, 2500)
	}
	return f
}
