//go:build amd64 || arm64

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// probeTime is how long trying a level may take.
const probeTime = 20 * time.Second

// Places inside the namespaces of bubblewrap.
const (
	insideWorkspace = "/workspace"
	insideTemp      = "/tmp"
	insideHelper    = "/.sutazai"
	sharedMemory    = 64 << 20 // bytes of /dev/shm
)

// probe tries the levels, the best first, by running the helper inside and letting it try the walls.
func (s *Sandbox) probe(ctx context.Context) Status {
	st := Status{Level: None}
	if s.config.Level == string(Off) {
		return Status{Level: Off}
	}
	if s.deps.Helper == "" {
		st.Missing = []string{"this program cannot help to keep them in"}
		return st
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	for _, level := range []Level{Bubblewrap, Landlock} {
		if s.config.Level != "auto" && s.config.Level != string(level) {
			continue
		}
		if err := s.try(ctx, level, ""); err != nil {
			st.Missing = append(st.Missing, fmt.Sprintf("%s: %s", level, err))
			continue
		}
		st.Level = level
		parent, err := groupParent()
		if err == nil {
			err = s.try(ctx, level, parent)
		}
		if err == nil {
			st.groups = parent
		} else {
			st.Missing = append(st.Missing, fmt.Sprintf("control groups: %s, so that memory and processes are watched, many times a second, instead of bounded by the kernel", err))
		}
		break
	}
	if st.Level == Bubblewrap && landlockABI() == 0 {
		st.Missing = append(st.Missing, "landlock: the kernel has it not or not switched on, so there is one wall less around files")
	}
	if st.Level == Landlock {
		st.Missing = append(st.Missing, "commands can see names and sizes of files outside, though not read them, and cannot change the rights of files")
	}
	return st
}

// try runs the check of a level, in a control group below groups if that is not "".
func (s *Sandbox) try(ctx context.Context, level Level, groups string) error {
	if level == Bubblewrap {
		if _, err := exec.LookPath("bwrap"); err != nil {
			return errors.New("it is not installed (apt install bubblewrap, dnf install bubblewrap)")
		}
	} else if abi := landlockABI(); abi < minABI {
		return fmt.Errorf("the kernel has version %d of it, and only from version %d on (Linux 6.12) does it keep signals in", abi, minABI)
	}
	dir, err := os.MkdirTemp("", "sutazai-sandbox-")
	if err != nil {
		return fmt.Errorf("no temporary folder can be made: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a few empty files at most
	workspace, hidden := filepath.Join(dir, "w"), filepath.Join(dir, "hidden")
	if err := os.Mkdir(workspace, 0o700); err != nil {
		return fmt.Errorf("no temporary folder can be made: %w", err)
	}
	if err := os.WriteFile(hidden, []byte("hidden"), 0o600); err != nil {
		return fmt.Errorf("no temporary file can be made: %w", err)
	}
	p := newProcess(ctx, s, Status{Level: level, groups: groups}, workspace, hidden, *s.limits.Load())
	defer p.close()
	var out strings.Builder
	err = p.run(modeCheck, nil, &out, &out, nil)
	if p.status() == ready && err == nil {
		return nil
	}
	s.deps.Logger.Info("a level of the sandbox does not work", "level", level, "status", p.status(), "output", out.String(), "error", err)
	switch {
	case p.status() != "" && p.status() != ready:
		return errors.New(p.status())
	case strings.TrimSpace(out.String()) != "":
		return errors.New(firstLine(out.String()))
	case err != nil:
		return err
	}
	return errors.New("the check did not end")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// process is one process tree of a level.
type process struct {
	sandbox   *Sandbox
	level     Level
	limits    Limits
	workspace string
	temp      string // ours, where the level has no file system for it
	hidden    string
	groups    string          // the parent of control groups, "" = none
	starved   bool            // whether the kernel ended it for its memory
	ctx       context.Context //nolint:containedctx // it is the process's own life
	cmd       *exec.Cmd
	word      string
}

func newProcess(ctx context.Context, s *Sandbox, st Status, workspace, hidden string, limits Limits) *process {
	return &process{sandbox: s, level: st.Level, groups: st.groups, limits: limits, workspace: workspace, hidden: hidden, ctx: ctx}
}

// status is the helper's word, after run.
func (p *process) status() string { return p.word }

// close removes what was made for the process.
func (p *process) close() {
	if p.temp != "" {
		if err := removeTree(p.temp); err != nil {
			p.sandbox.deps.Logger.Warn("a command's temporary folder could not be removed", "folder", p.temp, "error", err)
		}
	}
}

// run starts the tree and waits for its end; watch, if there is one, runs beside it until done is closed. The thread that starts
// the tree stays with it: the kernel ends the tree when the thread ends, however that happens.
func (p *process) run(mode string, argv []string, stdout, stderr io.Writer, watch func(pid int, done <-chan struct{})) error {
	if p.level == Landlock {
		temp, err := os.MkdirTemp("", "sutazai-command-")
		if err != nil {
			return err
		}
		p.temp = temp
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // read only
	wait, letGo, err := os.Pipe()
	if err != nil {
		w.Close() //nolint:errcheck,gosec // nothing was written
		return err
	}
	defer letGo.Close()                                            //nolint:errcheck // at most a byte was written
	defer context.AfterFunc(p.ctx, func() { _ = letGo.Close() })() // what was not let go must not wait for it
	args, files, err := p.arguments(mode, argv)
	if err != nil {
		w.Close()    //nolint:errcheck,gosec // nothing was written
		wait.Close() //nolint:errcheck,gosec // nothing is read
		return err
	}
	files = append([]*os.File{w, wait}, files...)
	p.cmd = exec.CommandContext(p.ctx, args[0], args[1:]...) //nolint:gosec // args[0] is bubblewrap or ourselves
	p.cmd.Env = environment(p.temp)
	p.cmd.Dir = p.workspace
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	p.cmd.ExtraFiles = files
	p.cmd.WaitDelay = 10 * time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true} // the supervisor must live to end the others
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	if p.groups != "" {
		g, err := makeGroup(p.groups, groupLimits(p.limits))
		if err != nil {
			return errors.Join(fmt.Errorf("make a control group: %w", err), closeAll(files))
		}
		defer p.leave(g)
		p.cmd.SysProcAttr.UseCgroupFD, p.cmd.SysProcAttr.CgroupFD = true, int(g.dir.Fd())
	}
	ended := make(chan error, 1)
	running := make(chan error, 1)
	go onOneThread(func() {
		err := p.cmd.Start()
		_ = closeAll(files) // the child has its own
		running <- err
		if err == nil {
			ended <- p.cmd.Wait()
		}
	})
	if err := <-running; err != nil {
		return err
	}
	said, done := make(chan string, 1), make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { said <- readStatus(r, letGo) }) // ends with the tree, which holds the other end
	if watch != nil {
		beside.Go(func() { watch(p.cmd.Process.Pid, done) })
	}
	err = <-ended
	close(done)
	_ = r.SetReadDeadline(time.Now().Add(time.Second)) // a pipe has deadlines
	beside.Wait()
	p.word = <-said
	return err
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// leave ends a control group, after the tree itself.
func (p *process) leave(g *group) {
	p.starved = g.starved()
	if err := g.end(); err != nil {
		p.sandbox.deps.Logger.Warn("a command's control group could not be removed", "error", err)
	}
}

// arguments are the whole command line of the tree and the files that it inherits after the status.
func (p *process) arguments(mode string, argv []string) ([]string, []*os.File, error) {
	l := p.limits
	sp := spec{
		Level: p.level, Network: p.sandbox.config.Network, Memory: l.Memory, FileSize: max(l.Workspace, l.Disk),
		Seconds: int64(l.Time/time.Second) + 5, Parent: os.Getpid(), Hidden: p.hidden,
		Devices: []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"},
	}
	var inside []string
	var files []*os.File
	if p.level == Landlock {
		inside = []string{p.sandbox.deps.Helper}
		sp.Read, sp.Write = append(system(), p.sandbox.config.Paths...), []string{p.workspace, p.temp}
		sp.Temp = p.temp
	} else {
		var err error
		if inside, files, err = p.bubblewrap(); err != nil {
			return nil, nil, err
		}
		inside = append(inside, "--", insideHelper)
		sp.Read, sp.Write = []string{"/"}, []string{insideWorkspace, insideTemp, "/dev/shm"}
		sp.Processes, sp.Files = l.Processes, len(files)
	}
	encoded, err := json.Marshal(sp)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll(files))
	}
	args := append([]string{p.sandbox.deps.Helper, HelperArgument, modeSupervise, string(encoded)}, inside...)
	return append(append(args, HelperArgument, mode, string(encoded)), argv...), files, nil
}

// bubblewrap is the command line that makes the namespaces and what is mounted in them.
func (p *process) bubblewrap() ([]string, []*os.File, error) {
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		return nil, nil, err
	}
	args := []string{
		bwrap, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox",
		"--uid", "1000", "--gid", "1000", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
	}
	if !p.sandbox.config.Network {
		args = append(args, "--unshare-net")
	}
	for _, e := range environment(insideTemp) {
		name, value, _ := strings.Cut(e, "=")
		args = append(args, "--setenv", name, value)
	}
	for _, path := range system() {
		if target, err := os.Readlink(path); err == nil && !strings.HasPrefix(path, "/etc/") { // /bin is a link to usr/bin
			args = append(args, "--symlink", target, path)
			continue
		}
		args = append(args, "--ro-bind-try", path, path)
	}
	if p.sandbox.config.Network {
		args = append(args, "--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf")
	}
	var files []*os.File
	for _, f := range []struct{ name, content string }{
		{"/etc/passwd", "root:x:0:0:root:/:/bin/sh\nsandbox:x:1000:1000:sandbox:/tmp:/bin/sh\n"},
		{"/etc/group", "root:x:0:\nsandbox:x:1000:\n"},
		{"/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"},
	} {
		r, err := filled(f.content)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, r)
		args = append(args, "--ro-bind-data", strconv.Itoa(goFD+len(files)), f.name)
	}
	args = append(args,
		"--proc", "/proc", "--dev", "/dev", "--size", strconv.Itoa(sharedMemory), "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
		"--size", strconv.FormatInt(p.limits.Disk, 10), "--tmpfs", insideTemp)
	for _, path := range p.sandbox.config.Paths {
		args = append(args, "--ro-bind", path, path)
	}
	return append(args, "--ro-bind", p.sandbox.deps.Helper, insideHelper,
		"--bind", p.workspace, insideWorkspace, "--chdir", insideWorkspace, "--remount-ro", "/"), files, nil
}

// filled is the reading end of a pipe that holds a short text.
func filled(text string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close() //nolint:errcheck // the text is in the pipe
	if _, err := w.WriteString(text); err != nil {
		r.Close() //nolint:errcheck,gosec // read only
		return nil, err
	}
	return r, nil
}

// readStatus reads the helper's word, of which more than a few lines would be none, and lets it go on when it is ready.
func readStatus(r, letGo *os.File) string {
	b := make([]byte, 4096)
	n := 0
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if err != nil {
			break
		}
		if string(b[:n]) == ready {
			_, _ = letGo.Write([]byte{1}) // it fails when the command is no longer wanted
		}
	}
	return string(b[:n])
}
