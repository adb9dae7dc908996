//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// The test binary is also the sandbox's helper and the program that attacks: see attacks_test.go.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == HelperArgument {
		os.Exit(Helper(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == attackArgument {
		os.Exit(attackMain(os.Args[2:]))
	}
	os.Setenv(canary, "x")
	goleak.VerifyTestMain(m)
}

// levels are those that the tests are run on: all of them.
func levels() []Level { return []Level{Bubblewrap, Landlock} }

// bundle is a sandbox of one level with a workspace.
type bundle struct {
	*Sandbox
	t         *testing.T
	workspace string
	private   string
}

func setup(t *testing.T, level Level, c Config) bundle {
	t.Helper()
	base := t.TempDir()
	b := bundle{t: t, private: filepath.Join(base, "data")}
	b.workspace = filepath.Join(b.private, "workspaces", "w")
	if err := os.MkdirAll(b.workspace, 0o700); err != nil {
		t.Fatal(err)
	}
	c.Level = string(level)
	var err error
	b.Sandbox, err = New(c, Deps{Helper: self(t), Private: b.private, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	works(t, b.Sandbox, level)
	return b
}

// tried are the levels that were found to work: trying one takes longer than most tests.
var tried sync.Map

func works(t *testing.T, s *Sandbox, level Level) {
	t.Helper()
	if st, known := tried.Load(level); known {
		s.found = st.(Status)
		return
	}
	st := s.Status(t.Context())
	if st.Level != level && os.Getenv("CI") == "" {
		t.Skipf("the level %s does not work here: %s", level, st)
	}
	if st.Level != level {
		t.Fatalf("the level %s does not work here: %s", level, st)
	}
	tried.Store(level, st)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// sh runs a shell command, which must start.
func (b bundle) sh(command string) Result {
	b.t.Helper()
	return b.run(Command{Args: []string{"/bin/sh", "-c", command}})
}

func (b bundle) run(c Command) Result {
	b.t.Helper()
	c.Workspace = b.workspace
	res, err := b.Run(b.t.Context(), c)
	if err != nil {
		b.t.Fatalf("%q: %v", c.Args, err)
	}
	return res
}

func (b bundle) write(name, content string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.workspace, name), []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// each runs a test on every level.
func each(t *testing.T, fn func(t *testing.T, level Level)) {
	t.Helper()
	for _, level := range levels() {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			fn(t, level)
		})
	}
}

func TestACommandRunsInItsWorkspaceAndTellsWhatChanged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, level Level) {
		b := setup(t, level, Config{})
		b.write("old.txt", "old")
		b.write("gone.txt", "gone")
		b.write("same.txt", "same")
		res := b.sh("echo out; echo err >&2; cat old.txt; mkdir -p d/e; echo new > d/e/new.txt; echo more >> old.txt; rm gone.txt; exit 3")
		if res.Stdout.Text != "out\nold" || res.Stderr.Text != "err\n" || res.ExitCode != 3 || res.Ended != "" {
			t.Errorf("got %+v", res)
		}
		want := []Change{{"d/e/new.txt", Added, 4}, {"gone.txt", Gone, 0}, {"old.txt", Changed, 8}}
		if len(res.Changed) != 3 || res.Changed[0] != want[0] || res.Changed[1] != want[1] || res.Changed[2] != want[2] {
			t.Errorf("changed %+v", res.Changed)
		}
	})
}

func TestAProgramThatCannotBeStartedIsNamed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, level Level) {
		b := setup(t, level, Config{Limits: Limits{Memory: 1 << 20, Processes: 1}}) // less than the helper itself needs
		_, err := b.Run(t.Context(), Command{Args: []string{"/usr/bin/no-such-program"}, Workspace: b.workspace})
		if err == nil || err.Error() != "the program cannot be started: start /usr/bin/no-such-program: no such file or directory" {
			t.Errorf("got %v", err)
		}
		if res := b.run(Command{Args: []string{"/bin/sh", "-c", "echo runs"}}); res.Stdout.Text != "runs\n" {
			t.Errorf("got %+v", res)
		}
	})
}

func testContext() (context.Context, context.CancelFunc) {
	return context.WithCancel(context.Background())
}
