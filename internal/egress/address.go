package egress

import "net/netip"

// block is a range of addresses that outside traffic must not reach, and why.
type block struct {
	prefix netip.Prefix
	why    string
	always bool // it hands out a machine's credentials, or hides an address that may: AllowPrivate does not open it
}

// blocks are the special-purpose ranges of the IANA registries (RFC 6890 and its updates) that are not globally
// reachable, and addresses that only a cloud's own machines reach.
func blocks() []block {
	const (
		metadata = "a link-local or metadata address"
		wrapped  = "an IPv4 address wrapped in IPv6"
	)
	table := []struct{ cidr, why string }{
		{"169.254.0.0/16", metadata},
		{"168.63.129.16/32", metadata},
		{"100.100.100.200/32", metadata},
		{"fd00:ec2::254/128", metadata},
		{"fe80::/10", metadata},
		{"64:ff9b::/96", wrapped},   // NAT64; where it is the way out, an administrator allows this range
		{"64:ff9b:1::/48", wrapped}, // local NAT64
		{"2002::/16", wrapped},      // 6to4
		{"::/96", wrapped},          // IPv4-compatible; ::1 was judged before
		{"0.0.0.0/8", "this machine"},
		{"10.0.0.0/8", "a private network"},
		{"100.64.0.0/10", "a provider's internal network"},
		{"127.0.0.0/8", "this machine"},
		{"172.16.0.0/12", "a private network"},
		{"192.0.0.0/24", "a reserved range"},
		{"192.0.2.0/24", "a range for documentation"},
		{"192.88.99.0/24", "a retired relay range"},
		{"192.168.0.0/16", "a private network"},
		{"198.18.0.0/15", "a range for benchmarks"},
		{"198.51.100.0/24", "a range for documentation"},
		{"203.0.113.0/24", "a range for documentation"},
		{"224.0.0.0/4", "a multicast range"},
		{"240.0.0.0/4", "a reserved range"},
		{"2001::/23", "a reserved range"}, // Teredo, benchmarking and ORCHID among them
		{"2001:db8::/32", "a range for documentation"},
		{"3fff::/20", "a range for documentation"},
	}
	out := make([]block, len(table))
	for i, b := range table {
		out[i] = block{netip.MustParsePrefix(b.cidr), b.why, b.why == metadata || b.why == wrapped}
	}
	return out
}

// refused says why an address is not public, or "". Of IPv6 only the global unicast range 2000::/3 is public, so
// unique-local, site-local, multicast and discard-only addresses are out with all that is reserved; an
// IPv4-mapped address is judged as the IPv4 address that the system would connect to.
func (c *Client) refused(ip netip.Addr) string {
	if !ip.IsValid() {
		return "no valid address"
	}
	if ip.Zone() != "" {
		return "a link-local address"
	}
	ip = ip.Unmap()
	if ip == netip.IPv6Loopback() || ip == netip.IPv6Unspecified() {
		if c.config.AllowPrivate {
			return ""
		}
		return "this machine"
	}
	for _, b := range c.blocks {
		if b.prefix.Contains(ip) && (b.always || !c.config.AllowPrivate) {
			return b.why
		}
	}
	if ip.Is6() && !c.global.Contains(ip) && !c.config.AllowPrivate {
		return "no public address"
	}
	return ""
}

// control is called by the dialer for the very address that it is about to connect to, after name resolution:
// a name that resolves differently the second time gains nothing.
func (c *Client) control(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusal{why: "the address cannot be read"}
	}
	if c.allowedAddr(ap.Addr()) {
		return nil
	}
	if why := c.refused(ap.Addr()); why != "" {
		return &refusal{why: "it leads to " + why, addr: ap.Addr()}
	}
	return nil
}
