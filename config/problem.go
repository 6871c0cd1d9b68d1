package config

import (
	"errors"
	"slices"
	"strings"
)

// Problem is one thing wrong with the environment.
type Problem struct {
	Variable string // full name, such as LP_ACCOUNT_ID; of a whole section, such as LP_*, when no single one is to blame
	Message  string // what is wrong and what would be right; never a secret's value
}

// Error returns the variable and the message.
func (p Problem) Error() string {
	if p.Variable == "" {
		return p.Message
	}
	return p.Variable + ": " + p.Message
}

// Error holds every problem found in the environment. The process that meets one prints it and exits with code 2.
type Error struct {
	problems []Problem
}

// Error returns the problems, one a line, in the order of Problems.
func (e *Error) Error() string {
	lines := make([]string, len(e.problems))
	for i, p := range e.problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Problems returns the problems in the order in which sections were loaded: of each section first those of its fields, in
// their order, then what its validation found.
func (e *Error) Problems() []Problem { return slices.Clone(e.problems) }

// Unwrap returns each [Problem] as an error.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.problems))
	for i, p := range e.problems {
		errs[i] = p
	}
	return errs
}

// flatten takes joined errors apart, so that each cause becomes a line of its own.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// problemOf turns an error into a problem. Any error whose text begins with the name of a variable that is known, as in
// "URL: must be https", is about that variable; qualify completes the name, or answers false for one it does not know.
func problemOf(err error, section string, qualify func(name string) (string, bool)) Problem {
	if p, ok := errors.AsType[Problem](err); ok {
		if name, known := qualify(p.Variable); known {
			p.Variable = name
		}
		return p
	}
	name, message, found := strings.Cut(err.Error(), ": ")
	if full, known := qualify(name); found && known {
		return Problem{Variable: full, Message: message}
	}
	if section == "" {
		return Problem{Message: err.Error()}
	}
	return Problem{Variable: section + "*", Message: err.Error()}
}
