//go:build unix

package http1

import (
	"net"
	"syscall"
)

// looker makes the check whether an idle connection is still as it was left: open and with nothing to read. It reads
// without waiting: whatever comes, the end or bytes that nobody asked for, the connection is of no use.
func looker(raw net.Conn) func() bool {
	sc, ok := raw.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var (
		one   [1]byte
		quiet bool
	)
	try := func(fd uintptr) bool {
		_, err := syscall.Read(int(fd), one[:])
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK //nolint:errorlint // a bare errno
		return true
	}
	return func() bool { return rc.Read(try) == nil && quiet }
}
