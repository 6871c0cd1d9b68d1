package connector

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzPlainForms holds what is read without a decoder against what the decoder makes
// of it.
func FuzzPlainForms(f *testing.F) {
	for _, body := range []string{
		`{"sequence":7}`, `{"sequence":0}`, `{"sequence":007}`, `{"sequence":-1}`, `{"sequence":999999999999999999}`, `{"sequence":9999999999999999999}`,
		`{"sequence":7}}`, `{"sequence":}`, `{"sequence": 7}`, `{"sequence":7,"x":1}`, `{"sequence":null}`, `{}`, `null`, ``,
	} {
		f.Add([]byte(`{"reqId":"1","code":"OK","body":` + body + `}`))
	}
	for _, text := range []string{
		`{"reqId":"a\"","code":"OK","body":{"sequence":7}}`, "{\"reqId\":\"\xff\",\"code\":\"OK\",\"body\":{\"sequence\":7}}\n",
		`{"reqId":"1","code":"OK","body":{"sequence":7}},"code":"BAD"}}`, `{"reqId":"1","code":"400","body":{"sequence":7}}`,
		`"plain"`, `"with \"escapes\""`, `"\u00e4"`, `"ä"`, "\"\xff\"", `""`, `"`, `12`, `true`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want published
		var resp response
		if got.readPlain(text) {
			if err := json.Unmarshal(text, &resp); err != nil || !resp.ok() || json.Unmarshal(resp.Body, &want) != nil || !cmp.Equal(got, want) {
				t.Errorf("%q: got %v, want %v of %+v, %v", text, *got.Sequence, want.Sequence, resp, err)
			}
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

// TestPlainAnswersArePlain: what LivePerson writes is read the short way.
func TestPlainAnswersArePlain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Sequence{
		`{"reqId":"1","code":"OK","body":{"sequence":4}}`:                         4,
		`{"reqId":"KQ3ZV5DA-1204","code":"OK","body":{"sequence":123456}}` + "\n": 123456,
		`{"code":"OK","body":{"sequence":0},"reqId":"2"}`:                         0,
		`{"body":{"sequence":999999999999999999},"code":"OK"}`:                    999999999999999999,
	} {
		var got published
		if !got.readPlain([]byte(text)) || *got.Sequence != want {
			t.Errorf("%s: got %v, want %d", text, got.Sequence, want)
		}
	}
}
