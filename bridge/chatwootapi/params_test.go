package chatwootapi

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestForms(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     params // nil for an error
	}{
		{"empty", "", params{}},
		{"plain", "a=1&b=x+y%26&&c", params{"a": "1", "b": "x y&", "c": nil}},
		{"last wins", "a=1&a=2", params{"a": "2"}},
		{"object", "a[b]=1&a[c][d]=2", params{"a": map[string]any{"b": "1", "c": map[string]any{"d": "2"}}}},
		{"array", "a[]=1&a[]=2", params{"a": []any{"1", "2"}}},
		{"array of objects", "a[][t]=1&a[][v]=2&a[][t]=3", params{"a": []any{map[string]any{"t": "1", "v": "2"}, map[string]any{"t": "3"}}}},
		{"array of objects in objects", "a[][x][y]=1&a[][x][z]=2&a[][x][y]=3", params{"a": []any{map[string]any{"x": map[string]any{"y": "1", "z": "2"}}, map[string]any{"x": map[string]any{"y": "3"}}}}},
		{"array of arrays", "a[][]=1&a[][]=2", params{"a": []any{[]any{"1"}, []any{"2"}}}},
		{"escaped brackets", "a%5Bb%5D=1", params{"a": map[string]any{"b": "1"}}},
		{"unbalanced brackets", "a[b=1&a]=2&[x]=3&a[b]c=4", params{"a[b": "1", "a]": "2", "[x]": "3", "a[b]c": "4"}},
		{"bad escape", "a=%zz", nil},
		{"bad encoding", "a=%ff", nil},
		{"two shapes", "a=1&a[b]=2", nil},
		{"object and array", "a[b]=1&a[]=2", nil},
		{"array and object", "a[]=1&a[b]=2", nil},
		{"too deep", "a" + strings.Repeat("[b]", maxDepth+1) + "=1", nil},
		{"too many", strings.Repeat("a=1&", maxParameters+1), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseForm(tc.in)
			if (err != nil) != (tc.want == nil) || err != nil && !errors.Is(err, errUnparsable) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	for _, tc := range []struct {
		name, contentType, query, body string
		want                           params
	}{
		{"JSON", "application/json; charset=utf-8", "", `{"a":12345678901234567890,"b":null}`, params{"a": json.Number("12345678901234567890"), "b": nil}},
		{"empty JSON", "application/json", "", " ", params{}},
		{"JSON without names", "application/json", "", `[1]`, params{}},
		{"two JSON values", "application/json", "", `{} {}`, nil},
		{"broken JSON text", "application/json", "", "{\"a\":\"\xff\"}", nil},
		{"form by default", "", "", "a=1", params{"a": "1"}},
		{"form without body", "application/x-www-form-urlencoded", "", "", params{}},
		{"other types are no parameters", "text/plain", "", "a=1", params{}},
		{"query alone", "text/plain", "a=1", "", params{"a": "1"}},
		{"query wins whole", "application/json", "a[x]=1", `{"a":{"y":2},"b":3}`, params{"a": map[string]any{"x": "1"}, "b": json.Number("3")}},
		{"broken query", "application/json", "a=%zz", `{}`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/x?"+tc.query, strings.NewReader(tc.body))
			r.Header.Set("Content-Type", tc.contentType)
			got, err := readParams(httptest.NewRecorder(), r, 1<<10)
			if (err != nil) != (tc.want == nil) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestScalars(t *testing.T) {
	p := params{"s": "x", "n": json.Number("1.50"), "t": true, "f": false, "null": nil, "o": map[string]any{}, "a": []any{}, "u": upload{}, "blank": " \t"}
	got := map[string]string{}
	for name := range p {
		if s, ok := p.text(name); ok {
			got[name] = s
		}
	}
	if diff := cmp.Diff(map[string]string{"s": "x", "n": "1.50", "t": "t", "f": "f", "blank": " \t"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p.present("blank") != "" || p.present("s") != "x" {
		t.Error("present mistakes blank text")
	}
}

func TestObjectDropsFiles(t *testing.T) {
	p := params{"o": map[string]any{"a": upload{}, "b": []any{upload{}, "x"}, "c": map[string]any{"d": upload{}, "e": true}}}
	want := map[string]any{"b": []any{"x"}, "c": map[string]any{"e": true}}
	if diff := cmp.Diff(want, p.object("o")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLeadingInt(t *testing.T) {
	for in, want := range map[string]int64{"12": 12, " 12abc": 12, "-3": -3, "x": 0, "": 0, "+7": 7, "-": 0, "99999999999999999999": 1<<63 - 1} {
		if got := leadingInt(in); got != want {
			t.Errorf("leadingInt(%q) = %d, want %d", in, got, want)
		}
	}
}

// FuzzParams looks for bodies that panic, that are accepted although they
// cannot be stored, or that answer with anything but the known refusals.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		"a[][b]=1&a[][b]=2", `{"custom_attributes":{"a":[1,{"b":null}]},"name":5}`, "a[b][]=1&a[b][][c]=2", "%5B%5D=x", "a=%",
		"--b\r\nContent-Disposition: form-data; name=\"attachments[]\"; filename=\"x\"\r\n\r\ndata\r\n--b--\r\n",
	} {
		for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"} {
			f.Add(kind, seed)
		}
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/x", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		p, err := readParams(httptest.NewRecorder(), r, 1<<10)
		if err != nil {
			if _, ok := errors.AsType[*refusal](err); !ok {
				t.Fatalf("error %T", err)
			}
			return
		}
		for name := range p {
			p.text(name)
			if _, err := json.Marshal(p.object(name)); err != nil {
				t.Errorf("object of %q cannot be stored: %v", name, err)
			}
			values, _ := submittedValues(p[name])
			if _, err := json.Marshal(values); err != nil {
				t.Errorf("values of %q cannot be stored: %v", name, err)
			}
		}
		if _, err := uploadsOf(p); err != nil {
			if _, ok := errors.AsType[*refusal](err); !ok {
				t.Fatalf("error %T", err)
			}
		}
	})
}

// FuzzCommand looks for frames that panic or that change an identifier.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{
		`{"command":"subscribe","identifier":"{\"channel\":\"RoomChannel\",\"pubsub_token\":\"x\"}"}`,
		`{"command":"message","identifier":"x","data":"{\"action\":\"update_presence\"}"}`, `{"command":"message","identifier":"x","data":{"action":"update_presence"}}`,
		`{"identifier":"null"}`, `{"identifier":"[]","data":[]}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		cmd, ok := parseCommand(frame)
		if !ok {
			return
		}
		cmd.action()
		parseIdentifier(cmd.Identifier)
		quoted, err := json.Marshal(cmd.Identifier)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(quoted, &back); err != nil || back != cmd.Identifier {
			t.Errorf("identifier %q came back as %q", cmd.Identifier, back)
		}
	})
}
