package tools

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// library has one skill.
type library struct{}

func (library) Load(string) (string, []core.File, error) {
	return "Run scripts/read.py.", []core.File{{Name: "scripts/read.py", Content: []byte("print(1)")}}, nil
}

func TestASkillIsLoadedByThoseWhoHaveIt(t *testing.T) {
	t.Parallel()
	r, err := New(Config{Dir: t.TempDir()}, Deps{Skills: library{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // a test's
	load := func(has ...string) core.ToolResult {
		return r.Call(t.Context(), core.ToolInvocation{Name: "load_skill", Arguments: json.RawMessage(`{"name":"pdf"}`), Workspace: "w", Skills: has})
	}
	if res := load("csv"); !res.IsError || !strings.Contains(res.Text, `no skill "pdf"; you have: csv`) {
		t.Errorf("without the right: %+v", res)
	}
	if res := load("pdf"); res.IsError || !strings.Contains(res.Text, "Run scripts") || !strings.Contains(res.Text, "skills/pdf/scripts/read.py") {
		t.Errorf("%+v", res)
	}
	read := r.Call(t.Context(), core.ToolInvocation{Name: "read_file", Arguments: json.RawMessage(`{"path":"skills/pdf/scripts/read.py"}`), Workspace: "w"})
	if read.Text != "print(1)" {
		t.Errorf("its file: %+v", read)
	}
}

func TestNotesAreSharedAndWrittenOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	note := func(agent, key, topic, text string) {
		args, err := json.Marshal(map[string]string{"topic": topic, "text": text})
		if err != nil {
			t.Fatal(err)
		}
		res := b.Call(t.Context(), core.ToolInvocation{Name: "add_note", Arguments: args, Workspace: "w", IdempotencyKey: key, Caller: core.Caller{Agent: agent}})
		if res.IsError {
			t.Fatal(res.Text)
		}
	}
	if got := b.do("read_notes", `{}`); got.Text != "there are no notes" {
		t.Errorf("%+v", got)
	}
	note("clerk", "r1:1", "done", "the sum is right")
	note("clerk", "r1:1", "done", "the sum is right") // after a crash
	note("judge", "r2:4", "open", "who pays?")
	if got := b.do("read_notes", `{}`).Text; got != "[done] From clerk:\nthe sum is right\n\n[open] From judge:\nwho pays?" {
		t.Errorf("%q", got)
	}
	if got := b.do("read_notes", `{"topic":"open"}`).Text; !strings.Contains(got, "who pays?") || strings.Contains(got, "sum") {
		t.Errorf("%q", got)
	}
	if got := b.do("add_note", `{"topic":"../x","text":"y"}`); !got.IsError {
		t.Errorf("a topic that leads elsewhere: %+v", got)
	}
}

func TestTheWorkspacesGuideIsRead(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	if got := b.Guide("w"); got != "" {
		t.Errorf("%q", got)
	}
	if err := b.Attach("w", []core.File{{Name: "AGENTS.md", Content: []byte("Use tabs.")}}); err != nil {
		t.Fatal(err)
	}
	if got := b.Guide("w"); got != "Use tabs." {
		t.Errorf("%q", got)
	}
}
