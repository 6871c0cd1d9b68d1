package relay

import (
	"strings"
	"testing"
)

// The same words are written differently by every installation.
func TestWordsOfACopyDependOnTheKey(t *testing.T) {
	ours := &copies{key: func() []byte { return []byte("ours") }}
	theirs := &copies{key: func() []byte { return []byte("theirs") }}
	if a, b := ours.wordsOf("ok"), theirs.wordsOf("ok"); a.keyed == b.keyed || strings.Contains(a.keyed, a.former) || !a.is(a.keyed) || !a.is(a.former) || a.is(b.keyed) {
		t.Errorf("%+v and %+v", a, b)
	}
	if ours.wordsOf("ok").keyed == ours.wordsOf("yes").keyed {
		t.Error("two words are the same")
	}
}
