package main

import (
	"slices"
	"testing"
)

// TestWeakness: what people think up is told from what generators make, and what
// is said shows nothing of it.
func TestWeakness(t *testing.T) {
	for secret, want := range map[string]string{
		"":                                 thoughtUp,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": thoughtUp,
		"kJ3vX9qLmkJ3vX9qLmkJ3vX9qLm":      thoughtUp, // three times
		"lpbridge-changeme-2026!":          thoughtUp,
		"0123456789abcdef0123":             thoughtUp,
		"kJ3vX9qLm2RtY7wZ":                 shorterThanThat,
		"f3a9c05e7b1d4826f0e2a7c49d513b68": "", // openssl rand -hex 16
		"9b1c2e7f4a6d8035c1e2f3a4":         "",
		channelSecret:                      "",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8test": "", // by chance
		"kJ3vX9qLm2RtY7wZsB5d":                              "",
	} {
		if got := weakness(secret); got != want {
			t.Errorf("%q: %q, want %q", secret, got, want)
		}
	}
	for text, want := range map[string][]string{
		"a": {"a"}, "a, b": {"a", "b"}, "x=a,y=b": {"a", "b"}, "YWI=": {"YWI="}, "YQ==": {"YQ=="}, "x=YQ==": {"YQ=="}, "": nil,
	} {
		if got := secretsIn(text); !slices.Equal(got, want) {
			t.Errorf("%q holds %q, want %q", text, got, want)
		}
	}
}
