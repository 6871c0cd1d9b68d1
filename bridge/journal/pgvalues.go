package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Values travel in PostgreSQL's binary form, without the driver's tables of types: the
// layout has whole numbers, text and bytes only. Text is what PostgreSQL takes for text,
// which has no NUL and is UTF-8; what others gave us need not be. So the few
// bytes that may not stand there are written as two or more that may.

// The sizes of whole numbers by the type's number in PostgreSQL's catalogue.
const (
	oidBool  = 16
	oidBytea = 17
	oidInt8  = 20
	oidInt2  = 21
	oidInt4  = 23
)

// escape begins what stands for a byte that text may not hold, and for itself.
const (
	escape     = '\x01'
	escapedNUL = '\x01'
	escapedOne = '\x02'
	escapedRaw = '\x03'
)

// appendText writes text as PostgreSQL takes it, in the order of the bytes it stands for
// where these are text.
func appendText(to []byte, s string) []byte {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 && strings.IndexByte(s, escape) < 0 {
		return append(to, s...)
	}
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == 0:
			to = append(to, escape, escapedNUL)
		case r == escape:
			to = append(to, escape, escapedOne)
		case r == utf8.RuneError && size == 1:
			to = fmt.Appendf(append(to, escape, escapedRaw), "%02x", s[0])
		default:
			to = append(to, s[:size]...)
		}
		s = s[size:]
	}
	return to
}

// readText reads what appendText wrote.
func readText(raw []byte) (string, error) {
	s := string(raw)
	if strings.IndexByte(s, escape) < 0 {
		return s, nil
	}
	var b strings.Builder
	for len(s) > 0 {
		if s[0] != escape {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		var byteOf byte
		size := 2
		switch {
		case strings.HasPrefix(s, "\x01\x01"):
		case strings.HasPrefix(s, "\x01\x02"):
			byteOf = escape
		case strings.HasPrefix(s, "\x01\x03") && len(s) >= 4:
			if _, err := fmt.Sscanf(s[2:4], "%02x", &byteOf); err != nil {
				return "", errMalformedText
			}
			size = 4
		default:
			return "", errMalformedText
		}
		b.WriteByte(byteOf)
		s = s[size:]
	}
	return b.String(), nil
}

var errMalformedText = errors.New("read text: malformed")

// appendValue writes an argument as a parameter of a type.
func appendValue(to []byte, arg any, oid uint32) ([]byte, error) {
	switch v := arg.(type) {
	case int64:
		return appendNumber(to, v, oid)
	case int:
		return appendNumber(to, int64(v), oid)
	case bool:
		return appendNumber(to, boolNumber(v), oid)
	case string:
		return appendText(to, v), nil
	case []byte:
		return append(to, v...), nil
	}
	switch v := reflect.ValueOf(arg); v.Kind() {
	case reflect.String:
		return appendText(to, v.String()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return appendNumber(to, v.Int(), oid)
	case reflect.Bool:
		return appendNumber(to, boolNumber(v.Bool()), oid)
	default:
		return to, fmt.Errorf("a %T is no value of the database", arg)
	}
}

func boolNumber(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func appendNumber(to []byte, n int64, oid uint32) ([]byte, error) {
	switch oid {
	case oidInt8:
		return binary.BigEndian.AppendUint64(to, uint64(n)), nil
	case oidInt4:
		if int64(int32(n)) == n {
			return binary.BigEndian.AppendUint32(to, uint32(n)), nil
		}
	case oidInt2:
		if int64(int16(n)) == n {
			return binary.BigEndian.AppendUint16(to, uint16(n)), nil
		}
	case oidBool:
		return append(to, byte(n&1)), nil
	}
	return to, fmt.Errorf("the number %d is no value of type %d", n, oid)
}

// readValue reads a column of a type into a variable.
func readValue(dest any, raw []byte, oid uint32) (err error) {
	if raw == nil {
		return errors.New("a column without a value")
	}
	switch d := dest.(type) {
	case *int64:
		*d, err = readNumber(raw)
	case *int:
		var n int64
		n, err = readNumber(raw)
		*d = int(n)
	case *bool:
		var n int64
		n, err = readNumber(raw)
		*d = n != 0
	case *string:
		*d, err = readText(raw)
	case *[]byte:
		*d = append([]byte{}, raw...)
	case *any:
		*d, err = readAny(raw, oid)
	default:
		return readNamed(dest, raw)
	}
	return err
}

func readAny(raw []byte, oid uint32) (any, error) {
	switch oid {
	case oidInt2, oidInt4, oidInt8:
		return readNumber(raw)
	case oidBytea:
		return append([]byte{}, raw...), nil
	default:
		return readText(raw)
	}
}

// readNamed reads into a variable of a type that is text or a number by another name.
func readNamed(dest any, raw []byte) error {
	v := reflect.ValueOf(dest)
	if v.Kind() != reflect.Pointer {
		return fmt.Errorf("a %T is no variable", dest)
	}
	switch v = v.Elem(); v.Kind() {
	case reflect.String:
		text, err := readText(raw)
		v.SetString(text)
		return err
	case reflect.Int, reflect.Int64:
		n, err := readNumber(raw)
		v.SetInt(n)
		return err
	default:
		return fmt.Errorf("a %T takes no value of the database", dest)
	}
}

func readNumber(raw []byte) (int64, error) {
	switch len(raw) {
	case 1:
		return int64(raw[0]), nil
	case 2:
		return int64(int16(binary.BigEndian.Uint16(raw))), nil
	case 4:
		return int64(int32(binary.BigEndian.Uint32(raw))), nil
	case 8:
		return int64(binary.BigEndian.Uint64(raw)), nil
	}
	return 0, fmt.Errorf("a number of %d bytes", len(raw))
}
