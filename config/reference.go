package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Variable describes one environment variable for the reference.
type Variable struct {
	Name        string
	Type        string // in words, with the permitted words or bounds
	Default     string // empty for none
	Required    bool
	File        string // name of the twin that names a file, empty for all but secrets
	Description string
}

// Reference describes the variables of the struct target points to, each name with prefix before it, in the order of the
// fields. It reads the same tags as [Load], so what it says is so.
func Reference(target any, prefix string) []Variable {
	var variables []Variable
	for _, l := range walk(target, prefix).leaves {
		v := Variable{
			Name: l.name(), Type: l.typeName(), Default: l.fallback, Required: l.required,
			Description: l.field.Tag.Get("desc"),
		}
		if l.kind == kindBool && !l.required && l.fallback == "" {
			v.Default = "false"
		}
		if l.secret {
			v.File = v.Name + fileSuffix
		}
		variables = append(variables, v)
	}
	return variables
}

func (l leaf) typeName() string {
	words := l.baseName()
	switch {
	case l.kind == kindStrings && l.oneOf != nil:
		words += " of " + strings.Join(l.oneOf, ", ")
	case l.oneOf != nil:
		words = oneOf(l.oneOf)
	}
	if l.min != "" {
		words += ", at least " + l.min
	}
	if l.max != "" {
		words += ", at most " + l.max
	}
	return words
}

func (l leaf) baseName() string {
	switch l.kind {
	case kindStrings:
		return "comma list"
	case kindBool:
		return "true or false"
	case kindInt, kindUint:
		return "whole number"
	case kindFloat:
		return "number"
	case kindDuration:
		return "duration"
	case kindURL:
		return "URL"
	case kindSecret:
		return "secret"
	case kindSecrets:
		return "comma list of secrets"
	}
	return "text"
}

// Section is a part of the reference with its own heading.
type Section struct {
	Title     string // empty for no heading
	Text      string // a paragraph before the table, may be empty
	Variables []Variable
}

// WriteMarkdown writes the sections as tables.
func WriteMarkdown(w io.Writer, sections ...Section) error {
	var page bytes.Buffer
	for i, s := range sections {
		if i > 0 {
			page.WriteByte('\n')
		}
		s.write(&page)
	}
	if _, err := w.Write(page.Bytes()); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}

func (s Section) write(page *bytes.Buffer) {
	if s.Title != "" {
		fmt.Fprintf(page, "### %s\n\n", s.Title)
	}
	if s.Text != "" {
		fmt.Fprintf(page, "%s\n\n", s.Text)
	}
	page.WriteString("| Variable | Type | Default | Meaning |\n|---|---|---|---|\n")
	for _, v := range s.Variables {
		fmt.Fprintf(page, "| %s | %s | %s | %s |\n", v.names(), cell(v.Type), v.fallback(), cell(v.Description))
	}
}

func (v Variable) names() string {
	if v.File == "" {
		return "`" + v.Name + "`"
	}
	return "`" + v.Name + "` or `" + v.File + "`"
}

func (v Variable) fallback() string {
	switch {
	case v.Required:
		return "**required**"
	case v.Default == "":
		return ""
	}
	return "`" + cell(v.Default) + "`"
}

// cell keeps a text from ending its cell or its row.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
