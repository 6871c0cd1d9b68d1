package webhook

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"lpbridge/bridge"
)

// form is what a JSON value must be.
type form uint8

const (
	formObject form = iota
	formList
	formDict // an object with names of the sender's choice
	formText
	formTime
	formWhole
	formBool
)

// String completes "must be …".
func (f form) String() string {
	return [...]string{
		"an object", "an array", "an object", "a string",
		"a time as in RFC 3339, such as 2026-11-20T10:00:00Z", "a whole number", "true or false",
	}[f]
}

// shape is what the envelope permits at one place.
type shape struct {
	form    form
	members map[string]member // of an object
	element *shape            // of a list or dict
}

// member is one name an object may have. shape is nil for one that only the
// bridge sends.
type member struct {
	shape *shape
	bit   uint64
}

// bridgeOnly are the members of the envelope that exist from LivePerson to the
// channel only.
var bridgeOnly = map[string]bool{
	"agent":                true,
	"state":                true,
	"liveperson":           true,
	"message.quickReplies": true,
	"message.rich":         true,
	"message.survey":       true,
}

// eventShape is the envelope as a sender may write it. It follows bridge.Event,
// so the two cannot drift apart.
var eventShape = shapeOf(reflect.TypeFor[bridge.Event](), "")

func shapeOf(t reflect.Type, path string) *shape {
	switch t.Kind() {
	case reflect.Pointer:
		return shapeOf(t.Elem(), path)
	case reflect.String:
		return &shape{form: formText}
	case reflect.Int:
		return &shape{form: formWhole}
	case reflect.Bool:
		return &shape{form: formBool}
	case reflect.Slice:
		return &shape{form: formList, element: shapeOf(t.Elem(), path)}
	case reflect.Map:
		return &shape{form: formDict, element: shapeOf(t.Elem(), path)}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return &shape{form: formTime}
		}
		return objectShape(t, path)
	}
	panic(fmt.Sprintf("webhook: %s of the envelope is a %s, which no shape describes", path, t))
}

func objectShape(t reflect.Type, path string) *shape {
	s := &shape{form: formObject, members: map[string]member{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		m := member{bit: 1 << i}
		if full := strings.TrimPrefix(path+"."+name, "."); !bridgeOnly[full] {
			m.shape = shapeOf(t.Field(i).Type, full)
		}
		s.members[name] = m
	}
	return s
}

// walker compares JSON, which must be valid, with the envelope. It exists beside
// encoding/json because that takes "ID" for "id", lets the last of two equal
// names win, makes U+FFFD of invalid bytes, and says of an unknown name neither
// where it stands nor, in an array of events, in which.
type walker struct {
	data []byte
	pos  int
	// trail is where pos is, in names and, with an empty name, indexes.
	trail []step
	// dirty says that some bytes are not UTF-8.
	dirty bool
}

type step struct {
	name  string
	index int
}

// events walks a whole body and returns how many events it holds and whether
// they are in an array.
func (w *walker) events() (n int, array bool, err *bridge.FieldError) {
	w.dirty = !utf8.Valid(w.data)
	switch w.next() {
	case '{':
		return 1, false, w.object(eventShape)
	case '[':
		n, err = w.list(eventShape)
		return n, true, err
	}
	return 0, false, w.fail("the body must be an event or an array of events")
}

// next skips white space and returns the byte after it without taking it.
func (w *walker) next() byte {
	for {
		switch c := w.data[w.pos]; c {
		case ' ', '\t', '\r', '\n':
			w.pos++
		default:
			return c
		}
	}
}

func (w *walker) value(s *shape) *bridge.FieldError {
	c := w.next()
	switch {
	case s.form == formObject && c == '{':
		return w.object(s)
	case s.form == formDict && c == '{':
		return w.dict(s)
	case s.form == formList && c == '[':
		_, err := w.list(s.element)
		return err
	case s.form == formText && c == '"':
		_, err := w.text()
		return err
	case s.form == formTime && c == '"':
		return w.time()
	case s.form == formWhole && (c == '-' || c >= '0' && c <= '9'):
		return w.whole()
	case s.form == formBool && (c == 't' || c == 'f'):
		w.pos += len("true")
		if c == 'f' {
			w.pos++
		}
		return nil
	}
	return w.fail("must be " + s.form.String())
}

func (w *walker) object(s *shape) *bridge.FieldError {
	var seen uint64
	return w.eachMember(func(name []byte) *bridge.FieldError {
		m, known := s.members[string(name)]
		if !known {
			return w.unknown(s, name)
		}
		w.push(step{name: string(name)})
		switch {
		case m.shape == nil:
			return w.fail("only goes to the channel")
		case seen&m.bit != 0:
			return w.fail("is given twice")
		}
		seen |= m.bit
		if err := w.optional(m.shape); err != nil {
			return err
		}
		w.pop()
		return nil
	})
}

// optional takes null for a member that was left out, because many encoders
// write every member they know.
func (w *walker) optional(s *shape) *bridge.FieldError {
	if w.next() == 'n' {
		w.pos += len("null")
		return nil
	}
	return w.value(s)
}

func (w *walker) unknown(s *shape, name []byte) *bridge.FieldError {
	w.push(step{name: printable(string(name))})
	for known := range s.members {
		if strings.EqualFold(known, string(name)) {
			return w.fail("is not known, it is spelled " + known)
		}
	}
	return w.fail("is not known")
}

func (w *walker) dict(s *shape) *bridge.FieldError {
	seen := map[string]bool{}
	return w.eachMember(func(name []byte) *bridge.FieldError {
		w.push(step{name: printable(string(name))})
		if seen[string(name)] {
			return w.fail("is given twice")
		}
		seen[string(name)] = true
		if err := w.value(s.element); err != nil {
			return err
		}
		w.pop()
		return nil
	})
}

// eachMember calls visit after each name and colon of an object.
func (w *walker) eachMember(visit func(name []byte) *bridge.FieldError) *bridge.FieldError {
	w.pos++
	for w.next() != '}' {
		if w.data[w.pos] == ',' {
			w.pos++
			w.next()
		}
		name, err := w.text()
		if err != nil {
			return err
		}
		if name, err = w.unescape(name); err != nil {
			return err
		}
		w.next()
		w.pos++
		if err := visit(name); err != nil {
			return err
		}
	}
	w.pos++
	return nil
}

// unescape resolves escapes in a name, which nobody writes but which are valid.
func (w *walker) unescape(name []byte) ([]byte, *bridge.FieldError) {
	for _, c := range name {
		if c != '\\' {
			continue
		}
		var text string
		if err := json.Unmarshal([]byte(`"`+string(name)+`"`), &text); err != nil {
			return nil, w.fail("has a name that is not valid JSON")
		}
		return []byte(text), nil
	}
	return name, nil
}

func (w *walker) list(element *shape) (int, *bridge.FieldError) {
	w.pos++
	n := 0
	for w.next() != ']' {
		if w.data[w.pos] == ',' {
			w.pos++
		}
		w.push(step{index: n})
		if err := w.value(element); err != nil {
			return n, err
		}
		w.pop()
		n++
	}
	w.pos++
	return n, nil
}

// text takes a string and returns what is between the quotes.
func (w *walker) text() ([]byte, *bridge.FieldError) {
	w.pos++
	start := w.pos
	for w.data[w.pos] != '"' {
		if w.data[w.pos] == '\\' {
			w.pos++
		}
		w.pos++
	}
	raw := w.data[start:w.pos]
	if w.dirty && !utf8.Valid(raw) {
		return nil, w.fail("is not valid UTF-8")
	}
	w.pos++
	return raw, nil
}

func (w *walker) time() *bridge.FieldError {
	start := w.pos
	if _, err := w.text(); err != nil {
		return err
	}
	var t time.Time
	if t.UnmarshalJSON(w.data[start:w.pos]) != nil {
		return w.fail("must be " + formTime.String())
	}
	return nil
}

func (w *walker) whole() *bridge.FieldError {
	start := w.pos
	for w.pos < len(w.data) && strings.IndexByte("+-.eE0123456789", w.data[w.pos]) >= 0 {
		w.pos++
	}
	if _, err := strconv.Atoi(string(w.data[start:w.pos])); err != nil {
		return w.fail("must be " + formWhole.String())
	}
	return nil
}

func (w *walker) push(s step) { w.trail = append(w.trail, s) }

func (w *walker) pop() { w.trail = w.trail[:len(w.trail)-1] }

// fail names the place where the walker is.
func (w *walker) fail(reason string) *bridge.FieldError {
	var path strings.Builder
	for _, s := range w.trail {
		switch {
		case s.name == "":
			path.WriteString("[" + strconv.Itoa(s.index) + "]")
		case path.Len() > 0:
			path.WriteString("." + s.name)
		default:
			path.WriteString(s.name)
		}
	}
	return &bridge.FieldError{Field: path.String(), Reason: reason}
}

// maxName is the longest name of the sender's choice that an answer repeats.
const maxName = 64

// printable returns a name of the sender's choice, or a question mark for one
// that is long or odd and may be anything.
func printable(name string) string {
	if name == "" || len(name) > maxName {
		return "?"
	}
	for i := range len(name) {
		c := name[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return "?"
		}
	}
	return name
}
