package tools

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/sandbox"
)

// commands is a registry whose commands run in a real sandbox.
func commands(t *testing.T, c sandbox.Config) bundle {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	box, err := sandbox.New(c, sandbox.Deps{Helper: exe, Private: dir, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	if st := box.Status(t.Context()); st.Level == sandbox.None {
		if os.Getenv("CI") != "" {
			t.Fatalf("there is no sandbox here: %s", st)
		}
		t.Skipf("there is no sandbox here: %s", st)
	}
	r, err := New(Config{Dir: filepath.Join(dir, "workspaces"), Timeout: time.Second}, Deps{Sandbox: box, Now: time.Now, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return bundle{r, t, filepath.Join(dir, "workspaces"), log}
}

func TestACommandTellsItsOutputItsExitCodeAndWhatChanged(t *testing.T) {
	t.Parallel()
	b := commands(t, sandbox.Config{})
	b.attach(map[string]string{"data.csv": "1\n2\n"})
	got := b.ok("run_shell", `{"command":"wc -l data.csv; echo bad >&2; mkdir out; echo new > out/a.txt; rm data.csv; exit 3"}`)
	head, rest, _ := strings.Cut(got, "\n")
	if !strings.HasPrefix(head, "[exit code 3 after ") ||
		rest != "[stdout]\n2 data.csv\n[stderr]\nbad\n[files]\nremoved data.csv\nadded out/a.txt (4 bytes)" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("read_file", `{"path":"out/a.txt"}`); got != "new\n" {
		t.Errorf("got %q", got)
	}
	if got := b.ok("run_shell", `{"command":"true"}`); !strings.HasSuffix(got, "]\n[no output]") {
		t.Errorf("got %q", got)
	}
}

func TestAPythonProgramRunsApartFromTheWorkspacesModules(t *testing.T) {
	t.Parallel()
	b := commands(t, sandbox.Config{})
	b.attach(map[string]string{"json.py": "raise SystemExit('the workspace is imported')", "helper.py": "x = 7"})
	got := b.ok("run_python", map[string]any{"code": "import json, sys\nsys.path.insert(0, '.')\nimport helper\nprint(json.dumps([helper.x, sys.flags.isolated]))"})
	if !strings.Contains(got, "[exit code 0 after ") || !strings.Contains(got, "[stdout]\n[7, 1]") {
		t.Errorf("got %s", got)
	}
}

func TestACommandMayTakeLongerThanOtherToolsButNotForEver(t *testing.T) {
	t.Parallel()
	b := commands(t, sandbox.Config{Limits: sandbox.Limits{Time: 3 * time.Second}})
	if got := b.ok("run_shell", `{"command":"sleep 1.5; echo slept"}`); !strings.Contains(got, "slept") { // others get 1 s here
		t.Errorf("got %s", got)
	}
	res := b.do("run_shell", `{"command":"echo begun; sleep 100","timeout":1}`)
	if res.IsError || res.Unknown || !strings.HasPrefix(res.Text, "[ended after 1") || !strings.HasSuffix(res.Text, "s: it took longer than 1s]\n[stdout]\nbegun") {
		t.Errorf("got %+v", res)
	}
}

// What a command makes is met by our own tools afterwards: it must not lead them out, stop them or stay for ever.
func TestWhatACommandLeavesHarmsNoOtherTool(t *testing.T) {
	t.Parallel()
	b := commands(t, sandbox.Config{})
	secret := filepath.Join(filepath.Dir(b.dir), "secret.key")
	if err := os.WriteFile(secret, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.ok("run_shell", map[string]string{"command": `ln -s ` + secret + ` link; ln -s ../../secret.key up; ln -s / root; mkfifo pipe; ln -s /proc/self/fd/0 fd
		mkdir -m 0 closed; mkdir sealed; echo x > sealed/file; chmod 0 sealed/file sealed; echo y > suid; chmod 6755 suid; echo ok > plain`})
	for _, path := range []string{"link", "up", "root/etc/passwd", "root" + secret, "pipe", "fd", "fd/secret.key"} {
		t.Run("read "+path, func(t *testing.T) {
			if got := b.fails("read_file", map[string]string{"path": path}); strings.Contains(got, "precious") || strings.Contains(got, "root:") {
				t.Errorf("got %s", got)
			}
		})
	}
	for _, path := range []string{"link", "up", "root" + secret} {
		t.Run("write "+path, func(t *testing.T) {
			b.do("write_file", map[string]string{"path": path, "content": "changed"}) // it may put a file in the place of the link
			if got, err := os.ReadFile(secret); err != nil || string(got) != "precious" {
				t.Fatalf("the file outside is %q, %v", got, err)
			}
		})
	}
	if got := b.ok("read_file", `{"path":"sealed/file"}`); got != "x\n" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("search_files", `{"pattern":"."}`); strings.Contains(got, "precious") || !strings.Contains(got, "plain:1: ok") {
		t.Errorf("got %s", got)
	}
	if info, err := os.Stat(filepath.Join(b.dir, "w", "suid")); err != nil || info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
		t.Errorf("got %v, %v", info, err)
	}
	if err := b.Remove("w"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(b.dir, "w")); !os.IsNotExist(err) {
		t.Errorf("the workspace is still there: %v", err)
	}
}

func TestACommandSeesNoOtherRunsFiles(t *testing.T) {
	t.Parallel()
	b := commands(t, sandbox.Config{})
	b.attach(map[string]string{"a.txt": "precious"})
	res := b.Call(t.Context(), core.ToolInvocation{
		Name: "run_shell", Workspace: "other", Arguments: []byte(`{"command":"cat ../w/a.txt ` + b.dir + `/w/a.txt /workspace/../workspaces/w/a.txt; ls ../ ` + b.dir + `"}`),
	})
	if res.IsError || strings.Contains(res.Text, "precious") || !strings.Contains(res.Text, "cat: ../w/a.txt") {
		t.Errorf("got %+v", res)
	}
}

func TestWithoutASandboxCommandsAreRefused(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]string{
		"auto": "commands cannot be run: nothing on the server can keep them in (this program cannot help to keep them in). " +
			"The server's operator can install bubblewrap",
		"off": "commands cannot be run: the setting tools.sandbox.level is off",
	} {
		box, err := sandbox.New(sandbox.Config{Level: level}, sandbox.Deps{Private: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		r, err := New(Config{Dir: dir}, Deps{Sandbox: box, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		proof := filepath.Join(t.TempDir(), "made")
		for _, tool := range []string{"run_shell", "run_python"} {
			res := r.Call(t.Context(), core.ToolInvocation{
				Name: tool, Workspace: "w", Arguments: []byte(map[string]string{"run_shell": `{"command":"touch ` + proof + `"}`, "run_python": `{"code":"open('` + proof + `','w')"}`}[tool]),
			})
			if !res.IsError || res.Unknown || !strings.HasPrefix(res.Text, want) {
				t.Errorf("%s: %+v", tool, res)
			}
		}
		if _, err := os.Stat(proof); !os.IsNotExist(err) {
			t.Errorf("a command was run all the same: %v", err)
		}
	}
}

// brokenCommands is a sandbox without programs.
type brokenCommands struct{ Commands }

func (brokenCommands) Limits() sandbox.Limits { return sandbox.Limits{Time: time.Second} }
func (brokenCommands) Network() bool          { return true }
func (brokenCommands) Find(name string) (string, error) {
	return "", core.Errorf(core.CodeUnavailable, "there is no %s", name)
}
func (brokenCommands) Run(context.Context, sandbox.Command) (sandbox.Result, error) {
	panic("nothing can be run")
}

func TestTheLackOfAnInterpreterIsSaid(t *testing.T) {
	t.Parallel()
	r, err := New(Config{Dir: t.TempDir()}, Deps{Sandbox: brokenCommands{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if res := r.Call(t.Context(), core.ToolInvocation{Name: "run_python", Workspace: "w", Arguments: []byte(`{"code":"1"}`)}); !res.IsError || res.Text != "there is no python3" {
		t.Errorf("got %+v", res)
	}
	if res := r.Call(t.Context(), core.ToolInvocation{Name: "run_shell", Workspace: "w", Arguments: []byte(`{"command":"1"}`)}); !res.IsError || res.Text != "there is no sh" {
		t.Errorf("got %+v", res)
	}
	spec, _ := r.Spec("run_shell")
	if !spec.Flow.Has(core.FlowEgress) || spec.Effect != core.EffectUnsafe {
		t.Errorf("got %+v", spec)
	}
}
