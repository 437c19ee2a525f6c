package internal_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// surface is how many exported names a package may have: those of the package and
// the methods of its exported types. Not counted are fields, methods that make a
// type an error or a Stringer, and those that only this module can call. Of
// supervisor's, 60 are for trees and 12 for pools and snapshots.
var surface = map[string]int{"actor": 150, "supervisor": 72, "shm": 40, "mailbox": 40, "transport": 40}

// inUse are the packages whose exported names all have a user in another package.
var inUse = []string{"mailbox", "transport"}

// implicit are methods that are called through interfaces of the standard library.
var implicit = []string{"Error", "Unwrap", "Is", "As", "String"}

// TestSurface counts exported names, and finds those without a user. It looks at
// the packages as the compiler does: what they export comes from the build cache.
func TestSurface(t *testing.T) {
	own, exports := packages(t, "-export", "-deps")
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })

	used := make(map[string]bool) // "package.Type.Method"
	for _, p := range own {
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
		if _, err := (&types.Config{Importer: from}).Check(module+p.ImportPath, fset, files, info); err != nil {
			t.Fatal(err)
		}
		for _, obj := range info.Uses {
			if obj.Pkg() != nil && obj.Pkg().Path() != module+p.ImportPath {
				name := nameOf(obj)
				used[name] = true
				used[name[:strings.LastIndexByte(name, '.')]] = true // with a method, its type
			}
		}
	}

	for path, most := range surface {
		pkg, err := from.Import(module + path)
		if err != nil {
			t.Fatal(err)
		}
		names := exportedNames(pkg)
		t.Logf("%s: %d of %d", path, len(names), most)
		for _, alias := range aliasesOfInternal(pkg) {
			t.Errorf("%s.%s is an alias of a type of an internal package: go doc does not show what it is", path, alias)
		}
		if len(names) > most {
			t.Errorf("%s exports %d names, at most %d are allowed: %s", path, len(names), most, strings.Join(names, " "))
		}
		if !slices.Contains(inUse, path) {
			continue
		}
		for _, name := range names {
			if !used[module+path+"."+name] {
				t.Errorf("%s.%s is exported and no other package uses it", path, name)
			}
		}
	}
}

// exportedNames are pkg's exported names, sorted: of the package, and Type.Method.
func exportedNames(pkg *types.Package) (names []string) {
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		if !ast.IsExported(name) {
			continue
		}
		names = append(names, name)
		tn, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || tn.IsAlias() {
			continue
		}
		named := tn.Type().(*types.Named)
		methods := func(n int, at func(int) *types.Func) {
			for i := range n {
				if m := at(i); m.Exported() && !slices.Contains(implicit, m.Name()) && !sealed(m) {
					names = append(names, name+"."+m.Name())
				}
			}
		}
		methods(named.NumMethods(), named.Method)
		if i, ok := named.Underlying().(*types.Interface); ok {
			methods(i.NumExplicitMethods(), i.ExplicitMethod)
		}
	}
	slices.Sort(names)
	return names
}

// sealed reports whether only this module can call m: it takes a
// [github.com/understudy-go/understudy/internal/seal.Seal].
func sealed(m *types.Func) bool {
	for v := range m.Signature().Params().Variables() {
		if v.Type().String() == module+"internal/seal.Seal" {
			return true
		}
	}
	return false
}

// aliasesOfInternal are pkg's exported types that are declared in an internal
// package.
func aliasesOfInternal(pkg *types.Package) (names []string) {
	for _, name := range pkg.Scope().Names() {
		tn, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || !tn.Exported() || !tn.IsAlias() {
			continue
		}
		if n, ok := types.Unalias(tn.Type()).(*types.Named); ok && strings.Contains(n.Obj().Pkg().Path(), "/internal/") {
			names = append(names, name)
		}
	}
	return names
}

// nameOf is how obj is told from others: its package, its type if it is a method,
// and its name.
func nameOf(obj types.Object) string {
	name := obj.Pkg().Path() + "."
	if f, ok := obj.(*types.Func); ok {
		f = f.Origin()
		if recv := f.Signature().Recv(); recv != nil {
			t := recv.Type()
			if p, ok := t.(*types.Pointer); ok {
				t = p.Elem()
			}
			if n, ok := t.(*types.Named); ok {
				name += n.Obj().Name() + "."
			}
		}
	}
	return name + obj.Name()
}
