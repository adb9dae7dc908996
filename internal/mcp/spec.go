package mcp

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// Pin says what happens to descriptions that nobody has approved.
type Pin string

// The policies.
const (
	PinApprove Pin = "approve" // such a tool cannot be called
	PinWarn    Pin = "warn"    // it can, and the log says so
	PinOff     Pin = "off"     // it can
)

// Spec is one server as the settings describe it. Command or URL is set.
type Spec struct {
	Name string

	Command []string
	Dir     string
	Env     map[string]core.Secret

	URL     string
	HTTP    *http.Client // reaches URL and what may be reached for a login there
	Headers map[string]core.Secret
	Auth    Auth

	Allow, Deny []string // patterns of tool names; * stands for any text
	Effects     map[string]core.Effect
	Flow        *core.Flow // nil = as the server's hints say
	Pin         Pin
	Timeout     time.Duration // of a call without progress
	MaxTimeout  time.Duration // of a call
	Legacy      bool          // begin with initialize at once
}

// AuthKind says how a server knows who calls.
type AuthKind string

// The kinds.
const (
	AuthNone   AuthKind = "none"
	AuthBearer AuthKind = "bearer"
	AuthOAuth  AuthKind = "oauth"
)

// Per says whose credentials are used.
type Per string

// Whose.
const (
	PerServer  Per = "server"
	PerProject Per = "project"
	PerUser    Per = "user"
)

// Auth is how a server knows who calls.
type Auth struct {
	Kind              AuthKind
	Per               Per
	Token             core.Secret
	Tokens            map[string]core.Secret // by project
	ClientID          string
	ClientSecret      core.Secret
	ClientMetadataURL string
	Scopes            []string
}

// Elicit answers a question that a server asks in the middle of a call.
type Elicit = func(context.Context, *sdk.ElicitRequest) (*sdk.ElicitResult, error)

// Options are the parts that a Manager needs.
type Options struct {
	Servers   []Spec
	Store     Store
	Sealer    Sealer
	Files     Files
	Program   Program
	OutputMax func() int // bytes of a result that a model gets at once
	// Changed gets a server's tools whenever they have changed; the error says which of them are not usable.
	Changed func(server string, tools []*Tool) error
	// CallbackURL is where browsers come back to after a login; "" = no browser can reach us.
	CallbackURL func() string
	// Elicit answers questions of servers. nil: none are answered, and servers are told so.
	Elicit  Elicit
	Version string // ours
	Logger  *slog.Logger
	Now     func() time.Time
}

// allowed says whether the settings let agents have a tool.
func (s *Spec) allowed(tool string) bool {
	matches := func(pattern string) bool { return glob(pattern, tool) }
	return (len(s.Allow) == 0 || slices.ContainsFunc(s.Allow, matches)) && !slices.ContainsFunc(s.Deny, matches)
}

// glob says whether a name has the form of a pattern, in which * stands for any text.
func glob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// transport names the way to the server.
func (s *Spec) transport() string {
	if s.URL != "" {
		return "http"
	}
	return "stdio"
}

// owner is whose credentials a call for the caller uses.
func (s *Spec) owner(c core.Caller) (string, error) {
	if s.Auth.Kind == AuthNone {
		return "", nil
	}
	switch s.Auth.Per {
	case PerProject:
		if c.Project == "" {
			return "project:" + core.DefaultProject, nil
		}
		return "project:" + c.Project, nil
	case PerUser:
		if c.Actor == "" {
			return "", core.Errorf(core.CodeForbidden, "the tools of %s need a login of the user, and it is not known for whom this is done", s.Name)
		}
		return c.Actor, nil
	}
	return "", nil
}
