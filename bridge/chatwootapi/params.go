package chatwootapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"lpbridge/bridge/served"
)

// Limits of one request. maxPlainBody leaves room for 150 000 characters of
// content that are each escaped in JSON.
const (
	maxPlainBody  = 2 << 20
	maxDepth      = 32
	maxParameters = 4096
	maxFiles      = 15
	// bodyFiles is how many files of the greatest size one body may hold.
	bodyFiles = 5
)

// params are the parameters of a request as Rails sees them: query and body in
// one, where the query wins. A value is a string, bool, nil, [json.Number],
// [upload], []any or map[string]any.
type params map[string]any

// upload is a file of a multipart body. media is what the sender says it is.
type upload struct {
	name, media string
	data        []byte
}

// readParams reads query and body. files is the most bytes one uploaded file
// may have.
func readParams(w http.ResponseWriter, r *http.Request, files int64) (params, error) {
	query, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	body, err := readBody(w, r, files)
	if err != nil {
		return nil, err
	}
	maps.Copy(body, query)
	return body, nil
}

func readBody(w http.ResponseWriter, r *http.Request, files int64) (params, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Body == nil {
		return params{}, nil
	}
	media, attributes, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && media == "multipart/form-data" {
		r.Body = http.MaxBytesReader(w, r.Body, maxPlainBody+bodyFiles*files)
		return parseMultipart(multipart.NewReader(r.Body, attributes["boundary"]), files)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPlainBody))
	if err != nil {
		return nil, bodyError(err)
	}
	switch media {
	case "application/json", "text/x-json":
		return parseJSON(raw)
	case "application/x-www-form-urlencoded", "":
		return parseForm(string(raw))
	}
	return params{}, nil
}

func bodyError(err error) error {
	if errors.Is(err, served.ErrBudget) {
		return errUnavailable
	}
	if share, ok := errors.AsType[*served.ShareError](err); ok {
		return share
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return errTooLarge
	}
	return errUnparsable
}

// parseJSON reads a JSON body. What is not an object has no named parameters.
func parseJSON(raw []byte) (params, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return params{}, nil
	}
	if !utf8.Valid(raw) {
		return nil, errUnparsable
	}
	var v any
	if err := served.DecodeJSON(raw, &v); err != nil {
		return nil, errUnparsable
	}
	p, _ := v.(map[string]any)
	if p == nil {
		p = map[string]any{}
	}
	return p, nil
}

// parseForm reads a query string or a urlencoded body.
func parseForm(s string) (params, error) {
	p := params{}
	for count := 0; s != ""; count++ {
		var pair string
		pair, s, _ = strings.Cut(s, "&")
		if pair == "" {
			continue
		}
		if count >= maxParameters {
			return nil, errUnparsable
		}
		key, value, assigned := strings.Cut(pair, "=")
		key, errKey := url.QueryUnescape(key)
		value, errValue := url.QueryUnescape(value)
		if errKey != nil || errValue != nil || !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, errUnparsable
		}
		var v any = value
		if !assigned {
			v = nil
		}
		if err := p.assign(key, v); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func parseMultipart(m *multipart.Reader, files int64) (params, error) {
	p := params{}
	for count := 0; ; count++ {
		part, err := m.NextPart()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return nil, bodyError(err)
		}
		if count >= maxParameters {
			return nil, errUnparsable
		}
		if emptyFileInput(part) {
			continue
		}
		v, err := partValue(part, files)
		if err != nil {
			return nil, err
		}
		if err := p.assign(part.FormName(), v); err != nil {
			return nil, err
		}
	}
}

// emptyFileInput reports whether a part is what browsers send for a file input in
// which nothing was chosen.
func emptyFileInput(part *multipart.Part) bool {
	_, attributes, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	name, given := attributes["filename"]
	return err == nil && given && name == ""
}

// partValue reads a part: a file when it has a file name, else text.
func partValue(part *multipart.Part, files int64) (any, error) {
	limit := int64(maxPlainBody)
	if part.FileName() != "" {
		limit = files
	}
	data, err := io.ReadAll(io.LimitReader(part, limit+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if int64(len(data)) > limit {
		return nil, errTooLarge
	}
	if part.FileName() != "" {
		media, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		return upload{name: part.FileName(), media: media, data: data}, nil
	}
	if !utf8.Valid(data) {
		return nil, errUnparsable
	}
	return string(data), nil
}

// assign puts a value under a name such as a, a[], a[b] or a[][b].
func (p params) assign(name string, v any) error {
	head, path := splitName(name)
	if head == "" {
		return nil
	}
	if len(path) > maxDepth {
		return errUnparsable
	}
	next, err := put(p[head], path, v)
	if err != nil {
		return err
	}
	p[head] = next
	return nil
}

// splitName takes a[b][] apart. A name with unbalanced brackets is one word.
func splitName(name string) (head string, path []string) {
	head, rest, nested := strings.Cut(name, "[")
	if !nested || head == "" {
		return name, nil
	}
	for {
		key, tail, closed := strings.Cut(rest, "]")
		if !closed {
			return name, nil
		}
		path = append(path, key)
		if tail == "" {
			return head, path
		}
		if tail[0] != '[' {
			return name, nil
		}
		rest = tail[1:]
	}
}

// put returns what becomes of the value at hand when v is put at path below
// it. Mixing shapes under one name is an error, as it is for Rack.
func put(at any, path []string, v any) (any, error) {
	if len(path) == 0 {
		return v, nil
	}
	if path[0] == "" {
		return putInArray(at, path[1:], v)
	}
	m, ok := at.(map[string]any)
	if at != nil && !ok {
		return nil, errUnparsable
	}
	if m == nil {
		m = map[string]any{}
	}
	next, err := put(m[path[0]], path[1:], v)
	if err != nil {
		return nil, err
	}
	m[path[0]] = next
	return m, nil
}

// putInArray appends to an array. An object being filled member by member
// ends when a member comes a second time.
func putInArray(at any, path []string, v any) (any, error) {
	items, ok := at.([]any)
	if at != nil && !ok {
		return nil, errUnparsable
	}
	if len(path) > 0 && len(items) > 0 {
		if last, ok := items[len(items)-1].(map[string]any); ok && !filled(last, path) {
			_, err := put(last, path, v)
			return items, err
		}
	}
	next, err := put(nil, path, v)
	if err != nil {
		return nil, err
	}
	return append(items, next), nil
}

func filled(m map[string]any, path []string) bool {
	v, ok := m[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	inner, ok := v.(map[string]any)
	return ok && path[1] != "" && filled(inner, path[1:])
}

// text returns a parameter that must be one value, and whether there is one.
// Objects and arrays do not count, as Rails' permitted parameters drop them.
func (p params) text(name string) (string, bool) { return scalar(p[name]) }

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		// This is how a boolean reads in a text column.
		if v {
			return "t", true
		}
		return "f", true
	}
	return "", false
}

// present is text that is more than white space, else the empty string.
func (p params) present(name string) string {
	s, _ := p.text(name)
	if isBlank(s) {
		return ""
	}
	return s
}

// object returns a parameter that must be an object, else nil. Files in it are
// dropped: what an object holds is stored as JSON.
func (p params) object(name string) map[string]any {
	m, _ := p[name].(map[string]any)
	return withoutFiles(m)
}

func withoutFiles(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		if kept, ok := storable(v); ok {
			out[k] = kept
		}
	}
	return out
}

func storable(v any) (any, bool) {
	switch v := v.(type) {
	case upload:
		return nil, false
	case map[string]any:
		return withoutFiles(v), true
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			if kept, ok := storable(item); ok {
				out = append(out, kept)
			}
		}
		return out, true
	}
	return v, true
}

func isBlank(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsSpace(r) }) < 0
}

// leadingInt reads the number a text begins with, 0 when there is none, as
// Ruby's to_i does.
func leadingInt(s string) int64 {
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return n
}
