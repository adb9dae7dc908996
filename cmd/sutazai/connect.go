package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
)

// How long the parts of a connection may take.
const (
	dialTimeout     = 10 * time.Second
	responseTimeout = 90 * time.Second // the head of an answer; a run is accepted in milliseconds, a full disk may be slow
	comeBack        = 2 * time.Second  // how long a vanished local server may take to come back
	closeTimeout    = 20 * time.Second // for a server that this process started
)

// server is a running SutazAI in this process. internal/app's App is one.
type server interface {
	URL() string
	SetupURL() string
	Socket() string
	Wait(ctx context.Context) error
	Reload(next *config.Config) (applied, needRestart []string)
	Close(ctx context.Context) error
}

// endpoint is a place that answers /api/v1.
type endpoint struct {
	base   string // "http://localhost" for the socket
	apiKey string
	http   *http.Client
	local  bool // this machine's data folder, reached by the socket
	hosted bool // served by this very process
}

// connector finds the server to talk to: the one named by --server, else the one behind the socket of the data
// folder, else one that it starts in this process. It remembers what it found until forget is called.
type connector struct {
	serverURL string
	apiKey    string
	// socket returns the path of the data folder's socket.
	socket func() (string, error)
	// start starts a server in this process; nil means that none may be started. Unless it is to work, it executes no
	// run: looking at runs must not make them call models.
	start func(ctx context.Context, work bool) (server, error)
	// work says that a server in this process is to execute runs.
	work bool
	// warn tells the user about something that works but should not stay so.
	warn func(text string)

	// patience is how long a local server that is starting or restarting may take to answer.
	patience time.Duration

	mu     sync.Mutex
	found  *endpoint
	hosted server
}

// get returns the endpoint, looking for it first when necessary.
func (c *connector) get(ctx context.Context) (*endpoint, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found != nil {
		return c.found, nil
	}
	ep, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	c.found = ep
	return ep, nil
}

// forget drops an endpoint that no longer answers, so that the next get looks again.
func (c *connector) forget(ep *endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == ep && !ep.hosted {
		c.found = nil
		ep.http.CloseIdleConnections()
	}
}

// close ends the server that this process started, if it did.
func (c *connector) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found != nil {
		c.found.http.CloseIdleConnections()
	}
	if c.hosted == nil {
		return nil
	}
	// The command's own context may be cancelled already (Ctrl-C); closing must still be orderly.
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := c.hosted.Close(ctx)
	c.hosted = nil
	return err
}

// hosts says whether the server runs in this process.
func (c *connector) hosts() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hosted != nil
}

func (c *connector) find(ctx context.Context) (*endpoint, error) {
	if c.serverURL != "" {
		ep, err := remoteEndpoint(c.serverURL, c.apiKey)
		if err == nil && ep.unencrypted() {
			c.warn("the API key travels unencrypted to " + ep.base + "; use https")
		}
		return ep, err
	}
	path, err := c.socket()
	if err != nil {
		return nil, err
	}
	if answers(ctx, path) {
		return socketEndpoint(path), nil
	}
	if c.start == nil {
		return nil, core.Errorf(core.CodeUnavailable,
			"no server is running on this data folder; start one with `sutazai serve`, or name one with --server URL")
	}
	s, err := c.start(ctx, c.work)
	if err != nil {
		// Another process may have taken the data folder a moment before us: then its socket answers soon.
		if core.CodeOf(err) == core.CodeConflict && wait(ctx, func() bool { return answers(ctx, path) }, c.patience) {
			return socketEndpoint(path), nil
		}
		return nil, err
	}
	c.hosted = s
	ep := socketEndpoint(s.Socket())
	ep.hosted = true
	return ep, nil
}

// wait asks ready again and again until it is true, the time is over or ctx ends.
func wait(ctx context.Context, ready func() bool, limit time.Duration) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-deadline.C:
			return false
		case <-tick.C:
		}
	}
}

// answers says whether something listens on the socket.
func answers(ctx context.Context, path string) bool {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// remoteEndpoint checks the URL of --server.
func remoteEndpoint(raw, apiKey string) (*endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, core.Errorf(core.CodeInvalid,
			"--server %q is not a server's address; give one such as http://127.0.0.1:8080 or https://sutazai.example", raw)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, core.Errorf(core.CodeInvalid,
			"--server takes the address alone; give the key with --api-key or SUTAZAI_API_KEY")
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: responseTimeout,
		ForceAttemptHTTP2:     true,
	}
	return &endpoint{base: strings.TrimRight(u.String(), "/"), apiKey: apiKey, http: httpClient(t)}, nil
}

// unencrypted says whether a key would travel readable over a network.
func (e *endpoint) unencrypted() bool {
	u, err := url.Parse(e.base)
	if err != nil || e.local || e.apiKey == "" || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

func socketEndpoint(path string) *endpoint {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", path)
		},
		ResponseHeaderTimeout: responseTimeout,
	}
	return &endpoint{base: "http://localhost", http: httpClient(t), local: true}
}

// httpClient never follows a redirect: a key must reach the server that the user named and no other.
func httpClient(t *http.Transport) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// unreachable turns a failure of the network into an error that says which server and what to do.
func (e *endpoint) unreachable(err error) error {
	where := e.base
	if e.local {
		where = "the local server"
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return core.Wrap(core.CodeUnavailable, err, "%s closed the connection; is it stopping? Try again in a moment", where)
	}
	var reason string
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		reason = fmt.Sprintf("the name %s is not known", dns.Name)
	case errors.Is(err, context.DeadlineExceeded):
		reason = "it does not answer in time"
	default:
		reason = rootCause(err).Error()
	}
	return core.Wrap(core.CodeUnavailable, err, "cannot reach %s: %s", where, reason)
}

// rootCause is the innermost error, without the address and method that net/http repeats.
func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
