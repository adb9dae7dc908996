package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// codes reads the codes from core's source, so that a new one cannot be forgotten here.
func codes(t *testing.T) []core.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../core/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []core.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		for _, v := range spec.Values {
			text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, core.Code(text))
		}
		return true
	})
	return all
}

func TestEveryCodeHasAnExitCode(t *testing.T) {
	t.Parallel()
	all := codes(t)
	if len(all) < 15 {
		t.Fatalf("only %d codes found in core/error.go: %v", len(all), all)
	}
	for _, code := range all {
		exit, ok := exitOf(code)
		if !ok || exit == exitOK || exitMeaning(exit) == "" {
			t.Errorf("code %q has exit code %d (listed: %v)", code, exit, ok)
		}
	}
	if exit, ok := exitOf("no_such_code"); ok || exit != exitFailed {
		t.Errorf("an unknown code has exit code %d (listed: %v)", exit, ok)
	}
}
