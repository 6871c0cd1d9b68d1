package main

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lpbridge/config"
)

// Documents name variables, commands, targets, metrics, files and front doors.
// Each kind is looked up where it is made, so that a document cannot go on
// naming what is gone.

// documents are the pages people read, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	return texts(t, func(path string) bool {
		return strings.HasSuffix(path, ".md") && !strings.Contains(path, "testdata/")
	})
}

// texts are the files that are wanted, by path.
func texts(t *testing.T, wanted func(path string) bool) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, path := range files(t) {
		if !wanted(path) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		found[path] = string(text)
	}
	if len(found) == 0 {
		t.Fatal("there is nothing to look at")
	}
	return found
}

// variables are all environment variables there are, those of lpsim included.
func variables(t *testing.T) []string {
	t.Helper()
	reference := config.Reference(new(config.Config), "")
	for _, a := range adapters {
		reference = append(reference, a.variables()...)
	}
	var names []string
	for _, v := range reference {
		names = append(names, v.Name)
		if v.File != "" {
			names = append(names, v.File)
		}
	}
	for _, s := range sources(t) {
		if s.folder() != "cmd/lpsim" || s.test {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok && field.Tag != nil {
				tag, _ := strconv.Unquote(field.Tag.Value)
				if name, _, _ := strings.Cut(reflect.StructTag(tag).Get("env"), ","); name != "" {
					names = append(names, "LPSIM_"+name)
				}
			}
			return true
		})
	}
	return names
}

// TestNamedVariablesExist looks at documents, at what is deployed, and at the
// texts the program shows.
func TestNamedVariablesExist(t *testing.T) {
	known := variables(t)
	prefixes := []string{"LPBRIDGE", "LP", "LPSIM"}
	for _, name := range adapterNames() {
		prefixes = append(prefixes, strings.ToUpper(name))
	}
	word := regexp.MustCompile(`\b(` + strings.Join(prefixes, "|") + `)_[A-Z0-9_]*[A-Z0-9]\b`)
	check := func(where, text string) {
		for _, name := range word.FindAllString(text, -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s names the variable %s, which there is not", where, name)
			}
		}
	}
	pages := texts(t, func(path string) bool {
		return strings.HasSuffix(path, ".md") && !strings.Contains(path, "testdata/") ||
			strings.HasPrefix(path, "deploy/") || path == "Dockerfile" || path == "Makefile" || strings.HasPrefix(path, ".ci/")
	})
	for path, text := range pages {
		// One name is misspelt on purpose, to show what becomes of it.
		check(path, strings.ReplaceAll(text, "`LP_ACOUNT_ID`", ""))
	}
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.path, "cmd/lpbridge/") && !strings.HasPrefix(s.path, "bridge/") {
			continue
		}
		for _, text := range literals(s) {
			check(s.path, text)
		}
	}
}

// literals are the string constants of a file, struct tags left out.
func literals(s source) (found []string) {
	ast.Inspect(s.tree, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				found = append(found, text)
			}
		}
		return true
	})
	return found
}

// TestVariablesAreDocumented: the simulator's variables, which are not generated,
// are in its README; ours are in docs/configuration.md by TestDocuments.
func TestVariablesAreDocumented(t *testing.T) {
	pages := documents(t)
	for _, name := range variables(t) {
		page := "docs/configuration.md"
		if strings.HasPrefix(name, "LPSIM_") {
			page = "connector/lpsim/README.md"
		}
		if !strings.Contains(pages[page], "`"+name+"`") {
			t.Errorf("%s does not name %s", page, name)
		}
	}
}

// TestNamedTargetsExist: every target of the Makefile that anything names has a rule.
func TestNamedTargetsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, rule := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(string(makefile), -1) {
		rules[rule[1]] = true
	}
	if len(rules) < 3 {
		t.Fatalf("only %d rules were found", len(rules))
	}
	announced := strings.Fields(regexp.MustCompile(`(?m)^\.PHONY:(.*)$`).FindStringSubmatch(string(makefile))[1])
	for _, name := range announced {
		if !rules[name] {
			t.Errorf("the Makefile announces %s and has no rule for it", name)
		}
	}
	for name := range rules {
		if !slices.Contains(announced, name) {
			t.Errorf("the Makefile has a rule for %s, which .PHONY does not announce", name)
		}
		if !regexp.MustCompile(`(?m)^` + name + `:[^#\n]*## \S`).Match(makefile) {
			t.Errorf("make help does not say what %s is for", name)
		}
	}
	// In code marks, or at the beginning of a line to be pasted or run.
	named := regexp.MustCompile("(?m)(?:`|^\\s*(?:\\$ )?)make ([a-z][a-z-]*)")
	for path, text := range texts(t, func(path string) bool {
		return strings.HasSuffix(path, ".md") || strings.HasSuffix(path, ".go") || strings.HasPrefix(path, ".ci/") || strings.HasPrefix(path, "deploy/")
	}) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !rules[m[1]] && !strings.HasSuffix(path, "drift_test.go") {
				t.Errorf("%s names make %s, for which there is no rule", path, m[1])
			}
		}
	}
}

// TestNamedStoresAreTaken: what documents, units and texts of the program offer as
// a store, the configuration accepts.
func TestNamedStoresAreTaken(t *testing.T) {
	// A database may be on several hosts, separated by commas.
	address := regexp.MustCompile("\\bpostgres(?:ql)?://[^\\s\"'`;()|]+|\\b(?:sqlite3?|mysql|redis|memory):[^\\s\"'`,;()|]+")
	setting := regexp.MustCompile("\\bLPBRIDGE_STORE=\"?([^\\s\"'`;()|]+)")
	n := 0
	check := func(where, store string) {
		if strings.HasSuffix(store, "://") || strings.Contains(store, "%s") {
			// The scheme alone, or what is filled in later.
			return
		}
		n++
		if _, err := config.ParseStore(strings.TrimRight(store, ".,")); err != nil {
			t.Errorf("%s offers %s, which is refused: %v", where, store, err)
		}
	}
	for path, text := range texts(t, func(path string) bool {
		return strings.HasSuffix(path, ".md") || strings.HasPrefix(path, "deploy/") || path == "Dockerfile" || strings.HasPrefix(path, ".ci/")
	}) {
		for _, store := range address.FindAllString(text, -1) {
			check(path, store)
		}
		for _, m := range setting.FindAllStringSubmatch(text, -1) {
			check(path, m[1])
		}
	}
	for _, s := range sources(t) {
		for _, text := range literals(s) {
			if !s.test {
				for _, store := range address.FindAllString(text, -1) {
					check(s.path, store)
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d addresses of stores were found", n)
	}
}

// TestNamedMetricsExist: a dashboard made from the documents finds its metrics.
func TestNamedMetricsExist(t *testing.T) {
	known := map[string]bool{}
	name := regexp.MustCompile(`\blpbridge_[a-z_]*[a-z]\b`)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, text := range literals(s) {
			if name.FindString(text) == text {
				known[text] = true
			}
		}
	}
	pages := texts(t, func(path string) bool {
		return strings.HasSuffix(path, ".md") || strings.HasPrefix(path, "deploy/") && !strings.HasSuffix(path, ".go")
	})
	for path, text := range pages {
		for _, word := range name.FindAllString(text, -1) {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(word, "")
			if !known[word] && !known[base] {
				t.Errorf("%s names %s, which no code makes", path, word)
			}
		}
	}
}

// TestNamedCommandsExist: every command line of ours in a document can be typed.
func TestNamedCommandsExist(t *testing.T) {
	ours := regexp.MustCompile("(?m)(?:`|^(?:\\$ )?|&& )lpbridge ([a-z][^`\\n&|;#]*)")
	packages := regexp.MustCompile(`go (?:run|build) (\./[A-Za-z0-9/_-]+[A-Za-z0-9])(?:\s|$)`)
	n := 0
	for page, text := range documents(t) {
		for _, m := range ours.FindAllStringSubmatch(text, -1) {
			// Prose at the beginning of a line is not a command line.
			if words := strings.Fields(m[1]); !strings.Contains(m[0], "`") && len(words) > 3 {
				continue
			}
			n++
			checkCommandLine(t, page, strings.Fields(m[1]))
		}
		for _, m := range packages.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, m[1], "main.go")); err != nil {
				t.Errorf("%s names the program %s: %v", page, m[1], err)
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d command lines were found", n)
	}
}

func checkCommandLine(t *testing.T, page string, words []string) {
	t.Helper()
	command, rest, err := commandLine(nil, environment{}).Find(words)
	if err != nil || command == command.Root() {
		t.Errorf("%s names lpbridge %s, which there is not", page, strings.Join(words, " "))
		return
	}
	for _, word := range rest {
		name, found := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		if found && !hasFlag(command, name) {
			t.Errorf("%s names lpbridge %s, which has no --%s", page, strings.Join(words, " "), name)
		}
	}
}

func hasFlag(command *cobra.Command, name string) bool {
	return name == "help" || command.Flags().Lookup(name) != nil || command.InheritedFlags().Lookup(name) != nil
}

// TestNamedFilesExist: links of documents lead somewhere, and what looks like a
// path of the repository is one.
func TestNamedFilesExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code := regexp.MustCompile("`([^`\\s]+)`")
	tops := regexp.MustCompile(`^(cmd|config|lpauth|connector|bridge|tools|docs|deploy|e2e|\.ci)/`)
	for page, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, path.Dir(page), target)); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
		for _, m := range code.FindAllStringSubmatch(text, -1) {
			if !tops.MatchString(m[1]) || strings.ContainsAny(m[1], "<{…") {
				continue
			}
			if found, err := filepath.Glob(filepath.Join(root, m[1])); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which there is not", page, m[1])
			}
		}
	}
}

// TestNamedTestsExist: the tests that documents name for what they promise.
func TestNamedTestsExist(t *testing.T) {
	made := map[string]bool{}
	for _, s := range sources(t) {
		for _, name := range testsOf(s) {
			made[name] = true
		}
	}
	for page, text := range documents(t) {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Z][A-Za-z0-9]*)`").FindAllStringSubmatch(text, -1) {
			if !made[m[1]] {
				t.Errorf("%s names %s, which there is not", page, m[1])
			}
		}
	}
}

// testsOf are the functions of a file of tests.
func testsOf(s source) (names []string) {
	for _, d := range s.tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && s.test {
			names = append(names, f.Name.Name)
		}
	}
	return names
}

// TestClaimsOnReplicas: whoever reads of several replicas reads what they give and what
// they do not. One owner relays, so that nothing may promise more speed for more of them.
func TestClaimsOnReplicas(t *testing.T) {
	pages := documents(t)
	facts := map[string][]string{
		"README.md":          {"any replica", "one owner relays", "throughput does not grow with replicas", "takes over within seconds"},
		"docs/operations.md": {"any replica takes any webhook, notification, request and socket", "More throughput", "One owner relays", "replaced in some five seconds"},
		"docs/deploy.md":     {"any replica whose `/readyz` says yes", "one owner relays", "more replicas do not relay more", "takes over within seconds"},
		"docs/design.md":     {"throughput does not grow with replicas"},
	}
	for page, words := range facts {
		text := strings.ToLower(strings.Join(strings.Fields(pages[page]), " "))
		for _, fact := range words {
			if !strings.Contains(text, strings.ToLower(fact)) {
				t.Errorf("%s does not say of replicas: %s", page, fact)
			}
		}
	}
	replicas, gain := regexp.MustCompile(`(?i)\breplicas?\b`), regexp.MustCompile(`(?i)\b(throughput|capacity|scales? (?:out|with)|faster|messages a second|relays? more|share the (?:work|load))\b`)
	target := regexp.MustCompile(`\]\([^)]*\)`)
	denial := regexp.MustCompile(`(?i)\b(not|no|nor|never|cannot)\b`)
	check := func(where, text string) {
		for sentence := range strings.SplitSeq(strings.Join(strings.Fields(target.ReplaceAllString(text, "]")), " "), ". ") {
			if replicas.MatchString(sentence) && gain.MatchString(sentence) && !denial.MatchString(sentence) {
				t.Errorf("%s promises what more replicas do not give: %s", where, sentence)
			}
		}
	}
	for page, text := range pages {
		check(page, text)
	}
	for _, s := range sources(t) {
		for _, text := range literals(s) {
			if !s.test {
				check(s.path, text)
			}
		}
	}
}

// TestNamedDoorsExist: the paths that README and docs name are served.
func TestNamedDoorsExist(t *testing.T) {
	var served []string
	for _, s := range sources(t) {
		if !s.test {
			served = append(served, literals(s)...)
		}
	}
	// Folders and files of the image and of the unit are no doors.
	for _, path := range []string{"Dockerfile", "deploy/lpbridge.service"} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		served = append(served, string(text))
	}
	door := regexp.MustCompile("`(?:GET |POST |PUT |DELETE )?(/[a-z][^`\\s?]*)`")
	for page, text := range documents(t) {
		if page != "README.md" && !strings.HasPrefix(page, "docs/") {
			continue
		}
		for _, m := range door.FindAllStringSubmatch(text, -1) {
			fixed, _, _ := strings.Cut(m[1], "{")
			fixed = strings.TrimRight(fixed, "/…")
			if !slices.ContainsFunc(served, func(text string) bool { return strings.Contains(text, fixed) }) {
				t.Errorf("%s names %s, which nothing serves", page, m[1])
			}
		}
	}
}
