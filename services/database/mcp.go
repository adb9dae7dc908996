package database

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// MCP stores what MCP servers say of their tools, what of it is approved, and logins at the servers. No login reaches it in
// clear.
type MCP struct{ db *DB }

// NewMCP returns the store of MCP servers.
func NewMCP(db *DB) *MCP { return &MCP{db} }

// MCPPins returns what is recorded of a server's tools, sorted by name.
func (s *MCP) MCPPins(ctx context.Context, server string) ([]core.MCPPin, error) {
	rows, err := s.db.Querier().Query(ctx,
		`SELECT server, tool, seen, seen_hash, seen_at, offered, approved, approved_hash, approved_at, approved_by
		 FROM mcp_tools WHERE server = $1 ORDER BY tool`, server)
	list, err := dbtx.Collect(rows, err, scanPin)
	return list, explain(err, "list the tools of an MCP server")
}

func scanPin(r dbtx.Row) (core.MCPPin, error) {
	var (
		p             core.MCPPin
		seen, offered int64
		approved      sql.NullInt64
	)
	err := r.Scan(&p.Server, &p.Tool, &p.Seen, &p.SeenHash, &seen, &offered, &p.Approved, &p.ApprovedHash, &approved, &p.ApprovedBy)
	p.SeenAt, p.Offered, p.ApprovedAt = fromMS(seen), offered == 1, fromNullMS(approved)
	return p, err
}

// SeeMCPTools records a server's whole list: Tool, Seen and SeenHash of each pin. Tools that are not in it are no longer
// offered.
func (s *MCP) SeeMCPTools(ctx context.Context, server string, tools []core.MCPPin, at time.Time) error {
	return explain(s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		if _, err := q.Exec(ctx, `UPDATE mcp_tools SET offered = 0 WHERE server = $1`, server); err != nil {
			return err
		}
		for _, t := range tools {
			if _, err := q.Exec(ctx,
				`INSERT INTO mcp_tools (server, tool, seen, seen_hash, seen_at, offered, approved, approved_hash, approved_by)
				 VALUES ($1, $2, $3, $4, $5, 1, '', '', '')
				 ON CONFLICT (server, tool) DO UPDATE SET seen = $3, seen_hash = $4, seen_at = $5, offered = 1`,
				server, t.Tool, t.Seen, t.SeenHash, ms(at)); err != nil {
				return err
			}
		}
		return nil
	}), "record the tools of an MCP server")
}

// ApproveMCPTools approves what was seen, all or none. CodeNotFound: there is no such tool; CodeConflict: the hash is not
// that of the present description.
func (s *MCP) ApproveMCPTools(ctx context.Context, server string, tools []core.MCPApproval, actor string, at time.Time) error {
	return explain(s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		for _, t := range tools {
			n, err := q.Exec(ctx,
				`UPDATE mcp_tools SET approved = seen, approved_hash = seen_hash, approved_at = $4, approved_by = $5
				 WHERE server = $1 AND tool = $2 AND seen_hash = $3`, server, t.Tool, t.Hash, ms(at), actor)
			if err != nil {
				return err
			}
			if n > 0 {
				continue
			}
			var hash string
			err = q.QueryRow(ctx, `SELECT seen_hash FROM mcp_tools WHERE server = $1 AND tool = $2`, server, t.Tool).Scan(&hash)
			if errors.Is(err, dbtx.ErrNoRows) {
				return core.Errorf(core.CodeNotFound, "the MCP server %s has no tool %q", server, t.Tool)
			}
			if err != nil {
				return err
			}
			return core.Errorf(core.CodeConflict, "the description of %s.%s is not the one that was looked at; nothing was approved. Look at it again: sutazai mcp show %s", server, t.Tool, server)
		}
		return nil
	}), "approve the tools of an MCP server")
}

// MCPToken returns a login; false when there is none.
func (s *MCP) MCPToken(ctx context.Context, server, owner string) (core.MCPToken, bool, error) {
	t, err := scanToken(s.db.Querier().QueryRow(ctx, `SELECT server, owner, url, sealed FROM mcp_tokens WHERE server = $1 AND owner = $2`, server, owner))
	if errors.Is(err, dbtx.ErrNoRows) {
		return core.MCPToken{}, false, nil
	}
	return t, err == nil, explain(err, "read the login at an MCP server")
}

func scanToken(r dbtx.Row) (core.MCPToken, error) {
	var t core.MCPToken
	err := r.Scan(&t.Server, &t.Owner, &t.URL, &t.Sealed)
	return t, err
}

// PutMCPToken stores a login in the place of the one that is sealed as before ("" = whatever there is), and says whether it
// did.
func (s *MCP) PutMCPToken(ctx context.Context, t core.MCPToken, before string, at time.Time) (bool, error) {
	n, err := s.db.Querier().Exec(ctx,
		`INSERT INTO mcp_tokens (server, owner, url, sealed, updated_at) VALUES ($1, $2, $3, $4, $5)
		 ON CONFLICT (server, owner) DO UPDATE SET url = $3, sealed = $4, updated_at = $5
		 WHERE $6 = '' OR mcp_tokens.sealed = $6`,
		t.Server, t.Owner, t.URL, t.Sealed, ms(at), before)
	return n > 0, explain(err, "store the login at an MCP server")
}

// RemoveMCPToken forgets a login; it is no error if there is none.
func (s *MCP) RemoveMCPToken(ctx context.Context, server, owner string) error {
	_, err := s.db.Querier().Exec(ctx, `DELETE FROM mcp_tokens WHERE server = $1 AND owner = $2`, server, owner)
	return explain(err, "forget the login at an MCP server")
}

// Sealed says how many logins are stored.
func (s *MCP) Sealed(ctx context.Context) (int, error) {
	var n int
	err := s.db.Querier().QueryRow(ctx, `SELECT count(*) FROM mcp_tokens`).Scan(&n)
	return n, explain(err, "count the logins at MCP servers")
}

// Reseal replaces every login's encryption by what reseal makes of it, all or none, and returns how many. It changes no row
// that somebody else changes at the same time: CodeConflict.
func (s *MCP) Reseal(ctx context.Context, reseal func(sealed, place string) (string, error)) (int, error) {
	n := 0
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		n = 0
		rows, err := q.Query(ctx, `SELECT server, owner, url, sealed FROM mcp_tokens ORDER BY server, owner`)
		list, err := dbtx.Collect(rows, err, scanToken)
		if err != nil {
			return err
		}
		for _, t := range list {
			sealed, err := reseal(t.Sealed, t.Place())
			if err != nil {
				return err
			}
			changed, err := q.Exec(ctx, `UPDATE mcp_tokens SET sealed = $3 WHERE server = $1 AND owner = $2 AND sealed = $4`, t.Server, t.Owner, sealed, t.Sealed)
			if err != nil {
				return err
			}
			if changed == 0 {
				return core.Errorf(core.CodeConflict, "the login at %s was changed at the same time; nothing was encrypted anew, try again", t.Server)
			}
			n++
		}
		return nil
	})
	return n, explain(err, "encrypt the logins at MCP servers anew")
}
