//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// endedError says why a command was ended before its time.
type endedError string

func (e endedError) Error() string { return string(e) }

// Run runs a command and waits until nothing of it is left. CodeUnavailable: nothing can keep it in, or too many run; it was not
// started. CodeStorageFull: the disk has no room for it. ctx's error: the command was ended with it.
func (s *Sandbox) Run(ctx context.Context, c Command) (Result, error) {
	limits := s.Limits()
	if c.Time > 0 && c.Time < limits.Time {
		limits.Time = c.Time
	}
	st := s.Status(ctx)
	if st.Level == None || st.Level == Off {
		return Result{}, errors.Join(ctx.Err(), s.refused(st))
	}
	if len(c.Args) == 0 || !filepath.IsAbs(c.Args[0]) || !filepath.IsAbs(c.Workspace) {
		return Result{}, core.Errorf(core.CodeInternal, "a command needs the paths of its program and its workspace")
	}
	if err := s.wait(ctx, limits.Time); err != nil {
		return Result{}, err
	}
	defer func() { <-s.places }()
	return s.run(ctx, st, c, limits)
}

// wait waits for a place, at most as long as a command may take.
func (s *Sandbox) wait(ctx context.Context, longest time.Duration) error {
	t := time.NewTimer(longest)
	defer t.Stop()
	select {
	case s.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return core.Errorf(core.CodeUnavailable, "%d commands run already and none has ended for %s; nothing was started, try again later", s.config.Parallel, longest)
	}
}

func (s *Sandbox) run(ctx context.Context, st Status, c Command, limits Limits) (Result, error) {
	tree, err := openTree(c.Workspace)
	if err != nil {
		return Result{}, core.Wrap(core.CodeInternal, err, "the workspace cannot be opened; the server's log has the details")
	}
	defer tree.close()
	before, err := tree.snapshot()
	if err != nil {
		return Result{}, core.Wrap(core.CodeInternal, err, "the workspace cannot be read; the server's log has the details")
	}
	if free, reserve := tree.space(); free < reserve {
		return Result{}, core.Errorf(core.CodeStorageFull, "the server's disk is nearly full, so no command is started; tell the user, who can free space and try again")
	}
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	life, stop := context.WithTimeoutCause(life, limits.Time, endedError(fmt.Sprintf("it took longer than %s", limits.Time)))
	defer stop()

	stdout := &keeper{limit: limits.Output, over: func() { end(endedError(fmt.Sprintf("it wrote more than %d MB of output", maxOutput>>20))) }}
	stderr := &keeper{limit: limits.Output, over: stdout.over}
	p := newProcess(life, s, st, c.Workspace, filepath.Join(s.deps.Private, "hidden"), limits)
	defer p.close()
	began := time.Now()
	err = p.run(modeBecome, c.Args, stdout, stderr, func(pid int, done <-chan struct{}) {
		w := &watcher{limits: limits, tree: tree, base: before.usage, temp: p.temp, end: end}
		w.watch(life, done, pid)
	})
	res := Result{Stdout: stdout.output(), Stderr: stderr.output(), Took: time.Since(began)}
	if ended, ok := errors.AsType[endedError](context.Cause(life)); ok {
		res.Ended = string(ended)
	} else if p.starved {
		res.Ended = fmt.Sprintf("it used more than %s of memory", sizeText(limits.Memory))
	}
	if cleanErr := tree.tidy(before, limits, &res); cleanErr != nil {
		s.deps.Logger.Warn("what a command left in its workspace could not be looked at", "workspace", c.Workspace, "error", cleanErr)
	}
	if ctx.Err() != nil {
		return res, ctx.Err()
	}
	if !strings.HasPrefix(p.status(), ready) && res.Ended == "" {
		return Result{}, s.notStarted(p.status(), res.Stderr.Text, err)
	}
	if problem := strings.TrimPrefix(p.status(), ready); problem != "" {
		return Result{}, core.Errorf(core.CodeInvalid, "the program cannot be started: %s", problem)
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case ok && exit.ExitCode() >= 0:
		res.ExitCode = exit.ExitCode()
	case err != nil:
		res.ExitCode = 128 + 9
	}
	return res, nil
}

// notStarted is what a caller is told of a wall that could not be put up; the command was not run.
func (s *Sandbox) notStarted(status, stderr string, err error) error {
	s.deps.Logger.Error("a command's sandbox could not be made", "status", status, "output", stderr, "error", err)
	return core.Errorf(core.CodeUnavailable, "the command's sandbox could not be made, so the command was not run; the server's log has the details")
}

// onOneThread runs fn on a thread that does nothing else until fn returns.
func onOneThread(fn func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fn()
}
