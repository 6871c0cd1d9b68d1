package connector

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ours are the exported types that model nothing of LivePerson's.
var ours = []string{
	// package connector
	"AppTokens", "Certainty", "Client", "Connection", "Consumers", "ConversationField", "Domains", "Error", "Event", "File",
	"Notification", "Options", "Outcome", "Rule", "Scope", "UnknownNotification", "UnreadableChange",
	// package lpauth
	"AppTokenSource", "AppTokenStatus", "AppTokensOptions", "ConsumerTokens", "ConsumerTokensOptions", "DomainSource",
	"DomainsOptions", "SecretSource", "Secrets", "TransportOptions",
}

// citation is how comments name a page of LivePerson's documentation.
var citation = regexp.MustCompile(`"[A-Z][A-Za-z/ -]+"( and "[A-Z][A-Za-z/ -]+")? pages?|"[A-Z][A-Za-z ]+" guide`)

// TestTypesOfOursExist: what is exempted from citing is there.
func TestTypesOfOursExist(t *testing.T) {
	made := map[string]bool{}
	eachType(t, func(_, name, _ string) { made[name] = true })
	for _, name := range ours {
		if !made[name] {
			t.Errorf("there is no type %s", name)
		}
	}
}

// Whoever wonders why a type is as it is must be able to look it up.
func TestEveryTypeOfLivePersonsCitesItsPage(t *testing.T) {
	eachType(t, func(pkg, name, doc string) {
		if !slices.Contains(ours, name) && !citation.MatchString(doc) {
			t.Errorf("%s.%s names no page of LivePerson's: %s", pkg, name, doc)
		}
	})
}

// eachType looks at the exported types of both packages and their comments.
func eachType(t *testing.T, look func(pkg, name, doc string)) {
	t.Helper()
	for _, dir := range []string{".", "../lpauth"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("files of %s: %v, %v", dir, names, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			eachTypeOf(file, look)
		}
	}
}

func eachTypeOf(file *ast.File, look func(pkg, name, doc string)) {
	for _, decl := range file.Decls {
		types, ok := decl.(*ast.GenDecl)
		if !ok || types.Tok != token.TYPE {
			continue
		}
		for _, spec := range types.Specs {
			name := spec.(*ast.TypeSpec).Name.Name
			doc := strings.Join(strings.Fields(types.Doc.Text()+spec.(*ast.TypeSpec).Doc.Text()), " ")
			if ast.IsExported(name) {
				look(file.Name.Name, name, doc)
			}
		}
	}
}
