package main

import (
	"cmp"
	"errors"
	"go/ast"
	"go/token"
	"go/types"
	"iter"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// name is something exported, outside tests: of a package, or of a type.
type name struct {
	at     string // where it is declared, the same in every build of its package
	folder string
	full   string // such as Client.Send
	object types.Object
	// whole says that a decoder or the type around it has it, read that it comes
	// from a variable of the environment.
	whole, read bool
	// block is where the declaration of a group of constants begins.
	block token.Pos
	// called counts uses at all, inside those by the package itself, other those by
	// other packages and their tests, outsiders those by tests of its own that see
	// no more than an outsider does.
	called, inside, other, outsiders int
	// given counts how often a field is set by others or by tests.
	given int
}

// search finds who uses which exported name, as the compiler resolves it.
type search struct {
	top   string
	set   *token.FileSet
	all   []*packages.Package
	names map[string]*name
	// asked are the positions of methods that an interface asks for, members of
	// types that stand for an exported interface of their own package.
	asked, members map[string]bool
}

// findNames loads everything below dir, tests and build tags included.
func findNames(dir string) (*search, error) {
	top, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &search{top: top, set: token.NewFileSet(), names: map[string]*name{}, asked: map[string]bool{}, members: map[string]bool{}}
	s.all, err = packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
		Dir:  top, Fset: s.set, Tests: true, BuildFlags: []string{"-tags=e2e,mount"},
	}, "./...")
	for _, p := range s.all {
		for _, e := range p.Errors {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, p := range s.all {
		s.declared(p.Types.Scope())
	}
	for _, p := range s.all {
		s.count(p)
		s.blocks(p)
	}
	s.ask()
	return s, nil
}

// folder is where something is declared or used, from the top.
func (s *search) folder(p token.Pos) string {
	below, err := filepath.Rel(s.top, filepath.Dir(s.set.Position(p).Filename))
	if err != nil {
		return ""
	}
	return filepath.ToSlash(below)
}

func (s *search) at(o types.Object) string { return s.set.Position(o.Pos()).String() }

func (s *search) inTest(p token.Pos) bool {
	return strings.HasSuffix(s.set.Position(p).Filename, "_test.go")
}

func (s *search) add(full string, o types.Object, whole bool) {
	at := s.at(o)
	if o.Exported() && !s.inTest(o.Pos()) && s.names[at] == nil {
		s.names[at] = &name{at: at, folder: s.folder(o.Pos()), full: full, object: o, whole: whole}
	}
}

func (s *search) declared(scope *types.Scope) {
	for _, n := range scope.Names() {
		o := scope.Lookup(n)
		s.add(n, o, false)
		t, ok := o.(*types.TypeName)
		if !ok {
			continue
		}
		if named, ok := t.Type().(*types.Named); ok {
			for m := range named.Methods() {
				s.add(n+"."+m.Name(), m, false)
			}
		}
		if fields, ok := t.Type().Underlying().(*types.Struct); ok && t.Exported() {
			s.fields(t, fields)
		}
	}
}

func (s *search) fields(of *types.TypeName, fields *types.Struct) {
	for i := range fields.NumFields() {
		f, tag := fields.Field(i), reflect.StructTag(fields.Tag(i))
		read := tag.Get("env") != ""
		encoded := tag != "" && !read
		s.add(of.Name()+"."+f.Name(), f, f.Embedded() || encoded)
		if n := s.names[s.at(f)]; n != nil {
			n.read = read
		}
		if n := s.names[s.at(of)]; n != nil && encoded {
			n.whole = true
		}
	}
}

// count notes every use, once in each build of a package.
func (s *search) count(p *packages.Package) {
	for id, o := range p.TypesInfo.Uses {
		s.use(p, id.Pos(), o)
	}
	s.fill(p)
}

func (s *search) use(p *packages.Package, where token.Pos, o types.Object) {
	n := s.nameOf(o)
	if n == nil {
		return
	}
	n.called++
	switch {
	case s.folder(where) != n.folder:
		n.other++
	case !s.inTest(where):
		n.inside++
	case strings.HasSuffix(p.Name, "_test"):
		n.outsiders++
	}
}

// fill counts the fields of literals that do not name them, and who sets fields.
func (s *search) fill(p *packages.Package) {
	visit := func(at ast.Node) bool {
		switch at := at.(type) {
		case *ast.KeyValueExpr:
			s.give(p, at.Key)
		case *ast.AssignStmt:
			for _, left := range at.Lhs {
				s.give(p, left)
			}
		case *ast.CompositeLit:
			s.give(p, at)
		}
		return true
	}
	for _, f := range p.Syntax {
		ast.Inspect(f, visit)
	}
}

// give notes that something sets a field, or a literal all fields.
func (s *search) give(p *packages.Package, at ast.Expr) {
	switch at := at.(type) {
	case *ast.SelectorExpr:
		s.give(p, at.Sel)
	case *ast.Ident:
		if n := s.nameOf(p.TypesInfo.Uses[at]); n != nil && (s.folder(at.Pos()) != n.folder || s.inTest(at.Pos())) {
			n.given++
		}
	case *ast.CompositeLit:
		fields, ok := p.TypesInfo.TypeOf(at).Underlying().(*types.Struct)
		if !ok || len(at.Elts) == 0 {
			return
		}
		if _, keyed := at.Elts[0].(*ast.KeyValueExpr); !keyed {
			for v := range fields.Fields() {
				s.use(p, at.Pos(), v)
			}
		}
	}
}

func (s *search) nameOf(o types.Object) *name {
	if o == nil || o.Pos() == token.NoPos {
		return nil
	}
	return s.names[s.at(o)]
}

// blocks notes which constants are declared together.
func (s *search) blocks(p *packages.Package) {
	for _, f := range p.Syntax {
		for _, d := range f.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				for _, id := range spec.(*ast.ValueSpec).Names {
					if n := s.names[s.set.Position(id.Pos()).String()]; n != nil && n.block == token.NoPos {
						n.block = group.Pos()
					}
				}
			}
		}
	}
}

// ask finds the methods that some interface asks for, be it ours or a library's.
func (s *search) ask() {
	interfaces := s.interfaces()
	for _, p := range s.all {
		scope := p.Types.Scope()
		for _, n := range scope.Names() {
			if t, ok := scope.Lookup(n).(*types.TypeName); ok && !types.IsInterface(t.Type()) {
				s.askOf(t, interfaces)
			}
		}
	}
}

func (s *search) askOf(t *types.TypeName, interfaces []namedInterface) {
	methods := types.NewMethodSet(types.NewPointer(t.Type()))
	for _, i := range interfaces {
		if !fulfils(methods, i.Interface) {
			continue
		}
		for m := range i.Methods() {
			s.asked[s.at(methods.Lookup(m.Pkg(), m.Name()).Obj())] = true
		}
		if i.name.Exported() && i.name.Pkg() == t.Pkg() {
			s.members[s.at(t)] = true
		}
	}
	// Package errors, and http's ResponseController, ask without a name.
	for _, m := range []string{"Unwrap", "Is", "As"} {
		if found := methods.Lookup(nil, m); found != nil {
			s.asked[s.at(found.Obj())] = true
		}
	}
}

// fulfils compares names only: a type seen by its own tests is another one for
// the compiler than the same type seen by others.
func fulfils(methods *types.MethodSet, i *types.Interface) bool {
	for m := range i.Methods() {
		if methods.Lookup(m.Pkg(), m.Name()) == nil {
			return false
		}
	}
	return true
}

type namedInterface struct {
	*types.Interface
	name types.Object
}

// interfaces are those of all packages and of what they import.
func (s *search) interfaces() (found []namedInterface) {
	add := func(o types.Object) {
		if t, ok := o.(*types.TypeName); ok {
			if i, ok := t.Type().Underlying().(*types.Interface); ok && i.NumMethods() > 0 {
				found = append(found, namedInterface{i, o})
			}
		}
	}
	add(types.Universe.Lookup("error"))
	seen := map[*types.Package]bool{}
	var visit func(p *types.Package)
	visit = func(p *types.Package) {
		if seen[p] {
			return
		}
		seen[p] = true
		for _, n := range p.Scope().Names() {
			add(p.Scope().Lookup(n))
		}
		for _, imported := range p.Imports() {
			visit(imported)
		}
	}
	for _, p := range s.all {
		visit(p.Types)
	}
	return found
}

// published are the packages that programs outside are written against, adapters
// in somebody's copy among them. All others serve this program only.
var published = []string{
	"bridge", "bridge/bridgetest", "bridge/farside", "bridge/served", "config", "connector", "connector/lpsim", "connector/lpsim/scenario", "lpauth",
}

// idle returns the exported names that are exported for nobody. A name is for
// somebody when
//
//   - another package uses it, be it in a test,
//   - it is a method and an interface asks for it,
//   - it is the New of a package, which is offered together with what it makes,
//   - it belongs to a type or group of constants that is for somebody: the types of
//     its signature and fields, the constants declared with one,
//   - it is a type that is encoded, or its field: documents show it,
//
// and in a published package also when
//
//   - a test or example of its own that sees no more than an outsider (package
//     x_test) uses it,
//   - it is a field, an error or a word of a protocol that the package itself uses:
//     it heeds what is set or fills what is read, callers must be able to tell its
//     errors apart, and words are offered with the fields that hold them,
//   - it is a type that stands for an exported interface of the package.
//
// A method of an interface must be called, a variable of the environment read, and
// an option (field of an …Options or …Config) set by others or by a test.
func (s *search) idle() (idle []*name) {
	kept := s.kept()
	for _, n := range s.names {
		if !kept[n.at] || n.isOption() && n.given == 0 {
			idle = append(idle, n)
		}
	}
	slices.SortFunc(idle, func(a, b *name) int {
		return cmp.Or(cmp.Compare(a.folder, b.folder), cmp.Compare(a.full, b.full))
	})
	return idle
}

func (n *name) isOption() bool {
	of, _, isMember := strings.Cut(n.full, ".")
	field, ok := n.object.(*types.Var)
	return isMember && ok && field.IsField() && !n.whole && !n.read && (strings.HasSuffix(of, "Options") || strings.HasSuffix(of, "Config"))
}

// kept are the positions of the names that are for somebody.
func (s *search) kept() map[string]bool {
	kept, blocks, values := map[string]bool{}, map[token.Pos][]*name{}, map[string][]*name{}
	for _, n := range s.names {
		if n.block != token.NoPos {
			blocks[n.block] = append(blocks[n.block], n)
			eachNamed(n.object.Type(), func(of *types.TypeName) { values[s.at(of)] = append(values[s.at(of)], n) })
		}
	}
	var keep func(n *name)
	see := func(o *types.TypeName) {
		if n := s.names[s.at(o)]; n != nil {
			keep(n)
		}
	}
	keep = func(n *name) {
		if kept[n.at] {
			return
		}
		kept[n.at] = true
		for _, c := range slices.Concat(blocks[n.block], values[n.at]) {
			keep(c)
		}
		of := n.object.Type()
		if t, ok := n.object.(*types.TypeName); ok {
			of = t.Type().Underlying()
		}
		eachNamed(of, see)
	}
	for _, n := range s.names {
		if s.forSomebody(n) {
			keep(n)
		}
	}
	return kept
}

func (s *search) forSomebody(n *name) bool {
	public := slices.Contains(published, n.folder)
	switch o := n.object.(type) {
	case *types.Func:
		if receiver := o.Signature().Recv(); receiver != nil && types.IsInterface(receiver.Type()) {
			return n.called > 0
		}
		if s.asked[n.at] || n.full == "New" {
			return true
		}
	case *types.TypeName:
		if public && s.members[n.at] {
			return true
		}
	case *types.Const:
		if public && n.inside > 0 && types.Identical(o.Type().Underlying(), types.Typ[types.UntypedString]) {
			return true
		}
	case *types.Var:
		if public && n.inside > 0 && (o.IsField() || strings.HasPrefix(n.full, "Err")) {
			return true
		}
	}
	return n.whole || n.read && n.inside > 0 || n.other > 0 || public && n.outsiders > 0
}

// eachNamed calls f for every type that has a name and is part of another, as
// far as an outsider can see.
func eachNamed(t types.Type, f func(*types.TypeName)) {
	switch t := t.(type) {
	case *types.Named:
		f(t.Obj())
		for a := range t.TypeArgs().Types() {
			eachNamed(a, f)
		}
	case *types.Alias:
		f(t.Obj())
	case *types.Map:
		eachNamed(t.Key(), f)
		eachNamed(t.Elem(), f)
	case interface{ Elem() types.Type }:
		eachNamed(t.Elem(), f)
	default:
		for part := range parts(t) {
			eachNamed(part, f)
		}
	}
}

// parts are the types that one without a name is made of.
func parts(t types.Type) iter.Seq[types.Type] {
	return func(yield func(types.Type) bool) {
		switch t := t.(type) {
		case *types.Signature:
			_ = eachOf(t.Params().Variables(), yield) && eachOf(t.Results().Variables(), yield)
		case *types.Struct:
			eachOf(t.Fields(), yield)
		case *types.Interface:
			for embedded := range t.EmbeddedTypes() {
				if !yield(embedded) {
					return
				}
			}
			for m := range t.ExplicitMethods() {
				if !yield(m.Type()) {
					return
				}
			}
		}
	}
}

// eachOf gives the types of variables; of fields only those of exported ones.
func eachOf(variables iter.Seq[*types.Var], yield func(types.Type) bool) bool {
	for v := range variables {
		if (!v.IsField() || v.Exported()) && !yield(v.Type()) {
			return false
		}
	}
	return true
}
