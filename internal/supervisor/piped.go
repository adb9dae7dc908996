//go:build unix

package supervisor

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sutazai/sutazai/core"
)

// pipedGuard is guard for a program whose standard input and output are taken: the pipe that tells of our end is
// descriptor 3. The program's output is closed here, so that its end is seen when the program itself is gone.
const pipedGuard = `exec 4<&0 </dev/null
"$@" <&4 3<&- 4<&- &
child=$!
exec 4<&- >&-
trap 'kill -TERM "$child" 2>/dev/null' TERM INT
( exec >/dev/null 2>&1; trap '' TERM INT; cat <&3; kill -KILL 0 ) &
exec 3<&-
wait "$child"
status=$?
if kill -0 "$child" 2>/dev/null; then wait "$child"; status=$?; fi
exit "$status"`

// Piped is a running program that is talked to over its standard input and output. It has a process group of its own, and
// ends with us however we die.
type Piped struct {
	cmd    *exec.Cmd
	in     *os.File // to its standard input
	out    *os.File // from its standard output
	life   *os.File // the guard ends the group when this is closed
	grace  time.Duration
	exited chan struct{}
	err    error // how it ended; set before exited is closed
	once   sync.Once
}

// StartPiped starts a program; what it writes to its standard error goes to stderr. grace is the time between asking it to
// end and ending it, twice: first its input is closed, then it gets SIGTERM.
func StartPiped(c Command, stderr io.Writer, grace time.Duration) (*Piped, error) {
	if _, err := exec.LookPath(c.Path); err != nil { // the shell would only say it in the log
		return nil, err
	}
	var files []*os.File
	pipe := func() (r, w *os.File, err error) {
		r, w, err = os.Pipe()
		if err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	inR, inW, err := pipe()
	outR, outW, err2 := pipe()
	lifeR, lifeW, err3 := pipe()
	if err := errors.Join(err, err2, err3); err != nil {
		closeAll(files)
		return nil, err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", pipedGuard, "guard", c.Path}, c.Args...)...) //nolint:gosec,forbidigo,noctx // commands come from settings; the group is ended politely first
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Env, c.Dir, inR, outW, stderr
	cmd.ExtraFiles = []*os.File{lifeR}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = pipeDelay
	if err := cmd.Start(); err != nil {
		closeAll(files)
		return nil, err
	}
	closeAll([]*os.File{inR, outW, lifeR})
	p := &Piped{cmd: cmd, in: inW, out: outR, life: lifeW, grace: grace, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// Read reads what the program writes to its standard output.
func (p *Piped) Read(b []byte) (int, error) { return p.out.Read(b) }

// Write writes to the program's standard input.
func (p *Piped) Write(b []byte) (int, error) { return p.in.Write(b) }

// Exited is closed when the program has ended; what it left behind may still run until Close.
func (p *Piped) Exited() <-chan struct{} { return p.exited }

// Err is how the program ended, once Exited is closed; nil = with exit code 0.
func (p *Piped) Err() error {
	select {
	case <-p.exited:
		return p.err
	default:
		return nil
	}
}

// Close ends the program and everything that it started, and returns when that is done. It may be called again.
func (p *Piped) Close() error {
	p.once.Do(func() {
		_ = p.in.Close()
		if !p.within(p.grace) {
			p.signal(syscall.SIGTERM)
			p.within(p.grace)
		}
		p.signal(syscall.SIGKILL) // also what the program left behind
		_ = p.life.Close()
		<-p.exited
		_ = p.out.Close()
	})
	return nil
}

// within says whether the program ends in time.
func (p *Piped) within(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.exited:
		return true
	case <-t.C:
		return false
	}
}

func (p *Piped) signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig) // ESRCH: it is gone, which is what was wanted
}

// OpenLog opens dir/name.log for a program's output: it is put aside as name.log.1 and so on when it has grown, and
// never fails to be written to. The caller closes it.
func OpenLog(dir, name string) (io.WriteCloser, error) {
	s := Spec{}.withDefaults()
	l, err := openLog(filepath.Join(dir, name+".log"), s.LogBytes, s.LogKeep)
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the log of %s cannot be opened in %s", name, dir)
	}
	return logCloser{l}, nil
}

type logCloser struct{ *rotatingLog }

func (l logCloser) Close() error {
	l.rotatingLog.Close()
	return nil
}
