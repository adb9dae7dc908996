package egress

import (
	"context"
	"net"
)

// Dial connects to host:port under the same rules as Do, for protocols other than HTTP. The caller bounds time and size.
// Codes: CodeForbidden, CodeUnavailable, CodeTimeout.
func (c *Client) Dial(ctx context.Context, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if !c.listed(host) {
		return nil, c.unlisted(host)
	}
	conn, err := c.dial(ctx, "tcp", address)
	if err != nil {
		return nil, explain(ctx, err, host, 0)
	}
	return conn, nil
}
