package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
)

// local is a server in this process for tests: a fake behind a socket.
type local struct {
	socket string
	http   *http.Server
	closed bool
}

func (l *local) URL() string                { return "" }
func (l *local) SetupURL() string           { return "" }
func (l *local) Socket() string             { return l.socket }
func (l *local) Wait(context.Context) error { return nil }
func (l *local) Reload(*config.Config) (applied, needRestart []string) {
	return nil, nil
}
func (l *local) Close(context.Context) error {
	l.closed = true
	return l.http.Close()
}

// listen serves the fake behind a socket in a short folder: the system limits a socket's path.
func listen(t *testing.T, f *fake, socket string) *local {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l := &local{socket: socket, http: &http.Server{Handler: f.handler, ReadHeaderTimeout: time.Second}}
	go func() { _ = l.http.Serve(ln) }()
	t.Cleanup(func() { _ = l.http.Close() })
	return l
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// localCall runs the command line with a connector of the test's.
func localCall(t *testing.T, conn *connector, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	c := &cli{streams: newStreams(nil, &out, &errs), env: environment{}, program: theProgram(), conn: conn}
	exit := c.execute(t.Context(), args)
	return result{exit, out.String(), errs.String()}
}

func TestARunningServerIsUsedThroughItsSocket(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onStart = aRun(f)
	socket := filepath.Join(shortDir(t), socketName)
	listen(t, f, socket)
	conn := &connector{socket: func() (string, error) { return socket, nil }, start: func(context.Context, bool) (server, error) {
		t.Error("a second server was started")
		return nil, core.Errorf(core.CodeInternal, "no")
	}}
	if r := localCall(t, conn, "run", "assistant", "x"); r.exit != exitOK || r.out != "SutazAI runs agents.\n" {
		t.Errorf("%+v", r)
	}
}

func TestWithoutAServerOneIsStartedAndClosed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	socket := filepath.Join(shortDir(t), socketName)
	var own *local
	conn := &connector{socket: func() (string, error) { return socket, nil }, start: func(context.Context, bool) (server, error) {
		own = listen(t, f, socket)
		return own, nil
	}}
	r := localCall(t, conn, "run", "assistant", "x", "--detach")
	r.want(t, exitOK, "no server is running", "sutazai serve")
	if r.out != runID+"\n" || !own.closed {
		t.Errorf("%+v, closed %v", r, own.closed)
	}
}

func TestOnlyCommandsThatStayExecuteRuns(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"runs list": false, "runs show " + runID: false, "runs resume " + runID: false, "run assistant x --detach": false, "agents list": false,
		"run assistant x": true, "runs watch " + runID: true, "runs cancel " + runID: true,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			socket := filepath.Join(shortDir(t), socketName)
			asked := false
			conn := &connector{socket: func() (string, error) { return socket, nil }, start: func(_ context.Context, work bool) (server, error) {
				if asked = true; work != want {
					t.Errorf("a server that executes runs: %v", work)
				}
				return nil, core.Errorf(core.CodeUnavailable, "enough")
			}}
			localCall(t, conn, strings.Fields(line)...).want(t, exitUnreachable, "enough")
			if !asked {
				t.Error("no server was started")
			}
		})
	}
}

func TestAServerThatDoesNotStartSaysWhyUnlessAnotherWasFaster(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	socket := filepath.Join(shortDir(t), socketName)
	locked := core.Errorf(core.CodeConflict, "another sutazai uses this data folder")
	conn := &connector{socket: func() (string, error) { return socket, nil }, patience: time.Millisecond,
		start: func(context.Context, bool) (server, error) { return nil, locked }}
	localCall(t, conn, "runs", "list").want(t, exitFailed, "another sutazai uses this data folder")
	conn = &connector{socket: func() (string, error) { return socket, nil }, patience: time.Minute,
		start: func(context.Context, bool) (server, error) {
			listen(t, f, socket)
			return nil, locked
		}}
	localCall(t, conn, "runs", "list").want(t, exitOK, "no runs")
}

func TestWhenALocalServerGoesTheWorkIsTakenOver(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	socket := filepath.Join(shortDir(t), socketName)
	first := listen(t, f, socket)
	f.onStart = func(id string) {
		f.emitRun(id, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
	}
	f.onStream = func(string) { go func() { _ = first.http.Close() }() }
	conn := &connector{socket: func() (string, error) { return socket, nil }, patience: time.Millisecond,
		start: func(context.Context, bool) (server, error) {
			f.succeed(runID, "taken over")
			return listen(t, f, socket), nil
		}}
	r := localCall(t, conn, "run", "assistant", "x")
	r.want(t, exitOK, "reconnecting")
	if r.out != "taken over\n" || strings.Count(r.err, "finished") != 1 {
		t.Errorf("%+v", r)
	}
}
