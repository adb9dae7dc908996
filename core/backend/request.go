package backend

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/sutazai/sutazai/internal/auth"
)

type infoKey struct{}

// requestInfo is what the middleware knows of a request. The guard fills in the route and the caller.
type requestInfo struct {
	request  *http.Request // as it arrived
	response http.Header
	id       string
	nonce    string // made when it is first asked for
	addr     string // client's address without port; "" on the unix socket
	route    string
	actor    string
}

func infoOf(ctx context.Context) *requestInfo {
	if i, ok := ctx.Value(infoKey{}).(*requestInfo); ok {
		return i
	}
	return &requestInfo{response: http.Header{}}
}

// RequestID returns the id of the request that ctx belongs to, as in the X-Request-Id header and the logs.
func RequestID(ctx context.Context) string { return infoOf(ctx).id }

// AddrOf returns the client's address without its port, "" on the unix socket.
func AddrOf(ctx context.Context) string { return infoOf(ctx).addr }

// Nonce returns the nonce of this response's Content-Security-Policy, for inline styles.
func Nonce(r *http.Request) string {
	i := infoOf(r.Context())
	if i.nonce == "" {
		i.nonce = rand.Text()
	}
	return i.nonce
}

var validRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func newRequestInfo(r *http.Request, trusted []netip.Prefix) *requestInfo {
	id := r.Header.Get("X-Request-Id")
	if !validRequestID.MatchString(id) {
		id = rand.Text()
	}
	return &requestInfo{request: r, id: id, addr: clientAddr(r, trusted)}
}

// clientAddr is the peer's address, or where peers are trusted proxies the last address in X-Forwarded-For that is
// none of them: those further left can be forged.
func clientAddr(r *http.Request, trusted []netip.Prefix) string {
	if auth.FromSocket(r.Context()) {
		return ""
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr := host
	if !isTrusted(addr, trusted) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(addr, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().String()
	}
	return addr
}

func isTrusted(addr string, trusted []netip.Prefix) bool {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	for _, p := range trusted {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// limitKey groups the addresses of one client: an IPv6 client owns a /64 at least.
func limitKey(addr string) string {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Unmap().Is4() {
		return addr
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return p.String()
}
