package agents

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/schema"
	"github.com/sutazai/sutazai/internal/yamlnode"
)

// settings reads the YAML part into the agent.
func (p *reader) settings(text []byte) {
	root, line, err := parseYAML(text)
	if err != nil {
		p.problem(line, "%s", err)
		return
	}
	seen := p.mapping(root, 1, "the settings", "key", map[string]field{
		"name":        p.name,
		"kind":        p.kind,
		"peer":        p.peer,
		"effect":      p.effect,
		"queue":       p.queue,
		"team":        p.team,
		"handoffs":    p.handoffs,
		"skills":      p.skills,
		"description": p.description,
		"model":       p.model,
		"temperature": p.temperature,
		"max_tokens":  func(n ast.Node, l int) { p.agent.MaxTokens = int(p.positive(n, l, "max_tokens", math.MaxInt32)) },
		"tools":       p.tools,
		"agents":      p.agents,
		"knowledge":   p.knowledge,
		"limits":      p.limits,
		"output":      p.output,
	})
	if seen == nil {
		return
	}
	p.suits(seen)
	if !seen["name"] {
		p.problem(1, `"name" is missing: write "name: %s"`, nameOf(p.file))
	}
	if !seen["description"] {
		p.problem(1, `"description" is missing: one sentence that says what the agent is for`)
	}
}

// field reads the value of one key; line is the key's.
type field func(value ast.Node, line int)

// mapping calls the field of each key. what is the mapping in words, kind what its keys are called. It returns
// the keys that are there, nil if n is no mapping.
func (p *reader) mapping(n ast.Node, line int, what, kind string, fields map[string]field) map[string]bool {
	entries, ok := yamlnode.Mapping(n)
	if !ok {
		p.problem(line, `%s must be lines of "key: value", not %s`, what, yamlnode.Describe(n))
		return nil
	}
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	seen := map[string]bool{}
	for _, e := range entries {
		key, at := yamlnode.Key(e), lineOf(e.Key)
		read, ok := fields[key]
		switch {
		case !ok:
			p.problem(at, "%s", p.known.unknown(kind, key, keys))
		case seen[key]:
			p.problem(at, "%s %q stands here a second time", kind, key)
		default:
			read(e.Value, at)
		}
		seen[key] = true
	}
	return seen
}

// text reads a string; numbers and booleans are refused because a person meant something else by them.
func (p *reader) text(n ast.Node, line int, what string) (string, bool) {
	s, ok := yamlnode.String(n)
	if !ok {
		p.problem(line, "%s must be text, not %s", what, yamlnode.Describe(n))
		return "", false
	}
	return s, true
}

func (p *reader) name(n ast.Node, line int) {
	name, ok := p.text(n, line, "name")
	if !ok {
		return
	}
	if msg := checkName(name); msg != "" {
		p.problem(line, "%s", msg)
		return
	}
	if want := nameOf(p.file); name != want {
		p.problem(line, "the name %q is not the file's, %q: rename one of them", name, want)
	}
}

func (p *reader) description(n ast.Node, line int) {
	s, ok := p.text(n, line, "description")
	if !ok {
		return
	}
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		p.problem(line, "description is empty: say in one sentence what the agent is for")
	case utf8.RuneCountInString(s) > maxDescriptionRunes:
		p.problem(line, "description has %d characters; at most %d are allowed", utf8.RuneCountInString(s), maxDescriptionRunes)
	default:
		p.agent.Description = s
	}
}

func (p *reader) model(n ast.Node, line int) {
	s, ok := p.text(n, line, "model")
	if !ok {
		return
	}
	if strings.TrimSpace(s) == "" {
		p.problem(line, `model is empty: write "provider/model" or a route's name, or leave the line out for %q`, DefaultModel)
		return
	}
	p.agent.Model = s
	if p.known.CheckModel != nil {
		if err := p.known.CheckModel(s); err != nil {
			p.problem(line, "%s", core.MessageOf(err))
		}
	}
}

func (p *reader) temperature(n ast.Node, line int) {
	v, ok := yamlnode.Number(n)
	if !ok || v < 0 || v > 2 {
		p.problem(line, "temperature must be a number from 0 to 2, not %s", yamlnode.Describe(n))
		return
	}
	p.agent.Temperature = &v
}

// positive reads a whole number from 1 to most.
func (p *reader) positive(n ast.Node, line int, what string, most int64) int64 {
	v, ok := yamlnode.Integer(n)
	if !ok || v < 1 || v > most {
		p.problem(line, "%s must be a whole number from 1 to %d, not %s", what, most, yamlnode.Describe(n))
		return 0
	}
	return v
}

func (p *reader) tools(n ast.Node, line int) {
	items, ok := yamlnode.Sequence(n)
	if !ok {
		p.problem(line, `tools must be a list, one "- name" a line, not %s`, yamlnode.Describe(n))
		return
	}
	for _, item := range items {
		at := lineOf(item)
		if name, ok := yamlnode.String(item); ok {
			p.grant(name, core.ApprovalUnsafe, at)
			continue
		}
		if _, ok := yamlnode.Mapping(item); !ok {
			p.problem(at, "a tool is a name, {name, approval} or {mcp: server}, not %s", yamlnode.Describe(item))
			continue
		}
		p.toolEntry(item, at)
	}
}

// toolEntry reads {name, approval} or {mcp}.
func (p *reader) toolEntry(item ast.Node, line int) {
	var name, server string
	approval := core.ApprovalUnsafe
	before := len(p.problems)
	p.mapping(item, line, "a tool", "key", map[string]field{
		"name": func(n ast.Node, l int) { name, _ = p.text(n, l, "name of a tool") },
		"mcp":  func(n ast.Node, l int) { server, _ = p.text(n, l, "mcp") },
		"approval": func(n ast.Node, l int) {
			s, ok := p.text(n, l, "approval")
			valid := []string{string(core.ApprovalNever), string(core.ApprovalAlways), string(core.ApprovalUnsafe)}
			if ok && !slices.Contains(valid, s) {
				p.problem(l, "%s", p.known.unknown("approval", s, valid))
			}
			approval = core.ApprovalPolicy(s)
		},
	})
	switch {
	case len(p.problems) > before:
	case name != "" && server != "":
		p.problem(line, "a tool has a name or an MCP server, not both")
	case server != "":
		if !slices.Contains(p.known.MCPServers, server) {
			p.problem(line, "%s", p.known.unknown("MCP server", server, p.known.MCPServers))
			return
		}
		p.add(core.ToolGrant{Name: server + ".*", Approval: approval}, line)
	case name != "":
		p.grant(name, approval, line)
	default:
		p.problem(line, "a tool needs a name, or an MCP server (mcp: server)")
	}
}

// grant adds a tool if there is one of that name, or may be one: what a server offers is known once it runs.
func (p *reader) grant(name string, approval core.ApprovalPolicy, line int) {
	server, _, ofServer := strings.Cut(name, ".")
	if !slices.Contains(p.known.Tools, name) && !(ofServer && slices.Contains(p.known.MCPServers, server)) {
		p.problem(line, "%s", p.known.unknown("tool", name, p.known.Tools))
		return
	}
	p.add(core.ToolGrant{Name: name, Approval: approval}, line)
}

func (p *reader) add(g core.ToolGrant, line int) {
	if slices.ContainsFunc(p.agent.Tools, func(o core.ToolGrant) bool { return o.Name == g.Name }) {
		p.problem(line, "tool %q stands here a second time", g.Name)
		return
	}
	p.agent.Tools = append(p.agent.Tools, g)
}

func (p *reader) agents(n ast.Node, line int) {
	p.agent.Agents = p.names(n, line, "agents", "agent", p.known.Agents)
	if i := slices.Index(p.agent.Agents, nameOf(p.file)); i >= 0 {
		p.problem(line, "an agent cannot delegate to itself; remove %q", nameOf(p.file))
	}
}

func (p *reader) knowledge(n ast.Node, line int) {
	p.agent.Knowledge = p.names(n, line, "knowledge", "collection", p.known.Collections)
}

// names reads a list of names that must be among the valid ones, each once.
func (p *reader) names(n ast.Node, line int, what, kind string, valid []string) []string {
	names := []string{}
	items, ok := yamlnode.Sequence(n)
	if !ok {
		p.problem(line, `%s must be a list of names, such as [a, b], not %s`, what, yamlnode.Describe(n))
		return names
	}
	for _, item := range items {
		at := lineOf(item)
		name, ok := p.text(item, at, "an entry of "+what)
		switch {
		case !ok:
		case slices.Contains(names, name):
			p.problem(at, "%s %q stands here a second time", kind, name)
		case !slices.Contains(valid, name):
			p.problem(at, "%s", p.known.unknown(kind, name, valid))
		default:
			names = append(names, name)
		}
	}
	return names
}

func (p *reader) limits(n ast.Node, line int) {
	l := &p.agent.Limits
	p.mapping(n, line, "limits", "limit", map[string]field{
		"steps":  func(n ast.Node, at int) { l.Steps = int(p.positive(n, at, "limit steps", math.MaxInt32)) },
		"tokens": func(n ast.Node, at int) { l.Tokens = p.positive(n, at, "limit tokens", 1<<53) },
		"depth":  func(n ast.Node, at int) { l.Depth = int(p.positive(n, at, "limit depth", 100)) },
		"cost_usd": func(n ast.Node, at int) {
			v, ok := yamlnode.Number(n)
			if l.CostMicroUSD = core.MicroUSD(v); !ok || l.CostMicroUSD < 1 || v > 1e9 {
				p.problem(at, "limit cost_usd must be a positive amount of US dollars such as 2.50, not %s", yamlnode.Describe(n))
			}
		},
		"time": func(n ast.Node, at int) {
			s, _ := yamlnode.String(n)
			d, err := time.ParseDuration(s)
			if err != nil || d <= 0 {
				p.problem(at, "limit time must be a positive duration such as 90s, 30m or 2h, not %s", yamlnode.Describe(n))
				return
			}
			l.Time = d
		},
	})
}

func (p *reader) output(n ast.Node, line int) {
	if _, ok := yamlnode.Mapping(n); !ok {
		p.problem(line, "output must be a JSON Schema, such as {type: object, properties: …}, not %s", yamlnode.Describe(n))
		return
	}
	raw, at, err := yamlnode.JSON(n)
	if err != nil {
		p.problem(inFile(at), "output: %s", err)
		return
	}
	if err := checkSchema(raw); err != "" {
		p.problem(line, "output is not a valid JSON Schema: %s", err)
		return
	}
	p.agent.Output = raw
}

// checkSchema says what is wrong with a JSON Schema, or "".
func checkSchema(raw json.RawMessage) string {
	if _, err := schema.Compile(raw); err != nil {
		return oneLine(err.Error())
	}
	return ""
}

// oneLine folds a message of several lines.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
