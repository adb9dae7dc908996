package auth

import (
	"context"
	"slices"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Kind says how a caller proved who it is.
type Kind string

// The kinds.
const (
	KindKey    Kind = "key"
	KindUser   Kind = "user"
	KindSocket Kind = "socket" // reached the unix socket of its owner
	KindToken  Kind = "oauth"  // an access token of the authorization server
	KindLocal  Kind = "local"  // the server runs without authentication on loopback
)

// Principal is an authenticated caller.
type Principal struct {
	Kind   Kind
	ID     string // of the key or user, the subject of a token; "" otherwise
	Name   string
	Scopes []core.Scope

	project string    // of the key
	session string    // hash of the session, for KindUser
	expires time.Time // of the token, for KindToken
}

// Actor is the caller's name in runs and the audit log: "key:<id>", "user:<name>", "oauth:<subject>", "socket" or
// "local".
func (p Principal) Actor() string {
	switch p.Kind {
	case KindKey:
		return "key:" + p.ID
	case KindUser:
		return "user:" + p.Name
	case KindToken:
		return "oauth:" + p.ID
	default:
		return string(p.Kind)
	}
}

// Caller says for whom a model is called.
func (p Principal) Caller() core.Caller {
	c := core.Caller{Project: core.DefaultProject, Actor: p.Actor()}
	if p.Kind == KindKey {
		c.Key, c.Project = p.ID, p.project
	}
	return c
}

// HasAny says whether the caller has one of the scopes. Admin includes all; no scope at all asks for nothing.
func (p Principal) HasAny(scopes ...core.Scope) bool {
	if len(scopes) == 0 || slices.Contains(p.Scopes, core.ScopeAdmin) {
		return true
	}
	return slices.ContainsFunc(scopes, func(s core.Scope) bool { return slices.Contains(p.Scopes, s) })
}

type contextKey int

const (
	principalKey contextKey = iota
	socketKey
)

// WithPrincipal returns a context that carries the caller.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey, p)
}

// PrincipalOf returns the caller that WithPrincipal put into ctx.
func PrincipalOf(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey).(Principal)
	return p, ok
}

// WithSocket marks connections of the unix socket whose peer is the owner of this process.
func WithSocket(ctx context.Context) context.Context { return context.WithValue(ctx, socketKey, true) }

// FromSocket says whether the connection was marked by WithSocket.
func FromSocket(ctx context.Context) bool { return ctx.Value(socketKey) == true }
