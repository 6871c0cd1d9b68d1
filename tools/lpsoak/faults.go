package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"lpbridge/connector/lpsim"
)

// stormy is how LivePerson misbehaves unless told otherwise. Rates are low
// enough that few calls fail three times, after which lpbridge pauses for
// minutes, as LivePerson asks.
const stormy = `{"errorRate":0.02,"errorStatus":503,"throttleRate":0.001,"retryAfterSeconds":1,
"latencyMinMs":1,"latencyMaxMs":40,"latencyBeforeShare":0.5,
"lostAnswerRate":{"send":0.03,"conversation":0.03},"lostRequestRate":{"send":0.01,"conversation":0.01},
"unauthorizedRate":{"send":0.003,"conversation":0.003},
"webhookDuplicateRate":0.05,"webhookReorderRate":0.05,"webhookEarlyRate":0.1,"webhookDelayRate":0.05,
"webhookDelayMinMs":5,"webhookDelayMaxMs":400,"webhookBareChangeRate":0.2,"webhookForeignRate":0.02,
"omitConversationIdRate":0.2,"omitAudienceRate":0.2,"nullMetadataRate":0.2,"omitStageRate":0.2,"omitDialogsRate":0.2}`

// harsh is the worst day: stormy, and what leaves lpbridge in doubt happens often.
const harsh = `{"errorRate":0.02,"errorStatus":503,"throttleRate":0.001,"retryAfterSeconds":1,
"latencyMinMs":1,"latencyMaxMs":40,"latencyBeforeShare":0.5,
"lostAnswerRate":{"send":0.03,"conversation":0.3},"lostRequestRate":{"send":0.01,"conversation":0.01},"lateOpeningRate":0.05,
"appliedErrorRate":{"send":0.05,"conversation":0.05},"unauthorizedRate":{"send":0.003,"conversation":0.003},
"webhookDuplicateRate":0.05,"webhookReorderRate":0.05,"webhookEarlyRate":0.1,"webhookDelayRate":0.2,
"webhookDelayMinMs":5,"webhookDelayMaxMs":10000,"webhookBareChangeRate":0.2,"webhookForeignRate":0.02,
"omitConversationIdRate":0.2,"omitAudienceRate":0.2,"nullMetadataRate":0.2,"omitStageRate":0.2,"omitDialogsRate":0.2}`

// harshWords say what -harsh is.
const harshWords = "30% of the answers of CONVERSATION lost, 5% of what was applied answered 503, notifications up to 10 s late, " +
	"3 outages of 1 to 10 min, 30 kills"

// What -harsh sets, where the flag of its own is not given.
const (
	harshKills   = 30
	harshOutages = 3
	harshDrain   = 8 * time.Minute
)

// harden sets what is harsh, but for what was asked for by a flag of its own.
func (o *options) harden(f *flag.FlagSet, faults *string) {
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, set := range map[string]func(){
		"faults":  func() { *faults = harsh },
		"kills":   func() { o.kills = harshKills },
		"outages": func() { o.outages.number = harshOutages },
		"drain":   func() { o.drain = harshDrain },
	} {
		if !given[name] {
			set()
		}
	}
}

// outages are the times in which LivePerson answers nothing of use. Their
// lengths alone are scaled: echo wait, pauses of retries and delays of
// notifications stay as they are, so a scaled outage meets the same clocks, only
// fewer of lpbridge's longest pauses.
type outages struct {
	number      int
	least, most time.Duration
	scale       float64
}

// Bounds of outages.
const (
	mostOutages   = 100
	longestOutage = 2 * time.Hour
	mostScale     = 1000
)

func (o outages) validate() error {
	switch {
	case o.number < 0 || o.number > mostOutages:
		return fmt.Errorf("-outages: want 0 to %d", mostOutages)
	case o.least < time.Second || o.most < o.least || o.most > longestOutage:
		return fmt.Errorf("-outage-min and -outage-max: want 1s to %s, the longest not below the shortest", longestOutage)
	case o.scale < 1 || o.scale > mostScale:
		return errors.New("-scale: want 1 to 1000")
	}
	return nil
}

// plan draws the outages and makes the traffic last long enough that each of
// them begins and ends in it, with calm before and after; and so each of what befalls
// replicas.
func (o *options) plan() {
	if o.store == onPostgres {
		o.during = max(o.during, time.Duration(o.kills)*blowTime)
	}
	if o.outages.number == 0 {
		return
	}
	rng := o.rng("outages", 0)
	var windows []lpsim.Outage
	var total time.Duration
	for range o.outages.number {
		length := o.outages.length(rng)
		total += length
		windows = append(windows, lpsim.Outage{ForMs: int(length.Milliseconds()), Status: []int{0, http.StatusServiceUnavailable}[rng.IntN(2)]})
	}
	calm := max(o.during-total, total/2) / time.Duration(len(windows)+1)
	o.during = total + calm*time.Duration(len(windows)+1)
	at := calm
	for i := range windows {
		windows[i].AfterMs = int(at.Milliseconds())
		at += time.Duration(windows[i].ForMs)*time.Millisecond + calm
	}
	o.faults.Outages = windows
}

func (o outages) length(rng *rand.Rand) time.Duration {
	length := o.least + time.Duration(rng.Int64N(int64(o.most-o.least)+1))
	return time.Duration(float64(length) / o.scale)
}

// describe says which outages there were until the misbehaviour ended.
func describe(windows []lpsim.Outage, lasted time.Duration) string {
	begun, total := 0, time.Duration(0)
	for _, w := range windows {
		if at := time.Duration(w.AfterMs) * time.Millisecond; at < lasted {
			begun++
			total += min(time.Duration(w.ForMs)*time.Millisecond, lasted-at)
		}
	}
	return fmt.Sprintf("%d, %.0f s in all", begun, total.Seconds())
}
