package config

import (
	"slices"
	"strings"
)

// didYouMean ends a message about an unknown word with the known one that is nearest, if any is near.
func didYouMean(word string, known []string) string {
	if name, found := nearest(word, known); found {
		return "; did you mean " + name + "?"
	}
	return ""
}

// nearest returns the known word with the fewest typing mistakes to word. A third of the letters may be wrong: more, and
// the suggestion would be a guess.
func nearest(word string, known []string) (string, bool) {
	best, bestDistance := "", len(word)/3+1
	for _, candidate := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best, best != ""
}

// distance counts the bytes to insert, delete or replace, and the neighbours to swap, to turn one word into the other.
func distance(a, b string) int {
	var before, above []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, above = above, row
		row = make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := above[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

// withPrefix reports whether name belongs to one of the prefixes.
func withPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}
