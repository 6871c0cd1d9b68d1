package connector

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzPlainForms holds what is read without a decoder against what the decoder makes
// of it.
func FuzzPlainForms(f *testing.F) {
	for _, text := range []string{
		`{"sequence":7}`, `{"sequence":0}`, `{"sequence":007}`, `{"sequence":-1}`, `{"sequence":999999999999999999}`, `{"sequence":9999999999999999999}`,
		`{"sequence":7}}`, `{"sequence":}`, `{"sequence": 7}`, `{"sequence":7,"x":1}`, `{"sequence":null}`, `{}`, `null`, ``, `"plain"`, `"with \"escapes\""`,
		`"\u00e4"`, `"ä"`, "\"\xff\"", `""`, `"`, `12`, `true`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got published
		var want struct {
			Sequence *Sequence `json:"sequence"`
		}
		wantErr := json.Unmarshal(text, &want)
		if err := got.decode(text); (err == nil) != (wantErr == nil) || err == nil && !cmp.Equal(got.Sequence, want.Sequence) {
			t.Errorf("%q: got %v, %v, want %v, %v", text, got, err, want, wantErr)
		}
		var plain string
		if json.Unmarshal(text, &plain) != nil || text[0] != '"' {
			return
		}
		var read loose
		if err := json.Unmarshal(text, &read); err != nil || string(read) != plain {
			t.Errorf("%q: got %q, %v, want %q", text, read, err, plain)
		}
	})
}

func BenchmarkAnswerToSend(b *testing.B) {
	b.ReportAllocs()
	text := []byte(`{"reqId":"1","code":"OK","body":{"sequence":123456}}`)
	for b.Loop() {
		var resp response
		var body published
		if json.Unmarshal(text, &resp) != nil || !resp.ok() || body.decode(resp.Body) != nil || *body.Sequence != 123456 {
			b.Fatal("not understood")
		}
	}
}
