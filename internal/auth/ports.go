package auth

import (
	"context"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Keys stores API keys; core.CodeNotFound where there is none.
type Keys interface {
	Create(ctx context.Context, k core.APIKey, hash string) error // core.CodeConflict when the prefix is taken
	ByPrefix(ctx context.Context, prefix string) (k core.APIKey, hash string, err error)
	Get(ctx context.Context, id string) (core.APIKey, error)
	List(ctx context.Context) ([]core.APIKey, error)
	Revoke(ctx context.Context, id string, at time.Time) (core.APIKey, error)
	Touch(ctx context.Context, id string, at time.Time) error
}

// Users stores people and the set-up links; core.CodeNotFound where there is none.
type Users interface {
	Count(ctx context.Context) (int, error)
	ByName(ctx context.Context, name string) (u core.User, passwordHash string, err error)
	AddSetupLink(ctx context.Context, hash string, expires, now time.Time) error // those that expired by now are forgotten
	SetupLinkValid(ctx context.Context, hash string, now time.Time) (bool, error)
	// CreateFirst makes the user by a valid link and voids all links, both or neither. Of several at once one succeeds.
	CreateFirst(ctx context.Context, u core.User, passwordHash, linkHash string) error
}

// Sessions stores who is signed in; core.CodeNotFound where there is none.
type Sessions interface {
	Create(ctx context.Context, hash string, s core.Session) error
	Get(ctx context.Context, hash string) (core.Session, error)
	Touch(ctx context.Context, hash string, at time.Time) error
	Delete(ctx context.Context, hash string) error
}
