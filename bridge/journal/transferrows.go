package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// form is what the values of a column are.
type form int

const (
	asNumber form = iota
	asText
	asBytes
)

// column is one of a table.
type column struct {
	name string
	form form
	// key is its place in the primary key, from 1, and 0 for none.
	key int
	// oid is its type in PostgreSQL's catalogue, 0 on SQLite.
	oid uint32
}

// table is a table as its database describes it, with the columns in the order of
// their names.
type table struct {
	name    string
	columns []column
}

func (t *table) equal(other *table) bool {
	return t.name == other.name && slices.EqualFunc(t.columns, other.columns, func(a, b column) bool {
		return a.name == b.name && a.form == b.form && a.key == b.key
	})
}

// names are the columns, as they stand in a statement.
func (t *table) names() string {
	var names []string
	for i := range t.columns {
		names = append(names, t.columns[i].name)
	}
	return strings.Join(names, ", ")
}

// value is a column's value as both kinds of database have it: an int64, a string or bytes.
// SQLite keeps text in a column of bytes, or the other way round, if that was written.
func (c *column) value(of any) (any, error) {
	switch v := of.(type) {
	case int64:
		if c.form == asNumber {
			return v, nil
		}
	case string:
		switch c.form {
		case asText:
			return v, nil
		case asBytes:
			return []byte(v), nil
		}
	case []byte:
		switch c.form {
		case asText:
			return string(v), nil
		case asBytes:
			return v, nil
		}
	}
	return nil, fmt.Errorf("the column %s has a value of a type that it must not have (%T)", c.name, of)
}

// longestKey is how much of a value of a key is shown.
const longestKey = 64

// rowName says which row of a table one is, by its key. Names of flags and of records' keys, which may be
// secret, and what is long or no text are told by their length.
func (t *table) rowName(row []any) string {
	key := map[int]string{}
	for i := range t.columns {
		c := &t.columns[i]
		if c.key == 0 {
			continue
		}
		shown := fmt.Sprint(row[i])
		switch v := row[i].(type) {
		case string:
			shown = fmt.Sprintf("%q", v)
			if c.name == "name" || len(v) > longestKey {
				shown = fmt.Sprintf("of %d bytes", len(v))
			}
		case []byte:
			shown = fmt.Sprintf("of %d bytes", len(v))
		}
		key[c.key] = c.name + " " + shown
	}
	parts := make([]string, 0, len(key))
	for place := 1; place <= len(key); place++ {
		parts = append(parts, key[place])
	}
	return "the row with " + strings.Join(parts, ", ")
}

// sizeOf is about how many bytes a row takes in memory.
func sizeOf(row []any) int {
	size := 0
	for _, v := range row {
		size += 16
		switch v := v.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	return size
}

// rowSum is a sum over rows that does not depend on their order: that of their SHA-256, as
// numbers of 256 bits.
type rowSum struct {
	rows int64
	sum  [4]uint64
}

// add counts a row in.
func (s *rowSum) add(t *table, row []any) {
	h := sha256.New()
	var head [9]byte
	for i, v := range row {
		head[0] = byte(t.columns[i].form)
		switch v := v.(type) {
		case int64:
			binary.BigEndian.PutUint64(head[1:], uint64(v))
			h.Write(head[:])
		case string:
			binary.BigEndian.PutUint64(head[1:], uint64(len(v)))
			h.Write(head[:])
			h.Write([]byte(v))
		case []byte:
			binary.BigEndian.PutUint64(head[1:], uint64(len(v)))
			h.Write(head[:])
			h.Write(v)
		}
	}
	var digest [sha256.Size]byte
	h.Sum(digest[:0])
	carry := uint64(0)
	for i := range s.sum {
		s.sum[i], carry = bits.Add64(s.sum[i], binary.LittleEndian.Uint64(digest[8*i:]), carry)
	}
	s.rows++
}

// String is the beginning of the sum, in hexadecimal digits.
func (s *rowSum) String() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], s.sum[3])
	binary.BigEndian.PutUint64(b[8:], s.sum[2])
	return hex.EncodeToString(b[:])
}
