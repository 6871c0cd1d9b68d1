package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/uudashr/gocognit"
)

// house is what was found.
type house struct{ files []file }

// file is one Go file.
type file struct {
	path      string // from the top, with slashes
	test      bool
	lines     int // all of them
	code      int // those with code on them
	functions []function
}

// function is one function or method with a body.
type function struct {
	name       string
	receiver   string // the type's name, empty for a function
	lines      int
	complexity int
}

// survey reads all Go files below dir.
func survey(dir string) (*house, error) {
	var h house
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "testdata"}, d.Name()):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, err := read(path, filepath.ToSlash(below))
		h.files = append(h.files, f)
		return err
	})
	return &h, err
}

func read(path, name string) (file, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return file{}, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	f := file{path: name, test: strings.HasSuffix(name, "_test.go"), lines: strings.Count(string(text), "\n")}
	f.code = codeLines(set, tree, string(text))
	for _, d := range tree.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		f.functions = append(f.functions, function{
			name: fn.Name.Name, receiver: receiverOf(fn),
			lines:      set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1,
			complexity: gocognit.Complexity(fn),
		})
	}
	return f, nil
}

// codeLines counts the lines that are neither blank nor only comment.
func codeLines(set *token.FileSet, tree *ast.File, text string) int {
	comment := map[int]bool{}
	for _, group := range tree.Comments {
		for _, c := range group.List {
			start, end := set.Position(c.Pos()), set.Position(c.End())
			lines := strings.Split(text, "\n")
			// A comment behind code leaves its line one of code.
			if strings.TrimSpace(lines[start.Line-1][:start.Column-1]) == "" {
				for line := start.Line; line <= end.Line; line++ {
					comment[line] = true
				}
			}
		}
	}
	n := 0
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) != "" && !comment[i+1] {
			n++
		}
	}
	return n
}

func receiverOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	of := fn.Recv.List[0].Type
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.IndexListExpr:
			of = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// count is a number of something that has a name.
type count struct {
	name string
	n    int
}

// highest sorts, the greatest first.
func highest(counts []count) []count {
	slices.SortStableFunc(counts, func(a, b count) int { return cmp.Compare(b.n, a.n) })
	return counts
}

func (h *house) longestFiles() (counts []count) {
	for _, f := range h.files {
		if !f.test {
			counts = append(counts, count{f.path, f.lines})
		}
	}
	return highest(counts)
}

func (h *house) longestFunctions() []count {
	return h.functions(func(fn function) int { return fn.lines })
}

func (h *house) mostInvolved() []count {
	return h.functions(func(fn function) int { return fn.complexity })
}

func (h *house) functions(measure func(function) int) (counts []count) {
	for _, f := range h.files {
		for _, fn := range f.functions {
			if !f.test {
				counts = append(counts, count{f.path + " " + strings.TrimPrefix(fn.receiver+"."+fn.name, "."), measure(fn)})
			}
		}
	}
	return highest(counts)
}

func (h *house) receivers() (counts []count) {
	methods := map[string]int{}
	for _, f := range h.files {
		for _, fn := range f.functions {
			if fn.receiver != "" && !f.test {
				methods[folder(f.path)+" "+fn.receiver]++
			}
		}
	}
	for name, n := range methods {
		counts = append(counts, count{name, n})
	}
	slices.SortFunc(counts, func(a, b count) int { return cmp.Compare(a.name, b.name) })
	return highest(counts)
}

func folder(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return "."
}

// lines are those of a package, with code on them.
type lines struct {
	name        string
	code, tests int
}

func (h *house) packages() (all []lines) {
	at := map[string]int{}
	for _, f := range h.files {
		name := folder(f.path)
		i, known := at[name]
		if !known {
			i = len(all)
			at[name], all = i, append(all, lines{name: name})
		}
		if f.test {
			all[i].tests += f.code
		} else {
			all[i].code += f.code
		}
	}
	slices.SortFunc(all, func(a, b lines) int { return cmp.Compare(a.name, b.name) })
	return all
}
