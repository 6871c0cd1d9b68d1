package journal_test

import (
	"errors"
	"fmt"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// TestOneChannelLeavesRoomForOthers: who fills the journal is refused before the
// others are, also after a restart, and gets room again when theirs is delivered.
func TestOneChannelLeavesRoomForOthers(t *testing.T) {
	journal.OnEngines(t, oneChannelLeavesRoomForOthersOn)
}

func oneChannelLeavesRoomForOthersOn(t *testing.T, store string) {
	opts := on(store)
	// Of 160, ten are set aside for each of two channels in either direction.
	opts.MaxPending, opts.Channels = 160, []string{"noisy", "quiet"}
	j := open(t, opts)
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	n := 0
	var seqs []int64
	lane := bridge.LaneKey{Channel: "noisy", Thread: "t"}
	add := func(l bridge.LaneKey) error {
		n++
		got, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: l, ID: bridge.EventID(fmt.Sprint(n)), Kind: bridge.KindMessage, Payload: []byte("{}")}}})
		if err == nil && l == lane {
			seqs = append(seqs, got[0])
		}
		return err
	}
	fill := func(l bridge.LaneKey) (taken int) {
		t.Helper()
		for ; ; taken++ {
			if err := add(l); errors.Is(err, bridge.ErrBusy) {
				return taken
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := fill(lane); got != 130 {
		t.Errorf("the noisy channel got %d", got)
	}
	if got := fill(bridge.LaneKey{Channel: "quiet", Thread: "q"}); got != 10 {
		t.Errorf("the quiet channel got %d", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, opts)
	defer j.Close()
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	if got := fill(lane); got != 0 {
		t.Errorf("after a restart the noisy channel got %d more", got)
	}
	if got := fill(bridge.LaneKey{Channel: "quiet", Thread: "q", Direction: bridge.ToChannel}); got != 10 {
		t.Errorf("what comes for the quiet channel got %d", got)
	}
	for i, final := range []bridge.Disposition{bridge.Done, bridge.Dead, bridge.Pending} {
		durable := make(chan error, 1)
		j.Settle(bridge.Settlement{Seq: seqs[i], Lane: lane, Outcome: bridge.Retry, Final: final, Attempts: 1, Durable: func(err error) { durable <- err }})
		if err := <-durable; err != nil {
			t.Fatal(err)
		}
	}
	if got := fill(lane); got != 2 {
		t.Errorf("after one was delivered and one died the noisy channel got %d", got)
	}
	if ok, err := j.Revive(t.Context(), seqs[1]); err != nil || !ok {
		t.Errorf("revive: %t, %v", ok, err)
	}
	if got := fill(bridge.LaneKey{Channel: "noisy", Thread: "u", Direction: bridge.ToChannel}); got != 10 {
		t.Errorf("the other direction of the noisy channel got %d", got)
	}
}
