package main

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/tools/go/packages"
)

// method is one with a body.
type method struct {
	at, folder, full string
	declared         *ast.FuncDecl
	object           *types.Func
	// comment is its own, or that of the interface it is asked for by.
	comment string
	// writes says that it changes what its receiver has, calls are the methods it
	// calls on its receiver or on what lies within that.
	writes bool
	calls  []string
}

// comments are those of the module's functions, methods and methods of interfaces.
func (s *search) comments() map[string]string {
	comments := map[string]string{}
	note := func(id *ast.Ident, doc *ast.CommentGroup) {
		comments[s.set.Position(id.Pos()).String()] = strings.TrimSpace(doc.Text())
	}
	for _, p := range s.all {
		for _, f := range p.Syntax {
			ast.Inspect(f, func(at ast.Node) bool {
				switch at := at.(type) {
				case *ast.FuncDecl:
					note(at.Name, at.Doc)
				case *ast.InterfaceType:
					for _, m := range at.Methods.List {
						for _, id := range m.Names {
							note(id, m.Doc)
						}
					}
				}
				return true
			})
		}
	}
	return comments
}

// verbs are the words that act: what returns nothing can be named for what it does
// only, so the first words of such functions are verbs, in the module and in what it
// imports; and so are those that a comment of a function says it does.
func (s *search) verbs(comments map[string]string) map[string]bool {
	verbs := map[string]bool{}
	for _, c := range comments {
		if words := strings.Fields(c); len(words) > 1 && !slices.Contains(givesBack, words[1]) {
			verbs[strings.TrimSuffix(words[1], "s")], verbs[strings.TrimSuffix(words[1], "es")] = true, true
		}
	}
	eachFunction(s.all, func(f *types.Func) {
		if results := f.Signature().Results(); results.Len() == 0 || results.Len() == 1 && results.At(0).Type().String() == "error" {
			verbs[firstWord(f.Name())] = true
		}
	})
	return verbs
}

// eachFunction calls do for all functions and methods of packages and of what they
// import.
func eachFunction(of []*packages.Package, do func(*types.Func)) {
	seen := map[*types.Package]bool{}
	var visit func(p *types.Package)
	visit = func(p *types.Package) {
		if seen[p] {
			return
		}
		seen[p] = true
		for _, n := range p.Scope().Names() {
			switch o := p.Scope().Lookup(n).(type) {
			case *types.Func:
				do(o)
			case *types.TypeName:
				if named, ok := o.Type().(*types.Named); ok {
					for m := range named.Methods() {
						do(m)
					}
				}
			}
		}
		for _, imported := range p.Imports() {
			visit(imported)
		}
	}
	for _, p := range of {
		visit(p.Types)
	}
}

// firstWord of a name in camel case, in small letters.
func firstWord(name string) string {
	end := 1
	for end < len(name) && !unicode.IsUpper(rune(name[end])) {
		end++
	}
	return strings.ToLower(name[:end])
}

// givesBack are the words by which a comment says that something is asked for, as Go's
// conventions have them.
var givesBack = []string{"is", "are", "has", "returns", "reports", "gives", "says", "tells", "lists", "counts"}

// writingGetters are the methods that read like getters and change what their receiver
// has. A method reads like one when it returns something, its name has no verb, and
// its comment says that it is, has or gives something, or there is none.
func (s *search) writingGetters() (found []*method) {
	methods, comments := map[string]*method{}, s.comments()
	for _, p := range s.all {
		for _, f := range p.Syntax {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Body != nil && !s.inTest(fn.Pos()) {
					m := s.methodOf(p, fn)
					methods[m.at] = m
				}
			}
		}
	}
	spread(methods)
	verbs, promised := s.verbs(comments), s.promised(comments)
	for _, m := range methods {
		if m.comment = comments[m.at]; strings.Contains(m.comment, " implements ") {
			m.comment = promised[m.object.Name()]
		}
		if m.writes && m.object.Signature().Results().Len() > 0 && !verbs[firstWord(m.object.Name())] && m.soundsIdle() {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b *method) int { return cmp.Compare(a.at, b.at) })
	return found
}

// soundsIdle reports whether a method's comment speaks of nothing it does.
func (m *method) soundsIdle() bool {
	words := strings.Fields(m.comment)
	return len(words) < 2 || slices.Contains(givesBack, words[1])
}

// spread lets a method write that calls one that does.
func spread(methods map[string]*method) {
	for again := true; again; {
		again = false
		for _, m := range methods {
			if !m.writes && slices.ContainsFunc(m.calls, func(at string) bool { return methods[at] != nil && methods[at].writes }) {
				m.writes, again = true, true
			}
		}
	}
}

// promised are the comments of the methods that the module's interfaces ask for.
func (s *search) promised(comments map[string]string) map[string]string {
	promised := map[string]string{}
	for _, p := range s.all {
		for _, n := range p.Types.Scope().Names() {
			t, ok := p.Types.Scope().Lookup(n).(*types.TypeName)
			if !ok {
				continue
			}
			if i, ok := t.Type().Underlying().(*types.Interface); ok {
				for m := range i.ExplicitMethods() {
					if c := comments[s.at(m)]; c != "" {
						promised[m.Name()] = c
					}
				}
			}
		}
	}
	return promised
}

func (s *search) methodOf(p *packages.Package, fn *ast.FuncDecl) *method {
	object := p.TypesInfo.Defs[fn.Name].(*types.Func)
	m := &method{at: s.at(object), folder: s.folder(fn.Pos()), full: receiverOf(fn) + "." + fn.Name.Name, declared: fn, object: object}
	r := reach{info: p.TypesInfo, of: map[types.Object]bool{}}
	if names := fn.Recv.List[0].Names; len(names) == 1 {
		r.of[p.TypesInfo.Defs[names[0]]] = true
	}
	ast.Inspect(fn.Body, func(at ast.Node) bool {
		switch at := at.(type) {
		case *ast.AssignStmt:
			r.alias(at)
			m.writes = m.writes || at.Tok != token.DEFINE && slices.ContainsFunc(at.Lhs, r.writes)
		case *ast.IncDecStmt:
			m.writes = m.writes || r.writes(at.X)
		case *ast.ReturnStmt:
			// What is returned runs later, if ever.
			return !slices.ContainsFunc(at.Results, isLiteral)
		case *ast.CallExpr:
			if r.later(at) {
				return false
			}
			called, writes := r.call(at)
			m.writes = m.writes || writes
			if called != nil {
				m.calls = append(m.calls, s.at(called))
			}
		}
		return true
	})
	return m
}

func isLiteral(e ast.Expr) bool {
	_, ok := e.(*ast.FuncLit)
	return ok
}

// reach knows what belongs to a receiver: itself, and what variables were made from it.
type reach struct {
	info *types.Info
	of   map[types.Object]bool
}

// holds reports whether an expression is part of the receiver, and whether others
// share it: what is written to a copy is seen by nobody.
func (r *reach) holds(e ast.Expr) (part, shared bool) {
	switch e := e.(type) {
	case *ast.Ident:
		o := r.info.ObjectOf(e)
		return r.of[o], o != nil && refers(o.Type())
	case *ast.ParenExpr:
		return r.holds(e.X)
	case *ast.StarExpr:
		part, _ = r.holds(e.X)
		return part, true
	case *ast.SelectorExpr:
		return r.member(e.X, e)
	case *ast.IndexExpr:
		return r.member(e.X, e)
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			return r.holds(e.X)
		}
	}
	return false, false
}

func (r *reach) member(of, e ast.Expr) (part, shared bool) {
	part, shared = r.holds(of)
	return part, shared || refers(r.info.TypeOf(of)) || refers(r.info.TypeOf(e))
}

// refers says whether what is written behind a value of a type is seen by all who
// have the value.
func refers(t types.Type) bool {
	if t == nil {
		return false
	}
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Map, *types.Slice:
		return true
	}
	return false
}

// writes reports whether to assign to an expression changes the receiver.
func (r *reach) writes(e ast.Expr) bool {
	var of ast.Expr
	switch e := e.(type) {
	case *ast.ParenExpr:
		return r.writes(e.X)
	case *ast.SelectorExpr:
		of = e.X
	case *ast.IndexExpr:
		of = e.X
	case *ast.StarExpr:
		of = e.X
	default:
		return false
	}
	part, shared := r.holds(of)
	return part && shared
}

// alias notes variables that refer to part of the receiver, and those that do no more.
func (r *reach) alias(a *ast.AssignStmt) {
	if len(a.Lhs) != len(a.Rhs) {
		return
	}
	for i, right := range a.Rhs {
		id, ok := a.Lhs[i].(*ast.Ident)
		if !ok {
			continue
		}
		if part, _ := r.holds(right); part && refers(r.info.TypeOf(right)) {
			r.of[r.info.ObjectOf(id)] = true
		} else {
			delete(r.of, r.info.ObjectOf(id))
		}
	}
}

// later reports whether what a call is given runs later, or once whoever asks:
// handlers, and what sync.Once does.
func (r *reach) later(c *ast.CallExpr) bool {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	o := r.info.Uses[sel.Sel]
	return o != nil && o.Pkg() != nil && (o.Pkg().Path() == "net/http" || o.Pkg().Path() == "sync" && o.Name() == "Do")
}

// within reports whether an expression is the receiver or lies within it, and is not
// something of its own that the receiver knows.
func (r *reach) within(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return r.of[r.info.ObjectOf(e)]
	case *ast.SelectorExpr:
		if _, own := r.info.TypeOf(e).Underlying().(*types.Struct); own {
			return r.within(e.X)
		}
	}
	return false
}

// call returns the method that is called on part of the receiver, and whether the
// call itself writes.
func (r *reach) call(c *ast.CallExpr) (called *types.Func, writes bool) {
	switch fun := c.Fun.(type) {
	case *ast.Ident:
		if b, ok := r.info.Uses[fun].(*types.Builtin); ok && (b.Name() == "delete" || b.Name() == "clear") {
			part, _ := r.holds(c.Args[0])
			return nil, part
		}
	case *ast.SelectorExpr:
		f, ok := r.info.Uses[fun.Sel].(*types.Func)
		if part, _ := r.holds(fun.X); !ok || !part || f.Pkg() == nil {
			return nil, false
		}
		if f.Pkg().Path() == "sync/atomic" {
			return nil, f.Name() != "Load"
		}
		if r.within(fun.X) {
			return f.Origin(), false
		}
	}
	return nil, false
}
