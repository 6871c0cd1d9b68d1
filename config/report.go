package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Setting says where the value of one variable came from, never what it is.
type Setting struct {
	Variable string
	Origin   Origin

	why string // why it is ignored
}

// Report says where every value came from.
type Report struct {
	Settings []Setting // in the order of the sections' fields

	known    map[string]bool
	prefixes []string
}

// Report returns what was loaded so far.
func (l *Loader) Report() Report {
	known := make(map[string]bool, len(l.known))
	for name := range l.known {
		known[name] = true
	}
	return Report{Settings: slices.Clone(l.settings), known: known, prefixes: slices.Clone(l.prefixes)}
}

// Warnings lists the variables that are set in environ, as [os.Environ] returns it, and have no effect: those with the
// prefix of a section that no section asks for, which are mostly typing mistakes, and those of sections not in use. The names
// come sorted. They are not problems, because another program may share the environment.
func (r Report) Warnings(environ []string) []Problem {
	var warnings []Problem
	for _, s := range r.Settings {
		if s.Origin == FromIgnored {
			warnings = append(warnings, Problem{Variable: s.Variable, Message: "has no effect: " + s.why})
		}
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" || r.known[name] || !withPrefix(name, r.prefixes) || isServiceLink(name, value) {
			continue
		}
		warnings = append(warnings, Problem{Variable: name, Message: r.unknown(name)})
	}
	slices.SortFunc(warnings, func(a, b Problem) int { return cmp.Compare(a.Variable, b.Variable) })
	return slices.Compact(warnings)
}

func (r Report) unknown(name string) string {
	if plain, found := strings.CutSuffix(name, fileSuffix); found && r.known[plain] {
		return "has no effect: only secrets can come from a file, set " + plain
	}
	candidates := make([]string, 0, len(r.known))
	for known := range r.known {
		candidates = append(candidates, known)
	}
	slices.Sort(candidates) // of two equally near, always the same
	return "has no effect: no such setting" + didYouMean(name, candidates)
}

// Kubernetes gives every container variables about the services around it, in Docker's old form: a service named lpbridge
// brings LPBRIDGE_SERVICE_HOST and LPBRIDGE_PORT_80_TCP. See "Accessing the Service" in its documentation.
var (
	serviceLink    = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	serviceAddress = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

func isServiceLink(name, value string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && serviceAddress.MatchString(value)
}
