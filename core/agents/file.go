package agents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// Bounds of an agent file.
const (
	maxFileBytes        = 1 << 20 // the whole file
	maxSettingsBytes    = 64 << 10
	maxDescriptionRunes = 1024
	maxNameBytes        = 64
	maxProblems         = 50 // told of one file
)

// DefaultModel is the route of an agent whose file names no model.
const DefaultModel = "default"

// namePattern is lower-case words joined by single hyphens.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Parse reads an agent file: YAML settings between two lines "---", then the instructions in Markdown. file is
// the path that problems name; its base without ".md" must be the agent's name. With any problem the agent is
// not usable, and every problem that could be found in one pass is returned.
func Parse(file string, content []byte, known Known) (core.Agent, []Problem) {
	sum := sha256.Sum256(content)
	agent := core.Agent{
		Name:    nameOf(file),
		Version: hex.EncodeToString(sum[:])[:12],
		Model:   DefaultModel,
		Tools:   []core.ToolGrant{},
		Agents:  []string{},
	}
	p := &reader{file: file, known: known, agent: &agent}
	settings, body, ok := p.split(content)
	if ok {
		p.settings(settings)
		agent.Instructions = body
		if body == "" && agent.KindOf() == core.AgentLLM {
			p.problem(p.fence, `the instructions are empty: below this line, tell the agent who it is and how it works`)
		}
	}
	return agent, p.problems
}

// nameOf is the agent's name that a file's path says.
func nameOf(file string) string { return strings.TrimSuffix(path.Base(file), ".md") }

// checkName says what is wrong with an agent's name, or "".
func checkName(name string) string {
	if len(name) > maxNameBytes {
		return fmt.Sprintf("the name is longer than %d characters", maxNameBytes)
	}
	if !namePattern.MatchString(name) {
		return fmt.Sprintf("%q is not a valid name: use lower-case letters, digits and single hyphens, such as invoice-clerk", name)
	}
	return ""
}

// reader collects what one file says. Lines of YAML nodes count from the line after the opening "---".
type reader struct {
	file     string
	known    Known
	agent    *core.Agent
	problems []Problem
	fence    int // line of the "---" after the settings
}

func (p *reader) problem(line int, format string, args ...any) {
	if len(p.problems) >= maxProblems {
		return
	}
	p.problems = append(p.problems, Problem{File: p.file, Line: line, Message: fmt.Sprintf(format, args...)})
}

// split separates the settings from the instructions. The settings keep their line ends as "\n", and start in
// line 2 of the file.
func (p *reader) split(content []byte) (settings []byte, body string, ok bool) {
	if len(content) > maxFileBytes {
		p.problem(0, "the file is larger than 1 MB; an agent file holds settings and instructions, put data into the workspace or a collection")
		return nil, "", false
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	lines := bytes.Split(content, []byte("\n"))
	for i, line := range lines {
		if !utf8.Valid(line) {
			p.problem(i+1, "this line is not UTF-8 text; save the file as UTF-8")
			return nil, "", false
		}
		if bytes.IndexByte(line, 0) >= 0 {
			p.problem(i+1, "this line holds a NUL character; save the file as plain UTF-8 text")
			return nil, "", false
		}
	}
	if !isFence(lines[0]) {
		p.problem(1, `an agent file starts with a line "---", then its settings, then another line "---", then the instructions`)
		return nil, "", false
	}
	end := -1
	for i := 1; i < len(lines); i++ {
		if isFence(lines[i]) {
			end = i
			break
		}
	}
	if end < 0 {
		p.problem(1, `the settings that start here never end: put a line "---" between them and the instructions`)
		return nil, "", false
	}
	settings = bytes.Join(lines[1:end], []byte("\n"))
	if len(settings) > maxSettingsBytes {
		p.problem(1, "the settings are larger than %d kB; long text belongs below the second \"---\"", maxSettingsBytes>>10)
		return nil, "", false
	}
	for i, line := range lines[1:end] {
		if trimmed := bytes.TrimLeft(line, " "); len(trimmed) > 0 && trimmed[0] == '\t' && len(bytes.TrimSpace(line)) > 0 {
			p.problem(i+2, "a tab indents this line; YAML takes spaces only")
			return nil, "", false
		}
	}
	p.fence = end + 1
	return settings, strings.TrimSpace(string(bytes.Join(lines[end+1:], []byte("\n")))), true
}

// isFence says whether the line is the "---" around the settings.
func isFence(line []byte) bool { return string(bytes.TrimRight(line, " \t")) == "---" }
