package config

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// kind is what a variable's text means.
type kind int

const (
	kindString kind = iota
	kindStrings
	kindBool
	kindInt
	kindUint
	kindFloat
	kindDuration
	kindURL
	kindSecret
	kindSecrets
	kindText // a type with UnmarshalText
)

var (
	typeDuration = reflect.TypeFor[time.Duration]()
	typeURL      = reflect.TypeFor[*url.URL]()
	typeSecret   = reflect.TypeFor[Secret]()
	typeSecrets  = reflect.TypeFor[[]Secret]()
	typeText     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// leaf is one field that one variable fills.
type leaf struct {
	field    reflect.StructField
	value    reflect.Value // the field itself
	prefix   string
	key      string // as the tag spells it; the variable is prefix + key
	kind     kind
	secret   bool // has a file twin, is never quoted
	required bool
	fallback string // the default
	oneOf    []string
	min, max string // in the field's own notation, empty for no bound
}

func (l leaf) name() string { return l.prefix + l.key }

// section is one struct on the way to the leaves.
type section struct {
	prefix string
	value  reflect.Value // addressable
}

// structure is what a walk over a tagged struct finds: the struct itself and the structs in it as sections, outermost
// first, and their leaves, both in the order of the fields.
type structure struct {
	sections []section
	leaves   []leaf
}

// walk reads the tags of the struct target points to. It panics when they are wrong, which is a mistake in the program.
func walk(target any, prefix string) structure {
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: target is a %T, want a pointer to a struct", target))
	}
	var s structure
	s.add(v.Elem(), prefix)
	seen := map[string]bool{}
	for _, l := range s.leaves {
		for _, name := range l.names() {
			if seen[name] {
				panic(fmt.Sprintf("config: %T asks for %s twice", target, name))
			}
			seen[name] = true
		}
	}
	return s
}

// names returns every variable that can fill the leaf.
func (l leaf) names() []string {
	if l.secret {
		return []string{l.name(), l.name() + fileSuffix}
	}
	return []string{l.name()}
}

func (s *structure) add(v reflect.Value, prefix string) {
	s.sections = append(s.sections, section{prefix: prefix, value: v})
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag := parseTag(v.Type(), field)
		switch {
		case !field.IsExported():
			if _, tagged := field.Tag.Lookup("env"); tagged {
				mistake(v.Type(), field, "is not exported")
			}
		case tag.key != "":
			s.leaves = append(s.leaves, newLeaf(v, i, prefix, tag))
		case field.Type.Kind() == reflect.Struct:
			s.add(v.Field(i), prefix+tag.prefix)
		case tag != envTag{}:
			mistake(v.Type(), field, "has options but no variable")
		}
	}
}

func mistake(t reflect.Type, field reflect.StructField, what string) {
	panic(fmt.Sprintf("config: %s.%s %s", t, field.Name, what))
}

type envTag struct {
	key, prefix, fallback string
	required              bool
}

func parseTag(t reflect.Type, field reflect.StructField) envTag {
	var tag envTag
	key, options, more := strings.Cut(field.Tag.Get("env"), ",")
	tag.key = key
	for more {
		// envconfig gives default= the rest of the tag, commas included.
		if fallback, found := strings.CutPrefix(options, "default="); found {
			tag.fallback = fallback
			break
		}
		var option string
		option, options, more = strings.Cut(options, ",")
		if prefix, found := strings.CutPrefix(option, "prefix="); found && key == "" {
			tag.prefix = prefix
		} else if option == "required" && key != "" {
			tag.required = true
		} else {
			mistake(t, field, fmt.Sprintf("has the option %q, which is not permitted there", option))
		}
	}
	// envconfig would expand it from variables nobody documented.
	if strings.ContainsAny(tag.fallback, `$\`) {
		mistake(t, field, `has a default with $ or \`)
	}
	if tag.required && tag.fallback != "" {
		mistake(t, field, "is required and has a default")
	}
	return tag
}

func newLeaf(parent reflect.Value, i int, prefix string, tag envTag) leaf {
	field := parent.Type().Field(i)
	k, known := kindOf(field.Type)
	if !known {
		mistake(parent.Type(), field, fmt.Sprintf("is a %s, which no variable can fill", field.Type))
	}
	l := leaf{
		field: field, value: parent.Field(i), prefix: prefix, key: tag.key, kind: k,
		secret:   k == kindSecret || k == kindSecrets,
		required: tag.required, fallback: tag.fallback,
		min: field.Tag.Get("min"), max: field.Tag.Get("max"),
	}
	if words := field.Tag.Get("oneof"); words != "" {
		l.oneOf = strings.Split(words, ",")
	}
	if what := l.contradiction(); what != "" {
		mistake(parent.Type(), field, what)
	}
	return l
}

// contradiction says what of the tags cannot be meant together.
func (l leaf) contradiction() string {
	bounded := l.min != "" || l.max != ""
	switch {
	case l.oneOf != nil && l.kind != kindString && l.kind != kindStrings:
		return "has oneof, which is for strings"
	case bounded && !l.numeric():
		return "has min or max, which are for numbers and durations"
	case l.fallback != "" && (l.kind == kindSecret || l.kind == kindSecrets):
		return "is a secret with a default"
	}
	for _, text := range []string{l.min, l.max, l.fallback} {
		if text == "" {
			continue
		}
		if message := l.check(text); message != "" {
			return fmt.Sprintf("has the tag value %q, which %s", text, message)
		}
	}
	return ""
}

func (l leaf) numeric() bool {
	switch l.kind {
	case kindInt, kindUint, kindFloat, kindDuration:
		return true
	}
	return false
}

func kindOf(t reflect.Type) (kind, bool) {
	switch t {
	case typeDuration:
		return kindDuration, true
	case typeURL:
		return kindURL, true
	case typeSecret:
		return kindSecret, true
	case typeSecrets:
		return kindSecrets, true
	}
	if reflect.PointerTo(t).Implements(typeText) && t.Kind() != reflect.Pointer {
		return kindText, true
	}
	switch t.Kind() {
	case reflect.String:
		return kindString, true
	case reflect.Bool:
		return kindBool, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return kindInt, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return kindUint, true
	case reflect.Float32, reflect.Float64:
		return kindFloat, true
	case reflect.Slice:
		return kindStrings, t.Elem().Kind() == reflect.String && !reflect.PointerTo(t.Elem()).Implements(typeText)
	}
	return 0, false
}
