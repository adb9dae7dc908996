package evaluations

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/schema"
	"github.com/sutazai/sutazai/internal/yamlnode"
)

func (r *reader) cases(n ast.Node, line int) {
	names, inputs := map[string]bool{}, map[string]bool{}
	for _, item := range r.list(n, line, "cases", maxCases) {
		at := yamlnode.Line(item)
		c := r.oneCase(item, at)
		switch {
		case c.Name != "" && names[c.Name]:
			r.problem(at, "another case has the name %q already", c.Name)
		case c.Input != "" && inputs[c.Input] && len(c.Script) > 0:
			r.problem(at, "another case has the same input; a scripted model could not tell them apart")
		}
		names[c.Name], inputs[c.Input] = true, true
		r.set.Cases = append(r.set.Cases, c)
	}
}

func (r *reader) oneCase(n ast.Node, line int) core.EvaluationCase {
	c := core.EvaluationCase{Checks: []core.EvaluationCheck{}}
	seen := r.mapping(n, line, "a case", "key", map[string]field{
		"name": func(n ast.Node, l int) {
			if c.Name = r.text(n, l, "name"); len(c.Name) > maxName || strings.ContainsAny(c.Name, "\r\n") {
				r.problem(l, "the name must be one line of at most %d bytes", maxName)
			}
		},
		"input":  func(n ast.Node, l int) { c.Input = r.text(n, l, "input") },
		"files":  func(n ast.Node, l int) { c.Files = r.files(n, l) },
		"checks": func(n ast.Node, l int) { c.Checks = r.checks(n, l) },
		"script": func(n ast.Node, l int) { c.Script = r.script(n, l) },
	})
	for _, key := range []string{"name", "input", "checks"} {
		if seen != nil && !seen[key] {
			r.problem(line, "%q is missing in this case", key)
		}
	}
	return c
}

func (r *reader) files(n ast.Node, line int) map[string]string {
	entries, ok := yamlnode.Mapping(n)
	if !ok {
		r.problem(line, `files must be lines of "name: content", not %s`, yamlnode.Describe(n))
		return nil
	}
	if len(entries) > maxFiles {
		r.problem(line, "a case has %d files; at most %d are allowed", len(entries), maxFiles)
		return nil
	}
	files := map[string]string{}
	for _, e := range entries {
		name, at := yamlnode.Key(e), yamlnode.Line(e.Key)
		content, ok := yamlnode.String(e.Value)
		switch {
		case !ok:
			r.problem(at, "the content of %s must be text, such as after a \"|\", not %s", name, yamlnode.Describe(e.Value))
		case badName(name):
			r.problem(at, "%q is not a path inside a workspace", name)
		}
		if _, twice := files[name]; twice {
			r.problem(at, "the file %q stands here a second time", name)
		}
		files[name] = content
	}
	return files
}

// badName says whether a name leads out of a workspace, or is another spelling of a path.
func badName(name string) bool {
	return name == "" || name == "." || path.Clean(name) != name || path.IsAbs(name) || strings.HasPrefix(name, "../") || name == ".." || strings.Contains(name, "\\")
}

// checkKinds says what each check takes.
func (r *reader) checkKinds(c *core.EvaluationCheck) map[string]field {
	text := func(n ast.Node, l int) { c.Text = r.text(n, l, string(c.Kind)) }
	tool := func(n ast.Node, l int) {
		if text(n, l); c.Text != "" {
			if wrong := r.known.called(c.Text); wrong != "" {
				r.problem(l, "%s: %s", c.Kind, wrong)
			}
		}
	}
	fields := map[string]field{
		string(core.CheckContains):    text,
		string(core.CheckNotContains): text,
		string(core.CheckJudge):       text,
		string(core.CheckFails):       text,
		string(core.CheckTool):        tool,
		string(core.CheckNoTool):      tool,
		string(core.CheckAsks):        tool,
		string(core.CheckFile):        func(n ast.Node, l int) { r.writtenFile(n, l, c) },
		string(core.CheckSchema):      func(n ast.Node, l int) { c.Schema = r.schema(n, l) },
		string(core.CheckSteps):       func(n ast.Node, l int) { c.Number = float64(r.whole(n, l, string(c.Kind), 1<<20)) },
		string(core.CheckRegex): func(n ast.Node, l int) {
			text(n, l)
			if _, err := regexp.Compile(c.Text); err != nil {
				r.problem(l, "regex: %s", err)
			}
		},
	}
	for _, kind := range []core.CheckKind{core.CheckCost, core.CheckSeconds} {
		fields[string(kind)] = func(n ast.Node, l int) {
			v, ok := yamlnode.Number(n)
			if !ok || v < 0 {
				r.problem(l, "%s must be a number from 0, not %s", kind, yamlnode.Describe(n))
			}
			c.Number = v
		}
	}
	for kind, read := range fields {
		fields[kind] = func(n ast.Node, l int) {
			c.Kind = core.CheckKind(kind)
			read(n, l)
		}
	}
	return fields
}

func (r *reader) checks(n ast.Node, line int) []core.EvaluationCheck {
	checks := []core.EvaluationCheck{}
	ends := ""
	for _, item := range r.list(n, line, "checks", maxChecks) {
		at := yamlnode.Line(item)
		var c core.EvaluationCheck
		seen := r.mapping(item, at, "a check", "check", r.checkKinds(&c))
		if len(seen) > 1 {
			r.problem(at, `a check says one thing: begin each with a "-" of its own`)
		}
		if c.Kind == core.CheckFails || c.Kind == core.CheckAsks {
			ends = string(c.Kind)
		}
		checks = append(checks, c)
	}
	ofAnswer := []core.CheckKind{core.CheckContains, core.CheckNotContains, core.CheckRegex, core.CheckSchema, core.CheckJudge, core.CheckFails, core.CheckAsks}
	if i := slices.IndexFunc(checks, func(c core.EvaluationCheck) bool {
		return string(c.Kind) != ends && slices.Contains(ofAnswer, c.Kind)
	}); i >= 0 && ends != "" {
		r.problem(line, "a run that %s gives no answer: the check %q cannot hold beside it", map[string]string{"fails": "fails", "asks": "stops to ask a person"}[ends], checks[i].Kind)
	}
	return checks
}

// writtenFile reads a name, or {name, contains}.
func (r *reader) writtenFile(n ast.Node, line int, c *core.EvaluationCheck) {
	if _, ok := yamlnode.Mapping(n); !ok {
		c.Text = r.text(n, line, "file_written")
	} else {
		seen := r.mapping(n, line, "file_written", "key", map[string]field{
			"name":     func(n ast.Node, l int) { c.Text = r.text(n, l, "name of a file") },
			"contains": func(n ast.Node, l int) { c.Contains = r.text(n, l, "contains") },
		})
		if !seen["name"] {
			r.problem(line, `file_written: "name" is missing`)
		}
	}
	if c.Text != "" && badName(c.Text) {
		r.problem(line, "file_written: %q is not a path inside a workspace", c.Text)
	}
}

func (r *reader) schema(n ast.Node, line int) json.RawMessage {
	if _, ok := yamlnode.Mapping(n); !ok {
		r.problem(line, "schema must be a JSON Schema, such as {type: object, required: [sum]}, not %s", yamlnode.Describe(n))
		return nil
	}
	raw, at, err := yamlnode.JSON(n)
	if err != nil {
		r.problem(at, "schema: %s", err)
		return nil
	}
	if _, err := schema.Compile(raw); err != nil {
		r.problem(line, "schema is not a valid JSON Schema: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	return raw
}

func (r *reader) script(n ast.Node, line int) []core.EvaluationTurn {
	var turns []core.EvaluationTurn
	for _, item := range r.list(n, line, "script", maxTurns) {
		at := yamlnode.Line(item)
		var t core.EvaluationTurn
		seen := r.mapping(item, at, "a turn of the script", "key", map[string]field{
			"to":   func(n ast.Node, l int) { t.To = r.text(n, l, "to") },
			"say":  func(n ast.Node, l int) { t.Say = r.text(n, l, "say") },
			"call": func(n ast.Node, l int) { t.Calls = r.calls(n, l) },
		})
		if seen != nil && !seen["say"] && !seen["call"] {
			r.problem(at, `a turn of the script has "say", "call" or both`)
		}
		turns = append(turns, t)
	}
	return turns
}

// calls reads {tool: {arguments}}, or a list of such where one tool is called several times.
func (r *reader) calls(n ast.Node, line int) []core.EvaluationCall {
	if items, ok := yamlnode.Sequence(n); ok {
		var all []core.EvaluationCall
		for _, item := range items {
			all = append(all, r.calls(item, yamlnode.Line(item))...)
		}
		return all
	}
	entries, ok := yamlnode.Mapping(n)
	if !ok {
		r.problem(line, "call must be a tool with its arguments, such as {calculator: {expression: 1 + 1}}, not %s", yamlnode.Describe(n))
		return nil
	}
	var calls []core.EvaluationCall
	for _, e := range entries {
		call, err := r.call(e)
		if err != nil {
			r.problem(yamlnode.Line(e.Key), "%s", err)
			continue
		}
		calls = append(calls, call)
	}
	return calls
}

func (r *reader) call(e *ast.MappingValueNode) (core.EvaluationCall, error) {
	call := core.EvaluationCall{Tool: yamlnode.Key(e), Arguments: json.RawMessage("{}")}
	if _, isNull := e.Value.(*ast.NullNode); isNull {
		return call, nil
	}
	if _, ok := yamlnode.Mapping(e.Value); !ok {
		return call, fmt.Errorf("the arguments of %s must be lines of \"key: value\", not %s", call.Tool, yamlnode.Describe(e.Value))
	}
	raw, _, err := yamlnode.JSON(e.Value)
	if err != nil {
		return call, fmt.Errorf("the arguments of %s: %w", call.Tool, err)
	}
	call.Arguments = raw
	return call, nil
}
