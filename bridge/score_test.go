package bridge

import "testing"

func TestScoresInAnyWords(t *testing.T) {
	for text, want := range map[string]int{
		"5": 5, " 3 ": 3, "4.0": 4, "4.5": 4, "5 stars": 5, "5stars": 5, "4/5": 4, "05": 5, "1": 1,
		"★★★": 3, "⭐⭐⭐⭐⭐": 5, "★★☆☆☆": 2, "⭐️⭐️": 2, "★ ★": 2,
		"Five": 5, "one": 1, "😍": 5, "😞": 1, "neutral": 3, "Grinning": 4,
		"": 0, "0": 0, "6": 0, "10/10": 0, "-1": 0, "55": 0, "☆☆": 0, "★★★★★★": 0, "six": 0, "great": 0, "★ bad": 0, "99999999999999999999": 0, "\xff": 0,
	} {
		got, ok := ParseScore(text)
		if ok != (want != 0) || ok && got != want {
			t.Errorf("%q is %d %t, want %d", text, got, ok, want)
		}
	}
}
