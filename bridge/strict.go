package bridge

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DecodeStrict reads JSON of a form that is ours: of members that are not known,
// in other case or given twice, something would be lost without a word. Errors
// are *[Problem]; they name the field and quote nothing of the body but names of
// plain letters.
func DecodeStrict(body []byte, into any) error {
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			return BadRequest(fieldOf(wrong.JSONPointer), "is given twice")
		case strings.Contains(wrong.Err.Error(), "UTF-8"):
			return BadRequest(fieldOf(wrong.JSONPointer), "is not valid UTF-8")
		}
		return BadRequest("", "the body is not one valid JSON text")
	}
	wrong, ok := errors.AsType[*json.SemanticError](err)
	switch {
	case !ok:
		return BadRequest("", "the body does not have the expected form")
	case errors.Is(err, json.ErrUnknownName):
		return BadRequest(fieldOf(wrong.JSONPointer), "is not known")
	case wrong.JSONPointer == "":
		return BadRequest("", "the body must be "+formOf(wrong.GoType))
	}
	return BadRequest(fieldOf(wrong.JSONPointer), "must be "+formOf(wrong.GoType))
}

// formOf names what JSON a type is read from.
func formOf(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return "a time as in RFC 3339, such as 2026-11-20T10:00:00Z"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return formOf(t.Elem())
	case reflect.Slice:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	}
	return "an object"
}

// fieldOf writes a JSON pointer as problems name fields: [3].message.text.
func fieldOf(p jsontext.Pointer) string {
	var field strings.Builder
	for token := range p.Tokens() {
		if _, err := strconv.Atoi(token); err == nil {
			fmt.Fprintf(&field, "[%s]", token)
			continue
		}
		if field.Len() > 0 {
			field.WriteByte('.')
		}
		field.WriteString(printable(token))
	}
	return field.String()
}

// printable returns a name of the sender's choice, or a question mark for one
// that is long or odd and may be anything.
func printable(name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	if name == "" || len(name) > 64 || strings.Trim(name, letters) != "" {
		return "?"
	}
	return name
}

// BadRequest is the problem of one field, or of the whole body where field is
// empty. The reason must quote no value.
func BadRequest(field, reason string) *Problem {
	p := &Problem{Status: http.StatusBadRequest, Title: "Bad Request", Detail: reason, Field: field}
	if field != "" {
		p.Detail = field + ": " + reason
	}
	return p
}
