//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Actions of a filter (linux/seccomp.h).
const (
	retAllow = 0x7fff0000
	retErrno = 0x00050000
	retKill  = 0x80000000 // the whole process
)

// Offsets in struct seccomp_data, little endian.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// filter decides about one system call after the other. Every call up to the last that was known when this was written is
// either named here or deemed harmless inside the other walls; later ones do not exist for the command.
type filter struct{ program []bpf.Instruction }

// newFilter is the filter of a level. Without namespaces more is refused: what would reach the user's other processes and,
// since Landlock does not look at it, what changes the rights, times and attributes of files.
func newFilter(level Level, network bool) filter {
	var f filter
	f.add(bpf.LoadAbsolute{Off: offArch, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1}, bpf.RetConstant{Val: retKill},
		bpf.LoadAbsolute{Off: offNr, Size: 4}, bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: lastSyscall, SkipFalse: 1}, errno(unix.ENOSYS))
	f.sockets(level, network)
	f.arguments()
	f.deny(unix.EPERM, denied()...)
	f.deny(unix.EPERM, legacyDenied()...)
	f.deny(unix.ENOSYS, absent()...)
	if level == Landlock {
		f.shared(network)
	}
	f.add(bpf.RetConstant{Val: retAllow})
	return f
}

func errno(e unix.Errno) bpf.Instruction { return bpf.RetConstant{Val: retErrno | uint32(e)} }

func (f *filter) add(more ...bpf.Instruction) { f.program = append(f.program, more...) }

func (f *filter) deny(e unix.Errno, calls ...uint32) {
	for _, nr := range calls {
		f.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: nr, SkipFalse: 1}, errno(e))
	}
}

// on adds instructions for one system call. They begin with its number loaded and may end without a decision.
func (f *filter) on(nr uint32, block ...bpf.Instruction) {
	block = append(block, bpf.LoadAbsolute{Off: offNr, Size: 4})
	f.add(bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: nr, SkipTrue: uint8(len(block))})
	f.add(block...)
}

// low and high load the halves of an argument.
func low(arg uint32) bpf.Instruction  { return bpf.LoadAbsolute{Off: offArgs + 8*arg, Size: 4} }
func high(arg uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offArgs + 8*arg + 4, Size: 4} }

// sockets lets only harmless families through. A pair may be of connected kinds alone: a datagram socket could be sent to
// any path.
func (f *filter) sockets(level Level, network bool) {
	var families []uint32
	if level == Bubblewrap { // in a network of its own, or where no path of another program is in sight
		families = append(families, unix.AF_UNIX)
	}
	if level == Bubblewrap || network {
		families = append(families, unix.AF_INET, unix.AF_INET6)
	}
	block := []bpf.Instruction{low(0)}
	for i, family := range families {
		block = append(block, bpf.JumpIf{Cond: bpf.JumpEqual, Val: family, SkipTrue: uint8(len(families) - i)})
	}
	block = append(block, errno(unix.EPERM),
		low(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_DGRAM, SkipTrue: 2}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_SEQPACKET, SkipTrue: 1},
		errno(unix.EPERM))
	f.on(unix.SYS_SOCKET, block...)
	f.on(unix.SYS_SOCKETPAIR, low(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 1}, errno(unix.EPERM),
		low(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_SEQPACKET, SkipTrue: 1}, errno(unix.EPERM))
}

// arguments looks into calls of which only some uses are refused.
func (f *filter) arguments() {
	const spaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
	f.on(unix.SYS_CLONE, low(0), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: spaces, SkipFalse: 1}, errno(unix.EPERM))
	f.when(unix.SYS_IOCTL, 1, unix.TIOCSTI, unix.TIOCLINUX, unix.FS_IOC_SETFLAGS, 0x40046602 /* FS_IOC32_SETFLAGS */, 0x401c5820, /* FS_IOC_FSSETXATTR */
		0x40087602 /* FS_IOC_SETVERSION */, 0x40047602 /* FS_IOC32_SETVERSION */)
	f.when(unix.SYS_PRCTL, 0, unix.PR_SET_DUMPABLE, unix.PR_SET_MM, unix.PR_SET_PTRACER) // dumpable: we must be able to look at its files
	f.on(unix.SYS_PERSONALITY, low(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 2}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0xffffffff, SkipTrue: 1}, errno(unix.EPERM))
	f.unless(unix.SYS_PRLIMIT64, 0)
}

// when refuses a call whose argument has one of the values.
func (f *filter) when(nr, arg uint32, values ...uint32) {
	block := []bpf.Instruction{low(arg)}
	for i, v := range values {
		block = append(block, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	block = append(block, bpf.Jump{Skip: 1}, errno(unix.EPERM))
	f.on(nr, block...)
}

// unless refuses a call unless the arguments are all zero.
func (f *filter) unless(nr uint32, args ...uint32) {
	var block []bpf.Instruction
	for _, a := range args {
		block = append(block, low(a), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, errno(unix.EPERM),
			high(a), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, errno(unix.EPERM))
	}
	f.on(nr, block...)
}

// denied reach beyond the command: the kernel, other processes, mounts, keys, clocks, and memory that nobody counts.
func denied() []uint32 {
	return []uint32{
		unix.SYS_ACCT, unix.SYS_ADD_KEY, unix.SYS_KEYCTL, unix.SYS_REQUEST_KEY, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN,
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE,
		unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT,
		unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR, unix.SYS_FSOPEN, unix.SYS_FSCONFIG,
		unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_STATMOUNT, unix.SYS_LISTMOUNT, unix.SYS_LISTNS,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE,
		unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME,
		unix.SYS_ADJTIMEX, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG, unix.SYS_VHANGUP, unix.SYS_LOOKUP_DCOOKIE,
		unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NFSSERVCTL, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES, unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK, unix.SYS_LSM_SET_SELF_ATTR,
		unix.SYS_MEMFD_SECRET, unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP,
		unix.SYS_SEMCTL, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL, unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
		unix.SYS_FILE_SETATTR,
	}
}

// absent are refused as if the kernel did not have them, so that programs take the older way.
func absent() []uint32 {
	return []uint32{
		unix.SYS_CLONE3, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_USERFAULTFD, unix.SYS_MEMFD_CREATE,
	}
}

// shared refuses what is harmless in namespaces only.
func (f *filter) shared(network bool) {
	f.deny(unix.EPERM, legacyMeta()...)
	f.deny(unix.EPERM,
		unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT,
		unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT,
		unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_REMOVEXATTRAT,
		unix.SYS_INOTIFY_ADD_WATCH, unix.SYS_IOPRIO_SET)
	f.unless(unix.SYS_UTIMENSAT, 1, 2) // only "now", of an open file
	for _, nr := range []uint32{unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR} {
		f.unless(nr, 0) // of itself only
	}
	f.unless(unix.SYS_SETPRIORITY, 0, 1)
	if !network {
		f.deny(unix.EPERM, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4)
	}
}

// load puts the filter on the calling thread, which must be locked and have no_new_privs. It cannot be taken off.
func (f filter) load() error {
	raw, err := bpf.Assemble(f.program)
	if err != nil {
		return fmt.Errorf("assemble the filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil { //nolint:gosec // the kernel reads the program during the call
		return fmt.Errorf("load the filter: %w", err)
	}
	return nil
}
