package relay_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
)

// servedChannel is one whose consumers call themselves.
func servedChannel() *channel {
	c := newChannel()
	c.about.Served = true
	return c
}

// TestConsumersHaveShares: of what waits for LivePerson one consumer may have so
// much and no more, whichever threads it is in; others get in, and so does who
// is rid of something.
func TestConsumersHaveShares(t *testing.T) {
	const most = 5
	o := rigOptions{channel: servedChannel(), adjust: func(o *relay.Options) { o.ConsumerShare = most }}
	inBubble(t, o, func(t *testing.T, r *rig) {
		away := func(*http.Request, string) (*http.Response, error) { return nil, errors.New("connection refused") }
		r.wire.fail(away)
		say := func(consumer, id string) error {
			e := event(bridge.KindMessage, "thread-"+id, id)
			e.Consumer.ID, e.Message = bridge.ConsumerID(consumer), &bridge.Message{Text: id}
			_, err := r.core.Accept(t.Context(), []bridge.Event{e})
			return err
		}
		for n := range most {
			if err := say("noisy", fmt.Sprint("n", n)); err != nil {
				t.Fatalf("event %d: %v", n, err)
			}
		}
		if err := say("noisy", "too-many"); !errors.Is(err, bridge.ErrShare) {
			t.Errorf("one too many: %v", err)
		}
		// What comes twice waits once.
		for range 2 * most {
			if err := say("quiet", "q0"); err != nil {
				t.Fatalf("somebody else: %v", err)
			}
		}
		time.Sleep(time.Minute)
		if err := say("noisy", "too-many"); !errors.Is(err, bridge.ErrShare) {
			t.Errorf("after tries that failed: %v", err)
		}
		r.wire.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		for n := range 3 * most {
			if err := say("noisy", fmt.Sprint("later", n)); err != nil {
				t.Fatalf("event %d once all is delivered: %v", n, err)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// TestOneRequestIsTakenWhole: what is one request is never refused for its size
// alone, for it could not be taken later either.
func TestOneRequestIsTakenWhole(t *testing.T) {
	o := rigOptions{channel: servedChannel(), adjust: func(o *relay.Options) { o.ConsumerShare = 2 }}
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.wire.fail(func(*http.Request, string) (*http.Response, error) { return nil, errors.New("connection refused") })
		var all []bridge.Event
		for n := range 4 {
			e := event(bridge.KindMessage, "a", fmt.Sprint("a", n))
			e.Message = &bridge.Message{Text: "hello"}
			all = append(all, e)
		}
		r.accept(all...)
		if _, err := r.core.Accept(t.Context(), all[:1]); !errors.Is(err, bridge.ErrShare) {
			t.Errorf("more: %v", err)
		}
		r.wire.fail(nil)
		time.Sleep(time.Minute)
		r.accept(all...)
	})
}

// TestSharesAreOfServedChannelsOnly: where a system speaks for all consumers, one of
// them does not have its requests refused.
func TestSharesAreOfServedChannelsOnly(t *testing.T) {
	inBubble(t, rigOptions{adjust: func(o *relay.Options) { o.ConsumerShare = 1 }}, func(t *testing.T, r *rig) {
		r.wire.fail(func(*http.Request, string) (*http.Response, error) { return nil, errors.New("connection refused") })
		for n := range 10 {
			r.say("a", fmt.Sprint("a", n), "hello")
		}
	})
}
