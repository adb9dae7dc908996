// Package egress owns traffic to the outside: one HTTP client that reaches public addresses only, whatever a
// name resolves to or a redirect points at, and that bounds time and size. It must know nothing about who asks
// (tools, webhooks, identity providers) or why.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Config bounds outside traffic. Zero values take the defaults named here.
type Config struct {
	AllowPrivate  bool          // reach private and loopback addresses too; a cloud's metadata only by AllowHosts
	AllowHosts    []string      // exceptions that may be private: "host", "host:port", an address or a CIDR range
	OnlyHosts     []string      // nothing else is reached: "example.com", "*.example.com"; empty: every public host
	MaxBytes      int64         // of a response's body after decompression; 10 MB
	MaxRedirects  int           // 5; negative: none
	Timeout       time.Duration // of a whole request with its redirects and body; 30 s
	HeaderTimeout time.Duration // until the response's headers; 15 s
	UserAgent     string        // "SutazAI"
	RootCAs       *x509.CertPool
	Resolver      *net.Resolver // nil: the system's
}

// Client makes requests to the outside. It is safe for use by several goroutines.
type Client struct {
	config   Config
	maxBytes atomic.Int64
	timeout  atomic.Int64 // nanoseconds
	http     *http.Client
	blocks   []block
	global   netip.Prefix // 2000::/3
	hosts    map[string]bool
	prefixes []netip.Prefix
}

// New checks the settings and returns a client. CodeInvalid names a wrong exception.
func New(c Config) (*Client, error) {
	c = c.withDefaults()
	e := &Client{config: c, blocks: blocks(), global: netip.MustParsePrefix("2000::/3"), hosts: map[string]bool{}}
	e.SetLimits(c.MaxBytes, c.Timeout)
	for _, h := range c.AllowHosts {
		if err := e.allow(h); err != nil {
			return nil, err
		}
	}
	transport := &http.Transport{
		Proxy:                  nil, // a proxy from the environment would connect where we cannot check
		DialContext:            e.dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  c.HeaderTimeout,
		MaxResponseHeaderBytes: 256 << 10,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
	}
	e.http = &http.Client{Transport: transport, CheckRedirect: e.redirect}
	return e, nil
}

func (c Config) withDefaults() Config {
	switch {
	case c.MaxRedirects == 0:
		c.MaxRedirects = 5
	case c.MaxRedirects < 0:
		c.MaxRedirects = 0
	}
	if c.HeaderTimeout <= 0 {
		c.HeaderTimeout = 15 * time.Second
	}
	if c.UserAgent == "" {
		c.UserAgent = "SutazAI"
	}
	return c
}

// SetLimits changes the bounds of the requests that start from now on; zero means the default.
func (c *Client) SetLimits(maxBytes int64, timeout time.Duration) {
	if maxBytes <= 0 {
		maxBytes = 10 << 20
	}
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	c.maxBytes.Store(maxBytes)
	c.timeout.Store(int64(timeout))
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do makes a request and follows its redirects. The time limit covers the reading of the body, which fails with
// CodeTooLarge when it is larger than allowed; the caller closes it. Errors are core.Errors: CodeInvalid (the
// address is malformed), CodeForbidden (it is not public), CodeUnavailable (it cannot be reached), CodeTimeout.
// They name the host but neither path nor query, which may hold secrets.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if err := c.checkURL(req.URL); err != nil {
		return nil, err
	}
	limit, timeout := c.maxBytes.Load(), time.Duration(c.timeout.Load())
	ctx, cancel := context.WithTimeout(req.Context(), timeout)
	req = req.Clone(ctx)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", c.config.UserAgent)
	}
	resp, err := c.http.Do(req) //nolint:bodyclose // the caller closes it
	if err != nil {
		err = explain(ctx, err, req.URL.Hostname(), timeout) // before cancel: it asks why ctx ended
		cancel()
		return nil, err
	}
	resp.Body = &body{inner: resp.Body, left: limit, max: limit, cancel: cancel,
		ctx: ctx, host: resp.Request.URL.Hostname(), timeout: timeout}
	return resp, nil
}

// HTTPClient is for libraries that make requests themselves and keep connections open. It reaches the same addresses and
// judges redirects in the same way, but bounds neither the time of a request nor the size of a body: that is up to its user.
func (c *Client) HTTPClient() *http.Client {
	return &http.Client{Transport: checked{c}, CheckRedirect: c.redirect}
}

// checked is the transport with the check of each URL before it.
type checked struct{ c *Client }

// RoundTrip implements http.RoundTripper.
func (t checked) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.c.checkURL(req.URL); err != nil {
		return nil, err
	}
	if req.Header.Get("User-Agent") == "" {
		req = req.Clone(req.Context())
		req.Header.Set("User-Agent", t.c.config.UserAgent)
	}
	resp, err := t.c.http.Transport.RoundTrip(req)
	if err != nil {
		return nil, explain(req.Context(), err, req.URL.Hostname(), t.c.config.HeaderTimeout)
	}
	return resp, nil
}

// Get is Do for a GET of a URL.
func (c *Client) Get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "this is not a valid address; write it like https://example.org/page")
	}
	return c.Do(req)
}

// dial connects to host:port. Only exceptions skip the check of the address.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, Resolver: c.config.Resolver}
	if !c.allowedHost(address) {
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return c.control(address)
		}
	}
	return d.DialContext(ctx, network, address)
}

// allow adds an exception.
func (c *Client) allow(entry string) error {
	text := strings.TrimSpace(entry)
	if p, err := netip.ParsePrefix(text); err == nil {
		c.prefixes = append(c.prefixes, p.Masked())
		return nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		ip = ip.Unmap()
		c.prefixes = append(c.prefixes, netip.PrefixFrom(ip, ip.BitLen()))
		return nil
	}
	if text == "" || strings.ContainsAny(text, "/*@ ?#") {
		return core.Errorf(core.CodeInvalid, "%q is no host, host:port, address or range such as 10.0.0.0/8", entry)
	}
	c.hosts[normalHost(text)] = true
	return nil
}

// allowedHost says whether host:port is an exception by name.
func (c *Client) allowedHost(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (c.hosts[normalHost(host)] || c.hosts[normalHost(address)])
}

// allowedAddr says whether an address is an exception by number.
func (c *Client) allowedAddr(ip netip.Addr) bool {
	ip = ip.Unmap()
	for _, p := range c.prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// normalHost makes names comparable: letter case and a final dot mean nothing.
func normalHost(h string) string {
	h = strings.ToLower(h)
	if host, port, err := net.SplitHostPort(h); err == nil {
		return net.JoinHostPort(strings.TrimSuffix(host, "."), port)
	}
	return strings.TrimSuffix(h, ".")
}

// refusal is why a connection was not made. The address is for logs: telling it to whoever asked would let them
// look names up in a private network.
type refusal struct {
	why  string
	addr netip.Addr
}

func (r *refusal) Error() string { return fmt.Sprintf("%s (%s)", r.why, r.addr) }

// explain turns an error of the HTTP client into one that a user may read.
func explain(ctx context.Context, err error, host string, limit time.Duration) error {
	if ce, ok := errors.AsType[*core.Error](err); ok {
		return ce
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return core.Wrap(core.CodeForbidden, r, "%s may not be reached: %s; an administrator can allow it in the settings", host, r.why)
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return core.Wrap(core.CodeCancelled, context.Canceled, "the request to %s was cancelled", host)
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return core.Wrap(core.CodeTimeout, err, "%s did not answer in time (at most %s)", host, limit)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return core.Wrap(core.CodeUnavailable, err, "there is no host named %s", host)
	}
	return core.Wrap(core.CodeUnavailable, err, "%s cannot be reached: %s", host, shortCause(err))
}

// shortCause names the kind of network failure.
func shortCause(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection broke"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to it from here"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not valid"
	}
	return "the connection failed"
}

// body bounds the size of a response and keeps its time limit until it is closed.
type body struct {
	inner   io.ReadCloser
	left    int64
	max     int64
	cancel  context.CancelFunc
	ctx     context.Context //nolint:containedctx // only to tell a time limit from a broken connection
	host    string
	timeout time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	// One byte more than allowed tells a body of exactly the limit from a larger one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.inner.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = 0
		return n, core.Errorf(core.CodeTooLarge, "the answer of %s is larger than %s", b.host, size(b.max))
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = explain(b.ctx, err, b.host, b.timeout)
	}
	return n, err
}

func (b *body) Close() error {
	b.cancel()
	return b.inner.Close()
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
