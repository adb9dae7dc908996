package peers

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/supervisor"
)

// ProgramSpec says how a peer that is a program on this machine is run. Zero durations take the defaults named beside them.
type ProgramSpec struct {
	Name     string            // of the peer; also of its log
	Protocol string            // what it speaks, for messages
	Command  []string          // the program and its arguments
	Env      map[string]string // beside the few harmless variables that every program gets; its values are kept out of logs and errors
	Dir      string            // where it runs; "" = the workspace
	Shared   bool              // one process for every run, instead of one for each
	Timeout  time.Duration     // longest turn, without the time in which a person is asked; 30m
	Idle     time.Duration     // how long a run's process is kept after a turn; 1m
	Start    time.Duration     // how long it may take to become usable; 1m
	Grace    time.Duration     // between asking it to end and ending it, twice; 2s
	LogDir   string            // "" = what it writes to standard error is kept only for messages

	BackoffMin, BackoffMax time.Duration // wait after the second failure in a row, doubled with each, and the longest; 1s, 1m
	Now                    func() time.Time
	Launch                 func(dir string) (Process, error) // nil = a real process; tests put their own
}

// Process is a running program: what is written to it is its standard input, what is read its standard output.
type Process interface {
	io.ReadWriteCloser
	Exited() <-chan struct{}
	Err() error // how it ended, once Exited is closed
}

// Connection is what is made of a new process before it is used.
type Connection interface {
	Done() <-chan struct{} // closed when nothing more comes
}

// Programs keeps the processes of one peer, each with its connection.
type Programs[T Connection] struct {
	spec ProgramSpec
	open func(ctx context.Context, program io.ReadWriter) (T, error)
	log  *programLog

	watchers sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	running  map[string]*use[T] // by run; "" for the shared one
	failures int                // in a row
	retryAt  time.Time
	failure  error // the latest
}

// use is a process with its connection. It stays the caller's until done.
type use[T Connection] struct {
	Conn T

	owner *Programs[T]
	key   string
	ready chan struct{} // closed when Conn or err is set
	err   error
	piped Process
	users int
	idle  *time.Timer
}

// NewPrograms makes the keeper of a peer's processes; none is started before it is used. open makes the connection of a new
// process; its error ends the process.
func NewPrograms[T Connection](spec ProgramSpec, open func(ctx context.Context, program io.ReadWriter) (T, error)) (*Programs[T], error) {
	if len(spec.Command) == 0 || spec.Command[0] == "" {
		return nil, core.Errorf(core.CodeInvalid, "peers.%s.command is empty; write the program and its arguments", spec.Name)
	}
	spec.Timeout = cmp.Or(spec.Timeout, 30*time.Minute)
	spec.Idle, spec.Start, spec.Grace = cmp.Or(spec.Idle, time.Minute), cmp.Or(spec.Start, time.Minute), cmp.Or(spec.Grace, 2*time.Second)
	spec.BackoffMin, spec.BackoffMax = cmp.Or(spec.BackoffMin, time.Second), cmp.Or(spec.BackoffMax, time.Minute)
	if spec.Now == nil {
		spec.Now = time.Now
	}
	log, err := openProgramLog(spec)
	if err != nil {
		return nil, err
	}
	return &Programs[T]{spec: spec, open: open, log: log, running: map[string]*use[T]{}}, nil
}

// get returns the process for a run, started in dir if there is none. CodeUnavailable: it cannot be started, or failed
// several times in a row and is not tried again yet (RetryAfter says when). The caller calls done.
func (p *Programs[T]) get(ctx context.Context, run, dir string) (*use[T], error) {
	key := run
	if p.spec.Shared {
		key = ""
	}
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, core.Errorf(core.CodeUnavailable, "peer %s is closed", p.spec.Name)
		}
		u := p.running[key]
		if u == nil {
			if wait := p.retryAt.Sub(p.spec.Now()); wait > 0 {
				err := core.Wrap(core.CodeUnavailable, p.failure, "%s failed %d times in a row (%s); it is started again in %s",
					p.spec.Name, p.failures, core.MessageOf(p.failure), wait.Round(100*time.Millisecond))
				err.RetryAfter = wait
				p.mu.Unlock()
				return nil, err
			}
			u = &use[T]{owner: p, key: key, ready: make(chan struct{}), users: 1}
			p.running[key] = u
			p.mu.Unlock()
			if err := u.start(ctx, cmp.Or(p.spec.Dir, dir)); err != nil {
				return nil, err
			}
			return u, nil
		}
		u.users++
		if u.idle != nil {
			u.idle.Stop()
		}
		p.mu.Unlock()
		select {
		case <-u.ready:
		case <-ctx.Done():
			u.leave()
			return nil, ctx.Err()
		}
		if u.err == nil && !u.gone() {
			return u, nil
		}
		u.leave()
		if u.err != nil && ctx.Err() == nil && !errors.Is(u.err, context.Canceled) {
			return nil, u.err
		}
		u.remove()
	}
}

// start starts the process and makes its connection. What became of it is told to everybody who waits.
func (u *use[T]) start(ctx context.Context, dir string) (err error) {
	p := u.owner
	defer func() {
		u.err = err
		close(u.ready)
		if err == nil {
			return
		}
		u.remove()
		if u.piped != nil {
			_ = u.piped.Close()
		}
		if ctx.Err() == nil {
			p.failed(err)
		}
	}()
	u.piped, err = p.launch(dir)
	if err != nil {
		return p.notStarted(err)
	}
	opening, cancel := context.WithTimeout(ctx, p.spec.Start)
	defer cancel()
	u.Conn, err = p.open(opening, u.piped)
	switch {
	case err == nil:
		p.watchers.Go(u.clean)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case opening.Err() != nil:
		return core.Errorf(core.CodeUnavailable, "%s was started and said nothing within %s; does its command speak this protocol?%s", p.spec.Name, p.spec.Start, p.log.tail())
	}
	return p.explain(u, err)
}

func (p *Programs[T]) launch(dir string) (Process, error) {
	if p.spec.Launch != nil {
		return p.spec.Launch(dir)
	}
	piped, err := supervisor.StartPiped(supervisor.Command{Path: p.spec.Command[0], Args: p.spec.Command[1:], Env: environment(p.spec.Env), Dir: dir}, p.log, p.spec.Grace)
	if err != nil {
		return nil, err // not piped: an interface that holds a nil pointer is not nil
	}
	return piped, nil
}

// clean ends what a program that has ended left behind, once its last words are read.
func (u *use[T]) clean() {
	<-u.piped.Exited()
	t := time.NewTimer(u.owner.spec.Grace)
	defer t.Stop()
	select {
	case <-u.Conn.Done():
	case <-t.C:
	}
	_ = u.piped.Close()
}

// notStarted says why there is no process.
func (p *Programs[T]) notStarted(err error) error {
	program := p.spec.Command[0]
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return core.Wrap(core.CodeUnavailable, err, "the program %q of peer %s is not installed on the server, or is not in its PATH; install it, or mend peers.%s.command", program, p.spec.Name, p.spec.Name)
	case errors.Is(err, os.ErrPermission):
		return core.Wrap(core.CodeUnavailable, err, "the program %q of peer %s must not be executed by the server's user", program, p.spec.Name)
	}
	return core.Wrap(core.CodeUnavailable, err, "the program %q of peer %s cannot be started; the server's log has the details", program, p.spec.Name)
}

// explain says what became of the process when a connection ended with err: how it ended, with the last lines that it wrote
// to standard error. Errors that say more than that are returned as they are.
func (p *Programs[T]) explain(u *use[T], err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, os.ErrClosed) {
		return err
	}
	how := "closed its output"
	t := time.NewTimer(p.spec.Grace) // its output ends a moment before it does
	defer t.Stop()
	select {
	case <-u.piped.Exited():
		how = "ended"
		if e := u.piped.Err(); e != nil {
			how += " (" + e.Error() + ")"
		}
	case <-t.C:
	}
	return core.Wrap(core.CodeUnavailable, err, "%s %s%s", p.spec.Name, how, p.log.tail())
}

// gone says whether the process has ended.
func (u *use[T]) gone() bool {
	select {
	case <-u.piped.Exited():
		return true
	default:
		return false
	}
}

// done gives the process back. broken: it must not be used again, and counts as a failure with the cause err, unless err is
// nil: it was given up for a reason of ours.
func (u *use[T]) done(broken bool, err error) {
	p := u.owner
	if broken {
		u.remove()
		_ = u.piped.Close()
		if err != nil {
			p.failed(err)
		}
	} else {
		p.mu.Lock()
		p.failures, p.retryAt = 0, time.Time{}
		p.mu.Unlock()
	}
	u.leave()
}

// leave counts a user less; the process of a run without one is ended after a while.
func (u *use[T]) leave() {
	p := u.owner
	p.mu.Lock()
	defer p.mu.Unlock()
	u.users--
	if u.users > 0 || p.spec.Shared || p.closed || p.running[u.key] != u {
		return
	}
	u.idle = time.AfterFunc(p.spec.Idle, func() {
		p.mu.Lock()
		unused := u.users == 0 && p.running[u.key] == u
		if unused {
			delete(p.running, u.key)
		}
		p.mu.Unlock()
		if unused {
			_ = u.piped.Close()
		}
	})
}

// remove lets the next get start another process.
func (u *use[T]) remove() {
	p := u.owner
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running[u.key] == u {
		delete(p.running, u.key)
	}
}

// failed notes a failure; after the second in a row the next start waits.
func (p *Programs[T]) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
	p.failure = err
	if p.failures < 2 {
		return
	}
	wait := p.spec.BackoffMax
	if doubled := p.failures - 2; doubled < 16 {
		wait = min(wait, p.spec.BackoffMin<<doubled)
	}
	p.retryAt = p.spec.Now().Add(wait)
}

// Status says how the peer does, as far as it is known without starting it.
func (p *Programs[T]) Status(protocol string) core.PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := core.PeerStatus{Name: p.spec.Name, Protocol: protocol, State: "unknown", Detail: "not started yet"}
	switch {
	case p.failures > 0:
		s.State, s.Detail = "unhealthy", core.MessageOf(p.failure)
	case len(p.running) > 0:
		s.State, s.Detail = "healthy", "running"
	}
	if _, err := exec.LookPath(p.spec.Command[0]); err != nil {
		s.State, s.Detail = "unhealthy", core.MessageOf(p.notStarted(err))
	}
	return s
}

// Log writes a line into the peer's log.
func (p *Programs[T]) Log(line string) { p.log.note(line) }

// Close ends every process and returns when they are gone.
func (p *Programs[T]) Close() error {
	p.mu.Lock()
	p.closed = true
	var all []*use[T]
	for key, u := range p.running {
		if u.idle != nil {
			u.idle.Stop()
		}
		all = append(all, u)
		delete(p.running, key)
	}
	p.mu.Unlock()
	var ends sync.WaitGroup
	for _, u := range all {
		ends.Go(func() {
			<-u.ready
			if u.err == nil {
				_ = u.piped.Close()
			}
		})
	}
	ends.Wait()
	p.watchers.Wait()
	return p.log.close()
}

// environment is what a program gets of ours, with the variables of the settings. Ours may hold secrets: only what is known
// to be none is passed on.
func environment(own map[string]string) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			if _, replaced := own[name]; !replaced {
				env = append(env, name+"="+value)
			}
		}
	}
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}
