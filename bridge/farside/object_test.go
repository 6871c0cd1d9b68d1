package farside

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestObjectReadsWhatItCan(t *testing.T) {
	o, err := ParseObject([]byte(`{"a":"x","b":7,"c":"8","d":[],"e":null,"f":1e3,"g":1.5,"h":"true","i":{"j":["k",{"l":"m"},null]},
		"n":"2026-11-20T10:00:00+01:00","o":1700000000.5,"p":"1700000000","q":"soon","r":99999999999999999999,"s":"NaN","u":" 3 "}`))
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		o.Text("a"), o.Text("b"), o.Text("d"), o.Text("e"), o.Text("z"),
		o.Number("b"), o.Number("c"), o.Number("f"), o.Number("g"), o.Number("a"), o.Number("e"), o.Number("r"), o.Number("u"),
		o.Flag("h"), o.Flag("b"), o.Inner("i").Exists(), o.Inner("z").Exists(), o.Inner("a").Exists(),
		len(o.Inner("i").List("j")), o.Inner("i").List("j")[0].Text("l"), len(o.List("b")), o.IsList("d"), o.IsList("a"),
		o.Moment("n"), o.Moment("o"), o.Moment("p"), o.Moment("q"), o.Moment("z"),
	}
	half := time.UnixMilli(1700000000500).UTC()
	want := []any{
		"x", "7", "", "", "",
		int64(7), int64(8), int64(1000), int64(0), int64(0), int64(0), int64(0), int64(3),
		true, false, true, false, false,
		1, "m", 0, true, false,
		time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), half, half.Truncate(time.Second), time.Time{}, time.Time{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok := o.Decimal("s"); ok {
		t.Error("NaN is a number")
	}
	odd := map[string]bool{}
	for _, member := range o.Odd() {
		odd[member] = true
	}
	if diff := cmp.Diff(map[string]bool{"d": true, "g": true, "a": true, "r": true, "i.j": true, "b": true, "q": true, "s": true}, odd); diff != "" {
		t.Errorf("odd members (-want +got):\n%s", diff)
	}
}

// FuzzObject: whatever a far side sends, reading it neither fails nor takes what
// is no JSON.
func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"id":"5","at":1.5,"list":[{"id":7}],"inner":{"id":null}}`))
	f.Add([]byte(`{"id":{},"at":"\u0000","list":{"id":[]},"inner":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := ParseObject(body)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatal("took what is no JSON")
		}
		for _, o := range append(o.List("list"), o, o.Inner("inner")) {
			o.Text("id")
			o.Flag("id")
			if n := o.Number("id"); n > 1<<53 || n < -1<<53 {
				t.Fatalf("number %d", n)
			}
			if at := o.Moment("at"); !at.IsZero() && (at.Year() < 1970 || at.Location() != time.UTC) {
				t.Fatalf("moment %s", at)
			}
		}
		if len(o.Odd()) > 1000+len(body) {
			t.Fatal("more is odd than there is")
		}
	})
}
