package chatwoot

import (
	"strings"
	"testing"

	"lpbridge/bridge"
)

func TestContent(t *testing.T) {
	const z = zeroWidth
	tests := []struct {
		name     string
		message  bridge.Message
		markdown string
		want     string
	}{
		{"plain", bridge.Message{Text: "2 * 3 < 7 & so on"}, leave, "2 * 3 < 7 & so on"},
		{"variable", bridge.Message{Text: "write {{ contact.email }}"}, leave, "write {" + z + "{ contact.email }}"},
		{"tag", bridge.Message{Text: "{% raw %}x{% endraw %}"}, leave, "{" + z + "% raw %}x{" + z + "% endraw %}"},
		{"three braces", bridge.Message{Text: "{{{a}}}"}, leave, "{" + z + "{" + z + "{a}}}"},
		{"brace before code", bridge.Message{Text: "{`a`"}, leave, "{" + z + "`a`"},
		{"one brace", bridge.Message{Text: "{a: 1}"}, leave, "{a: 1}"},
		{"brace at the end", bridge.Message{Text: "{"}, leave, "{"},
		{"file", bridge.Message{Attachments: []bridge.Attachment{{Name: "bill.pdf", URL: "https://f.example/1"}}}, leave, "bill.pdf https://f.example/1"},
		{"file with caption", bridge.Message{Text: "bill", Attachments: []bridge.Attachment{{Name: "bill", URL: "https://f.example/1"}}}, leave, "bill\nhttps://f.example/1"},
		{"files without a name", bridge.Message{Text: "see", Attachments: []bridge.Attachment{{URL: "https://f.example/1"}, {URL: "https://f.example/2"}}}, leave,
			"see\nhttps://f.example/1\nhttps://f.example/2"},
		{"emphasis", bridge.Message{Text: "2*3*4 and _this_ `code` [x](y) a~b <b> \\"}, markdownEscape,
			"2\\*3\\*4 and \\_this\\_ \\`code\\` \\[x\\](y) a\\~b \\<b> \\\\"},
		{"line starts", bridge.Message{Text: "# a\n- b\n+ c\n> d\n1. e\n12) f\n  - g\na - b #1"}, markdownEscape,
			"\\# a\n\\- b\n\\+ c\n\\> d\n1\\. e\n12\\) f\n\u00a0\u00a0\\- g\na - b #1"},
		{"link", bridge.Message{Text: "*see* https://f.example/a_b_c*d?x=[1] _now_"}, markdownEscape,
			"\\*see\\* https://f.example/a_b_c*d?x=[1] \\_now\\_"},
		{"entities", bridge.Message{Text: "Tom &amp; &copy; &#65; R&D"}, markdownEscape, "Tom \\&amp; \\&copy; \\&#65; R\\&D"},
		{"leading blanks", bridge.Message{Text: "    four\n\ttab\n  two\na  b"}, markdownEscape,
			"\u00a0\u00a0\u00a0\u00a0four\n\u00a0\u00a0\u00a0\u00a0tab\n\u00a0\u00a0two\na  b"},
		{"table", bridge.Message{Text: "a | b\n:--|--:\n=="}, markdownEscape, "a \\| b\n\\:--\\|--:\n\\=="},
		{"template and emphasis", bridge.Message{Text: "{{*a*}}"}, markdownEscape, "{" + z + "{\\*a\\*}}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := contentOf(tt.message.Text, tt.message.Attachments, tt.markdown); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzContent has texts of every kind: none may open a template, and nothing
// visible may be lost.
func FuzzContent(f *testing.F) {
	for _, text := range []string{"{{ a }}", "{% raw %}{%", "{`{`{", "`{{`", "{\u200b{", "\\{{", "https://{{x"} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, escape bool) {
		markdown := leave
		if escape {
			markdown = markdownEscape
		}
		got := contentOf(text, nil, markdown)
		// The third joins the tag that Chatwoot puts before text in backticks.
		for _, opener := range []string{"{{", "{%", "{`"} {
			if strings.Contains(got, opener) {
				t.Fatalf("%q opens a template in %q", opener, got)
			}
		}
		if !escape && strings.ReplaceAll(got, zeroWidth, "") != strings.ReplaceAll(text, zeroWidth, "") {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
