package bridgetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
)

func testAppendRecordTaken(t *testing.T, store JournalStore) {
	j, h := started(t, store)
	records := j.RecordsOf("layer")
	must(t, records.Save(t.Context(), bridge.Record{Kind: "message", ID: 1, Keys: []string{"k"}}))
	batch := bridge.Batch{
		Entries: []bridge.Entry{message(laneA, "m-1")},
		Records: []bridge.ChannelRecord{
			{Channel: "layer", Record: bridge.Record{Kind: "message", ID: 2, Keys: []string{"free"}}},
			{Channel: "layer", Record: bridge.Record{Kind: "message", ID: 3, Keys: []string{"k"}}},
		},
	}
	if _, err := j.Append(t.Context(), batch); !errors.Is(err, bridge.ErrRecordTaken) {
		t.Fatalf("error %v, want ErrRecordTaken", err)
	}
	if _, err := records.Get(t.Context(), "message", 2); !errors.Is(err, bridge.ErrNoRecord) {
		t.Errorf("record of a refused batch: error %v, want ErrNoRecord", err)
	}
	if n := j.PendingCount(); n != 0 || len(h.seqs()) != 0 {
		t.Errorf("%d pending after a refused batch, the hook has %v", n, h.seqs())
	}
	batch.Records = batch.Records[:1]
	if seqs := got[[]int64](t)(j.Append(t.Context(), batch)); seqs[0] == 0 {
		t.Error("the event of a refused batch counts as known")
	}
	got[bridge.Record](t)(records.Get(t.Context(), "message", 2))

	// Records are saved although the event is known.
	batch.Records[0].Data = []byte("again")
	if seqs := got[[]int64](t)(j.Append(t.Context(), batch)); seqs[0] != 0 {
		t.Error("the repeated event counts as new")
	}
	same(t, "data", got[bridge.Record](t)(records.Get(t.Context(), "message", 2)).Data, []byte("again"))
}

func testFlags(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	flag := func(name, want string) {
		t.Helper()
		if v := got[string](t)(j.Flag(t.Context(), name)); v != want {
			t.Errorf("flag %s is %q, want %q", name, v, want)
		}
	}
	flag("clean", "")
	must(t, j.SetFlag(t.Context(), "a", "1"))
	must(t, j.SetFlag(t.Context(), "a", "2"))
	must(t, j.SetFlag(t.Context(), "b", ""))
	flag("a", "2")
	flag("b", "")
	must(t, j.Close())
	j = open()
	flag("a", "2")
	must(t, j.Close())
}

func testRecords(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	records := j.RecordsOf("layer")
	if _, err := records.Get(t.Context(), "message", 1); !errors.Is(err, bridge.ErrNoRecord) {
		t.Errorf("error %v, want ErrNoRecord", err)
	}
	at := time.Date(2025, 11, 20, 10, 0, 0, 5000, time.UTC)
	want := bridge.Record{
		Kind: "message", ID: 7, Parent: "c-1", Keys: []string{"source-1", "", "ü/\x00"}, Data: []byte{0, 1, 0xff}, Time: at,
	}
	must(t, records.Save(t.Context(), want))
	same(t, "record", got[bridge.Record](t)(records.Get(t.Context(), "message", 7)), want)
	for _, miss := range []struct {
		name    string
		channel string
		kind    string
	}{{"kind", "layer", "contact"}, {"channel", "webhook", "message"}} {
		if _, err := j.RecordsOf(miss.channel).Get(t.Context(), miss.kind, 7); !errors.Is(err, bridge.ErrNoRecord) {
			t.Errorf("other %s: error %v, want ErrNoRecord", miss.name, err)
		}
	}

	want.Data, want.Parent = nil, "c-2"
	again := want
	again.Time = at.Add(time.Hour)
	must(t, records.Save(t.Context(), again))
	same(t, "replaced", got[bridge.Record](t)(records.Get(t.Context(), "message", 7)), want)
	same(t, "old parent", got[[]bridge.Record](t)(records.List(t.Context(), "message", "c-1", bridge.Page{})), []bridge.Record{})

	before := time.Now().Add(-time.Second)
	must(t, records.Save(t.Context(), bridge.Record{Kind: "message", ID: 8}))
	if at := got[bridge.Record](t)(records.Get(t.Context(), "message", 8)).Time; at.Before(before) {
		t.Errorf("time %v, want now where the record says nothing", at)
	}
	must(t, records.Delete(t.Context(), "message", 7, 99))
	if _, err := records.Get(t.Context(), "message", 7); !errors.Is(err, bridge.ErrNoRecord) {
		t.Errorf("deleted record: error %v, want ErrNoRecord", err)
	}
	must(t, records.Save(t.Context()))
	must(t, records.Delete(t.Context(), "message"))
}

func testRecordKeys(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	records := j.RecordsOf("layer")
	save := func(id int64, keys ...string) error {
		return records.Save(t.Context(), bridge.Record{Kind: "message", ID: id, Keys: keys})
	}
	find := func(key string, want int64) {
		t.Helper()
		r, err := records.Find(t.Context(), "message", key)
		if want == 0 {
			if !errors.Is(err, bridge.ErrNoRecord) {
				t.Errorf("key %s: record %d, error %v, want ErrNoRecord", key, r.ID, err)
			}
			return
		}
		must(t, err)
		if r.ID != want {
			t.Errorf("key %s: record %d, want %d", key, r.ID, want)
		}
	}
	must(t, save(1, "a", "b"))
	must(t, save(2, "c"))
	find("a", 1)
	find("b", 1)
	find("c", 2)
	if err := save(3, "x", "b"); !errors.Is(err, bridge.ErrRecordTaken) {
		t.Errorf("error %v, want ErrRecordTaken", err)
	}
	find("x", 0)
	must(t, save(1, "b", "d", "d"))
	find("a", 0)
	find("d", 1)
	must(t, save(3, "a"))
	find("a", 3)
	err := records.Save(t.Context(),
		bridge.Record{Kind: "message", ID: 4, Keys: []string{"e"}}, bridge.Record{Kind: "message", ID: 5, Keys: []string{"e"}})
	if !errors.Is(err, bridge.ErrRecordTaken) {
		t.Errorf("two records of one call with one key: error %v, want ErrRecordTaken", err)
	}
	find("e", 0)
	must(t, records.Save(t.Context(), bridge.Record{Kind: "contact", ID: 9, Keys: []string{"a"}}))
	must(t, j.RecordsOf("webhook").Save(t.Context(), bridge.Record{Kind: "message", ID: 9, Keys: []string{"a"}}))
	find("a", 3)
	must(t, records.Delete(t.Context(), "message", 3))
	find("a", 0)
	must(t, save(6, "a"))
	find("a", 6)
}

func testRecordNumbers(t *testing.T, store JournalStore) {
	open := store(t)
	seen := map[int64]bool{}
	var highest int64
	for range 3 {
		j := open()
		start(t, j)
		records := j.RecordsOf("layer")
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 40 {
					id, err := records.NextID(t.Context(), "message")
					mu.Lock()
					if err != nil || id < 1 || seen[id] {
						t.Errorf("number %d, error %v, want one never given", id, err)
					}
					seen[id] = true
					highest = max(highest, id)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		// A number given before and deleted since does not come back.
		must(t, records.Save(t.Context(), bridge.Record{Kind: "message", ID: highest}))
		must(t, records.Delete(t.Context(), "message", highest))
		// Neither does the id of a record that was saved with one of its own.
		must(t, records.Save(t.Context(), bridge.Record{Kind: "message", ID: highest + 10}))
		id := got[int64](t)(records.NextID(t.Context(), "message"))
		if id <= highest+10 {
			t.Errorf("number %d after a record with id %d", id, highest+10)
		}
		seen[id] = true
		highest = id
		must(t, j.Close())
	}
	j := open()
	if id := got[int64](t)(j.RecordsOf("layer").NextID(t.Context(), "contact")); id != 1 {
		t.Errorf("first number of another kind %d, want 1", id)
	}
	must(t, j.Close())
}

func testRecordLists(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	records := j.RecordsOf("layer")
	for id := range int64(120) {
		parent := "even"
		if id%2 == 0 {
			parent = "odd"
		}
		must(t, records.Save(t.Context(), bridge.Record{Kind: "message", ID: id + 1, Parent: parent}))
	}
	must(t, records.Save(t.Context(), bridge.Record{Kind: "contact", ID: 1, Parent: "odd"}))
	for _, c := range []struct {
		name string
		page bridge.Page
		want []int64
	}{
		{"first", bridge.Page{Limit: 3}, []int64{1, 3, 5}},
		{"newest", bridge.Page{Limit: 3, Newest: true}, []int64{119, 117, 115}},
		{"after", bridge.Page{After: 5, Limit: 2}, []int64{7, 9}},
		{"before", bridge.Page{Before: 7}, []int64{1, 3, 5}},
		{"between, newest", bridge.Page{After: 5, Before: 11, Newest: true}, []int64{9, 7}},
		{"none", bridge.Page{After: 119}, nil},
	} {
		var have []int64
		for _, r := range got[[]bridge.Record](t)(records.List(t.Context(), "message", "odd", c.page)) {
			have = append(have, r.ID)
		}
		same(t, c.name, have, c.want)
	}
	for id := range int64(120) {
		must(t, records.Save(t.Context(), bridge.Record{Kind: "many", ID: id + 1}))
	}
	if n := len(got[[]bridge.Record](t)(records.List(t.Context(), "many", "", bridge.Page{}))); n != 100 {
		t.Errorf("%d records without a limit, want 100", n)
	}
}
