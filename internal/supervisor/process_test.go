package supervisor

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// helper is what this test program does when it is started as the owner of a supervised process.
func helper() bool {
	script := os.Getenv("SUPERVISOR_TEST_OWNER")
	if script == "" {
		return false
	}
	s := New(Spec{Name: "child", Command: func(context.Context) (Command, error) {
		return Command{Path: "/bin/sh", Args: []string{"-c", script}}, nil
	}})
	_ = s.Run(context.Background()) // until it is killed
	return true
}

// fifo makes a named pipe. Whoever reads it sees its end when the last writer is gone, which tells of a death without
// asking again and again.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll reads a fifo to its end, which must come within ten seconds.
func readAll(t *testing.T, path string) (lines <-chan string, ended <-chan struct{}) {
	t.Helper()
	first, end := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(end)
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		buf := make([]byte, 64)
		n, _ := f.Read(buf)
		first <- string(buf[:n])
		_, _ = io.Copy(io.Discard, f)
	}()
	return first, end
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not happen within 10 s", what)
	}
}

func TestAChildEndsWhenItsOwnerIsKilledHard(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	first, ended := readAll(t, path)
	// The child ignores every polite signal and has a child of its own.
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), fmt.Sprintf("SUPERVISOR_TEST_OWNER=trap '' TERM INT HUP; exec 9>%s; echo up >&9; sleep 600 & sleep 600; sleep 600", path))
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	if got := <-first; got != "up\n" {
		t.Fatalf("got %q", got)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	within(t, "the end of the orphans", ended)
}

func TestStoppingEndsTheWholeGroupAndKeepsTheOutput(t *testing.T) {
	t.Parallel()
	path, dir := fifo(t), t.TempDir()
	first, ended := readAll(t, path)
	s := New(Spec{
		Name: "child", LogDir: dir, StopGrace: 100 * time.Millisecond, ReadyEvery: time.Millisecond,
		Command: func(context.Context) (Command, error) {
			return Command{Path: "/bin/sh", Args: []string{"-c", "exec 9>" + path + "; echo hello; echo up >&9; (trap '' TERM; sleep 600; sleep 600) & sleep 600"}}, nil
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	<-first
	if err := s.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	within(t, "the end of Run", done)
	within(t, "the end of the group", ended)
	log, err := os.ReadFile(filepath.Join(dir, "child.log"))
	if err != nil || !strings.Contains(string(log), "hello\n") {
		t.Errorf("log %q, %v", log, err)
	}
}

func TestExitCodesAndMissingProgramsAreTold(t *testing.T) {
	t.Parallel()
	p, err := startProcess(Command{Path: "/bin/sh", Args: []string{"-c", "exit 7"}}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Wait(); err == nil || err.Error() != "exit status 7" {
		t.Errorf("got %v", err)
	}
	p.Kill()
	if _, err := startProcess(Command{Path: "/no/such/program"}, io.Discard); err == nil {
		t.Error("a missing program started")
	}
}

func TestTheLogIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.log")
	l, err := openLog(path, 100, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		fmt.Fprintf(l, "line %03d .............\n", i) // 23 bytes
	}
	l.Close()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > 100 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	last, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(last), "line 099") {
		t.Errorf("got %q, %v", last, err)
	}
}

func TestALogThatCannotBeOpenedIsAnError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Spec{Name: "x", LogDir: file, Command: func(context.Context) (Command, error) { return Command{}, nil }})
	if err := s.Run(t.Context()); core.CodeOf(err) != core.CodeInternal || s.Status().State != core.ServiceDown {
		t.Errorf("got %v, %+v", err, s.Status())
	}
}
