//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attackArgument is the first argument of a process that makes the attack that the second one names. It says "made" when it
// begins, and how it ended: "succeeded" or "refused".
const attackArgument = "sandbox-attack"

func attackMain(args []string) int {
	fmt.Println("made")
	if err := attacks()[args[0]](args[1:]); err != nil {
		fmt.Println("refused:", err)
		return 0
	}
	fmt.Println("succeeded")
	return 0
}

// attacks reach for something outside of a sandbox. An attack that gets there returns nil.
func attacks() map[string]func(args []string) error {
	return map[string]func(args []string) error{
		"read": func(a []string) error { return readAny(a[0]) },
		"read_through_link": func(a []string) error {
			_ = os.Remove("link")
			if err := os.Symlink(a[0], "link"); err != nil {
				return err
			}
			return readAny("link")
		},
		"read_through_hard_link": func(a []string) error {
			_ = os.Remove("hard")
			if err := os.Link(a[0], "hard"); err != nil {
				return err
			}
			return readAny("hard")
		},
		"read_through_moved_folder": func(a []string) error {
			if err := os.Rename(filepath.Dir(a[0]), "moved"); err != nil {
				return err
			}
			defer os.Rename("moved", filepath.Dir(a[0]))
			return readAny(filepath.Join("moved", filepath.Base(a[0])))
		},
		"list":     func(a []string) error { _, err := os.ReadDir(a[0]); return err },
		"create":   func(a []string) error { return os.WriteFile(filepath.Join(a[0], "made"), []byte("x"), 0o600) },
		"folder":   func(a []string) error { return os.Mkdir(filepath.Join(a[0], "folder"), 0o700) },
		"truncate": func(a []string) error { return os.Truncate(a[0], 1) },
		"append": func(a []string) error {
			f, err := os.OpenFile(a[0], os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("x")
			return err
		},
		"serve":  serve,
		"chmod":  func(a []string) error { return os.Chmod(a[0], 0o666) },
		"fchmod": func(a []string) error { return withFile(a[0], func(fd int) error { return unix.Fchmod(fd, 0o644) }) },
		"chown":  func(a []string) error { return os.Chown(a[0], os.Getuid(), os.Getgid()) },
		"utimes": func(a []string) error { return os.Chtimes(a[0], time.Unix(1, 0), time.Unix(1, 0)) },
		"xattr":  func(a []string) error { return unix.Setxattr(a[0], "user.attack", []byte("x"), 0) },
		"fxattr": func(a []string) error {
			return withFile(a[0], func(fd int) error { return unix.Fsetxattr(fd, "user.attack", []byte("x"), 0) })
		},
		"setflags": func(a []string) error { return withFile(a[0], setFlags) },
		"rename":   func(a []string) error { return os.Rename(a[0], a[0]+"2") },
		"unlink":   func(a []string) error { return os.Remove(a[0]) },
		"write_same": func(a []string) error { // changes nothing where it succeeds
			b, err := os.ReadFile(a[0])
			if err != nil {
				return err
			}
			return os.WriteFile(a[0], b, 0)
		},
		"open_write": func(a []string) error {
			f, err := os.OpenFile(a[0], os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			return f.Close()
		},
		"device": func([]string) error {
			_ = os.Remove("device")
			if err := unix.Mknod("device", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))); err != nil { // zero
				return err
			}
			return readAny("device")
		},
		"mount": func([]string) error {
			if err := os.MkdirAll("mnt", 0o700); err != nil {
				return err
			}
			if err := unix.Mount("tmpfs", "mnt", "tmpfs", 0, "size=64k"); err != nil {
				return err
			}
			return unix.Unmount("mnt", unix.MNT_DETACH)
		},
		"mount_new": func([]string) error {
			path, err := unix.BytePtrFromString("/")
			if err != nil {
				return err
			}
			const openTreeClone = 1
			return call(unix.SYS_OPEN_TREE, -100 /* AT_FDCWD */, ptr(unsafe.Pointer(path)), openTreeClone)
		},
		"chroot":  func([]string) error { return unix.Chroot(".") },
		"unshare": func([]string) error { return unix.Unshare(unix.CLONE_NEWUTS) },
		"user_namespace": func([]string) error {
			cmd := exec.Command("/proc/self/exe", attackArgument, "nothing")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
			return cmd.Run()
		},
		"nothing": func([]string) error { return nil },
		"setns": func(a []string) error {
			return withFile(a[0], func(fd int) error { return unix.Setns(fd, 0) })
		},
		"handle": func(a []string) error {
			h, mount, err := unix.NameToHandleAt(unix.AT_FDCWD, a[0], 0)
			if err != nil {
				return err
			}
			_ = mount
			return withFile(filepath.Dir(a[0]), func(fd int) error {
				got, err := unix.OpenByHandleAt(fd, h, unix.O_RDONLY)
				if err == nil {
					unix.Close(got)
				}
				return err
			})
		},
		"hostname": func([]string) error { // to what it is
			name, err := os.Hostname()
			if err != nil {
				return err
			}
			return unix.Sethostname([]byte(name))
		},
		"dial":             func(a []string) error { return dial(a[0], a[1]) },
		"datagram_of_pair": datagramOfPair,
		"socket": func(a []string) error {
			family, _ := strconv.Atoi(a[0])
			kind, _ := strconv.Atoi(a[1])
			protocol, _ := strconv.Atoi(a[2])
			fd, err := unix.Socket(family, kind, protocol)
			if err == nil {
				unix.Close(fd)
			}
			return err
		},
		"kill":   func(a []string) error { return unix.Kill(pid(a), unix.SIGKILL) },
		"kill_0": func(a []string) error { return unix.Kill(pid(a), 0) },
		"pidfd_signal": func(a []string) error {
			fd, err := unix.PidfdOpen(pid(a), 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		},
		"pidfd_getfd": func(a []string) error {
			fd, err := unix.PidfdOpen(pid(a), 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			_, err = unix.PidfdGetfd(fd, 0, 0)
			return err
		},
		"ptrace": func(a []string) error {
			if err := unix.PtraceSeize(pid(a)); err != nil {
				return err
			}
			return nil // the kernel detaches when we end
		},
		"process_memory": func(a []string) error {
			buf := make([]byte, 8)
			addr, err := strconv.ParseUint(a[1], 0, 64)
			if err != nil {
				return err
			}
			_, err = unix.ProcessVMReadv(pid(a), []unix.Iovec{{Base: &buf[0], Len: 8}}, []unix.RemoteIovec{{Base: uintptr(addr), Len: 8}}, 0)
			return err
		},
		"prlimit": func(a []string) error {
			return unix.Prlimit(pid(a), unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
		},
		"affinity": func(a []string) error {
			var set unix.CPUSet
			set.Set(0)
			return unix.SchedSetaffinity(pid(a), &set)
		},
		"priority": func(a []string) error { return unix.Setpriority(unix.PRIO_PROCESS, pid(a), 19) },
		"keyring": func([]string) error {
			_, err := unix.AddKey("user", "attack", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
			return err
		},
		"io_uring": func([]string) error {
			var params [120]byte
			return call(unix.SYS_IO_URING_SETUP, 4, ptr(unsafe.Pointer(&params)))
		},
		"bpf": func([]string) error {
			attr := struct{ kind, key, value, entries uint32 }{2, 4, 4, 1} // an array
			return call(unix.SYS_BPF, 0, ptr(unsafe.Pointer(&attr)), int(unsafe.Sizeof(attr)))
		},
		"perf": func([]string) error {
			_, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}, 0, -1, -1, 0)
			return err
		},
		"userfaultfd":   func([]string) error { return call(unix.SYS_USERFAULTFD, 0) },
		"memfd":         func([]string) error { _, err := unix.MemfdCreate("attack", 0); return err },
		"shared_memory": func([]string) error { return call(unix.SYS_SHMGET, unix.IPC_PRIVATE, 4096, 0o600) },
		"setuid":        func([]string) error { return unix.Setresuid(65533, 65533, 65533) },
		"setuid_program": func(a []string) error {
			out, err := exec.Command(a[0], "-u").Output()
			if err != nil {
				return err
			}
			if string(out) != a[1]+"\n" {
				return fmt.Errorf("it ran as %q", out)
			}
			return nil
		},
		"descriptor": func(a []string) error {
			for fd := 3; fd < 1024; fd++ {
				var st unix.Stat_t
				if unix.Fstat(fd, &st) != nil {
					continue
				}
				if strconv.FormatUint(st.Ino, 10) == a[0] {
					if _, err := unix.Write(fd, []byte("x")); err == nil {
						return nil
					}
				}
			}
			return errors.New("nothing was inherited")
		},
		"variable": func(a []string) error {
			if os.Getenv(a[0]) == "" {
				return errors.New("it is not set")
			}
			return nil
		},
		"undumpable":  func([]string) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) },
		"personality": func([]string) error { return call(unix.SYS_PERSONALITY, 0x0040000) },
		"capability": func([]string) error {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if err := unix.Capget(&header, &data[0]); err != nil {
				return err
			}
			if data[0].Effective|data[1].Effective|data[0].Permitted|data[1].Permitted == 0 {
				return errors.New("it has none")
			}
			return nil
		},
		"watch_folder": func(a []string) error {
			fd, err := unix.InotifyInit1(0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			_, err = unix.InotifyAddWatch(fd, a[0], unix.IN_ALL_EVENTS)
			return err
		},
	}
}

func pid(a []string) int {
	n, err := strconv.Atoi(a[0])
	if err != nil {
		panic(err)
	}
	return n
}

func ptr(p unsafe.Pointer) int { return int(uintptr(p)) }

func call(nr uintptr, args ...int) error {
	var a [3]uintptr
	for i, v := range args {
		a[i] = uintptr(v)
	}
	if _, _, err := unix.Syscall(nr, a[0], a[1], a[2]); err != 0 {
		return err
	}
	return nil
}

func withFile(path string, fn func(fd int) error) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return fn(fd)
}

func setFlags(fd int) error { // to what they are
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags))
}

func readAny(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 8192)) // the kernel's log gives no less at a time
	return err
}

// dial connects and wants an answer: a datagram that nobody takes is no success.
func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

// datagramOfPair sends from a socket that was never opened by its family, to a path.
func datagramOfPair(a []string) error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	return unix.Sendto(fds[0], []byte("x"), 0, &unix.SockaddrUnix{Name: a[0]})
}
