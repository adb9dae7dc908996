package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Host names and addresses, the second form with a wildcard for subdomains.
const (
	hostPattern     = `^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$|^[0-9A-Fa-f:]+$`
	wildcardPattern = `^(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$|^[0-9A-Fa-f:]+$`
)

var (
	headerForm   = regexp.MustCompile(formatPattern("header"))
	regionForm   = regexp.MustCompile(formatPattern("region"))
	hostForm     = regexp.MustCompile(hostPattern)
	wildcardForm = regexp.MustCompile(wildcardPattern)
)

// formatPattern returns the pattern of a format for the JSON Schema; checkFormat is stricter where a pattern cannot be.
func formatPattern(format string) string {
	switch format {
	case "listen":
		return `^.*:[0-9]{1,5}$`
	case "url":
		return `^$|^https?://[^/?#@\s]+([/?]|$)`
	case "host":
		return hostPattern
	case "host pattern":
		return wildcardPattern
	case "network":
		return `^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`
	case "optional listen":
		return `^$|^.*:[0-9]{1,5}$`
	case "optional target":
		return `^$|^[a-z0-9][a-z0-9_-]*/.+$`
	case "region":
		return `^$|^[a-z]{2}(-[a-z]+)+-[0-9]+$`
	case "target":
		return `^[a-z0-9][a-z0-9_-]*/.+$`
	case "header":
		return "^[A-Za-z0-9!#$%&'*+.^_|~-]*$"
	case "database":
		return `^$|^(env|file):.+|^postgres(ql)?://`
	}
	return ""
}

// checkFormat returns what is wrong with a text of the given format and what was expected, "" when nothing is.
func checkFormat(format, text string) string {
	if optional, ok := strings.CutPrefix(format, "optional "); ok {
		if text == "" {
			return ""
		}
		format = optional
	}
	switch format {
	case "listen":
		return checkListen(text)
	case "url":
		return checkURL(text)
	case "host":
		if !hostForm.MatchString(text) {
			return fmt.Sprintf("%q is not a host name; expected a name such as agents.example.com, without scheme, port or path", brief(text))
		}
	case "host pattern":
		if !wildcardForm.MatchString(text) {
			return fmt.Sprintf("%q is not a host name; expected a name such as example.com or *.example.com, without scheme, port or path", brief(text))
		}
	case "network":
		if _, err := parseNetwork(text); err != nil {
			return fmt.Sprintf("%q is not an address or network; expected one such as 10.0.0.5, 10.0.0.0/8 or fd00::/8", brief(text))
		}
	case "target":
		if provider, model, ok := strings.Cut(text, "/"); !ok || provider == "" || model == "" {
			return fmt.Sprintf("is %q; expected provider/model, such as local/default", brief(text))
		}
	case "region":
		if !regionForm.MatchString(text) {
			return fmt.Sprintf("is %q; expected the name of a region, such as eu-central-1", brief(text))
		}
	case "header":
		if !headerForm.MatchString(text) {
			return fmt.Sprintf("is %q; expected the name of a header, such as X-API-Key", brief(text))
		}
	case "pattern":
		if _, err := regexp.Compile(text); err != nil {
			return fmt.Sprintf("is no regular expression: %s; expected one of RE2, which knows no look-around and no back references", syntaxReason(err))
		}
	case "database":
		return checkDatabase(text)
	}
	return ""
}

// syntaxReason returns what is wrong with a regular expression and where.
func syntaxReason(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}

// parseNetwork reads an address, which is a network of one, or a network such as 10.0.0.0/8.
func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err == nil && p.Addr().Is4In6() { // it would match nothing: addresses are compared in their IPv4 form
			err = fmt.Errorf("%s is an IPv4 network in IPv6 form", text)
		}
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func checkListen(text string) string {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Sprintf("is %q; expected an address and a port, such as 127.0.0.1:8080, or [::1]:8080 for IPv6", brief(text))
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Sprintf("has the port %q; expected a number from 0 (any free one) to 65535", port)
	}
	return ""
}

func checkURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Sprintf("is %q; expected a URL such as https://host.example.com/v1", brief(text))
	case u.User != nil:
		return "holds a user name or password; expected a URL without one: credentials belong into api_key or headers"
	case u.Fragment != "":
		return "has a fragment (#…); expected a URL without one"
	}
	return ""
}

func checkDatabase(text string) string {
	if text == "" || strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:") {
		return ""
	}
	if scheme, _, _ := strings.Cut(text, "://"); scheme != "postgres" && scheme != "postgresql" {
		return "is not a database that is known; expected nothing (SQLite in data_dir), postgres://user@host/name, or a reference to that: env:NAME or file:/path"
	}
	if _, ok := clearURL(text); !ok {
		return "is not a clear URL; expected postgres://user:password@host/name with any of / ? # @ : % in the password written as %2F %3F %23 %40 %3A %25"
	}
	return ""
}

// loopback reports whether only this machine can reach an address to listen on.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
