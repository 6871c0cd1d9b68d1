package connector

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// jsonLength is what encoding/json makes of a text, without the quotes.
func jsonLength(t interface{ Fatal(...any) }, text string) int {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		t.Fatal(err)
	}
	return b.Len() - len("\"\"\n")
}

func TestSplitText(t *testing.T) {
	family := "👩‍👩‍👧‍👦"
	for _, c := range []struct {
		name, text string
		budget     int
		want       []string
	}{
		{"empty", "", 20, nil},
		{"fits", "twenty bytes of text", 20, []string{"twenty bytes of text"}},
		{"at a word", "one two three four five six", 20, []string{"one two three four ", "five six"}},
		{"line break counts twice", "0123456789abcdef\nxyz", 18, []string{"0123456789abcdef\n", "xyz"}},
		{"no words", strings.Repeat("x", 45), 20, []string{strings.Repeat("x", 20), strings.Repeat("x", 20), "xxxxx"}},
		{"quotes take two", strings.Repeat(`"`, 12), 20, []string{strings.Repeat(`"`, 10), `""`}},
		{"white space is kept", strings.Repeat(" ", 25), 20, []string{strings.Repeat(" ", 20), strings.Repeat(" ", 5)}},
		{"crlf stays whole", "0123456789abcde\r\nxyz", 17, []string{"0123456789abcde", "\r\nxyz"}},
		{"accent stays on its letter", strings.Repeat("x", 18) + "e\u0301", 19, []string{strings.Repeat("x", 18), "e\u0301"}},
		{"skin tone", strings.Repeat("x", 13) + "👍🏽", 20, []string{strings.Repeat("x", 13), "👍🏽"}},
		{"family", "xxxxxxxxxx" + family, 34, []string{"xxxxxxxxxx", family}},
		{"flags", "🇵🇹🇧🇷🇪🇸", 20, []string{"🇵🇹🇧🇷", "🇪🇸"}},
		{"too long a cluster is cut anyway", "e" + strings.Repeat("\u0301", 100), 150, []string{"e" + strings.Repeat("\u0301", 74), strings.Repeat("\u0301", 26)}},
		{"silly budget", strings.Repeat("x", 17), 1, []string{strings.Repeat("x", 16), "x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, SplitText(c.text, c.budget)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if parts := SplitText(strings.Repeat("word ", 1000), 0); len(parts) != 2 {
		t.Errorf("5000 characters became %d parts by default", len(parts))
	}
}

func TestSplitTextLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.OneOf(
			rapid.String(),
			rapid.SampledFrom([]string{" ", "\n", "\r\n", "\"", "\\", "<&>", "\x00", "\xff", "\xe2\x80", "\u2028", "😉", "👩‍👩‍👧‍👦", "🇵🇹", "e\u0301", "\ufffd", strings.Repeat("x", 40)}),
		)).Draw(t, "pieces")
		text := strings.Join(pieces, "")
		budget := rapid.IntRange(leastBudget, 200).Draw(t, "budget")
		parts := SplitText(text, budget)
		if strings.Join(parts, "") != text {
			t.Fatalf("the parts are not the text")
		}
		for i, part := range parts {
			if part == "" {
				t.Fatalf("part %d is empty", i)
			}
			if n := jsonLength(t, part); n > budget {
				t.Fatalf("part %d takes %d bytes of json, more than %d", i, n, budget)
			}
			if utf8.ValidString(text) && !utf8.ValidString(part) {
				t.Fatalf("part %d cuts a character", i)
			}
		}
	})
}

// The whole request must stay below LivePerson's 5000 characters.
func TestDefaultBudgetKeepsRequestsBelowTheLimit(t *testing.T) {
	for _, unit := range []string{"x", "\"", "\n", "é", "語", "😉", "\x01", "<"} {
		lp := newLivePerson(t)
		lp.HandleFunc(sendPath, reply(200, okSequence))
		client, _ := testClient(t, lp.transport)
		for _, part := range SplitText(strings.Repeat(unit, 6000), 0) {
			if _, err := client.Send(t.Context(), ana, mainDialog, ContentEvent{Message: part}); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range lp.received() {
			if len(r.body) >= 5000 {
				t.Errorf("%q: a request of %d bytes", unit, len(r.body))
			}
		}
	}
}

// A Korean syllable as macOS writes it is three letters that make one character.
func TestASyllableIsNotCut(t *testing.T) {
	const syllable = "\u1100\u1161\u11a8"
	for _, unit := range []string{syllable, "क्षि", "👨🏽‍🚀", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"} {
		text := strings.Repeat(unit, 3000)
		parts := SplitText(text, 0)
		if strings.Join(parts, "") != text {
			t.Fatalf("%q: the parts are not the text", unit)
		}
		for i, part := range parts {
			if strings.Repeat(unit, len(part)/len(unit)) != part {
				t.Fatalf("%q: part %d of %d cuts one", unit, i, len(parts))
			}
		}
	}
}

func TestAnEndlessCharacterIsCutInTime(t *testing.T) {
	text := "e" + strings.Repeat("\u0301", 1_000_000)
	if parts := SplitText(text, 0); strings.Join(parts, "") != text {
		t.Error("the parts are not the text")
	}
}
