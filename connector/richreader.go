package connector

import (
	"bytes"
	"encoding/json"
	"strings"
)

const (
	// deepestElement bounds how far nested rich content is followed, an array
	// counting as a level; LivePerson's own templates stay below ten.
	deepestElement = 32
	// mostElements bounds how much of it is; LivePerson allows 256 in a card.
	mostElements = 5000
)

// elementReader reads structured content in one pass, however deep it is: decoding
// level by level would read the innermost once for every level.
type elementReader struct {
	dec  *json.Decoder
	read int
	// broken says that what follows is no JSON, as can be in a string of it: what was
	// read counts.
	broken bool
}

// readElement gives the tree of a piece of structured content, nil when it is
// none. A list of them stands for what contains it, and mere words for themselves,
// unless they are JSON that is broken.
func readElement(raw json.RawMessage) *richElement {
	if len(raw) == 0 {
		return nil
	}
	r := elementReader{dec: json.NewDecoder(bytes.NewReader(raw))}
	switch found := r.elements(0); len(found) {
	case 0:
		return nil
	case 1:
		return found[0]
	default:
		return &richElement{Elements: found}
	}
}

// elements reads an array of elements, or one that is bare. A string of JSON stands
// for what it holds, and one of words for a text. What is none, too deep or too much
// is left out.
func (r *elementReader) elements(depth int) (found []*richElement) {
	if depth > deepestElement || r.read >= mostElements {
		r.skip()
		return nil
	}
	token, err := r.dec.Token()
	if words, ok := token.(string); ok {
		return r.quoted(words, depth)
	}
	switch {
	case err != nil:
		r.broken = true
	case token == json.Delim('{'):
		found = append(found, r.object(depth))
	case token == json.Delim('['):
		for r.more() && r.read < mostElements {
			found = append(found, r.elements(depth+1)...)
		}
		for r.more() {
			r.skip()
		}
		_, _ = r.dec.Token()
	}
	return found
}

// quoted reads elements from a string of JSON, which are as deep and as many as
// others.
func (r *elementReader) quoted(words string, depth int) []*richElement {
	raw, ok := unwrapped(words)
	if !ok {
		r.read++
		return []*richElement{{Type: typeText, Text: loose(words)}}
	}
	inner := elementReader{dec: json.NewDecoder(strings.NewReader(raw)), read: r.read}
	found := inner.elements(depth + 1)
	r.read = inner.read
	return found
}

// unwrapped is the object or array in a string of JSON, which may be one of a string
// of JSON again; false for words.
func unwrapped(words string) (raw string, ok bool) {
	for range deepestElement {
		words = strings.TrimSpace(words)
		switch {
		case words == "":
			return "", false
		case words[0] == '{' || words[0] == '[':
			return words, true
		case words[0] != '"' || json.Unmarshal([]byte(words), &words) != nil:
			return "", false
		}
	}
	return "", false
}

// typeText is the element that is nothing but words.
const typeText word = "text"

// object reads an element whose opening brace is read already.
func (r *elementReader) object(depth int) *richElement {
	r.read++
	e := &richElement{}
	for r.more() {
		token, err := r.dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			r.broken = true
			return e
		}
		switch strings.ToLower(name) {
		case "elements", "content":
			e.Elements = append(e.Elements, r.elements(depth+1)...)
		case "replies", "quickreplies":
			e.Replies = append(e.Replies, r.elements(depth+1)...)
		default:
			into := e.field(name)
			if into == nil {
				into = new(json.RawMessage)
			}
			if r.dec.Decode(into) != nil {
				r.broken = true
				return e
			}
		}
	}
	_, _ = r.dec.Token()
	return e
}

// more tells whether another value follows within the present array or object.
func (r *elementReader) more() bool { return !r.broken && r.dec.More() }

// skip reads over a value.
func (r *elementReader) skip() { r.broken = r.dec.Decode(new(json.RawMessage)) != nil || r.broken }
