package console

import (
	"regexp"
	"strings"
	"testing"
)

func TestPageFiles(t *testing.T) {
	c, _, _ := setup(t, fourLetters())
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/console.css": "text/css; charset=utf-8",
		"/console.js": "text/javascript; charset=utf-8", "/icon.svg": "image/svg+xml",
	} {
		t.Run(path, func(t *testing.T) {
			resp := request(c, "GET", path, "")
			for header, want := range map[string]string{
				"Content-Type": contentType, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			} {
				if got := resp.Header.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			for _, rule := range []string{"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
				if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, rule) || strings.Contains(csp, "unsafe") {
					t.Errorf("policy is %q", csp)
				}
			}
			if resp.StatusCode != 200 || len(bodyOf(t, resp)) < 100 {
				t.Errorf("status %d or no content", resp.StatusCode)
			}
			again := request(c, "GET", path, "", "If-None-Match", resp.Header.Get("ETag"))
			if again.StatusCode != 304 {
				t.Errorf("asked again with its ETag: status %d, want 304", again.StatusCode)
			}
		})
	}
}

func TestAnswersAreNotStored(t *testing.T) {
	c, _, _ := setup(t, fourLetters())
	for _, path := range []string{"/status", "/deadletters", "/readyz", "/nothing"} {
		if got := request(c, "GET", path, "").Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q, want no-store", path, got)
		}
	}
}

// The policy would block these silently, and what they allow is how text of
// consumers becomes markup.
func TestPageKeepsItsPolicy(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\bstyle=|<style|\son\w+="|javascript:|https?://`)
	for _, f := range pageFiles() {
		content := strings.ReplaceAll(string(f.content), `xmlns="http://www.w3.org/2000/svg"`, "")
		if found := forbidden.FindString(content); found != "" {
			t.Errorf("%s has %q", f.path, found)
		}
	}
}

// The script finds its nodes by id; a missing one ends it.
func TestScriptAndPageAgree(t *testing.T) {
	var html, js string
	for _, f := range pageFiles() {
		switch f.path {
		case "/{$}":
			html = string(f.content)
		case "/console.js":
			js = string(f.content)
		}
	}
	used := regexp.MustCompile(`\$\("([a-z-]+)"\)|copyOf\("([a-z-]+)"\)|keyed\(\$\("[a-z]+"\), "([a-z-]+)"`).FindAllStringSubmatch(js, -1)
	if len(used) < 30 {
		t.Fatalf("only %d ids found in the script", len(used))
	}
	for _, names := range used {
		for _, name := range names[1:] {
			if name != "" && strings.Count(html, `id="`+name+`"`) != 1 {
				t.Errorf("the page does not have one node with the id %s", name)
			}
		}
	}
	for _, name := range outcomeNames {
		if name != "delivered" && !strings.Contains(html, "<option>"+name+"</option>") {
			t.Errorf("the page's filter lacks the outcome %s", name)
		}
	}
}

// What is declared twice in a module keeps all of it from running, in silence.
func TestPageDeclaresNothingTwice(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^(?:async )?(?:function|class|let|const) (\w+)`)
	for _, f := range pageFiles() {
		if !strings.HasSuffix(f.path, ".js") {
			continue
		}
		seen := map[string]bool{}
		for _, m := range declared.FindAllStringSubmatch(string(f.content), -1) {
			if seen[m[1]] {
				t.Errorf("%s declares %s twice", f.path, m[1])
			}
			seen[m[1]] = true
		}
		if len(seen) < 10 {
			t.Errorf("only %d declarations were found in %s", len(seen), f.path)
		}
	}
}
