//go:build !linux

package backend

import "net"

// peerIsOwner relies on the socket's mode 0600 and the data folder's mode 0700 where the kernel is not asked.
func peerIsOwner(*net.UnixConn) bool { return true }
