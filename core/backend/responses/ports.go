package responses

import (
	"context"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Store keeps responses. Each belongs to an owner; Get and Delete answer CodeForbidden for what only others have, or what
// has been deleted, and CodeNotFound for what is not known at all.
type Store interface {
	Save(ctx context.Context, r core.StoredResponse) error
	Get(ctx context.Context, owner, id string, now time.Time) (core.StoredResponse, error)
	// Chain returns a response and all that it goes on from, the oldest first, within a bound in bytes. Where the first
	// one has a Previous, something is missing.
	Chain(ctx context.Context, owner, id string, now time.Time, maxBytes int64) ([]core.StoredResponse, error)
	Delete(ctx context.Context, owner, id string, now time.Time) error
}
