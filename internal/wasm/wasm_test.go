package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program builds the test program once.
var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "wasm")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "program.wasm")
	cmd := exec.Command("go", "build", "-o", file, "./testdata/program")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

type bundle struct {
	t         *testing.T
	tool      *Tool
	workspace string
}

// compiled are the tools by description: compiling one takes longer than a test. The workspace of a call is its folder.
var compiled sync.Map

func setup(t *testing.T, change func(m *manifest)) bundle {
	t.Helper()
	m := manifest{
		Name: "program", Description: "Does what it is told.", Effect: core.EffectReadOnly, Workspace: true,
		Parameters: json.RawMessage(`{"type":"object"}`), MemoryMB: 32, Timeout: 120,
	}
	if change != nil {
		change(&m)
	}
	description, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	once, _ := compiled.LoadOrStore(string(description), sync.OnceValues(func() (*Tool, error) { return loadProgram(description) }))
	tool, err := once.(func() (*Tool, error))()
	if err != nil {
		t.Fatal(err)
	}
	return bundle{t: t, workspace: t.TempDir(), tool: tool}
}

func loadProgram(description []byte) (*Tool, error) {
	code, err := program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "wasm")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "p.wasm"), code, 0o600), os.WriteFile(filepath.Join(dir, "p.json"), description, 0o600)); err != nil {
		return nil, err
	}
	tools, problems := Load(dir, Deps{Workspace: os.OpenRoot, OutputMax: func() int { return 10_000 }})
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return tools[0], nil
}

func put(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b bundle) call(do, path string) (string, error) {
	b.t.Helper()
	args, err := json.Marshal(map[string]string{"Do": do, "Path": path})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.tool.Call(b.t.Context(), core.ToolInvocation{Name: "program", Arguments: args, Workspace: b.workspace})
}

// refused is the message of a call that must fail.
func (b bundle) refused(do, path string) string {
	b.t.Helper()
	text, err := b.call(do, path)
	if err == nil {
		b.t.Errorf("%s %s succeeded: %q", do, path, text)
		return ""
	}
	return core.MessageOf(err)
}

func TestAProgramGetsItsArgumentsAndGivesItsResult(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	put(t, b.workspace, "a.txt", []byte("content"))
	for range 2 { // every call is a fresh instance
		if text, err := b.call("greet", "you"); err != nil || text != "hello you" {
			t.Errorf("got %q, %v", text, err)
		}
	}
	if text, err := b.call("read", "/workspace/a.txt"); err != nil || text != "content" {
		t.Errorf("got %q, %v", text, err)
	}
	if text, err := b.call("environment", ""); err != nil || text != "0" {
		t.Errorf("got %q, %v", text, err)
	}
	if got := b.refused("fail", ""); got != "program ended with exit code 3: as wished" {
		t.Error(got)
	}
	if got := b.refused("panic", ""); !strings.HasPrefix(got, "program ended with exit code 2: panic: as wished") {
		t.Error(got)
	}
	spec := b.tool.Spec()
	if spec.Name != "program" || spec.Effect != core.EffectReadOnly || !spec.Flow.Has(core.FlowPrivate) {
		t.Errorf("got %+v", spec)
	}
}

func TestAProgramReachesNothingOutside(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	outside := t.TempDir()
	put(t, outside, "secret", []byte("secret"))
	put(t, b.workspace, "a.txt", []byte("kept"))
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(b.workspace, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(b.workspace, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ do, path string }{
		{"read", filepath.Join(outside, "secret")},
		{"read", "/workspace/../" + filepath.Join(outside, "secret")},
		{"read", "/workspace/link"},
		{"read", "/workspace/pipe"},
		{"read", "/etc/passwd"},
		{"read", "/proc/self/environ"},
		{"write", "/workspace/new.txt"},
		{"write", "/workspace/a.txt"},
		{"write", filepath.Join(outside, "new.txt")},
		{"remove", "/workspace/a.txt"},
		{"open", "/workspace/a.txt"},
	} {
		t.Run(x.do+" "+x.path, func(t *testing.T) {
			if got := b.refused(x.do, x.path); !strings.HasPrefix(got, "program ended with exit code 3: ") {
				t.Error(got)
			}
		})
	}
	if got, err := os.ReadFile(filepath.Join(b.workspace, "a.txt")); err != nil || string(got) != "kept" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAProgramWithoutAWorkspaceSeesNoFiles(t *testing.T) {
	t.Parallel()
	b := setup(t, func(m *manifest) { m.Workspace = false })
	put(t, b.workspace, "a.txt", []byte("content"))
	if got := b.refused("read", "/workspace/a.txt"); !strings.HasPrefix(got, "program ended with exit code 3: ") {
		t.Error(got)
	}
	if b.tool.Spec().Flow != 0 {
		t.Error("it has nothing private to tell")
	}
}

func TestAProgramIsBounded(t *testing.T) {
	t.Parallel()
	short := setup(t, func(m *manifest) { m.Timeout = 1 })
	if _, _, err := short.tool.ready(t.Context()); err != nil { // so that compiling does not count
		t.Fatal(err)
	}
	for _, x := range []struct {
		b        bundle
		do, want string
	}{
		{short, "loop", "program took longer than 1s and was ended; ask for less at once"},
		{short, "sleep", "program took longer than 1s and was ended; ask for less at once"},
		{setup(t, nil), "memory", "out of memory"},
		{setup(t, nil), "output", "program wrote more than 10000 bytes; ask for less at once"},
	} {
		t.Run(x.do, func(t *testing.T) {
			t.Parallel()
			if got := x.b.refused(x.do, ""); !strings.Contains(got, x.want) {
				t.Error(got)
			}
		})
	}
}

func TestACancelledCallEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := b.tool.Call(ctx, core.ToolInvocation{Arguments: []byte(`{"Do":"sleep","Path":""}`), Workspace: b.workspace})
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) && core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

// A program of a few bytes whose table asks for as much as there is.
func TestATableCannotFillTheServersMemory(t *testing.T) {
	t.Parallel()
	greedy := bytes.Join([][]byte{
		[]byte("\x00asm\x01\x00\x00\x00"),
		{1, 4, 1, 0x60, 0, 0}, // type 0: a function without arguments and results
		{3, 2, 1, 0},          // function 0 has it
		{4, 4, 1, 0x70, 0, 0}, // a table of functions without a bound
		{7, 10, 1, 6, '_', 's', 't', 'a', 'r', 't', 0, 0},
		// ref.null func, i32.const 2^28, table.grow 0, drop
		{10, 16, 1, 14, 0, 0xd0, 0x70, 0x41, 0x80, 0x80, 0x80, 0x80, 0x01, 0xfc, 0x0f, 0, 0x1a, 0x0b},
	}, nil)
	dir := t.TempDir()
	put(t, dir, "greedy.wasm", greedy)
	put(t, dir, "greedy.json", []byte(`{"name":"greedy","description":"d","parameters":{"type":"object"},"effect":"read_only"}`))
	tools, problems := Load(dir, Deps{OutputMax: func() int { return 100 }})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := tools[0].Call(t.Context(), core.ToolInvocation{Arguments: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if err := tools[0].Close(); err != nil {
		t.Error(err)
	}
	if _, err := tools[0].Call(t.Context(), core.ToolInvocation{}); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("a closed tool answers %v", err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<30 {
		t.Errorf("the call took %d MB", grown>>20)
	}
}

func TestAFolderIsReadAndItsMistakesAreNamed(t *testing.T) {
	t.Parallel()
	if tools, problems := Load(filepath.Join(t.TempDir(), "none"), Deps{}); len(tools)+len(problems) > 0 {
		t.Errorf("got %v, %v", tools, problems)
	}
	const empty = "\x00asm\x01\x00\x00\x00"
	good := `{"name":"%s","description":"d","parameters":{"type":"object"},"effect":"read_only"}`
	for _, x := range []struct{ name, code, description, want string }{
		{"none", empty, "", "has no description: write"},
		{"json", empty, "{", "is not a description: unexpected EOF"},
		{"unknown", empty, `{"name":"a","descripton":"x"}`, `unknown field "descripton"`},
		{"name", empty, fmt.Sprintf(good, "Bad-Name"), `name is "Bad-Name"`},
		{"effect", empty, `{"name":"a","description":"d","parameters":{"type":"object"},"effect":"maybe"}`, `effect is "maybe"`},
		{"memory", empty, `{"name":"a","description":"d","parameters":{},"effect":"unsafe","memory_mb":5000}`, "memory_mb is 5000; expected 1 to 1024"},
		{"no program", "#!/bin/sh", fmt.Sprintf(good, "a"), "is not a WebAssembly program"},
		{"cut off", empty + "\x04\x7f", fmt.Sprintf(good, "a"), "it is cut off"},
		{"large table", empty + "\x04\x07\x01\x70\x00\x80\x80\x80\x08", fmt.Sprintf(good, "a"), "too large"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, "x.wasm", []byte(x.code))
			if x.description != "" {
				put(t, dir, "x.json", []byte(x.description))
			}
			tools, problems := Load(dir, Deps{})
			if len(tools) > 0 || len(problems) != 1 || !strings.Contains(core.MessageOf(problems[0]), x.want) {
				t.Errorf("got %v, %v", tools, problems)
			}
		})
	}
}
