package egress

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// checkURL says whether a URL may be asked for at all; its address is checked when it is dialled.
func (c *Client) checkURL(u *url.URL) error {
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
	case "":
		return core.Errorf(core.CodeInvalid, "the address has no scheme; write it like https://example.org/page")
	default:
		return core.Errorf(core.CodeInvalid, "only http and https addresses can be fetched, not %q", u.Scheme)
	}
	if u.Hostname() == "" {
		return core.Errorf(core.CodeInvalid, "the address names no host; write it like https://example.org/page")
	}
	if u.User != nil {
		return core.Errorf(core.CodeInvalid, "an address must not carry a user name or password")
	}
	if !c.listed(u.Hostname()) {
		return c.unlisted(u.Hostname())
	}
	return nil
}

func (c *Client) unlisted(host string) error {
	return core.Errorf(core.CodeForbidden, "%s is not among the hosts that may be reached: %s", host, strings.Join(c.config.OnlyHosts, ", "))
}

// listed says whether a host is one of OnlyHosts. "*.example.com" is every name below example.com.
func (c *Client) listed(host string) bool {
	host = normalHost(host)
	for _, pattern := range c.config.OnlyHosts {
		pattern = normalHost(pattern)
		if suffix, ok := strings.CutPrefix(pattern, "*"); ok && strings.HasPrefix(suffix, ".") {
			if strings.HasSuffix(host, suffix) && len(host) > len(suffix) {
				return true
			}
			continue
		}
		if host == pattern {
			return true
		}
	}
	return len(c.config.OnlyHosts) == 0
}

// carried are the headers that a redirect may take to another origin. A list of what is harmless, not of what is
// secret: nobody knows every header that carries a key.
func carried(header string) bool {
	switch header {
	case "Accept", "Accept-Encoding", "Accept-Language", "User-Agent":
		return true
	}
	return false
}

// redirect is asked before each redirect is followed. req carries the first request's headers again, so what was
// dropped once is dropped at every later step, even when the chain comes back to the first origin.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > c.config.MaxRedirects {
		return core.Errorf(core.CodeUnavailable, "%s redirects more than %d times", via[0].URL.Hostname(), c.config.MaxRedirects)
	}
	if err := c.checkURL(req.URL); err != nil {
		return core.Errorf(core.CodeForbidden, "%s redirects to an address that may not be followed: %s",
			via[len(via)-1].URL.Hostname(), core.MessageOf(err))
	}
	crossed := origin(req.URL) != origin(via[0].URL)
	for _, earlier := range via[1:] {
		crossed = crossed || origin(earlier.URL) != origin(via[0].URL)
	}
	if !crossed {
		return nil
	}
	if req.Body != nil && req.Body != http.NoBody {
		return core.Errorf(core.CodeForbidden, "%s redirects what was sent to it to %s; that was not followed",
			via[0].URL.Hostname(), req.URL.Hostname())
	}
	for name := range req.Header {
		if !carried(name) {
			req.Header.Del(name)
		}
	}
	return nil
}

// origin is scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + net.JoinHostPort(normalHost(u.Hostname()), port)
}
