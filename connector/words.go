package connector

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"unicode"
)

// knownMessage turns LivePerson's msg into an error. LivePerson's guide shows
// "Bad Request, Conversation is close" for a closed conversation and "already
// has open conversation" for a second one; there is no code to tell them by.
func knownMessage(msg string) error {
	lower := strings.ToLower(msg)
	switch {
	case lower == "":
		return nil
	case strings.Contains(lower, "conversation is close"):
		return ErrClosed
	case strings.Contains(lower, "already has open conversation"):
		return ErrAlreadyOpen
	}
	return errors.New(ownWords(lower))
}

var codeShape = regexp.MustCompile(`^[A-Z][A-Z_]{0,31}$`)

func knownCode(code string) string {
	if codeShape.MatchString(code) {
		return code
	}
	return ""
}

// messageLimit caps what an error repeats of LivePerson's msg, in bytes.
const messageLimit = 128

// vocabulary is what LivePerson's messages are made of. Any other word may be
// an id, a name or an echo of what a consumer wrote.
var vocabulary = wordSet(`a access account action agent allowed already and are array as at bad be body brand by can
	cannot caption change changes chat close closed consumer content conversation could create dialog does error
	event exceeded exist exists expired expected failed field file for format forbidden found from has have id in
	internal invalid is it json kind large length limit list long longer malformed maximum message metadata missing
	must no not null of ok on one only open or parameter parse participant permission permissions permitted profile
	property publish rate relative path reached rejected request requests required response role schema sequence
	server service set size skill stage state status string supported survey text than the time timeout to token too
	type unable unauthorized unavailable unexpected unknown unsupported update upload url user value was with wrong`)

func wordSet(text string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(text) {
		set[word] = true
	}
	return set
}

// ownWords keeps of a lower-case message what is LivePerson's own wording.
func ownWords(lower string) string {
	var kept []byte
	for word := range strings.FieldsFuncSeq(lower, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsPunct(r) }) {
		if !vocabulary[word] {
			word = "*"
			if bytes.HasSuffix(kept, []byte("*")) {
				continue
			}
		}
		if len(kept)+1+len(word) > messageLimit {
			break
		}
		if len(kept) > 0 {
			kept = append(kept, ' ')
		}
		kept = append(kept, word...)
	}
	if len(kept) == 0 {
		return "*"
	}
	return string(kept)
}
