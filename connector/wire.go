package connector

import (
	"bytes"
	"encoding/json"
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

// loose is a string that LivePerson may also write as a number.
type loose string

// UnmarshalJSON takes a string as it is and keeps the digits of a number.
func (l *loose) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(l))
	}
	if !bytes.Equal(raw, []byte("null")) {
		*l = loose(raw)
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
