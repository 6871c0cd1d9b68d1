package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"lpbridge/connector"
	"lpbridge/connector/lpsim"
)

// moment is when lpbridge is killed. The worst ones are not left to chance.
type moment int

const (
	// anyMoment is decided by a timer alone.
	anyMoment moment = iota
	// whileAccepting is while it makes a consumer's event durable.
	whileAccepting
	// whileDelivering is after the channel took an event and before lpbridge
	// hears of it.
	whileDelivering
	// whileNotified is after it took a notification and before LivePerson hears
	// of it.
	whileNotified
	// whileSent is after LivePerson applied the SEND of a message and before
	// lpbridge hears of it.
	whileSent
	// whileTyping is the same of COMPOSING, which stays until it is ended.
	whileTyping
	// whileOpening is the same of CONVERSATION.
	whileOpening
	moments
)

func (m moment) String() string {
	return [moments]string{"any", "accepting", "delivering", "notified", "SEND applied", "COMPOSING applied", "CONVERSATION applied"}[m]
}

// killLimit is how long a chosen moment is waited for.
const killLimit = 5 * time.Second

// killer has things go wrong at chosen moments and makes them good again.
type killer struct {
	// next draws what goes wrong, and sees what came of it when that was made good.
	next  func(context.Context, *rand.Rand) (blow, error)
	after func(context.Context, blow) error

	mu     sync.Mutex
	armed  moment
	strike func()
	shot   chan struct{}
	kills  map[moment]int
}

// reached is called at each moment but anyMoment, by who acts in it. If
// lpbridge is to die now, it is dead when reached returns.
func (k *killer) reached(m moment) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.armed != m || k.shot == nil {
		return
	}
	k.shoot(m)
}

// applied is called by LivePerson when it has applied a call and not answered it.
func (k *killer) applied(a lpsim.Applied) {
	switch {
	case a.Type == connector.TypeContentEvent:
		k.reached(whileSent)
	case a.ChatState == string(connector.ChatComposing):
		k.reached(whileTyping)
	case a.API == lpsim.ConversationAPI:
		k.reached(whileOpening)
	}
}

// shoot strikes and says so. The lock is held, so that nobody else goes on.
func (k *killer) shoot(m moment) {
	k.strike()
	k.kills[m]++
	close(k.shot)
	k.shot = nil
}

// run kills n times, each when progress has come far enough.
func (k *killer) run(ctx context.Context, rng *rand.Rand, n int, progress func() float64) error {
	// Another order each time, or the last ones never come to a run of few kills.
	first := rng.IntN(int(moments))
	for i := range n {
		due := (float64(i) + 0.2 + 0.6*rng.Float64()) / float64(n)
		for progress() < due {
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
		b, err := k.next(ctx, rng)
		if err != nil {
			return fmt.Errorf("before kill %d: %w", i+1, err)
		}
		if err := k.killOnce(ctx, b, moment(first+i)%moments, time.Duration(rng.Int64N(int64(200*time.Millisecond)))); err != nil {
			return err
		}
		if err := b.mend(ctx); err != nil {
			return fmt.Errorf("after kill %d, %s: %w", i+1, b.kind, err)
		}
		if err := k.after(ctx, b); err != nil {
			return fmt.Errorf("after kill %d, %s: %w", i+1, b.kind, err)
		}
	}
	return nil
}

func (k *killer) killOnce(ctx context.Context, b blow, m moment, after time.Duration) error {
	if err := pause(ctx, after); err != nil {
		return err
	}
	shot := make(chan struct{})
	k.mu.Lock()
	k.armed, k.strike, k.shot = m, b.strike, shot
	if m == anyMoment {
		k.shoot(m)
	}
	k.mu.Unlock()
	select {
	case <-shot:
	case <-time.After(killLimit):
		k.mu.Lock()
		if k.shot != nil {
			k.shoot(anyMoment)
		}
		k.mu.Unlock()
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// killed is how often lpbridge was killed so far.
func (k *killer) killed() (total int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.kills {
		total += n
	}
	return total
}

// summary says how often lpbridge was killed, and when.
func (k *killer) summary() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	total, parts := 0, []string(nil)
	for m := range moments {
		total += k.kills[m]
		parts = append(parts, fmt.Sprintf("%d %s", k.kills[m], m))
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

// pause waits unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
