package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rendered is the site of this repository.
func rendered(t *testing.T) (pages map[string]string, s *site) {
	t.Helper()
	s, err := read(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if _, err := s.write(out); err != nil {
		t.Fatal(err)
	}
	pages = map[string]string{}
	err = filepath.WalkDir(out, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		below, _ := filepath.Rel(out, name)
		pages[filepath.ToSlash(below)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages, s
}

// TestSite: every link of every page leads to a page that is there, and to a
// heading that is; every page can be come to; nothing is fetched.
func TestSite(t *testing.T) {
	pages, s := rendered(t)
	if len(pages) < 25 {
		t.Fatalf("only %d pages", len(pages))
	}
	link := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	reached := map[string]bool{"index.html": true}
	for name, text := range pages {
		if path.Ext(name) != ".html" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "https://") || strings.HasPrefix(m[1], "http://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if pages[to] == "" {
				t.Errorf("%s leads to %s, which is not there", name, m[1])
			}
			if anchor != "" && !strings.Contains(pages[to], ` id="`+anchor+`"`) {
				t.Errorf("%s leads to %s, which has no such heading", name, m[1])
			}
			if to != name {
				reached[to] = true
			}
		}
		for _, fetched := range []string{"<script", "<link", "@import", "url("} {
			if strings.Contains(text[:strings.Index(text, "<main>")], fetched) {
				t.Errorf("%s fetches something with %s", name, fetched)
			}
		}
		if n := strings.Count(text, ` aria-current="page"`); strings.HasSuffix(name, ".go.html") == (n == 1) && s.pages[strings.TrimSuffix(name, ".html")+".md"] != nil {
			t.Errorf("%s is %d times in its own navigation", name, n)
		}
	}
	for name := range pages {
		if !reached[name] {
			t.Errorf("nothing leads to %s", name)
		}
	}
	if front := pages["index.html"]; !strings.Contains(front, "<table>") || !strings.Contains(front, "<h1 id=\"lpbridge\">lpbridge</h1>") {
		t.Error("the README is not rendered as GitHub does")
	}
}

// TestLinksThatLeadNowhere: an error names the page and the link.
func TestLinksThatLeadNowhere(t *testing.T) {
	for link, want := range map[string]string{
		"gone.md": "no such file", "#gone": "no such heading", "other.md#gone": "no such heading", "folder": "neither README.md nor doc.go", "gone.png": "no such file",
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"README.md": "# Top\n\nSee [this](" + link + ").\n", "other.md": "# Other\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := read(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "README.md links to "+link) {
			t.Errorf("%s: %v, want %q", link, err, want)
		}
	}
}

// TestTextIsText: what a document says is shown and never done.
func TestTextIsText(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("# A <b>\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) [y](s.sh)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "s.sh"), []byte("echo '<script>'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(dir); err == nil {
		t.Fatal("an address of another kind is taken for a file")
	}
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("# A <b>\n\n<script>alert(1)</script>\n\n[y](s.sh)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write(out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.html", "s.sh.html"} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "<script>") {
			t.Errorf("%s holds a script", name)
		}
	}
}
