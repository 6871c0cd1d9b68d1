package lpsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// WithDefaults gives the same faults with every unset choice at its default.
func (f Faults) WithDefaults() Faults {
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		if def := v.Type().Field(i).Tag.Get("default"); def != "" && v.Field(i).IsZero() {
			setDefault(v.Field(i), def)
		}
	}
	return f
}

func setDefault(v reflect.Value, def string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(def)
		return
	case reflect.Slice:
		if err := json.Unmarshal([]byte(def), v.Addr().Interface()); err != nil {
			panic("lpsim: default tag " + def)
		}
		return
	}
	var n int64
	if _, err := fmt.Sscan(def, &n); err != nil {
		panic("lpsim: default tag " + def)
	}
	v.SetInt(n)
}

// Validate reports every field out of range, by its JSON name.
func (f Faults) Validate() error {
	var errs []error
	v := reflect.ValueOf(f.WithDefaults())
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if err := checkKnob(v.Field(i), field.Tag); err != nil {
			errs = append(errs, &FieldError{Field: field.Tag.Get("json"), Reason: err.Error()})
		}
	}
	return errors.Join(errs...)
}

func checkKnob(v reflect.Value, tag reflect.StructTag) error {
	switch value := v.Interface().(type) {
	case Rates:
		return value.check()
	case []Outage:
		for i, o := range value {
			if o.AfterMs < 0 || o.ForMs <= 0 || o.Status != 0 && (o.Status < 400 || o.Status > 599) {
				return fmt.Errorf("outage %d needs afterMs of at least 0, forMs above 0 and a status of 0 or from 400 to 599", i)
			}
		}
		return nil
	case []int:
		return checkEach(value, tag.Get("oneof"))
	case []string:
		if slices.Contains(value, "") {
			return errors.New("one of them is empty")
		}
		return nil
	}
	if choices := tag.Get("oneof"); choices != "" {
		if !slices.Contains(strings.Split(choices, "|"), fmt.Sprint(v.Interface())) {
			return errors.New("want one of " + choices)
		}
	}
	return checkRange(v, tag.Get("min"), tag.Get("max"))
}

func checkEach(values []int, choices string) error {
	for _, value := range values {
		if !slices.Contains(strings.Split(choices, "|"), strconv.Itoa(value)) {
			return errors.New("want each to be one of " + choices)
		}
	}
	return nil
}

func checkRange(v reflect.Value, low, high string) error {
	if low == "" {
		return nil
	}
	var least, most, n float64
	if _, err := fmt.Sscan(low+" "+high, &least, &most); err != nil {
		return err
	}
	if v.CanInt() {
		n = float64(v.Int())
	} else {
		n = v.Float()
	}
	if !(n >= least && n <= most) {
		return fmt.Errorf("want a number from %s to %s", low, high)
	}
	return nil
}

// FieldError names the field of a request or a configuration that was refused.
type FieldError struct {
	Field  string
	Reason string
}

// Error returns the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// ParseFaults reads faults from JSON. Unknown names, wrong types and values out of range are errors that name the
// field; names left out have their defaults.
func ParseFaults(data []byte) (Faults, error) {
	var f Faults
	if err := decodeStrict(data, &f); err != nil {
		return Faults{}, err
	}
	return f, f.Validate()
}

// decodeStrict reads exactly one JSON value without unknown fields into v.
func decodeStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonFieldError(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return &FieldError{Field: "body", Reason: "something follows the JSON value"}
	}
	return nil
}

func jsonFieldError(err error) error {
	if typeErr, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && typeErr.Field != "" {
		return &FieldError{Field: typeErr.Field, Reason: "want " + typeErr.Type.String() + ", got " + typeErr.Value}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &FieldError{Field: strings.Trim(name, `"`), Reason: "unknown field"}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &FieldError{Field: "body", Reason: "not a complete JSON value"}
	}
	return &FieldError{Field: "body", Reason: err.Error()}
}
