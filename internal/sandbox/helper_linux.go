//go:build amd64 || arm64

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// HelperArgument is the first argument of a process that is the sandbox's helper.
const HelperArgument = "sandbox-helper"

// What a helper does. The supervisor keeps a command's processes together where there is no namespace for them and starts a
// helper of the second kind, which puts the walls around itself and becomes the command. The third tries the walls instead.
const (
	modeSupervise = "supervise"
	modeBecome    = "become"
	modeCheck     = "check"
)

// The helper's file descriptors for its word to us, ready or what went wrong, and for ours to it: a byte that lets it go on.
const (
	statusFD = 3
	goFD     = 4
	ready    = "ready\n"
)

// spec is what a helper is told, as JSON in its arguments. It is ours: nothing of it comes from a model.
type spec struct {
	Level     Level
	Network   bool
	Read      []string // paths that may be read and executed
	Write     []string // folders that may be changed
	Devices   []string
	Memory    int64
	Processes int // 0 = the kernel cannot count them here
	FileSize  int64
	Seconds   int64  // processor time of one process
	Parent    int    // the process that must still be there
	Hidden    string // a file that must not be readable, for the check
	Temp      string // the command's temporary folder, where the supervisor is to remove it
	Files     int    // files that are inherited after the two of the helper, for bubblewrap
}

// Helper is what a process does whose first argument is HelperArgument; args are those after it. It returns the exit code.
// Where all goes well it does not return: the process becomes the command.
func Helper(args []string) int {
	runtime.LockOSThread() // Landlock, capabilities and the filter are a thread's own
	err := helper(args)
	if err == nil {
		return 0
	}
	if _, werr := syscall.Write(statusFD, []byte(err.Error())); werr != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 125
}

func helper(args []string) error {
	if len(args) < 2 {
		return errors.New("the sandbox's helper is not a command; it is started by the server")
	}
	var s spec
	if err := json.Unmarshal([]byte(args[1]), &s); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	switch args[0] {
	case modeSupervise:
		return supervise(s, args[2:])
	case modeBecome:
		return become(s, args[2:])
	case modeCheck:
		if err := confine(s); err != nil {
			return err
		}
		if err := check(s); err != nil {
			return err
		}
		_, err := syscall.Write(statusFD, []byte(ready))
		return err
	}
	return fmt.Errorf("unknown mode %q", args[0])
}

// become puts the walls around this thread and runs the program in its place.
func become(s spec, argv []string) error {
	if len(argv) == 0 {
		return errors.New("there is no program to run")
	}
	if err := confine(s); err != nil {
		return err
	}
	if _, err := syscall.Write(statusFD, []byte(ready)); err != nil {
		return fmt.Errorf("tell that it is ready: %w", err)
	}
	if s.Level == Bubblewrap {
		if err := awaitInit(); err != nil {
			return err
		}
	}
	// Were we killed, or the command cancelled, before the walls stood, nobody would end what is started now.
	if n, err := syscall.Read(goFD, make([]byte, 1)); n != 1 {
		return fmt.Errorf("it is no longer wanted: %w", errors.Join(err, io.EOF))
	}
	return replace(s, argv)
}

// replace makes the program take the place of this one. The last limits leave no room for Go's runtime, so between them and the
// program nothing may be allocated.
func replace(s spec, argv []string) error {
	path, err := syscall.BytePtrFromString(argv[0])
	if err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	args, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	env, err := syscall.SlicePtrFromStrings(os.Environ())
	if err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	failed := []byte("start " + argv[0] + ": ")
	data := unix.Rlimit{Cur: uint64(s.Memory), Max: uint64(s.Memory)}
	tasks := unix.Rlimit{Cur: uint64(s.Processes) + 1, Max: uint64(s.Processes) + 1} // and the first process of the namespace
	if s.Processes > 0 {
		err = unix.Setrlimit(unix.RLIMIT_NPROC, &tasks)
	}
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_DATA, &data)
	}
	if err != nil {
		return fmt.Errorf("set the last limits: %w", err)
	}
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&env[0]))) //nolint:gosec // running what the model wrote is what all of this is for; package syscall's way would allocate
	reason := errno.Error()
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, statusFD, uintptr(unsafe.Pointer(&failed[0])), uintptr(len(failed)))                //nolint:gosec // as above
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, statusFD, uintptr(unsafe.Pointer(unsafe.StringData(reason))), uintptr(len(reason))) //nolint:gosec // as above
	_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 126, 0, 0)
	return errno
}

// awaitInit waits until the first process of the namespace waits for the others: from then on it ends, and they with it, when its
// parent outside does. Its parent could have ended before that without being missed.
func awaitInit() error {
	for range 5000 {
		stat, err := os.ReadFile("/proc/1/stat")
		if err != nil {
			return fmt.Errorf("look at the first process: %w", err)
		}
		if _, after, ok := strings.Cut(string(stat), ") "); ok && strings.HasPrefix(after, "S") {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the first process of the namespace does not wait")
}

// confine puts every wall around the calling thread, the widest first: the last ones forbid what the first ones need.
func confine(s spec) error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 10); err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	if err := setLimits(s); err != nil {
		return err
	}
	if err := unix.CloseRange(statusFD, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close what was inherited: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if s.Level == Landlock || landlockABI() > 0 {
		if err := landlockFiles(s); err != nil {
			return err
		}
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	return newFilter(s.Level, s.Network).load()
}

// setLimits sets what the kernel counts for each process, but for the last limits. Sums over all of them are watched from outside.
func setLimits(s spec) error {
	limits := []struct {
		what  int
		value uint64
	}{
		{unix.RLIMIT_CORE, 1}, // 1, not 0: only 1 also stops dumps that are piped to a program
		{unix.RLIMIT_FSIZE, uint64(s.FileSize)},
		{unix.RLIMIT_CPU, uint64(s.Seconds)},
		{unix.RLIMIT_MEMLOCK, 64 << 10},
		{unix.RLIMIT_MSGQUEUE, 0},
		{unix.RLIMIT_NICE, 0},
		{unix.RLIMIT_RTPRIO, 0},
		{unix.RLIMIT_SIGPENDING, 256},
	}
	for _, l := range limits {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("set limit %d: %w", l.what, err)
		}
	}
	// By package syscall: it knows that Go's own idea of this limit is over, and does not bring the old one back.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 256, Max: 256}); err != nil {
		return fmt.Errorf("set the limit of open files: %w", err)
	}
	return nil
}

// dropCapabilities takes every capability away for good, also from a superuser.
func dropCapabilities() error {
	for c := uintptr(0); c <= 63; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // no such capability
		} else if err != nil && !errors.Is(err, unix.EPERM) { // EPERM: an ordinary user, who has none to lose
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	const noRoot = 0x3 | 0xc // SECBIT_NOROOT and NO_SETUID_FIXUP, each with its lock: user 0 gets nothing back by running a program
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("set secure bits: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// check tries the walls from inside and tells of the first that does not hold.
func check(s spec) error {
	if _, err := os.ReadFile(s.Hidden); err == nil {
		return errors.New("files outside can be read")
	}
	if err := unix.Unshare(unix.CLONE_NEWUSER); err == nil {
		return errors.New("system calls are not filtered")
	}
	if fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0); err == nil {
		_ = unix.Close(fd) // the check has failed already
		return errors.New("sockets are not filtered")
	}
	if s.Level == Bubblewrap {
		return checkNamespaces(s)
	}
	if err := unix.Kill(s.Parent, 0); !errors.Is(err, unix.EPERM) {
		return errors.New("other processes can be signalled")
	}
	return nil
}

func checkNamespaces(s spec) error {
	if os.Getpid() > 100 { // in a namespace of its own it is one of the first
		return errors.New("other processes can be seen")
	}
	if s.Network {
		return nil
	}
	b, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return fmt.Errorf("read the list of networks: %w", err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), ":"); i >= 2 && name != "lo" { // two lines of head
			return errors.New("the network can be reached")
		}
	}
	return nil
}

// supervise runs a command line, which leads to a helper that becomes the command, and ends every process that it leaves, also when we
// are told to end because the server has died. Without namespaces signals from inside do not reach it: it is outside of the
// command's Landlock domain, and the command's is inside its own.
func supervise(s spec, argv []string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	if os.Getppid() != s.Parent {
		return errors.New("the server is gone")
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of what is left: %w", err)
	}
	endAll := killChildren
	if s.Level == Landlock {
		if err := keepSignals(s); err != nil {
			return err
		}
		endAll = killDomain
	}
	files := make([]uintptr, goFD+1+s.Files)
	for i := range files {
		files[i] = uintptr(i)
	}
	// From this thread, so that the child is inside our domain.
	child, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{ //nolint:gosec // bubblewrap or ourselves
		Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	for fd := statusFD; fd < len(files); fd++ {
		_ = unix.Close(fd) // only the child speaks and listens from here on
	}
	ended := make(chan int, 1)
	all := make(chan struct{})
	go reap(child, ended, all)
	code := 128 + int(unix.SIGKILL)
	select {
	case code = <-ended:
	case <-signals:
	}
	for {
		endAll()
		select {
		case <-all:
			if s.Temp != "" {
				_ = removeTree(s.Temp) // the server does it too, if it lives
			}
			os.Exit(code)
		case <-time.After(5 * time.Millisecond): // what was being born, or was left to us, has its turn
		}
	}
}

// keepSignals makes a Landlock domain for the supervisor's thread and what it starts.
func keepSignals(s spec) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if err := landlockScope(); err != nil {
		return err
	}
	// killDomain kills every process that may be signalled, so there must be no doubt that these are the command's alone.
	if err := unix.Kill(s.Parent, 0); !errors.Is(err, unix.EPERM) {
		return errors.New("signals are not kept in")
	}
	return nil
}

// killDomain kills all that this thread may signal, which is what is inside its domain. The kernel does it in one go, so that
// nothing outruns it by forking.
func killDomain() {
	_ = unix.Kill(-1, unix.SIGKILL) // it fails when nothing is left
}

// killChildren kills the children of this process: bubblewrap, whose namespace ends with it, and whatever of it was left to us because it
// died half-way.
func killChildren() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		children, err := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		if err != nil {
			continue
		}
		for _, c := range strings.Fields(string(children)) {
			if pid, err := strconv.Atoi(c); err == nil {
				_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
			}
		}
	}
}

// reap waits for the command, for what it leaves to us, and then for everything.
func reap(child int, ended chan<- int, all chan<- struct{}) {
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(-1, &st, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // no children
			close(all)
			return
		case pid == child && st.Signaled():
			ended <- 128 + int(st.Signal())
		case pid == child:
			ended <- st.ExitStatus()
		}
	}
}
