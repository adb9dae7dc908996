// Package a2a is how other programs call the agents by the Agent2Agent protocol, in version 1.0 and, for those that know no
// other, 0.3: over JSON-RPC, REST and gRPC. A task is a run: its id is the run's, and nothing about its state is kept here.
// It owns the protocol's words: cards, tasks, messages, errors, push notifications. It must not know how runs are executed
// or where they are kept.
package a2a

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/a2acheck"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
)

// Store finds runs as tasks, and keeps what clients want besides. The database implements it.
type Store interface {
	List(ctx context.Context, f core.TaskFilter) (core.TaskPage, error)
	Begun(ctx context.Context, owner, key string) (run string, err error)
	Answer(ctx context.Context, a core.TaskAnswer) (kept core.TaskAnswer, existed bool, err error)
	Answered(ctx context.Context, owner, message string) (core.TaskAnswer, bool, error)
	PutPush(ctx context.Context, p core.TaskPush, limit int) error
	Pushes(ctx context.Context, run string) ([]core.TaskPush, error)
	RemovePush(ctx context.Context, run, id string) error
	ClaimPushes(ctx context.Context, now, until time.Time, limit int) ([]core.TaskPush, error)
	SavePush(ctx context.Context, p core.TaskPush, claimed time.Time) error
	SigningKeys(ctx context.Context) ([]core.SigningKey, error)
	AddSigningKey(ctx context.Context, k core.SigningKey) error
}

// Files reads what runs leave in their workspaces. The registry of tools implements it.
type Files interface {
	Files(ctx context.Context, workspace string) (map[string]int64, error)
	Read(ctx context.Context, workspace, name string, limit int64) (core.File, error)
}

// Vault encrypts secrets.
type Vault interface {
	Seal(text, place string) (string, error)
	Unseal(sealed, place string) (core.Secret, error)
}

// Sender makes requests to addresses that clients have given. The egress client implements it.
type Sender interface {
	Do(req *http.Request) (*http.Response, error)
}

// Settings say what is offered.
type Settings struct {
	DefaultAgent string // that answers where a call names none
	Open         bool   // the server asks for no credential
	Issuer       string // of access tokens that are taken beside API keys; "" = none
	Push         bool   // clients may give addresses
	GiveUpAfter  time.Duration
}

// Deps are the parts that the protocol works with. All are needed.
type Deps struct {
	Runs      backend.Runs
	Agents    backend.Agents
	Store     Store
	Files     Files
	Vault     Vault
	Sender    Sender
	Auth      *auth.Service
	Audit     *audit.Log
	PublicURL func() string // address of the server, as clients know it
	Version   string
	Settings  Settings
	Logger    *slog.Logger
	Now       func() time.Time
}

// Server is the protocol's side of the program.
type Server struct {
	d     Deps
	check *a2acheck.Checker
	keys  *keyring
	kick  chan struct{} // push notifications may be due
}

// New returns the server. Its Routes serve, and its Tell sends push notifications.
func New(d Deps) *Server {
	return &Server{d: d, check: a2acheck.New(), keys: &keyring{d: d}, kick: make(chan struct{}, 1)}
}
