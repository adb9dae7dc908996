package sandbox

import "golang.org/x/sys/unix"

// The audit name of the architecture, the highest system call that the filter was written for, and the first one of the
// x32 interface, which reaches the same calls by other numbers.
const (
	auditArch   = unix.AUDIT_ARCH_X86_64
	lastSyscall = unix.SYS_RSEQ_SLICE_YIELD
	x32         = 0x40000000
)

// legacyDenied are refused calls that newer architectures do not have.
func legacyDenied() []uint32 {
	return []uint32{
		unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS_MODIFY_LDT, unix.SYS__SYSCTL, unix.SYS_IOPL, unix.SYS_IOPERM,
		unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE, unix.SYS_SECURITY, unix.SYS_TUXCALL, unix.SYS_VSERVER,
		unix.SYS_EPOLL_CTL_OLD, unix.SYS_EPOLL_WAIT_OLD, unix.SYS_AFS_SYSCALL, unix.SYS_GETPMSG, unix.SYS_PUTPMSG,
	}
}

// legacyMeta change what belongs to a file by its path.
func legacyMeta() []uint32 {
	return []uint32{unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT}
}
