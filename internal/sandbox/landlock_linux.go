//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// minABI is the first version of Landlock that keeps signals in (Linux 6.12).
const minABI = 6

// Rights of Landlock.
const (
	rightsRead = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	rightsAll  = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV<<1 - 1 // up to version 5
	// rightsWrite leaves out devices: they cannot be made, nor controlled.
	rightsWrite  = rightsAll &^ (unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
	rightsFile   = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	rightsDevice = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
)

// landlockABI is the kernel's version of Landlock, 0 where there is none.
func landlockABI() int {
	abi, _, err := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if err != 0 {
		return 0
	}
	return int(abi)
}

// handled are the rights that a version knows.
func handled(abi int) uint64 {
	switch {
	case abi >= 5:
		return rightsAll
	case abi >= 3:
		return rightsAll &^ unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	case abi == 2:
		return unix.LANDLOCK_ACCESS_FS_REFER<<1 - 1
	}
	return unix.LANDLOCK_ACCESS_FS_REFER - 1
}

// landlockScope keeps the calling thread and what it starts from signalling anything outside. Files stay as they are.
func landlockScope() error {
	return landlockApply(unix.LandlockRulesetAttr{Scoped: unix.LANDLOCK_SCOPE_SIGNAL}, nil)
}

// landlockFiles keeps the calling thread and what it starts to the paths of a spec, from signalling anything outside, and,
// without a network, from TCP and abstract sockets. The thread must be locked and have no_new_privs.
func landlockFiles(s spec) error {
	abi := landlockABI()
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled(abi)}
	if abi >= 4 && s.Level == Landlock && !s.Network { // in namespaces the network is its own
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	return landlockApply(attr, func(ruleset int) error {
		for _, group := range []struct {
			paths  []string
			rights uint64
		}{{s.Read, rightsRead}, {s.Write, rightsWrite}, {s.Devices, rightsDevice}} {
			for _, p := range group.paths {
				if err := landlockAllow(ruleset, p, group.rights&attr.Handled_access_fs); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func landlockApply(attr unix.LandlockRulesetAttr, rules func(ruleset int) error) error {
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0) //nolint:gosec // a system call without a wrapper
	if e != 0 {
		return fmt.Errorf("make the Landlock rules: %w", e)
	}
	ruleset := int(fd)
	defer unix.Close(ruleset) //nolint:errcheck // nothing is written to it
	if rules != nil {
		if err := rules(ruleset); err != nil {
			return err
		}
	}
	if _, _, e := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); e != 0 {
		return fmt.Errorf("enforce the Landlock rules: %w", e)
	}
	return nil
}

// landlockAllow grants rights below a path; one that is not there grants nothing.
func landlockAllow(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd) //nolint:errcheck // opened for its place alone
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= rightsFile
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	if _, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); e != 0 { //nolint:gosec // a system call without a wrapper
		return fmt.Errorf("allow %s: %w", path, e)
	}
	return nil
}
