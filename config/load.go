package config

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/sethvargo/go-envconfig"
)

// Load fills the struct target points to from lookup and validates it. See [Loader] for several sections in one report.
//
// The error is an [*Error] with every problem.
func Load(target any, lookup envconfig.Lookuper) (Report, error) {
	l := NewLoader(lookup)
	l.Load("", target)
	return l.Report(), l.Err()
}

// Loader loads several sections into one report. Which sections there are may depend on those loaded before, as the
// adapters to configure depend on LPBRIDGE_CHANNELS. It is not safe for concurrent use.
type Loader struct {
	source   *source
	settings []Setting
	problems []Problem
	known    map[string]bool
	prefixes []string // what the names of our variables begin with
}

// NewLoader returns a loader that reads from lookup: [envconfig.OsLookuper] in a program, which nil stands for, or
// [envconfig.MapLookuper] in tests.
func NewLoader(lookup envconfig.Lookuper) *Loader {
	if lookup == nil {
		lookup = envconfig.OsLookuper()
	}
	return &Loader{source: newSource(lookup), known: map[string]bool{}}
}

// Load fills the struct target points to from the variables its tags name, each with the prefix before it. What the struct
// held before is lost.
//
// Then it calls the method Validate() error, if there is one, on the struct and on every struct inside. Each of the errors
// joined in what Validate returns is a problem; one about a variable begins with its name as the tag spells it, or its full
// name, as in "URL: must be https". Validate is called even when fields had problems, so that all are seen at once: such a
// field holds its default, or else is zero. What Validate says about a variable already reported is left out.
func (l *Loader) Load(prefix string, target any) {
	s := l.walk(prefix, target)
	refused := map[string]bool{}
	for _, leaf := range s.leaves {
		problem := l.fill(leaf)
		if problem != nil {
			refused[leaf.name()] = true
			l.problems = append(l.problems, *problem)
		}
		l.note(leaf, problem != nil)
	}
	for _, part := range s.sections {
		l.validate(part, refused)
	}
}

// Ignore is Load for a section that is not in use, such as that of a channel that is not enabled: nothing is filled or
// demanded, the variables are known, and those that are set get a warning with the reason why they have no effect.
func (l *Loader) Ignore(prefix string, target any, why string) {
	for _, leaf := range l.walk(prefix, target).leaves {
		for _, name := range leaf.names() {
			if value, _ := l.source.env.Lookup(name); value != "" {
				l.settings = append(l.settings, Setting{Variable: name, Origin: FromIgnored, why: why})
			}
		}
	}
}

// Add reports problems the caller found, such as unknown channels. A nil error adds nothing.
func (l *Loader) Add(err error) {
	for _, cause := range flatten(err) {
		l.problems = append(l.problems, problemOf(cause, "", l.qualify("")))
	}
}

// Err returns an [*Error] with the problems so far, or nil.
func (l *Loader) Err() error {
	if len(l.problems) == 0 {
		return nil
	}
	return &Error{problems: slices.Clone(l.problems)}
}

func (l *Loader) walk(prefix string, target any) structure {
	s := walk(target, prefix)
	for _, part := range s.sections {
		if part.prefix != "" && !slices.Contains(l.prefixes, part.prefix) {
			l.prefixes = append(l.prefixes, part.prefix)
		}
	}
	for _, leaf := range s.leaves {
		if leaf.secret {
			l.source.secrets[leaf.name()] = true
		}
		for _, name := range leaf.names() {
			l.known[name] = true
		}
	}
	return s
}

// fill decodes one variable into its field. Each goes to envconfig alone, because envconfig stops at its first error.
func (l *Loader) fill(f leaf) *Problem {
	given := l.source.ask(f.name())
	if given.problem != nil {
		f.reset()
		return given.problem
	}
	if given.value.IsSet() {
		if message := f.check(given.value.Reveal()); message != "" {
			f.reset()
			return &Problem{Variable: f.name(), Message: message}
		}
	}
	err := f.decode(l.source)
	if errors.Is(err, envconfig.ErrMissingRequired) || err == nil && f.required && f.value.IsZero() && f.isList() {
		return &Problem{Variable: f.name(), Message: f.demand()}
	}
	if err != nil {
		// check lets nothing through that envconfig refuses. Should it, the cause may quote the value and stays out.
		f.reset()
		return &Problem{Variable: f.name(), Message: "cannot be read as " + f.typeName()}
	}
	return nil
}

func (f leaf) demand() string {
	if f.secret {
		return "is required: set it, or " + f.name() + fileSuffix + " to the path of a file that holds it"
	}
	return "is required"
}

func (f leaf) isList() bool { return f.kind == kindStrings || f.kind == kindSecrets }

// reset gives a field whose variable was refused its default, so that Validate compares the rest with something sensible.
func (f leaf) reset() {
	if f.required || f.decode(envconfig.MapLookuper(nil)) != nil {
		f.value.SetZero()
	}
}

// decode has envconfig fill a struct of just this field: a fresh one, because envconfig leaves fields alone that are not
// zero, and one without initialisation, because an unset pointer must stay nil.
func (f leaf) decode(from envconfig.Lookuper) error {
	alone := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: f.field.Name, Type: f.field.Type, Tag: f.field.Tag,
	}}))
	err := envconfig.ProcessWith(context.Background(), &envconfig.Config{
		Target:        alone.Interface(),
		Lookuper:      envconfig.PrefixLookuper(f.prefix, from),
		DefaultNoInit: true,
	})
	f.value.Set(alone.Elem().Field(0))
	if f.isList() {
		f.dropEmptyElements()
	}
	return err
}

func (f leaf) dropEmptyElements() {
	kept := reflect.Zero(f.value.Type())
	for i := range f.value.Len() {
		if element := f.value.Index(i); !element.IsZero() {
			kept = reflect.Append(kept, element)
		}
	}
	f.value.Set(kept)
}

// note records where the value came from.
func (l *Loader) note(f leaf, refused bool) {
	origin := l.source.ask(f.name()).origin
	if refused && origin != FromUnset {
		origin = FromInvalid
	} else if origin == FromUnset && f.fallback != "" {
		origin = FromDefault
	}
	l.settings = append(l.settings, Setting{Variable: f.name(), Origin: origin})
}

func (l *Loader) validate(part section, refused map[string]bool) {
	validator, ok := reflect.TypeAssert[interface{ Validate() error }](part.value.Addr())
	if !ok {
		return
	}
	for _, cause := range flatten(validator.Validate()) {
		p := problemOf(cause, part.prefix, l.qualify(part.prefix))
		// An embedded struct lends its Validate to the struct around it, which says the same once more.
		if !refused[p.Variable] && !slices.Contains(l.problems, p) {
			l.problems = append(l.problems, p)
		}
	}
}

// qualify completes the name of a variable of the section with the prefix.
func (l *Loader) qualify(prefix string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if l.known[prefix+name] {
			return prefix + name, true
		}
		return name, l.known[name]
	}
}
