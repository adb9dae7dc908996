//go:build !unix

package http1

import "net"

// looker cannot tell here without a wait; a request on a closed connection is repeated on a new one.
func looker(net.Conn) func() bool { return nil }
