package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Config are the settings of a Transport. The zero value of a field means its default.
type Config struct {
	ConnectTimeout time.Duration // for the name, TCP and TLS together; default 5 s
	IdleTimeout    time.Duration // how long an unused connection is kept; default 4 s, as llama.cpp closes after 5 s
	MaxIdlePerHost int           // unused connections kept for one host; default 64
	MaxHeader      int64         // bytes of an answer's status line and headers, interim answers included; default 256 KiB
	UserAgent      string        // of requests that name none; default "SutazAI"
	TLS            *tls.Config   // roots and client certificates; it is cloned; nil = the system's roots
	// Dial opens the TCP connection to host:port; nil = net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 4 * time.Second
	}
	if c.MaxIdlePerHost <= 0 {
		c.MaxIdlePerHost = 64
	}
	if c.MaxHeader <= 0 {
		c.MaxHeader = 256 << 10
	}
	if c.UserAgent == "" {
		c.UserAgent = "SutazAI"
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.TLS = c.TLS.Clone()
	c.TLS.NextProtos = []string{"http/1.1"}
	if c.TLS.ClientSessionCache == nil {
		c.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	return c
}

// Transport is an http.RoundTripper for http and https URLs. It may be used by many goroutines at once.
type Transport struct {
	cfg  Config
	idle pool
}

// New makes a Transport.
func New(c Config) *Transport {
	c = c.withDefaults()
	return &Transport{cfg: c, idle: pool{timeout: c.IdleTimeout, most: c.MaxIdlePerHost}}
}

// CloseIdleConnections closes the connections that no request uses. Those in use are kept or closed as usual when their
// answers end.
func (t *Transport) CloseIdleConnections() { t.idle.closeAll() }

// Direct says whether a request to u goes straight to its host: the environment names no proxy for it. Where it says no,
// use an http.Transport.
func Direct(u *url.URL) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	return proxy == nil && err == nil
}

// errConnect says that ConnectTimeout has passed.
var errConnect = errors.New("connecting took too long")

// RoundTrip sends req and returns its answer once the headers have come. When req's context ends, whatever it waits for
// ends at once, the connection is closed, and the error is the context's; the same holds for reads of the answer's body.
// Closing that body before its end closes the connection. The request's body is read on the caller's goroutine, so it
// should be in memory: nothing ends a read of it but its own end.
//
// A kept connection may have been closed by its server just before the request reached it. The request is then sent once
// more on a new connection, whatever its method, when not a byte of the answer has come and the body can be had again
// through req.GetBody. So only requests that may reach a server twice belong here; requests to models may.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	o, err := check(req)
	if err == nil {
		err = req.Context().Err()
	}
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	body := req.Body
	c := t.idle.take(o.where)
	for {
		if c == nil {
			if c, err = t.connect(req.Context(), o.where); err != nil {
				closeBody(body)
				return nil, err
			}
		}
		resp, err := c.exchange(o, req, body)
		if err == nil {
			return resp, nil
		}
		if !errors.Is(err, errStale) || body != nil && body != http.NoBody && req.GetBody == nil {
			return nil, err
		}
		if body != nil && body != http.NoBody {
			if body, err = req.GetBody(); err != nil {
				return nil, fmt.Errorf("repeat the request on a new connection: %w", err)
			}
		}
		c = nil // a new one: others that were kept as long are likely closed as well
	}
}

// place is where requests go that may share connections.
type place struct {
	tls  bool
	host string // host:port as the URL has it, the default port added
}

func (t *Transport) connect(ctx context.Context, where place) (*conn, error) {
	dctx, cancel := context.WithTimeoutCause(ctx, t.cfg.ConnectTimeout, errConnect)
	defer cancel()
	c, err := t.dial(dctx, where)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(context.Cause(dctx), errConnect):
		return nil, fmt.Errorf("connect to %s: %w (%s)", where.host, errConnect, t.cfg.ConnectTimeout)
	default:
		return nil, fmt.Errorf("connect to %s: %w", where.host, err)
	}
}

func (t *Transport) dial(ctx context.Context, where place) (*conn, error) {
	address, err := httpguts.PunycodeHostPort(where.host)
	if err != nil {
		return nil, err
	}
	raw, err := t.cfg.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if !where.tls {
		return newConn(t, where, raw, nil), nil
	}
	cfg := t.cfg.TLS
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		if cfg.ServerName, _, err = net.SplitHostPort(address); err != nil {
			_ = raw.Close() // it has not been used
			return nil, err
		}
	}
	secured := tls.Client(raw, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // the handshake's error says more
		return nil, err
	}
	return newConn(t, where, raw, secured), nil
}
