package guardrails

import (
	"net/netip"
	"strings"
)

// ips finds addresses of machines: IPv4 as four numbers, IPv6 in the forms of RFC 4291.
type ips struct{}

// maxIP is the length of the longest address in text form, ffff:…:255.255.255.255.
const maxIP = 45

func (ips) scan(text string, from int, final bool) (found []span, held int) {
	for i := from; i < len(text); {
		if !isIP(text[i]) || i > 0 && (alnum(text[i-1]) || isIP(text[i-1])) {
			i++
			continue
		}
		end := i
		for end < len(text) && end-i <= maxIP && isIP(text[end]) {
			end++
		}
		if end == len(text) && !final {
			return found, i
		}
		if at, ok := address(text[i:end]); ok && (end == len(text) || !alnum(text[end])) {
			found = append(found, span{start: i, end: i + at, kind: "ip"})
		}
		i = end
	}
	return found, len(text)
}

func isIP(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '.' || c == ':'
}

// address returns the length of the address that a run of its characters holds. The full stop or colon of a sentence does
// not belong to it. Short forms without digits (::, a::b) are names in programs far more often than addresses.
func address(run string) (length int, ok bool) {
	run = strings.TrimRight(run, ".")
	if strings.HasSuffix(run, ":") && !strings.HasSuffix(run, "::") {
		run = run[:len(run)-1]
	}
	switch colons := strings.Count(run, ":"); {
	case colons == 1: // an IPv4 address and a port
		run, _, _ = strings.Cut(run, ":")
		fallthrough
	case colons == 0:
		if strings.Count(run, ".") != 3 {
			return 0, false
		}
	case !strings.ContainsAny(run, "0123456789"):
		return 0, false
	}
	_, err := netip.ParseAddr(run)
	return len(run), err == nil
}
