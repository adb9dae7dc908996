// Package cli runs the command line from outside, as a person or a script does: every script in testdata/script is a
// scenario in testscript's language, run against the real binary with a scripted model behind real HTTP.
package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for something that takes milliseconds on an idle machine.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

// buildAndRun builds the binary once for all scripts and puts it first in PATH.
func buildAndRun(m *testing.M) int {
	bin, err := os.MkdirTemp("", "sutazai-cli")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(bin) }()
	build := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(bin, "sutazai"), "github.com/sutazai/sutazai/cmd/sutazai")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the command line: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Deadline:            time.Now().Add(3 * time.Minute),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "model": startModel, "server": serverCommand, "occupy": occupy, "capture": capture, "await": await,
			"nosecret": noSecret, "terminal": terminal,
		},
	})
}

// setup gives each script its own data folder and settings that need nothing of the machine.
func setup(env *testscript.Env) error {
	for _, pair := range [][2]string{
		{"HOME", filepath.Join(env.WorkDir, "home")},
		{"XDG_CONFIG_HOME", ""},
		{"XDG_DATA_HOME", ""},
		{"SUTAZAI_SERVER_DATA_DIR", filepath.Join(env.WorkDir, "data")},
		{"SUTAZAI_SERVER_LISTEN", "127.0.0.1:0"},
		{"SUTAZAI_MODELS_LOCAL_RUNTIME", "off"},
		{"SUTAZAI_MODELS_RETRY_ATTEMPTS", "1"},
	} {
		env.Setenv(pair[0], pair[1])
	}
	env.Values[processes{}] = map[string]*background{}
	return nil
}

// exits runs a program and checks its exit code: exits 2 sutazai …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		ee, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = ee.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s ended with exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// background is a program that a script started: its output goes to NAME.out and NAME.err in the work folder.
type background struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

func start(ts *testscript.TestScript, name string, program string, args ...string) *background {
	path, err := exec.LookPath(program)
	ts.Check(err)
	b := &background{cmd: exec.CommandContext(context.Background(), path, args...), ended: make(chan struct{})} // ended by Defer below
	b.cmd.Dir = ts.MkAbs(".")
	b.cmd.Env = environ(ts)
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	errs, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	b.cmd.Stdout, b.cmd.Stderr = out, errs
	ts.Check(b.cmd.Start())
	go func() {
		defer close(b.ended)
		_ = b.cmd.Wait() // its exit code is asked for below
		_, _ = out.Close(), errs.Close()
	}()
	ts.Defer(func() {
		_ = b.cmd.Process.Kill() // it has ended already in most scripts
		<-b.ended
	})
	return b
}

// environ is what a background program gets of the script's environment: testscript gives its variables one by one.
func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "SUTAZAI_SERVER_DATA_DIR", "SUTAZAI_SERVER_LISTEN", "SUTAZAI_MODELS_LOCAL_RUNTIME",
		"SUTAZAI_MODELS_RETRY_ATTEMPTS", "SUTAZAI_MODELS_PROVIDERS_FAKE_KIND", "SUTAZAI_MODELS_PROVIDERS_FAKE_BASE_URL", "SUTAZAI_MODELS_ROUTES_DEFAULT"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func (b *background) exit(ts *testscript.TestScript, want int) {
	select {
	case <-b.ended:
	case <-time.After(patience):
		ts.Fatalf("it did not end within %s", patience)
	}
	if got := b.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("it ended with exit code %d, want %d", got, want)
	}
}

// processes is the key under which a script keeps its background programs, by name.
type processes struct{}

// serverCommand starts and stops programs in the background:
//
//	server start NAME ARGS…    sutazai ARGS…, and wait until its socket answers
//	server signal NAME SIGNAL  HUP, INT, TERM or KILL
//	server wait NAME CODE      wait until it ends, and check its exit code
func serverCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: server start NAME args… | signal NAME SIGNAL | wait NAME CODE")
	}
	all := ts.Value(processes{}).(map[string]*background)
	switch args[0] {
	case "start":
		b := start(ts, args[1], "sutazai", args[2:]...)
		all[args[1]] = b
		socket := filepath.Join(ts.Getenv("SUTAZAI_SERVER_DATA_DIR"), "sutazai.sock")
		until(ts, "the server "+args[1]+" does not answer", func() bool {
			select {
			case <-b.ended:
				text, _ := os.ReadFile(ts.MkAbs(args[1] + ".err"))
				ts.Fatalf("the server ended: %s", text)
			default:
			}
			conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", socket)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
	case "signal":
		signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
		ts.Check(all[args[1]].cmd.Process.Signal(signals[args[2]]))
	case "wait":
		want, err := strconv.Atoi(args[2])
		ts.Check(err)
		all[args[1]].exit(ts, want)
	default:
		ts.Fatalf("unknown: server %s", args[0])
	}
}

// until waits for something that no event announces to the outside.
func until(ts *testscript.TestScript, otherwise string, done func() bool) {
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			ts.Fatalf("%s", otherwise)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// await waits until a file of the work folder holds a text: await FILE TEXT
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE TEXT")
	}
	until(ts, args[0]+" never said "+args[1], func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(text), args[1])
	})
}

// occupy listens on a free port and puts its address into $OCCUPIED.
func occupy(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv("OCCUPIED", l.Addr().String())
}
