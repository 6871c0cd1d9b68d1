package main

import (
	"go/ast"
	"go/constant"
	"go/types"
	"slices"
)

// errorKey is under what errors are logged.
const errorKey = "error"

// strayErrors are the places where an error is logged under another key.
func (s *search) strayErrors() (found []string) {
	failure := types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
	for _, p := range s.all {
		for _, f := range p.Syntax {
			ast.Inspect(f, func(at ast.Node) bool {
				call, ok := at.(*ast.CallExpr)
				if !ok || !logs(p.TypesInfo, call) {
					return true
				}
				for i := 1; i < len(call.Args); i++ {
					key := p.TypesInfo.Types[call.Args[i-1]].Value
					value := p.TypesInfo.TypeOf(call.Args[i])
					if key != nil && key.Kind() == constant.String && constant.StringVal(key) != errorKey && types.Implements(value, failure) {
						found = append(found, s.set.Position(call.Args[i].Pos()).String())
					}
				}
				return true
			})
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// logs reports whether a call is one of log/slog.
func logs(info *types.Info, call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	o := info.Uses[sel.Sel]
	return o != nil && o.Pkg() != nil && o.Pkg().Path() == "log/slog"
}
