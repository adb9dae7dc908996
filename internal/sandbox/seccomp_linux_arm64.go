package sandbox

import "golang.org/x/sys/unix"

// The audit name of the architecture and the highest system call that the filter was written for; there is no x32.
const (
	auditArch   = unix.AUDIT_ARCH_AARCH64
	lastSyscall = unix.SYS_RSEQ_SLICE_YIELD
	x32         = 0
)

func legacyDenied() []uint32 { return nil }

func legacyMeta() []uint32 { return nil }
