// Package tests holds what no single package can check: that the layers keep apart, that the documentation is true and
// that the generated files are current. It knows the repository from outside and imports internal/app, config and core
// only; tests of a package's behaviour stay beside its code.
package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Lines of a file: more than soft is reported, more than hard fails.
const (
	softLines     = 400
	hardLines     = 600
	hardTestLines = 1000
)

// gateTags are the build tags of the gates, whose files must keep the rules too.
const gateTags = "bench,chaos,e2e,hostile"

func TestPackagesKeepToTheirLayers(t *testing.T) {
	t.Parallel()
	report(t, checkLayers(packages(t), layers(), exceptions()))
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.Doc == "" && !documented(t, p) {
			t.Errorf("%s has no package comment; say what it owns and what it must not know", p.Path)
		}
	}
}

func TestSourcesKeepTheRules(t *testing.T) {
	t.Parallel()
	usedSQL := map[string]bool{}
	for _, p := range packages(t) {
		files := sources(t, p)
		consts := map[string]bool{}
		for _, s := range files {
			for name := range constsIn(s.File) {
				consts[name] = true
			}
		}
		for _, s := range files {
			report(t, checkEngine(s))
			report(t, checkPure(s))
			report(t, checkServers(s, servers()))
			report(t, checkState(s, mutableVars()))
			report(t, checkSQL(s, consts, builtSQL(), usedSQL))
		}
	}
	for name := range builtSQL() {
		if !usedSQL[name] {
			t.Errorf("the exception for SQL in %s is not needed; remove it", name)
		}
	}
}

func TestFilesStayShort(t *testing.T) {
	t.Parallel()
	for _, name := range tracked(t) {
		if !slices.Contains([]string{".go", ".ts", ".tsx"}, filepath.Ext(name)) {
			continue
		}
		content := read(t, name)
		lines := bytes.Count(content, []byte("\n"))
		limit := hardLines
		if isTestFile(name) {
			limit = hardTestLines
		}
		switch {
		case generated(content):
		case lines > limit:
			t.Errorf("%s has %d lines; at most %d are allowed: split it by what it is about", name, lines, limit)
		case lines > softLines && !isTestFile(name):
			t.Logf("%s has %d lines; aim for %d or fewer", name, lines, softLines)
		}
	}
}

func report(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

// root is the repository.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(dir)
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// tracked are the files that belong to the repository: committed, or new and not ignored.
func tracked(t testing.TB) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("git cannot list the files (%v); this test needs a checkout", err)
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join(root(t), name)); err == nil {
			names = append(names, name)
		}
	}
	return names
}

func isTestFile(name string) bool {
	return strings.HasSuffix(name, "_test.go") || strings.Contains(name, ".test.") || strings.Contains(filepath.ToSlash(name), "/dev/")
}

func generated(content []byte) bool {
	head := content[:min(len(content), 200)]
	return bytes.Contains(head, []byte("generated")) && (bytes.Contains(head, []byte("DO NOT EDIT")) || bytes.Contains(head, []byte("Do not make direct changes")))
}

// packages are the packages of this module, under every build tag that the gates use.
func packages(t *testing.T) []pkg {
	t.Helper()
	var out []pkg
	for _, tags := range []string{"", gateTags} {
		for _, p := range listPackages(t, tags) {
			if i := slices.IndexFunc(out, func(have pkg) bool { return have.Path == p.Path }); i >= 0 {
				out[i].Imports = union(out[i].Imports, p.Imports)
				out[i].Files = union(out[i].Files, p.Files)
				continue
			}
			out = append(out, p)
		}
	}
	if len(out) < 10 {
		t.Fatalf("found %d packages; something is wrong with this test", len(out))
	}
	return out
}

func union(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

func listPackages(t *testing.T, tags string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-tags", tags,
		"-json=ImportPath,Dir,Doc,Imports,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir, Doc                                         string
			Imports                                                      []string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		have := pkg{Path: strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"), Dir: p.Dir, Doc: p.Doc}
		for _, i := range p.Imports {
			if below, ok := strings.CutPrefix(i, module+"/"); ok {
				have.Imports = append(have.Imports, below)
			}
		}
		have.Files = slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles)
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo; the binary is pure Go", have.Path)
		}
		pkgs = append(pkgs, have)
	}
}

// sources parses the files of a package.
func sources(t *testing.T, p pkg) []source {
	t.Helper()
	var out []source
	for _, name := range p.Files {
		full := filepath.Join(p.Dir, name)
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, full, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			t.Fatalf("parse %s: %v", name, err)
		}
		out = append(out, source{
			Name: filepath.Join(p.Path, name), Pkg: p.Path, Fset: fset, File: file,
			Test: strings.HasSuffix(name, "_test.go") || strings.HasSuffix(p.Path, "test") || strings.HasPrefix(p.Path, "tests"),
		})
	}
	return out
}

// documented says whether a package that has test files only has a comment in one of them.
func documented(t *testing.T, p pkg) bool {
	t.Helper()
	return slices.ContainsFunc(sources(t, p), func(s source) bool { return s.File.Doc != nil })
}

// parse makes a source from a text, for the tests of the checks.
func parse(t *testing.T, pkgPath, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "fake.go", text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return source{Name: fmt.Sprintf("%s/fake.go", pkgPath), Pkg: pkgPath, Fset: fset, File: file}
}
