package mcp

import (
	"context"
	"io"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Store keeps pins and logins. The database implements it.
type Store interface {
	// MCPPins returns what is recorded of a server's tools, sorted by name.
	MCPPins(ctx context.Context, server string) ([]core.MCPPin, error)
	// SeeMCPTools records a server's whole list: Tool, Seen and SeenHash of each pin. Tools that are not in it are no longer
	// offered.
	SeeMCPTools(ctx context.Context, server string, tools []core.MCPPin, at time.Time) error
	// ApproveMCPTools approves what was seen, all or none. CodeNotFound: there is no such tool; CodeConflict: the hash is not
	// that of the present description.
	ApproveMCPTools(ctx context.Context, server string, tools []core.MCPApproval, actor string, at time.Time) error
	// MCPToken returns a login; false when there is none.
	MCPToken(ctx context.Context, server, owner string) (core.MCPToken, bool, error)
	// PutMCPToken stores a login in the place of the one that is sealed as before ("" = whatever there is), and says whether
	// it did.
	PutMCPToken(ctx context.Context, t core.MCPToken, before string, at time.Time) (bool, error)
	// RemoveMCPToken forgets a login; it is no error if there is none.
	RemoveMCPToken(ctx context.Context, server, owner string) error
}

// Sealer encrypts logins at rest. The vault implements it.
type Sealer interface {
	Seal(text, place string) (string, error)
	Unseal(sealed, place string) (core.Secret, error)
}

// Files takes what is too large or no text into the workspace of the run.
type Files interface {
	Attach(workspace string, files []core.File) error
}

// Program starts the program of a server, talks to it over its standard input and output, and by Close ends it with all
// that it has started.
type Program func(server string, command []string, dir string, env map[string]core.Secret) (io.ReadWriteCloser, error)
