// Package sandbox owns the running of commands that a model wrote: what of the machine they see, what they may change, how
// much they may use, and that they end. A command is never run with less than one of the levels below; where none works it is
// refused. The package must not know who asks, what tools are or what a run is.
package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Level is how commands are kept in.
type Level string

// The levels. Bubblewrap gives a command namespaces of its own, Landlock and a system call filter inside; Landlock does
// without namespaces: commands share the machine's process list and user, and further system calls are refused in exchange.
const (
	None       Level = "none"
	Off        Level = "off" // as the settings wish
	Landlock   Level = "landlock"
	Bubblewrap Level = "bubblewrap"
)

// Config says what commands get. Zero values take the defaults named here.
type Config struct {
	Level    string   // auto (the best that works), bubblewrap, landlock or off; auto
	Network  bool     // commands share the machine's network; otherwise they have none
	Paths    []string // further folders and files that commands may read and execute
	Parallel int      // commands at the same time; further ones wait; 4
	Limits   Limits
}

// Limits bound one command. Sizes are bytes. Zero values take the defaults named here.
type Limits struct {
	Memory    int64         // of all its processes together; 1 GB
	Processes int           // processes and threads at the same time; 128
	Time      time.Duration // running time; 2 min
	Disk      int64         // of its temporary folder; 100 MB
	Workspace int64         // of the workspace; 100 MB
	Files     int           // files and folders in the workspace; 10,000
	Output    int           // of each output that is kept; 32 kB
}

// Deps are what the sandbox needs of its surroundings.
type Deps struct {
	Helper  string       // path of a program that calls Helper when its first argument is HelperArgument: ours. "" = commands are refused
	Private string       // the folder that no command may see: our data
	Logger  *slog.Logger // takes the details of what does not work
}

// Sandbox runs commands. It is safe for use by several goroutines.
type Sandbox struct {
	config Config
	deps   Deps
	limits atomic.Pointer[Limits]
	places chan struct{}
	mu     sync.Mutex
	found  Status // of the last probe; found.Level is None before the first
}

// Status says what keeps commands in.
type Status struct {
	Level   Level
	Missing []string // why it is not more, one sentence a level or layer
	groups  string   // the parent of control groups, "" = there can be none
}

// String is the status for people.
func (s Status) String() string {
	if len(s.Missing) == 0 {
		return string(s.Level)
	}
	return fmt.Sprintf("%s (%s)", s.Level, strings.Join(s.Missing, "; "))
}

// New checks the configuration. It starts nothing: levels are tried when they are first needed. CodeInvalid names what is
// wrong.
func New(c Config, d Deps) (*Sandbox, error) {
	switch c.Level {
	case "":
		c.Level = "auto"
	case "auto", string(Off), string(Bubblewrap), string(Landlock):
	default:
		return nil, core.Errorf(core.CodeInvalid, "the sandbox's level is %q; it must be auto, bubblewrap, landlock or off", c.Level)
	}
	if private, err := realPath(d.Private); err == nil { // otherwise it is not made yet
		d.Private = private
	}
	c.Paths = slices.Clone(c.Paths)
	for i, p := range c.Paths {
		real, err := realPath(p)
		switch {
		case !filepath.IsAbs(p):
			return nil, core.Errorf(core.CodeInvalid, "tools.sandbox.paths: %q cannot be shown to commands: write the whole path, from / on", p)
		case err != nil:
			return nil, core.Wrap(core.CodeInvalid, err, "tools.sandbox.paths: %s cannot be shown to commands: it cannot be read", p)
		case within(d.Private, real) || within(real, d.Private):
			return nil, core.Errorf(core.CodeInvalid, "tools.sandbox.paths: %s cannot be shown to commands: the server's data in %s must stay hidden from them", p, d.Private)
		}
		c.Paths[i] = filepath.Clean(p)
	}
	if c.Parallel <= 0 {
		c.Parallel = 4
	}
	s := &Sandbox{config: c, deps: d, places: make(chan struct{}, c.Parallel), found: Status{Level: None}}
	s.SetLimits(c.Limits)
	return s, nil
}

// SetLimits changes the bounds of the commands that start from now on.
func (s *Sandbox) SetLimits(l Limits) {
	if l.Memory <= 0 {
		l.Memory = 1 << 30
	}
	if l.Processes <= 0 {
		l.Processes = 128
	}
	if l.Time <= 0 {
		l.Time = 2 * time.Minute
	}
	if l.Disk <= 0 {
		l.Disk = 100 << 20
	}
	if l.Workspace <= 0 {
		l.Workspace = 100 << 20
	}
	if l.Files <= 0 {
		l.Files = 10_000
	}
	if l.Output <= 0 {
		l.Output = 32 << 10
	}
	s.limits.Store(&l)
}

// Limits returns the bounds in force.
func (s *Sandbox) Limits() Limits { return *s.limits.Load() }

// Network says whether commands reach the machine's network.
func (s *Sandbox) Network() bool { return s.config.Network }

// Status tries what there is, once it worked not again, and says what keeps commands in and why not more.
func (s *Sandbox) Status(ctx context.Context) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found.Level == None && ctx.Err() == nil {
		s.found = s.probe(ctx)
	}
	return s.found
}

// refused is what a caller is told where nothing can keep a command in.
func (s *Sandbox) refused(st Status) error {
	if st.Level == Off {
		return core.Errorf(core.CodeUnavailable, "commands cannot be run: the setting tools.sandbox.level is off")
	}
	return core.Errorf(core.CodeUnavailable, "commands cannot be run: nothing on the server can keep them in (%s). "+
		"The server's operator can install bubblewrap (apt install bubblewrap, dnf install bubblewrap); docs/sandbox.md tells more. Go on without commands",
		strings.Join(st.Missing, "; "))
}

// realPath is a path without links.
func realPath(p string) (string, error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// within says whether a path is a folder or lies in it.
func within(p, folder string) bool {
	return folder == "/" || p == folder || strings.HasPrefix(p, folder+string(os.PathSeparator))
}
