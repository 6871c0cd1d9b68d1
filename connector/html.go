package connector

import (
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// blocks are the elements that begin a new line.
var blocks = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.Br: true, atom.Li: true, atom.Ul: true, atom.Ol: true, atom.Tr: true, atom.Table: true,
	atom.Pre: true, atom.Option: true, atom.Section: true, atom.Article: true, atom.Header: true, atom.Footer: true, atom.Dt: true, atom.Dd: true,
	atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true, atom.Blockquote: true, atom.Hr: true,
}

// unseen are the elements whose text no browser shows, or only one that cannot run
// scripts. A head is none of them: any words in it end it, whether it is closed or
// not (HTML standard, "in head" insertion mode).
var unseen = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Title: true, atom.Noscript: true, atom.Iframe: true, atom.Noembed: true, atom.Noframes: true,
}

// wordsOfHTML gives what a person would read: text, with a line for each block and
// the address of a link behind its words. A consumer's channel shows markup as it
// is, or worse, obeys it.
func wordsOfHTML(source string) string {
	var w htmlWords
	tokens := html.NewTokenizer(strings.NewReader(source))
	for {
		switch kind := tokens.Next(); kind {
		case html.ErrorToken:
			return w.String()
		case html.TextToken:
			w.text(tokens.Token().Data)
		case html.StartTagToken, html.SelfClosingTagToken:
			w.begin(tokens.Token(), kind == html.SelfClosingTagToken)
		case html.EndTagToken:
			w.end(tokens.Token())
		}
	}
}

// htmlWords collects the lines of a document.
type htmlWords struct {
	out    strings.Builder
	hidden int // depth of elements whose text nobody sees
	link   string
	shown  int // where the words of the present link begin
	pre    int // depth of elements whose lines are shown as they are
}

func (w *htmlWords) text(data string) {
	if w.hidden > 0 {
		return
	}
	if w.pre > 0 {
		w.out.WriteString(data)
		return
	}
	words := strings.Join(strings.Fields(data), " ")
	leading := data != "" && strings.TrimLeft(data, " \t\r\n") != data
	if leading && w.out.Len() > 0 && !strings.HasSuffix(w.out.String(), "\n") && !strings.HasSuffix(w.out.String(), " ") {
		w.out.WriteByte(' ')
	}
	w.out.WriteString(words)
	if words != "" && strings.TrimRight(data, " \t\r\n") != data {
		w.out.WriteByte(' ')
	}
}

func (w *htmlWords) begin(t html.Token, alone bool) {
	switch {
	case unseen[t.DataAtom]:
		if !alone {
			w.hidden++
		}
	case t.DataAtom == atom.A:
		w.link, w.shown = leadsTo(attribute(t, "href")), w.out.Len()
	case t.DataAtom == atom.Img:
		w.picture(t)
	case t.DataAtom == atom.Td, t.DataAtom == atom.Th, t.DataAtom == atom.Button:
		w.text(" ")
	case blocks[t.DataAtom]:
		w.line()
		if t.DataAtom == atom.Pre && !alone {
			w.pre++
		}
	}
}

// picture gives what a picture shows in words, or where it lies.
func (w *htmlWords) picture(t html.Token) {
	if alt := attribute(t, "alt"); alt != "" {
		w.text(alt)
		return
	}
	if source := leadsTo(attribute(t, "src")); source != "" {
		w.text(source)
	}
}

// leadsTo is an address somebody can follow; empty for scripts, pictures within the
// text and places on the page itself.
func leadsTo(address string) string {
	u, err := url.Parse(address)
	if err != nil || !u.IsAbs() {
		return ""
	}
	switch u.Scheme {
	case "https", "http", "mailto", "tel", "sms":
		return address
	}
	return ""
}

func (w *htmlWords) end(t html.Token) {
	switch {
	case unseen[t.DataAtom]:
		w.hidden = max(0, w.hidden-1)
	case t.DataAtom == atom.A && w.link != "":
		w.linked(strings.TrimSpace(w.out.String()[min(w.shown, w.out.Len()):]))
	case t.DataAtom == atom.Pre:
		w.pre = max(0, w.pre-1)
		w.line()
	case blocks[t.DataAtom]:
		w.line()
	}
}

// linked ends a link whose words are known, and which may be its address.
func (w *htmlWords) linked(words string) {
	_, bare, _ := strings.Cut(w.link, ":")
	switch words {
	case w.link, bare:
	case "":
		w.out.WriteString(w.link)
	default:
		w.out.WriteString(": " + w.link)
	}
	w.link = ""
}

func (w *htmlWords) line() {
	if text := w.out.String(); text != "" && !strings.HasSuffix(text, "\n") {
		w.out.WriteByte('\n')
	}
}

// String is the text without empty lines and blanks at its ends and those of lines.
func (w *htmlWords) String() string {
	var lines []string
	for line := range strings.SplitSeq(w.out.String(), "\n") {
		if line = strings.TrimRight(line, " \t\r"); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func attribute(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return strings.TrimSpace(a.Val)
		}
	}
	return ""
}
