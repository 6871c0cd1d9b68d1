package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// contested are words that meant several things. Each is defined in the glossary, or
// no name has it.
var contested = []string{
	"place", "verdict", "judge", "turn", "gate", "step", "answer", "book", "person",
	// The glossary says that these flip with the reader.
	"inbound", "outbound",
}

// glossaryEntry is how bridge/doc.go defines a word, or several that belong together.
var glossaryEntry = regexp.MustCompile(`(?m)^//   - ([a-z ,]+):`)

// glossary returns the words that are defined, in the order of their definitions.
func glossary(doc string) (words []string) {
	for _, entry := range glossaryEntry.FindAllStringSubmatch(doc, -1) {
		for word := range strings.SplitSeq(entry[1], ",") {
			words = append(words, strings.TrimSpace(word))
		}
	}
	return words
}

// declared is a name that a package, type or function declares for others to read.
type declared struct {
	path, name string
	words      []string
}

// declaredNames are those of types, functions, methods, fields, parameters, constants
// and variables of packages below dir, tests left out.
func declaredNames(dir string) (names []declared, err error) {
	set := token.NewFileSet()
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "testdata"}, d.Name()):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		tree, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		add := func(ids ...*ast.Ident) {
			for _, id := range ids {
				names = append(names, declared{filepath.ToSlash(path), id.Name, wordsOf(id.Name)})
			}
		}
		ast.Inspect(tree, func(at ast.Node) bool {
			switch at := at.(type) {
			case *ast.FuncDecl:
				add(at.Name)
			case *ast.TypeSpec:
				add(at.Name)
			case *ast.Field:
				add(at.Names...)
			case *ast.ValueSpec:
				add(at.Names...)
			}
			return true
		})
		return nil
	})
	return names, err
}

// wordsOf are the words of a name in camel case, in small letters and without the s of
// more than one. LivePerson is one word.
func wordsOf(name string) (words []string) {
	runes := []rune(strings.NewReplacer("LivePerson", "Liveperson", "livePerson", "liveperson").Replace(name))
	begin := 0
	for i := 1; i <= len(runes); i++ {
		if i < len(runes) && !(unicode.IsUpper(runes[i]) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))) {
			continue
		}
		words = append(words, strings.TrimSuffix(strings.ToLower(string(runes[begin:i])), "s"))
		begin = i
	}
	return words
}
