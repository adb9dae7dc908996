package backend

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
)

// shield sets the security headers and refuses requests that a foreign page or name could have caused.
type shield struct {
	s       *server
	csrf    *http.CrossOriginProtection
	hosts   map[string]bool
	public  string // host[:port] of the public URL
	https   bool   // the public URL is https
	trusted map[string]bool
	fixed   []fixedHeader
}

func newShield(s *server) (*shield, error) {
	h := &shield{s: s, csrf: http.NewCrossOriginProtection(), hosts: map[string]bool{"localhost": true}, trusted: map[string]bool{}, fixed: fixedHeaders()}
	for _, name := range s.cfg.AllowedHosts {
		h.hosts[strings.ToLower(name)] = true
	}
	if s.cfg.PublicURL != "" {
		u, err := url.Parse(s.cfg.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, core.Errorf(core.CodeInvalid, "the public URL %q is not of the form https://host", s.cfg.PublicURL)
		}
		h.public, h.https = strings.ToLower(u.Host), u.Scheme == "https"
		h.hosts[strings.ToLower(u.Hostname())] = true
		origin := u.Scheme + "://" + strings.ToLower(u.Host)
		if err := h.csrf.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("public URL: %w", err)
		}
		h.trusted[origin] = true
	}
	return h, nil
}

// secure says whether the browser talks to us over TLS, directly or through the proxy of the public URL.
func (h *shield) secure(r *http.Request) bool {
	return r.TLS != nil || h.https && strings.EqualFold(r.Host, h.public)
}

func (h *shield) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.headers(w.Header(), r)
		if !auth.FromSocket(r.Context()) && !h.hostAllowed(r) {
			p := newProblem(core.CodeForbidden, http.StatusMisdirectedRequest, "Unknown host",
				"this server does not answer to that Host; if it should, add the name to server.allowed_hosts", nil)
			WriteProblem(w, r, h.s.log, p)
			return
		}
		if !h.originAllowed(r) {
			WriteProblem(w, r, h.s.log, core.Errorf(core.CodeForbidden, "a page of another origin may not call this server"))
			return
		}
		if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
			p := newProblem(core.CodeInvalid, http.StatusUnsupportedMediaType, "Compressed body", "send the body uncompressed; compressed bodies are refused", nil)
			WriteProblem(w, r, h.s.log, p)
			return
		}
		if !storable(r) {
			p := newProblem(core.CodeInvalid, http.StatusBadRequest, "Unusable characters",
				"the path, the query or a header holds a NUL character or is not UTF-8", nil)
			WriteProblem(w, r, h.s.log, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// storable says whether the parts of a request that end up in queries are text that every database takes.
func storable(r *http.Request) bool {
	ok := func(s string) bool { return s == core.CleanText(s) }
	if !ok(r.URL.Path) || !ok(r.Header.Get("Idempotency-Key")) || !ok(r.Header.Get("Last-Event-ID")) {
		return false
	}
	if r.URL.RawQuery == "" {
		return true
	}
	for name, values := range r.URL.Query() {
		if !ok(name) || slices.ContainsFunc(values, func(v string) bool { return !ok(v) }) {
			return false
		}
	}
	return true
}

func (h *shield) headers(d http.Header, r *http.Request) {
	for i := range h.fixed {
		d[h.fixed[i].name] = h.fixed[i].value
	}
	if forBrowsers(r.URL.Path) {
		d.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-"+Nonce(r)+
			"'; connect-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	}
	if h.secure(r) {
		d.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// forBrowsers says whether a path is for browsers to show. What programs call gets the strictest policy, which is always the same.
func forBrowsers(path string) bool {
	return path == "/api/docs" || !strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/ollama/") && !strings.HasPrefix(path, "/a2a") && !strings.HasPrefix(path, "/lf.a2a.") && path != "/mcp"
}

// fixedHeader is a field that every answer has. The values are shared and never changed.
type fixedHeader struct {
	name  string
	value []string
}

func fixedHeaders() []fixedHeader {
	return []fixedHeader{
		{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}},
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"Referrer-Policy", []string{"no-referrer"}},
		{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
		{"Permissions-Policy", []string{"camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"}},
	}
}

// hostAllowed stops DNS rebinding: a page of evil.example whose name suddenly means this machine still sends its own
// name. On loopback only loopback addresses, localhost and configured names are right. Elsewhere any literal address
// is: rebinding needs a name.
func (h *shield) hostAllowed(r *http.Request) bool {
	host := strings.ToLower(r.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if h.hosts[host] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	return ip.Unmap().IsLoopback() || !localIsLoopback(r)
}

func localIsLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true // unknown: the stricter rule
	}
	ap, err := netip.ParseAddrPort(local.String())
	return err != nil || ap.Addr().Unmap().IsLoopback()
}

// originAllowed goes further than CrossOriginProtection, which lets safe methods pass: nothing here is meant for
// pages of other origins, so any request that names one is refused.
func (h *shield) originAllowed(r *http.Request) bool {
	if err := h.csrf.Check(r); err != nil {
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" || h.trusted[strings.ToLower(origin)] {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
