package main

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"lpbridge/config"
)

// leastSecret is how long a generator's secret is at least: 20 characters of 64
// are 120 bits. Guessable ones are told from others by their few characters and by
// words that people take.
const (
	leastSecret     = 20
	leastDifferent  = 8
	thoughtUp       = "looks as if somebody had thought it up: take one from a generator, such as `openssl rand -hex 24`"
	shorterThanThat = "is short: take one from a generator, such as `openssl rand -hex 24`"
)

// wellKnown are parts of secrets that stand in documents and come first to mind.
var wellKnown = regexp.MustCompile(`(?i)password|passw0rd|change.?me|secret|sandbox|example|test|default|letmein|qwerty|admin|1234|0000|abcd`)

// weakness says why a secret can be guessed, in words that do not show it; empty
// when it cannot as far as one sees.
func weakness(secret string) string {
	different := map[rune]bool{}
	for _, c := range secret {
		different[c] = true
	}
	// In a long one a word is there by chance, or beside what counts.
	thought := len(different) < leastDifferent || repeated(secret) || len(secret) < 2*leastSecret && wellKnown.MatchString(secret)
	switch {
	case thought:
		return thoughtUp
	case len(secret) < leastSecret:
		return shorterThanThat
	}
	return ""
}

// repeated reports whether a secret is a shorter one several times.
func repeated(secret string) bool {
	return len(secret) > 1 && strings.Contains((secret + secret)[1:2*len(secret)-1], secret)
}

// weakSecrets are secrets of ours and of the channels in use that can be guessed,
// or that serve twice. LivePerson makes the client secret itself.
func (s *settings) weakSecrets() (list []danger) {
	owner := map[string]string{}
	for _, v := range s.secretVariables() {
		for _, secret := range s.secretsOf(v) {
			why := weakness(secret)
			if other, taken := owner[secret]; taken && other != v.Name {
				why = "is also what " + other + " is: who learns one has both"
			} else if v.Name == "LP_CLIENT_SECRET" || strings.HasPrefix(v.Name, "LPBRIDGE_ADMIN_") || strings.HasPrefix(v.Name, "LPBRIDGE_METRICS_") {
				// Those of the admin listener are said at each start.
				why = ""
			}
			owner[secret] = v.Name
			if d := (danger{v.Name, why}); why != "" && !slices.Contains(list, d) {
				list = append(list, d)
			}
		}
	}
	return list
}

// secretVariables are the secrets that have an effect.
func (s *settings) secretVariables() []config.Variable {
	all := config.Reference(new(config.Config), "")
	for _, ch := range s.channels {
		all = append(all, ch.variables()...)
	}
	return slices.DeleteFunc(all, func(v config.Variable) bool { return v.File == "" })
}

// secretsOf are the secrets of a variable. Those of channels may be lists.
func (s *settings) secretsOf(v config.Variable) []string {
	value := s.valueOf(v)
	switch {
	case value == "":
		return nil
	case strings.HasPrefix(v.Name, "LPBRIDGE_") || strings.HasPrefix(v.Name, "LP_"):
		return []string{value}
	}
	return secretsIn(value)
}

// valueOf is what a secret is set to, here or in its file; empty when it is not, or
// when the file is gone, which is told elsewhere.
func (s *settings) valueOf(v config.Variable) string {
	if text, set := s.lookup.Lookup(v.Name); set {
		return text
	}
	path, _ := s.lookup.Lookup(v.File)
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(text), "\r\n")
}

// secretsIn are the secrets of a list, which may have a name and an equals sign
// before each.
func secretsIn(text string) (secrets []string) {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		// At the end it is base64's.
		if _, after, found := strings.Cut(part, "="); found && strings.Trim(after, "=") != "" {
			part = after
		}
		if part != "" {
			secrets = append(secrets, part)
		}
	}
	return secrets
}
