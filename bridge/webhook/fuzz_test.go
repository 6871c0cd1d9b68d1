package webhook

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"lpbridge/bridge"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode: what passes must mean the same written again, and what is refused must be a problem fit to be sent.
func FuzzDecode(f *testing.F) {
	for _, tt := range badRequests {
		if len(tt.body) < 1000 {
			f.Add([]byte(tt.body))
		}
	}
	f.Add([]byte(message))
	f.Add([]byte("[" + message + "," + message + "]"))
	f.Add([]byte(rating(`{"score":-0,"resolved":false,"comment":"\ud800"}`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := decode(body)
		if err != nil {
			checkProblem(t, err)
			return
		}
		if !utf8.Valid(body) {
			t.Fatal("took invalid UTF-8")
		}
		written, err := json.Marshal(events)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(written)
		if err != nil {
			t.Fatalf("what was taken is refused when written again: %v", err)
		}
		if diff := cmp.Diff(events, again); diff != "" {
			t.Fatalf("events (-first +again):\n%s", diff)
		}
	})
}

func checkProblem(t *testing.T, err error) {
	p, ok := errors.AsType[*bridge.Problem](err)
	if !ok {
		t.Fatalf("error is a %T", err)
	}
	if p.Status != 400 || p.Detail == "" || len(p.Field) > 600 || !utf8.ValidString(p.Detail) {
		t.Fatalf("problem %+v", p)
	}
	if p.Detail == "the body does not have the expected form" {
		t.Fatal("an error of the decoder is not explained")
	}
}
