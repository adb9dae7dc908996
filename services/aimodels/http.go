package aimodels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/http1"
	"github.com/sutazai/sutazai/internal/socket"
)

// HTTPConfig says how providers that speak HTTP reach their server. Zero fields take the defaults named beside them.
type HTTPConfig struct {
	Name    string   // the provider's name, for error messages
	BaseURL string   // scheme, host and the path before the dialect's own, such as https://host/v1
	APIKey  string   // the only key; "" = Keys; never in an error or log
	Keys    *KeyRing // the keys, used in turn; nil = APIKey alone. A key is sent as Authorize says
	Headers map[string]string
	// Authorize puts the key into the headers of a request; nil = "Authorization: Bearer …".
	Authorize func(h http.Header, key string)
	// Sign changes a finished request whose body is given, for servers that want signatures; nil = none. The key is "" where
	// there is none.
	Sign func(r *http.Request, key string, body []byte) error

	ConnectTimeout   time.Duration // TCP and TLS; 5s
	FirstByteTimeout time.Duration // from the request to the first byte of the answer's body; 2m
	IdleTimeout      time.Duration // between two pieces of the body; 1m
	MaxBody          int64         // largest answer in bytes, streamed ones included; 32 MiB
}

func (c HTTPConfig) withDefaults() HTTPConfig {
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if c.FirstByteTimeout <= 0 {
		c.FirstByteTimeout = 2 * time.Minute
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = time.Minute
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 32 << 20
	}
	if c.Keys == nil {
		var only []core.Secret
		if c.APIKey != "" {
			only = append(only, core.NewSecret(c.APIKey))
		}
		c.Keys = NewKeyRing(c.Name, only, time.Now)
	}
	c.APIKey = ""
	if c.Authorize == nil {
		c.Authorize = func(h http.Header, key string) { h.Set("Authorization", "Bearer "+key) }
	}
	return c
}

// HTTPClient makes the requests of one provider: it keeps the key at home, watches the clock and the size, and turns
// every failure into a CallError. It never repeats a request that a server has begun to answer.
type HTTPClient struct {
	cfg       HTTPConfig
	base      *url.URL
	prefix    string      // of every address
	header    http.Header // of every request with a body; it is cloned
	transport http.RoundTripper
	idle      func() // drops idle connections
}

var errRedirect = errors.New("the server redirects")

// NewHTTPClient checks the base URL. Only http and https are possible; a URL with a user or password is refused, since
// it would be printed in messages.
func NewHTTPClient(cfg HTTPConfig) (*HTTPClient, error) {
	cfg = cfg.withDefaults()
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, core.Errorf(core.CodeInvalid, "models.providers.%s.base_url: %q is not a URL such as http://127.0.0.1:8000/v1", cfg.Name, cfg.BaseURL)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, core.Errorf(core.CodeInvalid, "models.providers.%s.base_url: only scheme, host and path are allowed; give the key as api_key", cfg.Name)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	c := &HTTPClient{cfg: cfg, base: u, prefix: u.String(), header: http.Header{
		"Content-Type": {"application/json"},
		// A server may close a kept connection just as the next request goes out on it; llama.cpp's does so often. With this
		// mark, which is not sent, the transport takes a new connection where the old one gave not a byte.
		"Idempotency-Key": nil,
		"Accept":          {"application/json, text/event-stream, application/x-ndjson"},
	}}
	for k, v := range cfg.Headers {
		c.header.Set(k, v)
	}
	if http1.Direct(u) {
		t := http1.New(http1.Config{ConnectTimeout: cfg.ConnectTimeout, Dial: socket.Dial})
		c.transport, c.idle = t, t.CloseIdleConnections
		return c, nil
	}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: cfg.ConnectTimeout}).DialContext,
		TLSHandshakeTimeout: cfg.ConnectTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 64,
		// Shorter than the 5 s after which llama.cpp closes: a request on a closed connection fails, and is not repeated here.
		IdleConnTimeout: 4 * time.Second,
	}
	c.transport, c.idle = t, t.CloseIdleConnections
	return c, nil
}

// Close drops idle connections.
func (c *HTTPClient) Close() { c.idle() }

// Name returns the provider's name.
func (c *HTTPClient) Name() string { return c.cfg.Name }

// Get decodes the JSON answer of a GET request into out.
func (c *HTTPClient) Get(ctx context.Context, path string, out any) error {
	return c.roundTrip(ctx, http.MethodGet, path, nil, out)
}

// PostJSON sends in as JSON and decodes the JSON answer into out.
func (c *HTTPClient) PostJSON(ctx context.Context, path string, in, out any) error {
	return c.roundTrip(ctx, http.MethodPost, path, in, out)
}

func (c *HTTPClient) roundTrip(ctx context.Context, method, path string, in, out any) error {
	body, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		return body.Explain(err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return c.Malformed(err)
	}
	return nil
}

// Post sends in as JSON and returns the body of a 2xx answer. The caller closes it.
func (c *HTTPClient) Post(ctx context.Context, path string, in any) (*Body, error) {
	return c.open(ctx, http.MethodPost, path, in)
}

// PostBytes sends a body as it is, with further headers, and returns the body of a 2xx answer. The caller closes it.
func (c *HTTPClient) PostBytes(ctx context.Context, path string, body []byte, headers map[string]string) (*Body, error) {
	return c.send(ctx, http.MethodPost, path, body, headers)
}

func (c *HTTPClient) open(ctx context.Context, method, path string, in any) (*Body, error) {
	if in == nil {
		return c.send(ctx, method, path, nil, nil)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, &CallError{Err: core.Wrap(core.CodeInternal, err, "the request to provider %s cannot be written as JSON", c.cfg.Name)}
	}
	return c.send(ctx, method, path, b, nil)
}

// send makes a request. Where the server refuses a key, or asks it to wait, the next one that is not aside has its turn
// at once: the server has done nothing yet.
func (c *HTTPClient) send(ctx context.Context, method, path string, payload []byte, headers map[string]string) (*Body, error) {
	for left := c.cfg.Keys.Healthy(); ; left-- {
		key := c.cfg.Keys.Pick()
		body, keyAtFault, err := c.sendWith(ctx, key, method, path, payload, headers)
		if err == nil || !keyAtFault || left <= 1 || c.cfg.Keys.Healthy() == 0 {
			return body, err
		}
	}
}

// sendWith is send with one key. keyAtFault says that another key may succeed.
func (c *HTTPClient) sendWith(ctx context.Context, key Key, method, path string, payload []byte, headers map[string]string) (_ *Body, keyAtFault bool, _ error) {
	rctx, cancel := context.WithCancelCause(ctx)
	body := &Body{c: c, parent: ctx, ctx: rctx, cancel: cancel, left: c.cfg.MaxBody, began: time.Now()}
	body.timer = time.AfterFunc(c.cfg.FirstByteTimeout, body.late)
	req, err := http.NewRequestWithContext(rctx, method, c.prefix+path, reader(payload))
	if err != nil {
		body.Close()
		return nil, false, &CallError{Err: core.Wrap(core.CodeInternal, err, "the request to provider %s cannot be made", c.cfg.Name)}
	}
	req.Header = maps.Clone(c.header) // the values are never changed
	if payload == nil {
		req.Header.Del("Content-Type")
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	if secret := key.Secret.Reveal(); secret != "" {
		c.cfg.Authorize(req.Header, secret)
	}
	if c.cfg.Sign != nil {
		if err := c.cfg.Sign(req, key.Secret.Reveal(), payload); err != nil {
			body.Close()
			return nil, false, &CallError{Err: core.Wrap(core.CodeUnauthorized, err, "the request to provider %s cannot be signed; check its key", c.cfg.Name)}
		}
	}
	resp, err := c.transport.RoundTrip(req) //nolint:bodyclose // body closes it
	if err != nil {
		err = body.Explain(err)
		body.Close()
		return nil, false, err
	}
	retryAfter := parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	body.rc, body.ContentType, body.length = resp.Body, resp.Header.Get("Content-Type"), resp.ContentLength
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		// The key and the conversation are meant for the configured address: a redirect is told, not followed.
		defer body.Close()
		return nil, false, body.Explain(errRedirect)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer body.Close()
		text, err := io.ReadAll(io.LimitReader(body, 64<<10))
		up := parseUpstream(text)
		status := up.status(resp.StatusCode)
		if retryAfter <= 0 {
			retryAfter = up.RetryAfter
		}
		c.cfg.Keys.Report(key, status, retryAfter)
		if err != nil && ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		return nil, ofTheKey(status), c.mapError(status, up, retryAfter)
	}
	c.cfg.Keys.Report(key, resp.StatusCode, retryAfter)
	return body, false, nil
}

// reader is nil for a request without a body.
func reader(payload []byte) io.Reader {
	if payload == nil {
		return nil
	}
	return bytes.NewReader(payload)
}

var (
	errFirstByte = errors.New("no first byte in time")
	errIdle      = errors.New("idle for too long")
	errTooLarge  = errors.New("answer too large")
)

// Body is the body of an answer. Reads are watched: see HTTPConfig.FirstByteTimeout, IdleTimeout and MaxBody.
type Body struct {
	ContentType string

	c      *HTTPClient
	parent context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	rc     io.ReadCloser
	left   int64
	length int64 // of the body where the server tells; -1 = it does not
	began  time.Time
	heard  atomic.Int64 // when something last came, in nanoseconds since began; 0 = nothing yet
}

// Read reads on; errors are for Explain.
func (b *Body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.rc.Read(p)
	b.left -= int64(n)
	if n > 0 && b.heard.Swap(int64(max(time.Since(b.began), 1))) == 0 {
		b.timer.Reset(b.c.cfg.IdleTimeout)
	}
	return n, err
}

// late is called when the time for the first byte or, from then on, for another one may have passed. It looks how long
// the server has been silent, so that a read need not set the timer anew.
func (b *Body) late() {
	heard := b.heard.Load()
	if heard == 0 {
		b.cancel(errFirstByte)
		return
	}
	if left := b.c.cfg.IdleTimeout - time.Since(b.began) + time.Duration(heard); left <= 0 {
		b.cancel(errIdle)
	} else if b.ctx.Err() == nil {
		b.timer.Reset(left)
	}
}

// Close ends the request, also one in flight, and frees what it holds.
func (b *Body) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	if b.rc == nil {
		return nil
	}
	return b.rc.Close()
}

// Explain turns a transport's error into what the gateway acts on: the caller's context error, or a CallError.
func (b *Body) Explain(err error) error {
	if cerr := b.parent.Err(); cerr != nil {
		return cerr
	}
	cfg := b.c.cfg
	cause := context.Cause(b.ctx)
	switch {
	case errors.Is(cause, errFirstByte):
		return Retryable(core.Wrap(core.CodeTimeout, err, "provider %s at %s did not begin to answer within %s", cfg.Name, b.c.base.Host, cfg.FirstByteTimeout))
	case errors.Is(cause, errIdle):
		return Retryable(core.Wrap(core.CodeTimeout, err, "provider %s at %s stopped in mid answer for more than %s", cfg.Name, b.c.base.Host, cfg.IdleTimeout))
	case errors.Is(err, errTooLarge):
		return &CallError{Err: core.Errorf(core.CodeTooLarge, "the answer of provider %s is larger than %d bytes", cfg.Name, cfg.MaxBody)}
	case errors.Is(err, errRedirect):
		return &CallError{Err: core.Errorf(core.CodeInvalid, "provider %s at %s redirects elsewhere, which is not followed; set models.providers.%s.base_url to the right address", cfg.Name, b.c.base.Host, cfg.Name)}
	case b.rc != nil:
		return Retryable(core.Wrap(core.CodeUnavailable, b.c.scrubError(err), "the connection to provider %s at %s broke in mid answer", cfg.Name, b.c.base.Host))
	default:
		return Retryable(core.Wrap(core.CodeUnavailable, b.c.scrubError(err), "provider %s at %s cannot be reached%s", cfg.Name, b.c.base.Host, reason(err)))
	}
}

// reason names the failures of a connection that a person can do something about.
func reason(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return ": its name is unknown"
	case strings.Contains(err.Error(), "connection refused"):
		return ": connection refused; is it running?"
	case strings.Contains(err.Error(), "certificate"):
		return ": its certificate is not trusted"
	default:
		return ""
	}
}

// ReadAll reads the rest; errors are for Explain.
func (b *Body) ReadAll() ([]byte, error) {
	if b.length <= 0 || b.length > b.left {
		return io.ReadAll(b)
	}
	out := make([]byte, b.length)
	n, err := io.ReadFull(b, out)
	return out[:n], err
}

// Malformed is the error for an answer that cannot be understood.
func (b *Body) Malformed(err error) error { return b.c.Malformed(err) }

// StreamError maps an error object that a server sent inside a 200 answer.
func (b *Body) StreamError(object []byte) error { return b.c.StreamError(object) }

// Malformed is the error for an answer that cannot be understood.
func (c *HTTPClient) Malformed(err error) error {
	return Retryable(core.Wrap(core.CodeUnavailable, err, "provider %s at %s sent an answer that cannot be read; does it speak this dialect?", c.cfg.Name, c.base.Host))
}

// scrubError removes the key from an error's text.
func (c *HTTPClient) scrubError(err error) error {
	text := err.Error()
	if clean := c.scrub(text); clean != text {
		return errors.New(clean)
	}
	return err
}

func (c *HTTPClient) scrub(s string) string {
	return c.cfg.Keys.Scrub(s)
}

func (c *HTTPClient) target() string {
	return fmt.Sprintf("provider %s at %s", c.cfg.Name, c.base.Host)
}
