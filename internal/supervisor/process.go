//go:build unix

package supervisor

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Command is one program to run. Env is the whole environment; nil = ours.
type Command struct {
	Path string
	Args []string // without the program's name
	Env  []string
	Dir  string
	// WatchesStdin says that the program ends by itself when its standard input ends. Any other program is started
	// below a small shell that watches in its place, so that it ends with us however we die.
	WatchesStdin bool
}

// Process is a running program. Terminate and Kill reach its whole process group and do nothing once it is gone.
type Process interface {
	PID() int
	Wait() error // until the program itself ended; called once
	Terminate()
	Kill()
	Close() // lets go of its standard input
}

// Starter starts a program whose output goes to out.
type Starter func(c Command, out io.Writer) (Process, error)

// guard runs a program and ends the whole process group when standard input ends. PR_SET_PDEATHSIG would not do: it
// fires when the thread that started the child ends, and Go's runtime ends threads as it likes.
const guard = `exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM INT
( exec >/dev/null 2>&1; trap '' TERM INT; cat <&3; kill -KILL 0 ) &
exec 3<&-
wait "$child"
status=$?
if kill -0 "$child" 2>/dev/null; then wait "$child"; status=$?; fi
exit "$status"`

// pipeDelay is how long output is awaited from what a program left behind.
const pipeDelay = 2 * time.Second

type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func startProcess(c Command, out io.Writer) (Process, error) {
	cmd := exec.Command(c.Path, c.Args...) //nolint:gosec,forbidigo,noctx // commands come from settings; the supervisor ends the group itself, politely first
	if !c.WatchesStdin {
		if _, err := exec.LookPath(c.Path); err != nil { // the shell would only say it in the log
			return nil, err
		}
		cmd = exec.Command("/bin/sh", append([]string{"-c", guard, "guard", c.Path}, c.Args...)...) //nolint:gosec,forbidigo,noctx // as above
	}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.Env, c.Dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = pipeDelay
	// A pipe of our own, not StdinPipe: that one is closed by Wait, and only our end must keep it open.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin = r
	err = cmd.Start()
	r.Close()
	if err != nil {
		w.Close()
		return nil, err
	}
	return &process{cmd: cmd, stdin: w}, nil
}

func (p *process) PID() int    { return p.cmd.Process.Pid }
func (p *process) Wait() error { return p.cmd.Wait() }
func (p *process) Terminate()  { p.signal(syscall.SIGTERM) }
func (p *process) Kill()       { p.signal(syscall.SIGKILL) }
func (p *process) Close()      { p.stdin.Close() }

// signal reaches the process group. Its number stays taken while any member lives, and an empty one gives ESRCH.
func (p *process) signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig) // ESRCH: it is gone, which is what was wanted
}
