package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/socket"
)

const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 64 << 10
	maxStreams = 100              // requests at the same time on one connection of HTTP/2
	pingTime   = 30 * time.Second // of silence on such a connection until the client is asked whether it is there
	grace      = 10 * time.Second // for requests in flight when the server stops
	// maxSocketPath is the shortest limit among the systems that we run on, in bytes, with the ending NUL.
	maxSocketPath = 104
)

// ListenTCP listens on address ("127.0.0.1:8080"; port 0 picks one). The connections are cheap to read and write.
func ListenTCP(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return socket.Listener(l), nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, core.Wrap(core.CodeUnavailable, err, "%s is in use by another program; stop it, or set server.listen to another address", address)
	case errors.Is(err, syscall.EACCES):
		return nil, core.Wrap(core.CodeForbidden, err, "this user may not listen on %s; use a port above 1023", address)
	default:
		return nil, core.Wrap(core.CodeInvalid, err, "cannot listen on %q; server.listen must be an address of this machine such as 127.0.0.1:8080", address)
	}
}

// ListenSocket listens on a unix socket that only this process's user can open. A socket that a dead process left is
// replaced; one that answers means that another server uses the data folder.
func ListenSocket(ctx context.Context, path string) (net.Listener, error) {
	if len(path) >= maxSocketPath {
		return nil, core.Errorf(core.CodeInvalid, "the path of the socket %s is longer than the %d bytes that a system allows; set server.data_dir to a shorter path", path, maxSocketPath-1)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if c, dialErr := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); dialErr == nil {
			return nil, errors.Join(core.Errorf(core.CodeConflict, "another sutazai uses this data folder: %s answers; stop it, or set server.data_dir to another folder", path), c.Close())
		}
		if info, statErr := os.Lstat(path); statErr != nil || info.Mode().Type() != os.ModeSocket {
			return nil, core.Errorf(core.CodeInvalid, "%s is in the way of the server's socket and is not a socket; move it away", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, core.Wrap(core.CodeInvalid, err, "cannot remove the socket %s that an earlier server left", path)
		}
		l, err = lc.Listen(ctx, "unix", path)
	}
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "cannot make the socket %s; check the folder's permissions", path)
	}
	// Until the mode is set a stranger might connect; ownerOnly turns it away by its user id.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(core.Wrap(core.CodeInvalid, err, "cannot restrict the socket %s to its owner", path), l.Close())
	}
	return ownerOnly{l}, nil
}

// ownerOnly accepts only connections of this process's user or of root.
type ownerOnly struct{ net.Listener }

func (l ownerOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if u, ok := c.(*net.UnixConn); ok && peerIsOwner(u) {
			return ownerConn{c}, nil
		}
		_ = c.Close() // it was never ours
	}
}

// ownerConn marks a connection that ownerOnly accepted.
type ownerConn struct{ net.Conn }

type drainKey struct{}

// Draining returns a channel that closes when the server stops: streams end then, so that their clients connect to its
// successor. It is nil outside Serve.
func Draining(ctx context.Context) <-chan struct{} {
	ch, _ := ctx.Value(drainKey{}).(chan struct{})
	return ch
}

// protocols are those of every listener: gRPC needs HTTP/2, which clients without TLS speak from the first byte on.
func protocols() *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// Serve answers on the listeners until ctx ends, then lets requests in flight finish for up to ten seconds. It closes
// the listeners, and returns nil after an orderly stop.
func Serve(ctx context.Context, h http.Handler, log *slog.Logger, listeners ...net.Listener) error {
	drain := make(chan struct{})
	base, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), drainKey{}, drain))
	defer cancel()
	srv := &http.Server{
		Handler:           h,
		Protocols:         protocols(),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingTime, WriteByteTimeout: pingTime},
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // of broken clients
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if _, ok := c.(ownerConn); ok {
				return auth.WithSocket(ctx)
			}
			return ctx
		},
	}
	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve on %s: %w", l.Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	close(drain)
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer done()
	if sErr := srv.Shutdown(stop); sErr != nil {
		log.Warn("requests still in flight were cut off", "error", sErr)
		cancel()
		_ = srv.Close() // the requests' own errors are logged where they happen
	}
	serving.Wait()
	return err
}
