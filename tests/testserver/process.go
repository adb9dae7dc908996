// Package testserver builds the real binary, starts it as a process of its own on a data folder, kills it, and talks to
// it as a client does. The gates (chaos, bench, e2e) use it. It knows the outside of the product only: the command line,
// the environment and HTTP.
package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	program = "github.com/sutazai/sutazai/cmd/sutazai"
	// startPatience bounds how long a start may take on a busy machine.
	startPatience = 60 * time.Second
	// stopPatience bounds how long an orderly stop may take: the configured grace and some more.
	stopPatience = 40 * time.Second
)

// Dir makes a folder whose path is short enough for a unix socket in it, removed when the test ends.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stz")
	if err != nil {
		t.Fatalf("make a data folder: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is a temporary folder
	return dir
}

// Build compiles the release binary with build tags into a folder that is removed when the test ends.
func Build(t testing.TB, tags ...string) string {
	t.Helper()
	path := filepath.Join(Dir(t), "sutazai")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", strings.Join(tags, ","), "-o", path, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	return path
}

// Options say which binary to start and with what.
type Options struct {
	Binary  string
	DataDir string
	Env     []string // NAME=value, added to an environment that holds nothing of the caller's settings
}

// env is a clean environment: the caller's own settings must not change what is tested.
func (o Options) env() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(o.DataDir, "home"), "TMPDIR=" + os.TempDir(),
		"SUTAZAI_SERVER_DATA_DIR=" + o.DataDir, "SUTAZAI_SERVER_LISTEN=127.0.0.1:0", "SUTAZAI_LOG_FORMAT=json", "SUTAZAI_MODELS_LOCAL_RUNTIME=off",
	}
	return append(env, o.Env...)
}

// Process is a running server.
type Process struct {
	URL      string // of the HTTP server
	SetupURL string // one-time link; "" when there is an administrator
	Began    time.Time
	Pid      int

	cmd     *exec.Cmd
	ended   chan struct{}
	waitErr error
	stopped atomic.Bool
}

// LogPath is where a server on this data folder writes its log; every start appends to it.
func LogPath(dataDir string) string { return filepath.Join(dataDir, "server.log") }

// Start starts `sutazai serve` and returns when it has said where it serves. The caller ends it by Kill or Stop.
func Start(ctx context.Context, o Options) (*Process, error) {
	p, lines, err := Launch(o)
	if err != nil {
		return nil, err
	}
	timeout := time.NewTimer(startPatience)
	defer timeout.Stop()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				<-p.ended
				return nil, fmt.Errorf("the server ended while it started: %w; the end of its log:\n%s", p.waitErr, LogTail(o.DataDir))
			}
			if p.greeting(line) {
				return p, nil
			}
		case <-timeout.C:
			p.Kill()
			return nil, fmt.Errorf("the server did not start within %s; the end of its log:\n%s", startPatience, LogTail(o.DataDir))
		case <-ctx.Done():
			p.Kill()
			return nil, ctx.Err()
		}
	}
}

// Launch starts `sutazai serve` and does not wait for it to serve. lines are those of its standard output.
func Launch(o Options) (p *Process, lines <-chan string, err error) {
	logFile, err := os.OpenFile(LogPath(o.DataDir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer logFile.Close()
	cmd := exec.CommandContext(context.Background(), o.Binary, "serve")
	cmd.Dir, cmd.Env, cmd.Stderr = o.DataDir, o.env(), logFile
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	p = &Process{cmd: cmd, ended: make(chan struct{}), Began: time.Now()}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p.Pid = cmd.Process.Pid
	read := make(chan string, 64) // more than a server says
	go func() {
		defer close(p.ended)
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			select {
			case read <- scan.Text():
			default: // nobody listens any more
			}
		}
		close(read)
		p.waitErr = cmd.Wait()
	}()
	return p, read, nil
}

// greeting takes what a line of the server's greeting says; true for the last line.
func (p *Process) greeting(line string) (last bool) {
	if _, url, ok := strings.Cut(line, " serves "); ok && p.URL == "" {
		p.URL = strings.TrimSpace(url)
	}
	name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
	switch name {
	case "set up":
		p.SetupURL = strings.TrimSpace(value)
	case "data":
		return true
	}
	return false
}

// Kill ends the process as a power cut does, and returns when it is gone. It may be called again.
func (p *Process) Kill() {
	p.stopped.Store(true)
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// Stop asks the process to end in order, and fails unless it does so with exit code 0.
func (p *Process) Stop() error {
	p.stopped.Store(true)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return p.waitErr
	case <-time.After(stopPatience):
		p.Kill()
		return fmt.Errorf("the server did not stop within %s of SIGTERM; it was killed", stopPatience)
	}
}

// Ended says whether the process has ended although nobody ended it.
func (p *Process) Ended() bool {
	select {
	case <-p.ended:
		return !p.stopped.Load()
	default:
		return false
	}
}

// Ready waits until /readyz answers 200.
func (p *Process) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// Command makes a command of the same program on the same data folder.
func Command(ctx context.Context, o Options, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, o.Binary, args...)
	cmd.Dir, cmd.Env = o.DataDir, o.env()
	return cmd
}

// CreateKey makes an API key through the socket of the running server.
func CreateKey(ctx context.Context, o Options, name string, scopes ...string) (secret string, err error) {
	args := []string{"keys", "create", name}
	for _, s := range scopes {
		args = append(args, "--scope", s)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	out, err := Command(ctx, o, args...).Output()
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, ee.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// LogTail is the end of the server's log without the requests that went well, for a person who looks for the cause of a
// failure.
func LogTail(dataDir string) string {
	const most = 60 // lines
	b, err := os.ReadFile(LogPath(dataDir))
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, `"level":"INFO","msg":"request"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "")
}
