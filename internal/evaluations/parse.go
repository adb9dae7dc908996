package evaluations

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/yamlnode"
)

// Suffix ends the names of the files of sets: "assistant.eval.yaml" tests the agent assistant.
const Suffix = ".eval.yaml"

// Bounds of a set.
const (
	maxFileBytes = 1 << 20
	maxCases     = 200
	maxChecks    = 50 // of a case
	maxFiles     = 32 // of a case
	maxTurns     = 200
	maxRepeats   = 50
	maxName      = 100
	maxProblems  = 50 // told of one file
)

// What a set says that says nothing.
const (
	defaultRepeats = 1
	defaultPass    = 1.0
)

// Parse reads an evaluation set. file is the path that problems name; its base must be the agent's name with Suffix. With
// any problem the set is not usable, and every problem that could be found in one pass is returned.
func Parse(file string, content []byte, known Known) (core.EvaluationSet, []Problem) {
	sum := sha256.Sum256(content)
	r := &reader{file: file, known: known, set: core.EvaluationSet{
		Agent: agentOf(file), Version: hex.EncodeToString(sum[:])[:12], Repeats: defaultRepeats, Pass: defaultPass, Cases: []core.EvaluationCase{},
	}}
	r.read(content)
	return r.set, r.problems
}

// agentOf is the agent's name that a file's path says.
func agentOf(file string) string { return strings.TrimSuffix(path.Base(file), Suffix) }

// reader collects what one file says.
type reader struct {
	file     string
	known    Known
	set      core.EvaluationSet
	problems []Problem
}

func (r *reader) problem(line int, format string, args ...any) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, Problem{File: r.file, Line: line, Message: fmt.Sprintf(format, args...)})
	}
}

func (r *reader) read(content []byte) {
	if len(content) > maxFileBytes {
		r.problem(0, "the file is larger than 1 MB")
		return
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	for i, line := range bytes.Split(content, []byte("\n")) {
		if !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
			r.problem(i+1, "this line is not UTF-8 text; save the file as UTF-8")
			return
		}
	}
	root, line, err := yamlnode.Parse(content)
	if err != nil {
		r.problem(line, "%s", err)
		return
	}
	if root == nil {
		r.problem(0, `the file is empty; at least "agent" and "cases" belong here`)
		return
	}
	seen := r.mapping(root, 1, "an evaluation set", "key", map[string]field{
		"agent":   r.agent,
		"repeats": func(n ast.Node, l int) { r.set.Repeats = r.whole(n, l, "repeats", maxRepeats) },
		"pass":    r.pass,
		"judge":   r.judge,
		"cases":   r.cases,
	})
	if seen == nil {
		return
	}
	for _, key := range []string{"agent", "cases"} {
		if !seen[key] {
			r.problem(1, "%q is missing", key)
		}
	}
}

// field reads the value of one key; line is the key's.
type field func(value ast.Node, line int)

// mapping calls the field of each key, and returns the keys that are there, nil if n is no mapping.
func (r *reader) mapping(n ast.Node, line int, what, kind string, fields map[string]field) map[string]bool {
	entries, ok := yamlnode.Mapping(n)
	if !ok {
		r.problem(line, `%s must be lines of "key: value", not %s`, what, yamlnode.Describe(n))
		return nil
	}
	seen := map[string]bool{}
	for _, e := range entries {
		key, at := yamlnode.Key(e), yamlnode.Line(e.Key)
		read, ok := fields[key]
		switch {
		case !ok:
			r.problem(at, "%s", r.known.unknown(kind, key, keysOf(fields)))
		case seen[key]:
			r.problem(at, "%s %q stands here a second time", kind, key)
		default:
			read(e.Value, at)
		}
		seen[key] = true
	}
	return seen
}

func keysOf(fields map[string]field) []string {
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// list returns the items of a list of 1 to most.
func (r *reader) list(n ast.Node, line int, what string, most int) []ast.Node {
	items, ok := yamlnode.Sequence(n)
	switch {
	case !ok:
		r.problem(line, `%s must be a list, each item after a "-", not %s`, what, yamlnode.Describe(n))
	case len(items) == 0:
		r.problem(line, "%s is empty", what)
	case len(items) > most:
		r.problem(line, "%s has %d items; at most %d are allowed", what, len(items), most)
		return nil
	}
	return items
}

// text reads a string that is not empty. Numbers and booleans are taken as they are written: an answer may be 391.
func (r *reader) text(n ast.Node, line int, what string) string {
	s, ok := yamlnode.String(n)
	if !ok {
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			s, ok = n.GetToken().Value, true
		}
	}
	switch {
	case !ok:
		r.problem(line, "%s must be text, not %s", what, yamlnode.Describe(n))
	case strings.TrimSpace(s) == "":
		r.problem(line, "%s is empty", what)
	}
	return s
}

// whole reads a whole number from 1 to most.
func (r *reader) whole(n ast.Node, line int, what string, most int64) int {
	v, ok := yamlnode.Integer(n)
	if !ok || v < 1 || v > most {
		r.problem(line, "%s must be a whole number from 1 to %d, not %s", what, most, yamlnode.Describe(n))
		return 1
	}
	return int(v)
}

func (r *reader) agent(n ast.Node, line int) {
	if name := r.text(n, line, "agent"); name != "" && name != r.set.Agent {
		r.problem(line, "the agent %q is not the one that the file is called after, %q: rename one of them", name, r.set.Agent)
	}
}

func (r *reader) pass(n ast.Node, line int) {
	v, ok := yamlnode.Number(n)
	if !ok || v <= 0 || v > 1 || math.IsNaN(v) {
		r.problem(line, "pass must be the share of tries that must pass, above 0 and at most 1, not %s", yamlnode.Describe(n))
		return
	}
	r.set.Pass = v
}

func (r *reader) judge(n ast.Node, line int) {
	r.set.Judge = r.text(n, line, "judge")
	if r.known.CheckModel != nil && r.set.Judge != "" {
		if err := r.known.CheckModel(r.set.Judge); err != nil {
			r.problem(line, "judge: %s", core.MessageOf(err))
		}
	}
}
