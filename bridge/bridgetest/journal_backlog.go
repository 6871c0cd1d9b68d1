package bridgetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"lpbridge/bridge"
)

func testLanes(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	if lanes := got[[]bridge.LaneKey](t)(j.Lanes(t.Context(), bridge.LaneKey{}, 10)); len(lanes) != 0 {
		t.Errorf("lanes of an empty journal: %v", lanes)
	}
	want := []bridge.LaneKey{laneA, laneB, backA, other, {Channel: "web", Thread: "<t>"}, {Channel: "layer", Thread: ""}}
	for i, lane := range want {
		add(t, j, message(lane, bridge.EventID(fmt.Sprint("m-", i))), message(lane, bridge.EventID(fmt.Sprint("n-", i))))
	}
	gone := bridge.LaneKey{Channel: "webhook", Thread: "t-11"}
	seqs := add(t, j, message(gone, "g-1"), message(gone, "g-2"))
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: gone, Final: bridge.Done})
	settle(t, j, bridge.Settlement{Seq: seqs[1], Lane: gone, Final: bridge.Dead, Outcome: bridge.Invalid})

	all := got[[]bridge.LaneKey](t)(j.Lanes(t.Context(), bridge.LaneKey{}, 100))
	for _, limit := range []int{1, 2, 4} {
		var paged []bridge.LaneKey
		var after bridge.LaneKey
		for {
			page := got[[]bridge.LaneKey](t)(j.Lanes(t.Context(), after, limit))
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				t.Fatalf("%d lanes, want at most %d", len(page), limit)
			}
			paged = append(paged, page...)
			after = page[len(page)-1]
		}
		same(t, fmt.Sprint("pages of ", limit), paged, all)
	}
	sortLanes := cmpopts.SortSlices(func(a, b bridge.LaneKey) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	same(t, "lanes", all, want, sortLanes)

	// The lane a page starts after may be empty by then.
	second := all[1]
	for _, e := range pending(t, j, second) {
		settle(t, j, bridge.Settlement{Seq: e.Seq, Lane: second, Final: bridge.Done})
	}
	same(t, "after a lane that is empty now", got[[]bridge.LaneKey](t)(j.Lanes(t.Context(), second, 100)), all[2:])
}

func testPendingOf(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	seqs := add(t, j, message(laneA, "a-1"), message(laneB, "b-1"), message(laneA, "a-2"), message(backA, "r-1"),
		message(other, "o-1"), message(laneA, "a-3"))
	for _, c := range []struct {
		name  string
		lane  bridge.LaneKey
		after int64
		limit int
		want  []bridge.EventID
	}{
		{"all", laneA, 0, 10, []bridge.EventID{"a-1", "a-2", "a-3"}},
		{"some", laneA, 0, 2, []bridge.EventID{"a-1", "a-2"}},
		{"after", laneA, seqs[0], 10, []bridge.EventID{"a-2", "a-3"}},
		{"after the last", laneA, seqs[5], 10, nil},
		{"other direction", backA, 0, 10, []bridge.EventID{"r-1"}},
		{"other channel", other, 0, 10, []bridge.EventID{"o-1"}},
		{"unknown", bridge.LaneKey{Channel: "webhook", Thread: "t-"}, 0, 10, nil},
	} {
		same(t, c.name, ids(got[[]bridge.Entry](t)(j.PendingOf(t.Context(), c.lane, c.after, c.limit))), c.want)
	}
}
