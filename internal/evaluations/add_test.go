package evaluations_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/evaluations"
)

// folder is a service whose sets lie in a folder, with a good run.
func folder(t *testing.T, set string) (*world, *evaluations.Service, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "clerk.eval.yaml")
	if set != "" {
		if err := os.WriteFile(path, []byte(set), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld()
	w.runs["r1"] = &core.Run{ID: "r1", Agent: "clerk", Status: core.RunSucceeded, Input: "Add up:\n\n  - the \"first\"\n  - the second # not a comment\n", Output: "391: that is all", Files: []string{"data.csv", "yes"}}
	w.files = map[string]string{"data.csv": "a,b\n1,2\n", "yes": " leading space\tand tab \r\n\n"}
	w.messages = []core.Message{
		{Role: core.RoleUser, Text: "Add up"},
		{Role: core.RoleAssistant, ToolCalls: []core.ToolCall{{ID: "c1", Name: "calculator", Arguments: []byte(`{"expression":"1+2"}`)}}},
	}
	w.steps = []core.Step{{Kind: core.StepModel, Name: "m"}, {Kind: core.StepTool, Name: "calculator", CallID: "c1", Effect: core.EffectReadOnly, Status: core.StepSucceeded}, {Kind: core.StepTool, Name: "calculator", CallID: "c2"}, {Kind: core.StepTool, Name: "gone.tool", Status: core.StepSucceeded}, {Kind: core.StepTool, Name: "read_file", Status: core.StepFailed}}
	s := w.service(t, "", func(o *evaluations.Options) {
		o.Dir = dir
		o.Sets.Sources = []evaluations.Source{{Name: "agents", FS: os.DirFS(dir)}}
	})
	return w, s, path
}

func TestARunBecomesACaseAndTheFileKeepsItsComments(t *testing.T) {
	t.Parallel()
	const set = "# our set\nagent: clerk\nrepeats: 2 # cheap\ncases:\n- name: one\n  input: b # why\n  checks:\n  - contains: x\n\n# the end\n"
	_, s, path := folder(t, set)
	for _, want := range []string{"Add up: - the \"first\" - the second # not a comment", "Add up: - the \"first\" - the second # not a comment (2)"} {
		st, err := s.AddCase(t.Context(), "clerk", "r1", "")
		if err != nil {
			t.Fatal(err)
		}
		c := st.Set.Cases[len(st.Set.Cases)-1]
		if c.Name != want || c.Input != "Add up:\n\n  - the \"first\"\n  - the second # not a comment\n" || c.Files["data.csv"] != "a,b\n1,2\n" || c.Files["yes"] != " leading space\tand tab \r\n\n" {
			t.Errorf("the case is %+v", c)
		}
		if len(c.Checks) != 2 || c.Checks[0].Text != "calculator" || c.Checks[1].Kind != core.CheckJudge || !strings.Contains(c.Checks[1].Text, "391: that is all") {
			t.Errorf("its checks are %+v", c.Checks)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(content), set) || strings.Count(string(content), "\n- name: ") != 3 {
		t.Errorf("the file is %v\n%s", err, content)
	}
}

func TestTheFirstCaseMakesTheFile(t *testing.T) {
	t.Parallel()
	_, s, path := folder(t, "")
	st, err := s.AddCase(t.Context(), "clerk", "r1", "  adds\n up ")
	if err != nil || len(st.Set.Cases) != 1 || st.Set.Cases[0].Name != "adds up" || len(st.Errors) > 0 {
		t.Fatalf("%+v %v", st, err)
	}
	if content, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(content), "agent: clerk\ncases:\n  - name: adds up\n    input: |\n") {
		t.Errorf("the file is %v\n%s", err, content)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestWhatIsNoCaseIsRefusedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	const set = "agent: clerk\ncases:\n  - name: one\n    input: b\n    checks: [contains: x]\n"
	for _, c := range []struct {
		name, set, agent string
		change           func(w *world)
		code             core.Code
		part             string
	}{
		{"a run that failed", set, "clerk", func(w *world) { w.runs["r1"].Status = core.RunFailed }, core.CodeConflict, "has not succeeded"},
		{"another agent's", set, "researcher", nil, core.CodeInvalid, `is one of the agent "clerk"`},
		{"a sub-run", set, "clerk", func(w *world) { w.runs["r1"].Parent = "r0" }, core.CodeConflict, "works for run r0"},
		{"a conversation", set, "clerk", func(w *world) { w.messages = append(w.messages, core.Message{Role: core.RoleUser}) }, core.CodeConflict, "2 messages of the user"},
		{"a file that the run has changed", set, "clerk", func(w *world) {
			w.messages[1].ToolCalls[0].Arguments = []byte(`{"path":"data.csv"}`)
			w.steps[1].Effect, w.steps[1].Name = core.EffectIdempotent, "write_file"
		}, core.CodeConflict, "perhaps changed data.csv (by write_file)"},
		{"a file that is no text", set, "clerk", func(w *world) { w.files["data.csv"] = "\xff" }, core.CodeConflict, "is not text"},
		{"a file that is gone", set, "clerk", func(w *world) { delete(w.files, "data.csv") }, core.CodeConflict, "cannot become a part"},
		{"cases in brackets", "agent: clerk\ncases: [{name: one, input: b, checks: [contains: x]}]\n", "clerk", nil, core.CodeConflict, "as the file is written"},
		{"cases that are not the last", "agent: clerk\ncases:\n  - name: one\n    input: b\n    checks: [contains: x]\npass: 1\n", "clerk", nil, core.CodeConflict, "as the file is written"},
		{"a broken set", "agent: clerk\n", "clerk", nil, core.CodeConflict, "mend it first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, s, path := folder(t, c.set)
			if c.change != nil {
				c.change(w)
			}
			if _, err := s.AddCase(t.Context(), c.agent, "r1", ""); core.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.part) {
				t.Errorf("got %v", err)
			}
			if content, err := os.ReadFile(path); err != nil || string(content) != c.set {
				t.Errorf("the file was changed: %v\n%s", err, content)
			}
		})
	}
}
