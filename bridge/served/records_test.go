package served

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
)

type note struct {
	ID   int64          `json:"id"`
	Text string         `json:"text"`
	More map[string]any `json:"more,omitempty"`
}

const kindNote Kind[note] = "note"

func (n *note) Record() (bridge.Record, error) {
	return kindNote.Record(n.ID, "p", []string{"text:" + n.Text}, time.Time{}, n)
}

func keepNotes(t *testing.T, core *bridgetest.Core, texts ...string) {
	t.Helper()
	for _, text := range texts {
		id, err := kindNote.NextID(t.Context(), core.Records())
		if err != nil {
			t.Fatal(err)
		}
		if err := Keep(t.Context(), core, nil, &note{ID: id, Text: text}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKindReadsWhatWasKept(t *testing.T) {
	core := bridgetest.NewCore()
	n := &note{ID: 7, Text: "a\nb", More: map[string]any{"n": json.Number("12345678901234567890"), "list": []any{"x", nil}}}
	if err := Keep(t.Context(), core, nil, n); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() (*note, error){
		"id":  func() (*note, error) { return kindNote.Get(t.Context(), core.Records(), 7) },
		"key": func() (*note, error) { return kindNote.Find(t.Context(), core.Records(), "text:a\nb") },
	} {
		got, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(n, got); diff != "" {
			t.Errorf("by %s: %s", name, diff)
		}
	}
	if _, err := kindNote.Get(t.Context(), core.Records(), 8); !errors.Is(err, bridge.ErrNoRecord) {
		t.Errorf("an unknown id: %v", err)
	}
}

func TestBytesBehindARecord(t *testing.T) {
	for _, behind := range []string{"", "x", "\n", "a\nb\x00\xff\n"} {
		r, err := kindNote.Record(1, "", nil, time.Time{}, &note{ID: 1, Text: "head\n"}, []byte(behind)...)
		if err != nil {
			t.Fatal(err)
		}
		n, got, err := kindNote.DecodeWithBytes(r)
		if err != nil || n.Text != "head\n" || string(got) != behind {
			t.Errorf("%q came back as %q behind %+v (%v)", behind, got, n, err)
		}
	}
}

func TestEachGoesThroughEveryPage(t *testing.T) {
	core := bridgetest.NewCore()
	var want []string
	for i := range 2*batch + 5 {
		want = append(want, string(rune('a'+i)))
	}
	keepNotes(t, core, want...)
	var forwards, backwards []string
	for n, err := range kindNote.Each(t.Context(), core.Records(), "p", bridge.Page{}) {
		if err != nil {
			t.Fatal(err)
		}
		forwards = append(forwards, n.Text)
	}
	for n, err := range kindNote.Each(t.Context(), core.Records(), "p", bridge.Page{Newest: true, After: 5}) {
		if err != nil {
			t.Fatal(err)
		}
		backwards = append([]string{n.Text}, backwards...)
	}
	if diff := cmp.Diff(want, forwards); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[5:], backwards); diff != "" {
		t.Error(diff)
	}
	newest, err := kindNote.Newest(t.Context(), core.Records(), "p", 10, 2)
	if err != nil || len(newest) != 2 || newest[0].ID != 8 || newest[1].ID != 9 {
		t.Errorf("newest %+v, %v", newest, err)
	}
}

func TestEachEndsWithTheFirstError(t *testing.T) {
	core := bridgetest.NewCore()
	keepNotes(t, core, "good")
	if err := core.Records().Save(t.Context(), bridge.Record{Kind: string(kindNote), ID: 9, Parent: "p", Data: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	seen, failed := 0, 0
	for _, err := range kindNote.Each(t.Context(), core.Records(), "p", bridge.Page{}) {
		seen++
		if err != nil {
			failed++
		}
	}
	if seen != 2 || failed != 1 {
		t.Errorf("%d seen, %d of them errors", seen, failed)
	}
}

// TestKeepOutlivesTheRequest cancels the request a write is made for.
func TestKeepOutlivesTheRequest(t *testing.T) {
	core := bridgetest.NewCore()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Keep(ctx, core, nil, &note{ID: 1, Text: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := kindNote.Get(t.Context(), core.Records(), 1); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeWithBytes(f *testing.F) {
	f.Add([]byte("{}\nx"))
	f.Add([]byte(`{"id":1}`))
	f.Add([]byte(`{"id":1} {"id":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, behind, err := kindNote.DecodeWithBytes(bridge.Record{Data: data})
		if err == nil && n == nil || len(behind) > len(data) {
			t.Errorf("%q read as %v and %q", data, n, behind)
		}
	})
}
