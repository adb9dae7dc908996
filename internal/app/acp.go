package app

import (
	"context"
	"io"

	"github.com/sutazai/sutazai/core/backend/acp"
)

// ACPRuns are the runs that an ACP client works with.
type ACPRuns = acp.Runs

// ACPOptions say which agent is served to an ACP client.
type ACPOptions = acp.Options

// ServeACP serves an agent to one client of the Agent Client Protocol until in ends.
func ServeACP(ctx context.Context, in io.Reader, out io.Writer, o ACPOptions) error {
	return acp.Serve(ctx, in, out, o)
}
