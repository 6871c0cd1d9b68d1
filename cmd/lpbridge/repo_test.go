package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// root is the top of the repository.
var root = filepath.Join("..", "..")

// source is one Go file of the repository.
type source struct {
	path string // from the root, with slashes
	test bool
	tree *ast.File
}

func (s source) folder() string {
	if i := strings.LastIndexByte(s.path, '/'); i >= 0 {
		return s.path[:i]
	}
	return "."
}

// sources are all Go files.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	for _, path := range files(t) {
		if !strings.HasSuffix(path, ".go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(path)), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, source{path, strings.HasSuffix(path, "_test.go"), tree})
	}
	if len(found) < 50 {
		t.Fatalf("only %d Go files found", len(found))
	}
	return found
}

// files are the files of the repository, without what is not kept in it.
func files(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || rel == "bin" || rel == "data" || rel == "dist"):
			return fs.SkipDir
		case d.Type().IsRegular():
			found = append(found, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPackageComments: every package says what it is.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		// A build constraint and the like is not a package comment: ast.File.Doc
		// is what go doc shows.
		text := s.tree.Doc.Text()
		documented[s.folder()] = documented[s.folder()] || strings.HasPrefix(text, "Package "+s.tree.Name.Name) ||
			strings.HasPrefix(text, "Command "+filepath.Base(s.folder()))
	}
	for folder, has := range documented {
		if !has {
			t.Errorf("%s has no package comment", folder)
		}
	}
}

// TestExportedComments: whoever may use a name is told what it is.
func TestExportedComments(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, d := range s.tree.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: %s has no comment", s.path, name)
			}
		}
	}
}

// undocumented lists exported names of a declaration that have no comment. In a
// group of constants or variables the group's comment speaks for all.
func undocumented(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// exportedReceiver is false for methods nobody outside can name.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	of := d.Recv.List[0].Type
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.IndexListExpr:
			of = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// TestImports: imports point one way.
func TestImports(t *testing.T) {
	goMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	module := modfile.ModulePath(goMod) + "/"
	adapterFolders := map[string]bool{}
	for _, name := range adapterNames() {
		adapterFolders["bridge/"+name] = true
	}
	adapterFolders["bridge/bridgetest/toy"] = true
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, spec := range s.tree.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			ours, ok := strings.CutPrefix(path, module)
			if ok && !mayImport(s.folder(), ours, adapterFolders) {
				t.Errorf("%s imports %s", s.path, path)
			}
		}
	}
}

// TestNothingKeepsDeadMethods: a package that calls methods by names the linker cannot
// know has it keep every exported method of every type, which made the program a sixth
// larger. Libraries that import one without reaching such a call do no harm.
func TestNothingKeepsDeadMethods(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.folder(), "tools/") {
			continue
		}
		for _, spec := range s.tree.Imports {
			if path := spec.Path.Value; path == `"html/template"` || path == `"text/template"` {
				t.Errorf("%s imports %s", s.path, path)
			}
		}
	}
}

// mayImport reports whether a package may import another, both from the root.
func mayImport(folder, other string, adapterFolders map[string]bool) bool {
	const engine = "bridge/relay"
	allowed := map[string][]string{
		"config":                   {},
		"internal/attempt":         {},
		"internal/packed":          {},
		"internal/pgcluster":       {},
		"internal/progress":        {},
		"lpauth":                   {"internal/attempt", "internal/packed"},
		"connector":                {"internal/attempt", "lpauth"},
		"connector/lpsim":          {},
		"connector/lpsim/scenario": {"connector/lpsim"},
		"connector/learn":          {"connector", "lpauth"},
		"bridge":                   {"connector"},
		"bridge/farside":           {"bridge", "internal/attempt"},
		"bridge/served":            {"bridge"},
		"bridge/tracing":           {"bridge"},
		"bridge/journal":           {"bridge", "connector"},
		"bridge/console":           {"bridge"},
		"bridge/peers":             {"bridge", "bridge/served"},
		"bridge/bridgetest":        {"bridge", "connector"},
		engine: {
			"bridge", "bridge/tracing", "connector", "internal/attempt", "internal/packed", "lpauth",
			engine + "/lane", engine + "/picture", engine + "/schedule", engine + "/typing",
		},
		engine + "/lane":     {"bridge", engine + "/schedule"},
		engine + "/picture":  {"connector"},
		engine + "/schedule": {},
		engine + "/typing":   {"bridge", engine + "/schedule"},
		"cmd/lpbridge/front": {"connector/lpsim"},
		"cmd/lpsim":          {"config", "connector/lpsim", "connector/lpsim/scenario"},
		"tools/lpload":       {"connector/lpsim", "internal/pgcluster"},
		"tools/module":       {},
		"tools/lpsoak":       {"bridge", "bridge/console", "connector", "connector/lpsim", "internal/pgcluster", "internal/progress"},
	}
	switch {
	case folder == "cmd/lpbridge":
		// What users run stands on nothing that is made for developers.
		return !strings.HasPrefix(other, "tools/")
	case adapterFolders[folder]:
		return slices.Contains([]string{"bridge", "bridge/farside", "bridge/served", "config"}, other) ||
			strings.HasPrefix(other, folder+"/")
	}
	list, known := allowed[folder]
	if !known {
		// A folder below an adapter or the simulator is that one's own.
		for parent := range adapterFolders {
			if strings.HasPrefix(folder, parent+"/") {
				return other == "bridge" || other == parent || strings.HasPrefix(other, parent+"/")
			}
		}
		return false
	}
	return slices.Contains(list, other)
}

// TestGoMod: whoever imports the module gets what we test.
func TestGoMod(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		for _, word := range []string{"replace", "toolchain", "exclude", "retract"} {
			if strings.HasPrefix(strings.TrimSpace(line), word) {
				t.Errorf("go.mod has a line %s", line)
			}
		}
	}
}

// Words of work that is not finished, put together so that they are not found
// here.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

// TestNothingIsUnfinished looks at every file that is text.
func TestNothingIsUnfinished(t *testing.T) {
	for _, path := range files(t) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		if strings.IndexByte(string(text), 0) >= 0 {
			continue
		}
		if found := unfinished.FindString(string(text)); found != "" {
			t.Errorf("%s says %s", path, found)
		}
	}
}

// TestAdaptersStartNoGoroutines: who starts one must also end it, which engine and
// served do for every channel alike.
func TestAdaptersStartNoGoroutines(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !slices.Contains(adapterNames(), strings.TrimPrefix(s.folder(), "bridge/")) {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", s.path)
			case *ast.CallExpr:
				if call, ok := n.Fun.(*ast.SelectorExpr); ok && (call.Sel.Name == "Go" || call.Sel.Name == "AfterFunc") {
					t.Errorf("%s starts a goroutine with %s", s.path, call.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestForbiddenCalls: tests that are skipped prove nothing, and code that
// sleeps cannot be stopped.
func TestForbiddenCalls(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.tree, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, _ := call.X.(*ast.Ident)
			switch name := call.Sel.Name; {
			case s.test && (name == "Skip" || name == "Skipf" || name == "SkipNow") && of != nil && (of.Name == "t" || of.Name == "b" || of.Name == "f"):
				t.Errorf("%s skips a test", s.path)
			case !s.test && name == "Sleep" && of != nil && of.Name == "time":
				t.Errorf("%s sleeps", s.path)
			case !s.test && of != nil && of.Name == "log" && strings.HasPrefix(name, "Fatal"):
				t.Errorf("%s ends the process with log.%s", s.path, name)
			}
			return true
		})
	}
}
