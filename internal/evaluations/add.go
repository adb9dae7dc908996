package evaluations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

const (
	maxJudged = 2000 // bytes of an answer that a case made of a run holds
	maxCopied = 256 << 10
)

// AddCase makes a case of a run that has succeeded and appends it to the agent's set in the folder: its task, the files that
// were attached, a check for each tool that it called, and one that compares answers by their sense. A set that comes with
// the program is copied there first. name "" = made of the task.
func (s *Service) AddCase(ctx context.Context, agent, run, name string) (core.EvaluationSetStatus, error) {
	none := core.EvaluationSetStatus{}
	r, err := s.Runs.Run(ctx, run)
	if err != nil {
		return none, err
	}
	if r.Agent != agent {
		return none, core.Errorf(core.CodeInvalid, "run %s is one of the agent %q, not of %q", run, r.Agent, agent)
	}
	c, err := s.caseOf(ctx, r)
	if err != nil {
		return none, err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	st, content, err := s.Sets.read(agent)
	switch {
	case core.CodeOf(err) == core.CodeNotFound:
		content = []byte("agent: " + agent + "\ncases:\n")
	case err != nil:
		return none, err
	case len(st.Errors) > 0:
		return none, core.Errorf(core.CodeConflict, "the evaluation set of %q is broken; mend it first: %s", agent, strings.Join(st.Errors, "; "))
	}
	c.Name = freeName(name, c, st.Set)
	text, err := appended(agent, content, st.Set, c, s.Sets.Known())
	if err != nil {
		return none, err
	}
	if err := writeFile(filepath.Join(s.Dir, agent+Suffix), text); err != nil {
		return none, core.Wrap(core.CodeUnavailable, err, "cannot write %s in the agents folder: %s", agent+Suffix, reason(err))
	}
	st, _, err = s.Sets.read(agent)
	return st, err
}

// caseOf makes a case of a run.
func (s *Service) caseOf(ctx context.Context, r core.Run) (core.EvaluationCase, error) {
	c := core.EvaluationCase{Input: r.Input, Checks: []core.EvaluationCheck{}}
	if r.Status != core.RunSucceeded {
		return c, core.Errorf(core.CodeConflict, "run %s has not succeeded (it is %s): only a good run says what is right", r.ID, r.Status)
	}
	if r.Parent != "" {
		return c, core.Errorf(core.CodeConflict, "run %s works for run %s; make a case of that one", r.ID, r.Parent)
	}
	messages, err := s.Runs.Messages(ctx, r.ID)
	if err != nil {
		return c, err
	}
	said := 0
	for _, m := range messages {
		if m.Role == core.RoleUser {
			said++
		}
	}
	if said > 1 {
		return c, core.Errorf(core.CodeConflict, "run %s is a conversation with %d messages of the user; a case has one", r.ID, said)
	}
	steps, err := s.Runs.Steps(ctx, r.ID)
	if err != nil {
		return c, err
	}
	if c.Files, err = s.attached(ctx, r, steps, messages); err != nil {
		return c, err
	}
	for _, st := range steps {
		check := core.EvaluationCheck{Kind: core.CheckTool, Text: st.Name}
		if made(st) && !slices.ContainsFunc(c.Checks, func(have core.EvaluationCheck) bool { return have.Text == st.Name }) && s.Sets.Known().called(st.Name) == "" {
			c.Checks = append(c.Checks, check)
		}
	}
	if answer := strings.TrimSpace(r.Output); answer != "" {
		c.Checks = append(c.Checks, core.EvaluationCheck{Kind: core.CheckJudge, Text: "The answer says in substance the same as this one: " + clip(answer, maxJudged)})
	}
	if len(c.Checks) == 0 {
		return c, core.Errorf(core.CodeConflict, "run %s has called nothing and answered nothing: there is nothing to check", r.ID)
	}
	return c, nil
}

// attached returns the files as they were attached, which is as they are now unless the run has changed them.
func (s *Service) attached(ctx context.Context, r core.Run, steps []core.Step, messages []core.Message) (map[string]string, error) {
	arguments := map[string]string{}
	for _, m := range messages {
		for _, call := range m.ToolCalls {
			arguments[call.ID] = string(call.Arguments)
		}
	}
	files := map[string]string{}
	for _, name := range r.Files {
		for _, st := range steps {
			changes := st.Kind == core.StepTool && st.Effect != core.EffectReadOnly
			if changes && strings.Contains(arguments[st.CallID]+string(st.Arguments), name) {
				return nil, core.Errorf(core.CodeConflict, "run %s has perhaps changed %s (by %s), so that what was attached is no longer there; write the case by hand", r.ID, name, st.Name)
			}
		}
		f, err := s.Workspaces.Read(ctx, r.ID, name, maxCopied)
		if err != nil {
			return nil, core.Errorf(core.CodeConflict, "the file %s cannot become a part of a case: %s", name, core.MessageOf(err))
		}
		if !utf8.Valid(f.Content) || strings.ContainsRune(string(f.Content), 0) {
			return nil, core.Errorf(core.CodeConflict, "the file %s is not text, and a set holds text only", name)
		}
		files[name] = string(f.Content)
	}
	if len(files) == 0 {
		return nil, nil
	}
	return files, nil
}

// freeName is a name that no case of the set has.
func freeName(wanted string, c core.EvaluationCase, set core.EvaluationSet) string {
	name := strings.Join(strings.Fields(wanted), " ")
	if name == "" {
		name = clip(strings.Join(strings.Fields(c.Input), " "), 60)
	}
	name = clip(name, maxName-10)
	free := name
	for n := 2; slices.ContainsFunc(set.Cases, func(c core.EvaluationCase) bool { return c.Name == free }); n++ {
		free = fmt.Sprintf("%s (%d)", name, n)
	}
	return free
}

// clip shortens a text to so many bytes, at the end of a character.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// appended returns the file with one more case at its end, and everything else as it was. The result is read again: what it
// says must be what was meant.
func appended(agent string, content []byte, before core.EvaluationSet, c core.EvaluationCase, known Known) ([]byte, error) {
	byHand := core.Errorf(core.CodeConflict, "a case cannot be appended to %s as the file is written: let its cases be lines that begin with \"- name\", and be the last in it", agent+Suffix)
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(content), "\r\n", "\n"), "\n \t"), "\n")
	start := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "cases:") })
	if start < 0 {
		return nil, byHand
	}
	indent := "  "
	for _, l := range lines[start+1:] {
		if trimmed := strings.TrimLeft(l, " "); strings.HasPrefix(trimmed, "- ") {
			indent = l[:len(l)-len(trimmed)]
			break
		}
	}
	text := []byte(strings.Join(lines, "\n") + "\n" + caseYAML(c, indent))
	set, problems := Parse(agent+Suffix, text, known)
	want := append(slices.Clone(before.Cases), c)
	if len(problems) > 0 || !reflect.DeepEqual(set.Cases, want) {
		return nil, byHand
	}
	return text, nil
}

// writeFile replaces a file at once: a reader sees the old one or the new one.
func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of files that people edit
		return err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*"+Suffix)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
