package connector

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// request is the envelope of everything we ask LivePerson.
type request struct {
	Kind     string          `json:"kind"`
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Body     any             `json:"body"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// response is an answer, or one element of a batch's. LivePerson's guide shows
// code as a word, its authorization errors have it as a number, and bodies are
// objects but may be plain strings.
type response struct {
	ReqID loose           `json:"reqId"`
	Code  loose           `json:"code"`
	Body  json.RawMessage `json:"body"`
}

func (r *response) ok() bool { return r.Code == "OK" || r.Code == "200" }

// msg is LivePerson's text, wherever it is.
func (r *response) msg() string {
	var text string
	if json.Unmarshal(r.Body, &text) == nil {
		return text
	}
	var body struct {
		Msg string `json:"msg"`
	}
	_ = json.Unmarshal(r.Body, &body)
	return body.Msg
}

// loose is a string that LivePerson may also write as a number. Of anything else
// it makes nothing: one odd field must not take its neighbours with it.
type loose string

// UnmarshalJSON takes a string as it is and keeps the digits of a number.
func (l *loose) UnmarshalJSON(raw []byte) error {
	*l = ""
	switch {
	case len(raw) == 0:
	case raw[0] == '"':
		if inner, plain := plainString(raw); plain {
			*l = loose(inner)
			return nil
		}
		return json.Unmarshal(raw, (*string)(l))
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		*l = loose(raw)
	}
	return nil
}

// plainString is what a JSON string says that needs no decoding, as nearly all do.
func plainString(raw []byte) (inner []byte, plain bool) {
	last := len(raw) - 1
	if last < 1 || raw[last] != '"' {
		return nil, false
	}
	inner = raw[1:last]
	return inner, bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner)
}

// word is a loose that names one of a few things: case and blanks tell nothing.
type word string

// UnmarshalJSON takes what loose takes.
func (w *word) UnmarshalJSON(raw []byte) error {
	var text loose
	err := text.UnmarshalJSON(raw)
	*w = word(strings.ToLower(strings.TrimSpace(string(text))))
	return err
}

// whole is a whole number in any of the spellings JSON, and programs that are
// loose about it, have: 5, 5.0, 5e0, "5". Anything else is not known.
type whole struct {
	n     int64
	known bool
}

// UnmarshalJSON never fails: what is no whole number is not known.
func (w *whole) UnmarshalJSON(raw []byte) error {
	*w = whole{}
	text := strings.TrimSpace(strings.Trim(string(raw), `"`))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		*w = whole{n, true}
		return nil
	}
	// Within 53 bits a float is exact; ParseFloat's other forms (hex, Inf) are not
	// those of JSON, and are no numbers here.
	if strings.Trim(text, "+-0123456789.eE") != "" {
		return nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(f) < 1<<53 && f == math.Trunc(f) {
		*w = whole{int64(f), true}
	}
	return nil
}

// wireOriginator is originatorMetadata, which may be missing or odd.
type wireOriginator struct {
	ID   loose
	Role loose
}

// UnmarshalJSON takes an object, and makes nothing of anything else.
func (o *wireOriginator) UnmarshalJSON(raw []byte) error {
	var wire struct {
		ID   loose `json:"id"`
		Role loose `json:"role"`
	}
	if json.Unmarshal(raw, &wire) == nil {
		*o = wireOriginator{wire.ID, loose(strings.ToUpper(string(wire.Role)))}
	}
	return nil
}

// audience is messageAudience. What is there and cannot be read is no audience for
// consumers.
type audience string

// UnmarshalJSON takes a string, a list of one, or null; anything else is kept as it is, and
// so is a list of several: it names somebody besides all, or nobody.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var text string
	var list []string
	switch {
	case string(raw) == "null":
		*a = ""
	case json.Unmarshal(raw, &text) == nil:
		*a = audience(strings.ToUpper(strings.TrimSpace(text)))
	case json.Unmarshal(raw, &list) == nil && len(list) == 1 && list[0] != "":
		*a = audience(strings.ToUpper(strings.TrimSpace(list[0])))
	default:
		*a = audience(raw)
	}
	return nil
}

// forgiving is oneOrMany without the elements that do not fit.
type forgiving[T any] []T

// UnmarshalJSON never fails.
func (f *forgiving[T]) UnmarshalJSON(raw []byte) error {
	*f = nil
	var each oneOrMany[json.RawMessage]
	if json.Unmarshal(raw, &each) != nil {
		return nil
	}
	for _, one := range each {
		var v T
		if json.Unmarshal(one, &v) == nil {
			*f = append(*f, v)
		}
	}
	return nil
}

// oneOrMany is an array whose single element may come bare, as LivePerson's
// "Protocol Overview" page allows.
type oneOrMany[T any] []T

// UnmarshalJSON takes an array, a bare element, or null.
func (m *oneOrMany[T]) UnmarshalJSON(raw []byte) error {
	*m = nil
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || bytes.Equal(raw, []byte("null")):
		return nil
	case raw[0] == '[':
		return json.Unmarshal(raw, (*[]T)(m))
	}
	var one T
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*m = []T{one}
	return nil
}
