package chatwoot

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
)

// object is a JSON object whose members are read one by one. Webhooks come once:
// one odd member of a payload must cost nothing but itself, so one that cannot be
// read is as good as absent and noted.
type object struct {
	members map[string]json.RawMessage
	path    string
	odd     *[]string
}

// parse takes a payload apart.
func parse(body []byte) (object, error) {
	o := object{odd: new([]string)}
	if !json.Valid(body) {
		return o, &bridge.FieldError{Field: "body", Reason: "is not one valid JSON text"}
	}
	if json.Unmarshal(body, &o.members) != nil || o.members == nil {
		return o, &bridge.FieldError{Field: "body", Reason: "is not a JSON object"}
	}
	return o, nil
}

// given returns a member that is there and not null.
func (o object) given(name string) (json.RawMessage, bool) {
	raw, ok := o.members[name]
	return raw, ok && string(raw) != "null"
}

// strange notes a member that cannot be read. Names are those we ask for, never
// the sender's.
func (o object) strange(name string) {
	*o.odd = append(*o.odd, o.path+name)
}

// text reads a string, or a number as it is written.
func (o object) text(name string) string {
	raw, ok := o.given(name)
	if !ok {
		return ""
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String()
	}
	o.strange(name)
	return ""
}

// number reads a whole number, also from text; 0 stands for none.
func (o object) number(name string) int64 {
	value, ok := o.decimal(name)
	if !ok {
		return 0
	}
	// Above that a float is no longer exact, and no id of Chatwoot's that large.
	if value != math.Trunc(value) || math.Abs(value) > 1<<53 {
		o.strange(name)
		return 0
	}
	return int64(value)
}

// decimal reads a number, also from text.
func (o object) decimal(name string) (value float64, ok bool) {
	raw, given := o.given(name)
	if !given {
		return 0, false
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(strings.Trim(string(raw), `"`)), 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		o.strange(name)
		return 0, false
	}
	return value, true
}

// flag reads what is true as a bool or as a word; callers of the API send either.
func (o object) flag(name string) bool {
	raw := string(o.members[name])
	return raw == "true" || raw == `"true"`
}

// moment reads a time; the zero time stands for none.
func (o object) moment(name string) time.Time {
	raw, ok := o.given(name)
	var s stamp
	if !ok || s.UnmarshalJSON(raw) != nil {
		return time.Time{}
	}
	if s.IsZero() {
		o.strange(name)
	}
	return s.Time
}

// object reads an object; exists tells one that was there.
func (o object) object(name string) object {
	inner := object{path: o.path + name + ".", odd: o.odd}
	if raw, ok := o.given(name); ok && json.Unmarshal(raw, &inner.members) != nil {
		o.strange(name)
	}
	return inner
}

func (o object) exists() bool { return o.members != nil }

// list reads the objects in an array.
func (o object) list(name string) []object {
	raw, ok := o.given(name)
	if !ok {
		return nil
	}
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		o.strange(name)
		return nil
	}
	list := make([]object, 0, len(elements))
	for _, e := range elements {
		inner := object{path: o.path + name + ".", odd: o.odd}
		if json.Unmarshal(e, &inner.members) != nil || inner.members == nil {
			o.strange(name)
			continue
		}
		list = append(list, inner)
	}
	return list
}

// stamp is a moment: RFC 3339 in some places of a payload and seconds since 1970
// in others. One that cannot be read is zero.
type stamp struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler]. It never fails.
func (s *stamp) UnmarshalJSON(data []byte) error {
	s.Time = time.Time{}
	text := strings.Trim(string(data), `"`)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05 MST"} {
		if t, err := time.Parse(layout, text); err == nil {
			s.Time = t.UTC()
			return nil
		}
	}
	const latest = 1 << 40
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < latest {
		s.Time = time.UnixMicro(int64(seconds * 1e6)).UTC()
	}
	return nil
}

// id is a number that may come as text. One that cannot be read is 0.
type id int64

// UnmarshalJSON implements [json.Unmarshaler]. It never fails.
func (i *id) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(data), `"`), 10, 64)
	if err != nil {
		n = 0
	}
	*i = id(n)
	return nil
}
