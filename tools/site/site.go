package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// chapters group the pages in the order in which one reads them. Each page is in
// the first chapter one of whose patterns fits its path.
var chapters = []struct {
	title    string
	patterns []string
}{
	{"Start", []string{"README.md", "docs/liveperson.md", "docs/configuration.md"}},
	{"Channels", []string{"bridge/*/README.md", "docs/content.md", "docs/identity.md", "docs/typing.md"}},
	{"Run it", []string{"docs/operations.md", "docs/deploy.md", "docs/security.md", "docs/errors.md", "docs/answers.md", "docs/metrics.md", "docs/performance.md", "docs/release.md"}},
	{"Build on it", []string{"docs/client.md", "connector/lpsim/README.md", "docs/write-a-channel.md", "docs/design.md", "*.md", "docs/*.md", "*/*/README.md", "*/README.md"}},
}

// site is all pages by their path in the repository.
type site struct {
	root     string
	markdown goldmark.Markdown
	pages    map[string]*page
	// shown are files that a document links to and that are none.
	shown map[string]bool
	// pictures are copied as they are.
	pictures map[string]bool
}

// page is one document.
type page struct {
	path, title string
	source      []byte
	tree        ast.Node
	anchors     map[string]bool
}

// read finds and parses the documents, and looks their links up.
func read(root string) (*site, error) {
	s := &site{root: root, pages: map[string]*page{}, shown: map[string]bool{}, pictures: map[string]bool{}}
	s.markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != root && (slices.Contains([]string{"node_modules", "testdata", "bin", "data", "dist"}, d.Name()) || strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || !strings.HasSuffix(name, ".md") {
			return nil
		}
		below, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return s.add(filepath.ToSlash(below))
	})
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(s.pages)) {
		wrong = append(wrong, s.link(s.pages[name]))
	}
	return s, errors.Join(wrong...)
}

// add parses one document.
func (s *site) add(name string) error {
	source, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	p := &page{path: name, title: name, source: source, tree: s.markdown.Parser().Parse(text.NewReader(source)), anchors: map[string]bool{}}
	titled := false
	err = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		h, ok := n.(*ast.Heading)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		if id, ok := h.AttributeString("id"); ok {
			p.anchors[string(id.([]byte))] = true
		}
		if !titled && h.Level == 1 {
			p.title, titled = string(h.Lines().Value(source)), true
		}
		return ast.WalkContinue, nil
	})
	s.pages[name] = p
	return err
}

// link makes the links of a page lead to pages of the site.
func (s *site) link(p *page) error {
	var wrong []error
	err := ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var destination *[]byte
		switch n := n.(type) {
		case *ast.Link:
			destination = &n.Destination
		case *ast.Image:
			destination = &n.Destination
		default:
			return ast.WalkContinue, nil
		}
		to, err := s.resolve(p, string(*destination))
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s links to %s: %w", p.path, *destination, err))
			return ast.WalkContinue, nil
		}
		*destination = []byte(to)
		return ast.WalkContinue, nil
	})
	return errors.Join(append(wrong, err)...)
}

var errNoAnchor = errors.New("there is no such heading")

// resolve is where a link of a page leads in the site.
func (s *site) resolve(p *page, to string) (string, error) {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return to, nil
	}
	file, anchor, _ := strings.Cut(to, "#")
	target := p.path
	if file != "" {
		target = path.Join(path.Dir(p.path), file)
	}
	if anchor != "" {
		if other := s.pages[target]; other == nil || !other.anchors[anchor] {
			return "", errNoAnchor
		}
		anchor = "#" + anchor
	}
	info, err := os.Stat(filepath.Join(s.root, filepath.FromSlash(target)))
	if err != nil {
		return "", err
	}
	switch {
	case s.pages[target] != nil:
	case slices.Contains([]string{".png", ".svg", ".jpg"}, path.Ext(target)):
		s.pictures[target] = true
		return up(p.path) + target, nil
	case info.IsDir():
		// What a folder of Go is, its package comment says.
		if target = path.Join(target, "doc.go"); !exists(s.root, target) {
			return "", errors.New("the folder has neither README.md nor doc.go to show")
		}
		s.shown[target] = true
	default:
		s.shown[target] = true
	}
	return up(p.path) + address(target) + anchor, nil
}

func exists(root, name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

// address is where a file of the repository is in the site.
func address(name string) string {
	if name == "README.md" {
		return "index.html"
	}
	return strings.TrimSuffix(name, ".md") + ".html"
}

// up leads from a page to the top of the site.
func up(name string) string { return strings.Repeat("../", strings.Count(name, "/")) }

// chapter is a group of pages as the navigation shows it.
type chapter struct {
	Title string
	Pages []entry
}

// entry leads from one page to another.
type entry struct {
	Title, Address string
	Here           bool
}

// navigation lists every page once, as seen from one.
func (s *site) navigation(from string) []chapter {
	var all []chapter
	placed := map[string]bool{}
	for _, c := range chapters {
		group := chapter{Title: c.title}
		for _, pattern := range c.patterns {
			for _, name := range slices.Sorted(maps.Keys(s.pages)) {
				if fits, _ := path.Match(pattern, name); !fits || placed[name] {
					continue
				}
				placed[name] = true
				group.Pages = append(group.Pages, entry{s.pages[name].title, up(from) + address(name), name == from})
			}
		}
		all = append(all, group)
	}
	return all
}

// write renders the site and returns the number of its pages.
func (s *site) write(out string) (int, error) {
	n := 0
	for _, name := range slices.Sorted(maps.Keys(s.pages)) {
		p := s.pages[name]
		var body bytes.Buffer
		if err := s.markdown.Renderer().Render(&body, p.source, p.tree); err != nil {
			return n, fmt.Errorf("%s: %w", name, err)
		}
		// The renderer escapes what the document says.
		if err := s.writePage(out, name, p.title, template.HTML(body.String())); err != nil { //nolint:gosec // what a document says was escaped
			return n, err
		}
		n++
	}
	for name := range s.shown {
		text, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
		if err != nil {
			return n, err
		}
		body := template.HTML("<h1>" + template.HTMLEscapeString(name) + "</h1>\n<pre><code>" + template.HTMLEscapeString(string(text)) + "</code></pre>") //nolint:gosec // what a document says was escaped
		if err := s.writePage(out, name, name, body); err != nil {
			return n, err
		}
		n++
	}
	for name := range s.pictures {
		text, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
		if err != nil {
			return n, err
		}
		if err := put(out, name, text); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (s *site) writePage(out, name, title string, body template.HTML) error {
	var text bytes.Buffer
	err := pageTemplate.Execute(&text, struct {
		Title    string
		Chapters []chapter
		Body     template.HTML
	}{title, s.navigation(name), body})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return put(out, address(name), text.Bytes())
}

func put(out, name string, text []byte) error {
	file := filepath.Join(out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
