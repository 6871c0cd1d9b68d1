package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// renaming is one change of the module's path.
type renaming struct {
	from, to string
	// tops are the folders at the top of the module: what follows the path in the
	// name of a package.
	tops []string
}

// rename gives the module in dir the path to, and returns how many files it changed.
func rename(dir, to string) (int, error) {
	if err := module.CheckImportPath(to); err != nil {
		return 0, err
	}
	goMod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return 0, err
	}
	r := renaming{from: modfile.ModulePath(goMod), to: to}
	if r.from == to {
		return 0, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if e.IsDir() && !left(e.Name()) {
			r.tops = append(r.tops, e.Name())
		}
	}
	changed := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && left(d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		did, err := r.file(path)
		if did {
			changed++
		}
		return err
	})
	return changed, err
}

// left reports whether a folder is not part of the source.
func left(name string) bool {
	return name == ".git" || slices.Contains([]string{"node_modules", "bin", "data", "dist"}, name)
}

// file changes one file, if it names a package of ours.
func (r renaming) file(path string) (changed bool, err error) {
	before, err := os.ReadFile(path)
	if err != nil || bytes.IndexByte(before, 0) >= 0 {
		return false, err
	}
	var after []byte
	switch {
	case filepath.Ext(path) == ".go":
		after, err = r.goFile(path, before)
	case filepath.Base(path) == "go.mod":
		after, err = r.goMod(path, before)
	default:
		after = r.text(before)
	}
	if err != nil || bytes.Equal(before, after) {
		return false, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return true, os.WriteFile(path, after, info.Mode().Perm())
}

// goFile changes the strings that are, or begin with, the name of a package.
func (r renaming) goFile(path string, text []byte) ([]byte, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var spots []*ast.BasicLit
	ast.Inspect(tree, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if value, err := strconv.Unquote(lit.Value); err == nil && r.names(value) {
				spots = append(spots, lit)
			}
		}
		return true
	})
	// From the end, so that the positions before stay right.
	for _, lit := range slices.Backward(spots) {
		at := set.Position(lit.Pos()).Offset + 1
		text = slices.Concat(text[:at], []byte(r.to), text[at+len(r.from):])
	}
	if len(spots) == 0 {
		return text, nil
	}
	formatted, err := format.Source(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return formatted, nil
}

// names reports whether a string begins with the name of a package of ours.
func (r renaming) names(value string) bool {
	below, found := strings.CutPrefix(value, r.from+"/")
	top, _, _ := strings.Cut(below, "/")
	return found && slices.Contains(r.tops, top)
}

// goMod changes the module line, also that of a module below ours.
func (r renaming) goMod(path string, text []byte) ([]byte, error) {
	file, err := modfile.Parse(path, text, nil)
	if err != nil {
		return nil, err
	}
	below, found := strings.CutPrefix(file.Module.Mod.Path+"/", r.from+"/")
	if !found {
		return text, nil
	}
	if err := file.AddModuleStmt(strings.TrimSuffix(r.to+"/"+below, "/")); err != nil {
		return nil, err
	}
	return file.Format()
}

// text changes the names of packages in any other file.
func (r renaming) text(text []byte) []byte {
	tops := slices.Clone(r.tops)
	for i, top := range tops {
		tops[i] = regexp.QuoteMeta(top)
	}
	name := regexp.MustCompile(`(^|[^A-Za-z0-9_./-])` + regexp.QuoteMeta(r.from) + `/(` + strings.Join(tops, "|") + `)\b`)
	return name.ReplaceAll(text, []byte(`${1}`+strings.ReplaceAll(r.to, "$", "$$")+`/${2}`))
}
