package tests

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
)

// builtSQL are the functions that may give a database a text which is not a constant, each with its reason. A value of a
// user's never goes into such a text.
func builtSQL() map[string]string {
	return map[string]string{
		"core/orchestrator.indexEngineTables": "a list of constants",
		"internal/tools.attach":               "quotes the name of an attached file, which SQL cannot take as an argument",
		"internal/tools.insert":               "quotes the names of a CSV file's columns; values are arguments",
		"internal/tools.query":                "the agent's own query, on files that are attached read-only",
		"services/database.AddEvents":         "repeats a constant row of numbered placeholders",
		"services/database.Approvals":         "adds constant conditions with numbered placeholders",
		"services/database.List":              "adds constant conditions with numbered placeholders",
		"services/database.Lock":              "adds a constant that the dialect gives",
		"services/database.migrationTx":       "the embedded migrations",
		"services/database.exec":              "hands on what the callers of ExecContext gave",
		"services/database.query":             "hands on what the callers of QueryContext gave",
		"services/database.setPageSize":       "a list of constants",
		"services/database.take":              "compiles what the callers of ExecContext and QueryContext gave",
	}
}

// sqlMethods are the methods that take SQL, with the place of the text among the arguments.
func sqlMethods() map[string]int {
	return map[string]int{
		"Exec": 1, "Query": 1, "QueryRow": 1, "ExecContext": 1, "QueryContext": 1, "QueryRowContext": 1, "PrepareContext": 1, "Prepare": 1,
	}
}

// checkSQL finds SQL that is put together from more than constants. consts are the names of the package's constants.
// used collects the exceptions that were needed.
func checkSQL(s source, consts map[string]bool, allowed map[string]string, used map[string]bool) []string {
	if s.Test {
		return nil
	}
	var problems []string
	for _, d := range s.File.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		name := s.Pkg + "." + fn.Name.Name
		local := constsIn(fn.Body)
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			at, ok := sqlMethods()[sel.Sel.Name]
			if !ok || len(call.Args) <= at || !isContext(call.Args[0]) || constant(call.Args[at], consts, local) {
				return true
			}
			spread := call.Ellipsis.IsValid() && at == len(call.Args)-1 // a prepared statement's arguments
			if spread || passesOn(fn, call.Args[at]) {
				return true
			}
			if _, ok := allowed[name]; ok {
				used[name] = true
				return true
			}
			problems = append(problems, fmt.Sprintf("%s: %s runs SQL that is not a constant; use $N placeholders, or name the function in tests/sql_test.go with a reason", s.at(call), name))
			return true
		})
	}
	return problems
}

// passesOn says whether a method that takes SQL hands its own parameter to another one: then its callers are checked.
func passesOn(fn *ast.FuncDecl, arg ast.Expr) bool {
	id, ok := arg.(*ast.Ident)
	if _, takes := sqlMethods()[fn.Name.Name]; !ok || !takes || fn.Recv == nil {
		return false
	}
	return slices.ContainsFunc(fn.Type.Params.List, func(f *ast.Field) bool {
		return slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return n.Name == id.Name })
	})
}

// isContext says whether an expression looks like a context, the first argument of every method that takes SQL.
func isContext(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return slices.Contains([]string{"ctx", "watched", "life", "parent"}, e.Name)
	case *ast.SelectorExpr:
		return e.Sel.Name == "ctx"
	case *ast.CallExpr:
		sel, ok := e.Fun.(*ast.SelectorExpr)
		return ok && slices.Contains([]string{"Background", "WithoutCancel", "Context", "TODO"}, sel.Sel.Name)
	}
	return false
}

// constant says whether an expression is made of literals and constants only.
func constant(e ast.Expr, names ...map[string]bool) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.ParenExpr:
		return constant(e.X, names...)
	case *ast.BinaryExpr:
		return constant(e.X, names...) && constant(e.Y, names...)
	case *ast.Ident:
		return slices.ContainsFunc(names, func(m map[string]bool) bool { return m[e.Name] })
	}
	return false
}

// constsIn are the names of the constants that are declared in a node.
func constsIn(root ast.Node) map[string]bool {
	out := map[string]bool{}
	ast.Inspect(root, func(n ast.Node) bool {
		if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.CONST {
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range v.Names {
						out[name.Name] = true
					}
				}
			}
		}
		return true
	})
	return out
}
