package lpsim

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// cardNumber is 13 to 19 digits, perhaps in groups.
var cardNumber = regexp.MustCompile(`\b(?:[0-9][ -]?){12,18}[0-9]\b`)

var digit = regexp.MustCompile(`[0-9]`)

// rewrite is what LivePerson makes of a consumer's text before anybody sees it, its own echo included.
func (f *inForce) rewrite(text string) string {
	if f.MaskCardNumbers {
		text = cardNumber.ReplaceAllStringFunc(text, func(number string) string { return digit.ReplaceAllString(number, "*") })
	}
	for _, word := range f.filtered {
		text = word.ReplaceAllStringFunc(text, func(found string) string { return strings.Repeat("*", utf8.RuneCountInString(found)) })
	}
	if f.drawAlone(rollTrim, f.TrimTextRate) {
		text = strings.Join(strings.Fields(text), " ")
	}
	return text
}
