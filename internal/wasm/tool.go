package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/sutazai/sutazai/core"
)

// Tool is one program. It is safe for use by several goroutines.
type Tool struct {
	manifest manifest
	code     []byte
	deps     Deps

	mu      sync.Mutex
	runtime wazero.Runtime // nil before the first call and after Close
	program wazero.CompiledModule
	closed  bool
}

// page is the unit of a program's memory.
const page = 64 << 10

// ready compiles the program once.
func (t *Tool) ready(ctx context.Context) (wazero.Runtime, wazero.CompiledModule, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, nil, core.Errorf(core.CodeUnavailable, "the server is stopping; the tool was not called")
	}
	if t.runtime != nil {
		return t.runtime, t.program, nil
	}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(uint32(t.memory()/page)).WithCloseOnContextDone(true))
	_, err := wasi_snapshot_preview1.Instantiate(ctx, r)
	if err == nil {
		t.program, err = r.CompileModule(ctx, t.code)
	}
	if err == nil && t.program.ExportedFunctions()["_start"] == nil {
		err = errors.New("it exports no _start: it is a library, not a command")
	}
	if err != nil {
		return nil, nil, errors.Join(core.Wrap(core.CodeUnavailable, err, "the program of %s cannot be used; the server's operator must mend it (%s)", t.manifest.Name, oneLine(err)), r.Close(ctx))
	}
	t.runtime = r
	return t.runtime, t.program, nil
}

// Close frees the compiled program. No call may be under way.
func (t *Tool) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.runtime == nil {
		return nil
	}
	r := t.runtime
	t.runtime = nil
	return r.Close(context.Background())
}

// Call runs the program with the arguments on its standard input and returns its standard output.
func (t *Tool) Call(ctx context.Context, inv core.ToolInvocation) (string, error) {
	r, program, err := t.ready(ctx)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout(), errTime)
	defer cancel()
	stdout, stderr := &bounded{limit: t.deps.OutputMax()}, &bounded{limit: 1 << 10}
	config := wazero.NewModuleConfig().WithName("").WithArgs(t.manifest.Name).
		WithStdin(bytes.NewReader(inv.Arguments)).WithStdout(stdout).WithStderr(stderr).
		WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime().
		WithNanosleep(func(ns int64) { // wazero's own would sleep on after the call has ended
			timer := time.NewTimer(time.Duration(ns))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		})
	if t.manifest.Workspace {
		root, err := t.deps.Workspace(inv.Workspace)
		if err != nil {
			return "", err
		}
		defer root.Close() //nolint:errcheck // nothing is written through it
		config = config.WithFSConfig(wazero.NewFSConfig().WithFSMount(&folder{root: root}, "/workspace"))
	}
	module, err := r.InstantiateModule(ctx, program, config)
	if module != nil {
		defer module.Close(ctx) //nolint:errcheck // it has ended
	}
	return t.result(ctx, err, stdout, stderr)
}

// errTime is the cause of an end after the tool's own time.
var errTime = errors.New("the time is over")

// result tells how a program ended.
func (t *Tool) result(ctx context.Context, err error, stdout, stderr *bounded) (string, error) {
	name := t.manifest.Name
	exit, exited := errors.AsType[*sys.ExitError](err)
	switch {
	case errors.Is(context.Cause(ctx), errTime):
		return "", core.Errorf(core.CodeTimeout, "%s took longer than %s and was ended; ask for less at once", name, t.timeout())
	case ctx.Err() != nil:
		return "", ctx.Err()
	case stdout.over:
		return "", core.Errorf(core.CodeTooLarge, "%s wrote more than %d bytes; ask for less at once", name, stdout.limit)
	case exited && exit.ExitCode() != 0:
		return "", core.Errorf(core.CodeInvalid, "%s ended with exit code %d%s", name, exit.ExitCode(), said(stderr))
	case err != nil && !exited:
		return "", core.Errorf(core.CodeInvalid, "%s broke down: %s%s", name, oneLine(err), said(stderr))
	}
	return stdout.b.String(), nil
}

// said is what a program wrote about its failure.
func said(stderr *bounded) string {
	if text := strings.TrimSpace(stderr.b.String()); text != "" {
		return ": " + text
	}
	return ""
}

// oneLine is an error of the runtime without the program's stack.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// bounded keeps what is written up to a limit and then refuses more.
type bounded struct {
	limit int
	b     bytes.Buffer
	over  bool
}

func (w *bounded) Write(p []byte) (int, error) {
	room := w.limit - w.b.Len()
	if len(p) <= room {
		return w.b.Write(p)
	}
	w.over = true
	n, err := w.b.Write(p[:room])
	if err == nil {
		err = fmt.Errorf("more than %d bytes", w.limit)
	}
	return n, err
}
