package config

import (
	"encoding"
	"fmt"
	"math"
	"math/big"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// envconfig reads whole numbers as Go does, where 010 is eight; a person means ten.
var decimal = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)$`)

var unitless = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]*)?$`)

// maxQuote keeps a value pasted by mistake from filling the report.
const maxQuote = 60

// check says what is wrong with the text of a variable, in words that say what would be right, or nothing. It comes before
// envconfig, whose own messages name Go's functions and quote every value.
func (l leaf) check(text string) string {
	if l.secret && l.kind != kindText {
		return ""
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return "holds a control character or is not UTF-8"
	}
	if l.kind == kindText {
		return checkText(l.field.Type, text)
	}
	if l.kind == kindURL {
		return checkURL(text)
	}
	if message := l.checkScalar(text); message != "" {
		return fmt.Sprintf("is %s: %s", quote(text), message)
	}
	return ""
}

func (l leaf) checkScalar(text string) string {
	switch l.kind {
	case kindString:
		return l.checkWord(text)
	case kindStrings:
		for _, word := range splitList(text) {
			if message := l.checkWord(word); message != "" {
				return message
			}
		}
	case kindBool:
		if _, err := strconv.ParseBool(text); err != nil {
			return "must be true or false (1, 0, t, f, T, F, TRUE, FALSE, True and False are accepted too)"
		}
	case kindInt, kindUint, kindFloat, kindDuration:
		return l.checkNumber(text)
	}
	return ""
}

func (l leaf) checkWord(word string) string {
	if l.oneOf == nil || slices.Contains(l.oneOf, word) {
		return ""
	}
	message := "must be " + oneOf(l.oneOf)
	if l.kind == kindStrings {
		message = fmt.Sprintf("%s is not known, each element %s", quote(word), message)
	}
	return message + didYouMean(word, l.oneOf)
}

func (l leaf) checkNumber(text string) string {
	switch l.kind {
	case kindDuration:
		if message := checkDuration(text); message != "" {
			return message
		}
	case kindFloat:
		if f, err := strconv.ParseFloat(text, l.field.Type.Bits()); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return "must be a number such as 0.5"
		}
	default:
		if message := l.checkInteger(text); message != "" {
			return message
		}
	}
	return l.checkBounds(text)
}

func (l leaf) checkInteger(text string) string {
	if !decimal.MatchString(text) {
		return "must be a whole number in decimal digits, without leading zeros"
	}
	bits := l.field.Type.Bits()
	if l.kind == kindUint {
		if _, err := strconv.ParseUint(text, 10, bits); err != nil {
			return fmt.Sprintf("must be from 0 to %d, without a sign", uint64(math.MaxUint64)>>(64-bits))
		}
		return ""
	}
	if _, err := strconv.ParseInt(text, 10, bits); err != nil {
		return fmt.Sprintf("must be from %d to %d", int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits))
	}
	return ""
}

func checkDuration(text string) string {
	_, err := time.ParseDuration(text)
	switch {
	case err == nil:
		return ""
	case unitless.MatchString(text):
		return fmt.Sprintf("needs a unit, such as %ss for seconds (ms, s, m and h are usual)", text)
	}
	return "must be a duration such as 500ms, 10s, 5m or 1h30m; a day is 24h"
}

func (l leaf) checkBounds(text string) string {
	n := l.magnitude(text)
	if l.min != "" && n.Cmp(l.magnitude(l.min)) < 0 {
		return "must be at least " + l.min
	}
	if l.max != "" && n.Cmp(l.magnitude(l.max)) > 0 {
		return "must be at most " + l.max
	}
	return ""
}

// magnitude returns the value of a text that is known to be a number or a duration.
func (l leaf) magnitude(text string) *big.Rat {
	n := new(big.Rat)
	switch l.kind {
	case kindDuration:
		d, _ := time.ParseDuration(text)
		n.SetInt64(int64(d))
	case kindFloat:
		f, _ := strconv.ParseFloat(text, 64)
		n.SetFloat64(f)
	default:
		n.SetString(text)
	}
	return n
}

// checkURL quotes nothing: an address may carry a password or a token. net/url alone accepts nearly everything.
func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		return "must be an absolute URL that begins with https:// or http://"
	case u.Hostname() == "":
		return "must name a host after " + u.Scheme + "://"
	case u.User != nil:
		return "must not hold a user name or password"
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return "must not have a fragment, the part after #"
	case strings.ContainsFunc(u.Host, unicode.IsSpace):
		return "must not have spaces in the host name"
	}
	if port := u.Port(); port != "" && !isPort(port) {
		return "must have a port from 1 to 65535"
	}
	return ""
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func checkText(t reflect.Type, text string) string {
	scratch := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	if err := scratch.UnmarshalText([]byte(text)); err != nil {
		return err.Error()
	}
	return ""
}

// splitList cuts as envconfig does, and drops empty elements, which it keeps.
func splitList(text string) []string {
	var words []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

func quote(text string) string {
	if runes := []rune(text); len(runes) > maxQuote {
		text = string(runes[:maxQuote]) + "…"
	}
	return strconv.Quote(text)
}

// oneOf reads "a", "a or b", "a, b or c".
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
