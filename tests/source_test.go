package tests

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// source is one parsed Go file.
type source struct {
	Name string // path below the repository
	Pkg  string // path of its package below the module
	Test bool   // a _test.go file, or one of a package of test helpers
	Fset *token.FileSet
	File *ast.File
}

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.Name, s.Fset.Position(n.Pos()).Line)
}

// imports are the file's imports by the name that the file uses.
func (s source) imports() map[string]string {
	out := map[string]string{}
	for _, i := range s.File.Imports {
		target, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := target[strings.LastIndex(target, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		out[name] = target
	}
	return out
}

// engine is the durable engine; only core/orchestrator knows it.
const engine = "github.com/dbos-inc/dbos-transact-golang"

// checkEngine finds imports of the durable engine outside core/orchestrator.
func checkEngine(s source) []string {
	var problems []string
	for _, target := range s.imports() {
		if strings.HasPrefix(target, engine) && s.Pkg != "core/orchestrator" {
			problems = append(problems, fmt.Sprintf("%s imports the durable engine; only core/orchestrator may", s.Name))
		}
	}
	return problems
}

// checkPure finds what makes core/agents depend on more than its arguments: that would break replay.
func checkPure(s source) []string {
	if s.Test || s.Pkg != "core/agents" && !strings.HasPrefix(s.Pkg, "core/agents/") {
		return nil
	}
	var problems []string
	names := s.imports()
	for _, target := range names {
		for _, bad := range []string{"os", "net", "database/sql", "syscall", "math/rand", "crypto/rand", "log", "plugin", "unsafe"} {
			if target == bad || strings.HasPrefix(target, bad+"/") {
				problems = append(problems, fmt.Sprintf("%s imports %s; decisions depend on nothing but what they are given", s.Name, target))
			}
		}
	}
	ast.Inspect(s.File, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}
		if ok && names[x.Name] == "time" && slices.Contains(clock, sel.Sel.Name) {
			problems = append(problems, fmt.Sprintf("%s uses time.%s; decisions know no clock", s.at(sel), sel.Sel.Name))
		}
		return true
	})
	return problems
}

// servers are the only packages that may listen: the one server, and the search for a port for the local model server.
func servers() []string { return []string{"core/backend", "services/aimodels/local"} }

// checkServers finds servers and listeners outside their place.
func checkServers(s source, allowed []string) []string {
	if s.Test || slices.Contains(allowed, s.Pkg) {
		return nil
	}
	names := s.imports()
	var problems []string
	ast.Inspect(s.File, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		bad := map[string][]string{
			"net/http":          {"Server", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS"},
			"net":               {"Listen", "ListenTCP", "ListenUnix", "ListenUDP", "ListenPacket", "ListenConfig"},
			"net/http/httptest": {"NewServer", "NewTLSServer", "NewUnstartedServer"},
		}
		if slices.Contains(bad[names[x.Name]], sel.Sel.Name) {
			problems = append(problems, fmt.Sprintf("%s uses %s.%s; only %s may listen", s.at(sel), x.Name, sel.Sel.Name, strings.Join(allowed, ", ")))
		}
		return true
	})
	return problems
}

// mutableVars are package-level variables that have a reason.
func mutableVars() map[string]string {
	return map[string]string{
		"cmd/sutazai.version": "set by the linker",
	}
}

// checkState finds init functions and package-level variables that could change: errors, regular expressions, embedded
// files and assertions that a type implements an interface are the ones that cannot.
func checkState(s source, allowed map[string]string) []string {
	if s.Test {
		return nil
	}
	var problems []string
	names := s.imports()
	for _, d := range s.File.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				problems = append(problems, fmt.Sprintf("%s has an init function; wire it in internal/app", s.at(d)))
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR || embedded(d) {
				continue
			}
			for _, spec := range d.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for i, name := range v.Names {
					if _, named := allowed[s.Pkg+"."+name.Name]; named || name.Name == "_" || constantVar(v, i, names) {
						continue
					}
					problems = append(problems, fmt.Sprintf("%s: package-level variable %s; pass it as an argument or a field", s.at(name), name.Name))
				}
			}
		}
	}
	return problems
}

// embedded says whether a declaration is filled by the compiler.
func embedded(d *ast.GenDecl) bool {
	return d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// constantVar says whether a variable holds what is never changed after it was made.
func constantVar(v *ast.ValueSpec, i int, imports map[string]string) bool {
	of := func(e ast.Expr, pkg string, names ...string) bool {
		sel, ok := e.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		x, ok := sel.X.(*ast.Ident)
		return ok && imports[x.Name] == pkg && slices.Contains(names, sel.Sel.Name)
	}
	if v.Type != nil && of(v.Type, "embed", "FS") {
		return true
	}
	if i >= len(v.Values) {
		return false
	}
	if of(v.Values[i], "database/sql", "ErrNoRows") {
		return true
	}
	call, ok := v.Values[i].(*ast.CallExpr)
	return ok && (of(call.Fun, "errors", "New") || of(call.Fun, "fmt", "Errorf") || of(call.Fun, "regexp", "MustCompile") ||
		of(call.Fun, module+"/core", "Errorf"))
}
