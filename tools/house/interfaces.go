package main

import (
	"cmp"
	"go/ast"
	"go/types"
	"slices"
)

// mostAsked is how many methods of its own an interface may have. What needs more
// is put together from interfaces that others can ask for alone.
const mostAsked = 4

// interfaceCount says how many methods an interface has.
type interfaceCount struct {
	at, folder, name string
	// own are those it lists itself, all also those of what it is put together from.
	own, all int
}

// interfaceCounts are those of every interface that is written in the module, be it
// named or not, the largest first.
func (s *search) interfaceCounts() []interfaceCount {
	found := map[string]interfaceCount{}
	for _, p := range s.all {
		for _, f := range p.Syntax {
			name := "interface without a name"
			ast.Inspect(f, func(at ast.Node) bool {
				switch at := at.(type) {
				case *ast.TypeSpec:
					name = at.Name.Name
				case *ast.FuncDecl:
					name = "interface in " + at.Name.Name
				case *ast.InterfaceType:
					where := s.set.Position(at.Pos()).String()
					if i, ok := p.TypesInfo.TypeOf(at).(*types.Interface); ok && i.NumMethods() > 0 {
						found[where] = interfaceCount{at: where, folder: s.folder(at.Pos()), name: name, own: i.NumExplicitMethods(), all: i.NumMethods()}
					}
				}
				return true
			})
		}
	}
	var counts []interfaceCount
	for _, c := range found {
		counts = append(counts, c)
	}
	slices.SortFunc(counts, func(a, b interfaceCount) int {
		return cmp.Or(cmp.Compare(b.all, a.all), cmp.Compare(b.own, a.own), cmp.Compare(a.folder+a.name, b.folder+b.name))
	})
	return counts
}
