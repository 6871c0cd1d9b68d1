package farside

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
)

// Object is a JSON object of a far side's whose members are read one by one. What
// far sides send may come once: one odd member must cost nothing but itself, so
// one that cannot be read is as good as absent and noted.
type Object struct {
	members map[string]json.RawMessage
	path    string
	odd     *[]string
}

// ParseObject takes JSON apart. Errors are *[bridge.FieldError].
func ParseObject(body []byte) (Object, error) {
	o := Object{odd: new([]string)}
	if !json.Valid(body) {
		return o, &bridge.FieldError{Field: "body", Reason: "is not one valid JSON text"}
	}
	if json.Unmarshal(body, &o.members) != nil || o.members == nil {
		return o, &bridge.FieldError{Field: "body", Reason: "is not a JSON object"}
	}
	return o, nil
}

// Odd are the paths of the members that could not be read so far. Names are those
// that were asked for, never the sender's.
func (o Object) Odd() []string { return *o.odd }

// Names are those of all members.
func (o Object) Names() []string { return slices.Sorted(maps.Keys(o.members)) }

// Raw returns a member that is there and not null.
func (o Object) Raw(name string) (json.RawMessage, bool) {
	raw, ok := o.members[name]
	return raw, ok && string(raw) != "null"
}

// strange notes a member that cannot be read. Names are those we ask for, never
// the sender's.
func (o Object) strange(name string) {
	*o.odd = append(*o.odd, o.path+name)
}

// Text reads a string, or a number as it is written.
func (o Object) Text(name string) string {
	raw, ok := o.Raw(name)
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

// Number reads a whole number, also from text; 0 stands for none.
func (o Object) Number(name string) int64 {
	value, ok := o.Decimal(name)
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

// Decimal reads a number, also from text.
func (o Object) Decimal(name string) (value float64, ok bool) {
	raw, given := o.Raw(name)
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

// Flag reads what is true as a bool or as a word; callers of the API send either.
func (o Object) Flag(name string) bool {
	raw := string(o.members[name])
	return raw == "true" || raw == `"true"`
}

// layouts are how far sides write times; those without a zone mean UTC.
var layouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05 MST", "2006-01-02T15:04:05", "2006-01-02 15:04:05"}

// Moment reads a time, or seconds since 1970; the zero time stands for none.
func (o Object) Moment(name string) time.Time {
	raw, ok := o.Raw(name)
	if !ok {
		return time.Time{}
	}
	text := strings.Trim(string(raw), `"`)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1970 && t.Year() < 9999 {
			return t.UTC()
		}
	}
	const latest = 1 << 40
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < latest {
		return time.UnixMicro(int64(seconds * 1e6)).UTC()
	}
	o.strange(name)
	return time.Time{}
}

// Inner reads an object; [Object.Exists] tells one that was there.
func (o Object) Inner(name string) Object {
	inner := Object{path: o.path + name + ".", odd: o.odd}
	if raw, ok := o.Raw(name); ok && json.Unmarshal(raw, &inner.members) != nil {
		o.strange(name)
	}
	return inner
}

// Exists reports whether there was such an object.
func (o Object) Exists() bool { return o.members != nil }

// IsList reports whether a member is an array.
func (o Object) IsList(name string) bool {
	raw, ok := o.Raw(name)
	return ok && raw[0] == '['
}

// List reads the objects in an array.
func (o Object) List(name string) []Object {
	raw, ok := o.Raw(name)
	if !ok {
		return nil
	}
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		o.strange(name)
		return nil
	}
	list := make([]Object, 0, len(elements))
	for _, e := range elements {
		inner := Object{path: o.path + name + ".", odd: o.odd}
		if json.Unmarshal(e, &inner.members) != nil || inner.members == nil {
			o.strange(name)
			continue
		}
		list = append(list, inner)
	}
	return list
}
