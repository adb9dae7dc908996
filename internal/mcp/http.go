package mcp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// maxMessage bounds one message of a server, in bytes.
const maxMessage = 16 << 20

// sseRetries is how often a broken stream is taken up again before the connection counts as lost.
const sseRetries = 3

// exchange notes what became of the HTTP requests of a call, to tell a call that was not made from one that may have been.
type exchange struct {
	sent   atomic.Bool  // a request was written, at least in part
	status atomic.Int32 // of the latest answer; 0 = none
}

type exchangeKey struct{}

// withExchange returns a context whose HTTP requests are noted.
func withExchange(ctx context.Context) (context.Context, *exchange) {
	x := &exchange{}
	return context.WithValue(ctx, exchangeKey{}, x), x
}

// made says whether the call may have reached the tool: not, if no request was written, or if the server refused it before
// it looked at the call.
func (x *exchange) made() bool {
	switch s := x.status.Load(); {
	case !x.sent.Load():
		return false
	case s == 0, s == http.StatusRequestTimeout:
		return true
	default:
		return s < 400 || s >= 500
	}
}

// httpTransport is the way to a server at an address.
func (l *link) httpTransport() sdk.Transport {
	spec := &l.server.spec
	client := *spec.HTTP
	client.Transport = &serverRoundTripper{inner: spec.HTTP.Transport, origin: originOf(spec.URL), headers: l.headers()}
	t := &sdk.StreamableClientTransport{Endpoint: spec.URL, HTTPClient: &client, MaxRetries: sseRetries, MaxEventSize: maxMessage}
	if l.grant != nil {
		t.OAuthHandler = sdkauth.OAuthHandler(l.grant)
	}
	return t
}

// headers are what the settings add to every request, the token of kind bearer among them.
func (l *link) headers() map[string]core.Secret {
	spec := &l.server.spec
	out := map[string]core.Secret{}
	for name, value := range spec.Headers {
		out[name] = value
	}
	if spec.Auth.Kind != AuthBearer {
		return out
	}
	token := spec.Auth.Token
	if spec.Auth.Per == PerProject {
		token = spec.Auth.Tokens[strings.TrimPrefix(l.owner, "project:")]
	}
	if text := token.Reveal(); text != "" {
		out["Authorization"] = core.NewSecret("Bearer " + text)
	}
	return out
}

// serverRoundTripper adds what the settings give to requests for the server's own origin, and bounds what comes back. A
// redirect to anywhere else gets nothing of it.
type serverRoundTripper struct {
	inner   http.RoundTripper
	origin  string
	headers map[string]core.Secret
}

// RoundTrip implements http.RoundTripper.
func (t *serverRoundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	x, noted := req.Context().Value(exchangeKey{}).(*exchange)
	ctx := req.Context()
	if noted {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { x.sent.Store(true) }})
	}
	req = req.Clone(ctx)
	if origin(req.URL) == t.origin {
		for name, value := range t.headers {
			req.Header.Set(name, value.Reveal())
		}
	} else {
		req.Header.Del("Authorization")
		req.Header.Del("Mcp-Session-Id")
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // the client does
	}
	if noted {
		x.status.Store(int32(resp.StatusCode)) //nolint:gosec // three digits
	}
	bound(resp)
	return resp, nil
}

// bound limits a body, except a stream of events: there each event is limited.
func bound(resp *http.Response) {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
		return
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxMessage}
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, core.Errorf(core.CodeTooLarge, "the answer is larger than %d MB", maxMessage>>20)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}

// metadataTransport bounds what authorization servers answer, and asks for tokens for one resource alone (RFC 8707), also
// when a login is renewed.
type metadataTransport struct {
	inner    http.RoundTripper
	resource string // "" = the request says it already
}

// RoundTrip implements http.RoundTripper.
func (t *metadataTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.resource != "" && req.Method == http.MethodPost && req.Body != nil {
		body, err := io.ReadAll(io.LimitReader(req.Body, maxMessage))
		_ = req.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read the form: %w", err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, fmt.Errorf("read the form: %w", err)
		}
		form.Set("resource", t.resource)
		text := form.Encode()
		req = req.Clone(req.Context())
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // the client does
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: 1 << 20}
	return resp, nil
}

func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return origin(u)
}

// origin is scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
