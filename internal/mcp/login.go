package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"

	"github.com/sutazai/sutazai/core"
)

// Bounds of logins.
const (
	loginTime  = 10 * time.Minute // that a person has
	loginBegin = 45 * time.Second // that finding the authorization server may take
	maxLogins  = 100              // at the same time
)

// logins are those that were begun, until some time after they ended. They live in memory: a login that a restart
// interrupts is begun again.
type logins struct {
	m       *Manager
	mu      sync.Mutex
	byID    map[string]*pending
	byState map[string]*pending // of the OAuth parameter of that name
}

// pending is a login that was begun.
type pending struct {
	core.MCPLogin
	by     string // who began it
	answer chan *sdkauth.AuthorizationResult
	began  chan struct{} // closed when URL is known, or it has ended
	ended  chan struct{}
	once   sync.Once
}

func newLogins(m *Manager) *logins {
	return &logins{m: m, byID: map[string]*pending{}, byState: map[string]*pending{}}
}

// Owner is whose login a login of the caller's is. CodeInvalid: the server knows none.
func (m *Manager) Owner(name string, c core.Caller) (owner string, err error) {
	s, err := m.server(name)
	if err != nil {
		return "", err
	}
	if s.spec.Auth.Kind != AuthOAuth {
		return "", core.Errorf(core.CodeInvalid, "the server %s has no login: mcp.servers.%s.auth.kind is %s", name, name, s.spec.Auth.Kind)
	}
	return s.spec.owner(c)
}

// Login begins a login and returns the address that a person must open.
func (m *Manager) Login(ctx context.Context, name string, c core.Caller) (core.MCPLogin, error) {
	owner, err := m.Owner(name, c)
	if err != nil {
		return core.MCPLogin{}, err
	}
	callback := m.o.CallbackURL()
	if callback == "" {
		return core.MCPLogin{}, core.Errorf(core.CodeUnavailable, "no browser can come back to this server after the login: it has no address; start it with `sutazai serve`")
	}
	s := m.servers[name]
	l, err := s.link(owner)
	if err != nil {
		return core.MCPLogin{}, err
	}
	p, err := m.logins.add(name, owner, c.Actor)
	if err != nil {
		return core.MCPLogin{}, err
	}
	life, cancel := context.WithDeadline(m.life, p.ExpiresAt)
	m.group.Go(func() {
		defer cancel()
		m.logins.end(p, s.authorize(life, l, p, callback))
	})
	select {
	case <-p.began:
	case <-ctx.Done():
		cancel()
		return core.MCPLogin{}, ctx.Err()
	}
	begun := m.logins.copy(p)
	if begun.State == "failed" {
		return core.MCPLogin{}, core.Errorf(core.CodeUnavailable, "%s", begun.Error)
	}
	return begun, nil
}

func (g *logins) add(server, owner, by string) (*pending, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.m.o.Now()
	for id, p := range g.byID {
		if now.After(p.ExpiresAt) {
			delete(g.byID, id)
		}
	}
	if len(g.byID) >= maxLogins {
		return nil, core.Errorf(core.CodeRateLimited, "too many logins were begun; try again in a few minutes")
	}
	p := &pending{
		MCPLogin: core.MCPLogin{ID: rand.Text(), Server: server, Owner: owner, State: "pending", ExpiresAt: now.Add(loginTime)}, by: by,
		answer: make(chan *sdkauth.AuthorizationResult, 1), began: make(chan struct{}), ended: make(chan struct{}),
	}
	g.byID[p.ID] = p
	return p, nil
}

func (g *logins) copy(p *pending) core.MCPLogin {
	g.mu.Lock()
	defer g.mu.Unlock()
	return p.MCPLogin
}

func (g *logins) end(p *pending, err error) {
	g.mu.Lock()
	p.State = "done"
	if err != nil {
		p.State, p.Error = "failed", core.MessageOf(err)
		g.m.o.Logger.Warn("a login at an MCP server failed", "server", p.Server, "owner", p.Owner, "error", err)
	}
	for state, other := range g.byState {
		if other == p {
			delete(g.byState, state)
		}
	}
	g.mu.Unlock()
	p.once.Do(func() { close(p.began) })
	close(p.ended)
}

// LoginState says how a login of the caller's goes. CodeNotFound: there is none of that id.
func (m *Manager) LoginState(id string, c core.Caller) (core.MCPLogin, error) {
	m.logins.mu.Lock()
	defer m.logins.mu.Unlock()
	p, ok := m.logins.byID[id]
	if !ok || p.by != c.Actor {
		return core.MCPLogin{}, core.Errorf(core.CodeNotFound, "there is no such login, or it ended long ago")
	}
	return p.MCPLogin, nil
}

// Callback takes what the authorization server sent the browser back with, and returns how the login ended.
func (m *Manager) Callback(ctx context.Context, query url.Values) (core.MCPLogin, error) {
	g := m.logins
	g.mu.Lock()
	p, ok := g.byState[query.Get("state")]
	delete(g.byState, query.Get("state")) // once
	g.mu.Unlock()
	if !ok {
		return core.MCPLogin{}, core.Errorf(core.CodeInvalid, "this login is not known, was used already, or took too long; begin again")
	}
	result := &sdkauth.AuthorizationResult{Code: query.Get("code"), State: query.Get("state"), Iss: query.Get("iss")}
	if query.Get("error") != "" || result.Code == "" {
		result = nil
	}
	p.answer <- result
	select {
	case <-p.ended:
		return g.copy(p), nil
	case <-ctx.Done():
		return core.MCPLogin{}, ctx.Err()
	}
}

// Logout forgets the caller's login at a server.
func (m *Manager) Logout(ctx context.Context, name string, c core.Caller) error {
	owner, err := m.Owner(name, c)
	if err != nil {
		return err
	}
	s := m.servers[name]
	if err := m.o.Store.RemoveMCPToken(ctx, name, owner); err != nil {
		return err
	}
	if l := s.existing(owner); l != nil {
		l.renewed()
	}
	return nil
}

// renewed makes the connection begin anew with the login that is stored now.
func (l *link) renewed() {
	l.grant.reset()
	l.mu.Lock()
	if l.session != nil {
		l.session.lose(errRenewed)
	} else { // calls wait from now on, and nobody is asked to log in again
		l.state, l.detail, l.err, l.failures = core.ServiceStarting, "connecting", nil, 0
		l.tell()
	}
	l.mu.Unlock()
	l.nudge()
}

var errRenewed = errors.New("the login has changed")

// authorize makes a login: it finds the authorization server, waits for the person, and stores what comes of it.
func (s *server) authorize(ctx context.Context, l *link, p *pending, callback string) error {
	begin, cancel := context.WithTimeout(ctx, loginBegin)
	defer cancel()
	asked, err := l.challenged(begin)
	if err != nil {
		return err
	}
	_, scopes := l.grant.asked()
	resource := ""
	config := &sdkauth.AuthorizationCodeHandlerConfig{
		RedirectURL: callback, RequestRefreshToken: true, Client: s.client(""),
		DynamicClientRegistrationConfig: &sdkauth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			RedirectURIs: []string{callback}, ClientName: "SutazAI", GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		}},
		ScopeFilter: func(discovered []string) []string {
			if len(s.spec.Auth.Scopes) > 0 {
				discovered = s.spec.Auth.Scopes
			}
			if asked.status == http.StatusForbidden { // what it had stays
				for _, have := range scopes {
					if !slices.Contains(discovered, have) {
						discovered = append(slices.Clone(discovered), have)
					}
				}
			}
			return discovered
		},
		AuthorizationCodeFetcher: func(ctx context.Context, args *sdkauth.AuthorizationArgs) (*sdkauth.AuthorizationResult, error) {
			u, err := url.Parse(args.URL)
			if err != nil || u.Scheme != "https" && u.Scheme != "http" {
				return nil, core.Errorf(core.CodeInvalid, "the authorization server of %s has no usable address for the login", s.spec.Name)
			}
			resource = u.Query().Get("resource")
			return s.m.logins.ask(ctx, p, args.URL, u.Query().Get("state"))
		},
		NewTokenSource: func(ctx context.Context, cfg *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
			granted := cfg.Scopes
			if text, ok := token.Extra("scope").(string); ok && text != "" {
				granted = strings.Fields(text)
			}
			l.grant.mu.Lock()
			defer l.grant.mu.Unlock()
			err := l.grant.save(ctx, &login{
				ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, AuthStyle: cfg.Endpoint.AuthStyle, TokenURL: cfg.Endpoint.TokenURL,
				Resource: resource, Scopes: granted, AccessToken: token.AccessToken, RefreshToken: token.RefreshToken, Expiry: token.Expiry,
			}, "")
			return oauth2.StaticTokenSource(token), err
		},
	}
	if s.spec.Auth.ClientMetadataURL != "" {
		config.ClientIDMetadataDocumentConfig = &sdkauth.ClientIDMetadataDocumentConfig{URL: s.spec.Auth.ClientMetadataURL}
	}
	if s.spec.Auth.ClientID != "" {
		config.PreregisteredClient = &oauthex.ClientCredentials{ClientID: s.spec.Auth.ClientID}
		if secret := s.spec.Auth.ClientSecret.Reveal(); secret != "" {
			config.PreregisteredClient.ClientSecretAuth = &oauthex.ClientSecretAuth{ClientSecret: secret}
		}
	}
	handler, err := sdkauth.NewAuthorizationCodeHandler(config)
	if err != nil {
		return core.Wrap(core.CodeInvalid, err, "the login at %s cannot be begun; check mcp.servers.%s.auth", s.spec.Name, s.spec.Name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.spec.URL, http.NoBody)
	if err != nil {
		return core.Wrap(core.CodeInvalid, err, "the address of %s is not usable", s.spec.Name)
	}
	resp := &http.Response{StatusCode: asked.status, Header: http.Header{"Www-Authenticate": asked.header}, Body: http.NoBody, Request: req}
	if err := handler.Authorize(ctx, req, resp); err != nil {
		if _, ok := errors.AsType[*core.Error](err); ok {
			return err
		}
		if ctx.Err() != nil {
			return core.Wrap(core.CodeTimeout, err, "nobody finished the login within %s", loginTime)
		}
		return core.Wrap(core.CodeUnavailable, err, "the login at %s failed: %s", s.spec.Name, clip(visible(err.Error()), 300))
	}
	l.renewed()
	return nil
}

// ask lets a person open an address and waits for what the browser comes back with.
func (g *logins) ask(ctx context.Context, p *pending, address, state string) (*sdkauth.AuthorizationResult, error) {
	g.mu.Lock()
	p.URL = address
	g.byState[state] = p
	g.mu.Unlock()
	p.once.Do(func() { close(p.began) })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-p.answer:
		if result == nil {
			return nil, core.Errorf(core.CodeRefused, "the authorization server did not give us access")
		}
		return result, nil
	}
}

// challenged returns how the server asks for a login. If it has not asked yet, a connection is tried.
func (l *link) challenged(ctx context.Context) (*challenge, error) {
	if asked, _ := l.grant.asked(); asked == nil {
		l.nudge()
	}
	for {
		if asked, _ := l.grant.asked(); asked != nil {
			return asked, nil
		}
		l.mu.Lock()
		state, detail, changed := l.state, l.detail, l.changed
		l.mu.Unlock()
		switch {
		case state == core.ServiceHealthy:
			return &challenge{status: http.StatusUnauthorized}, nil // it lets us in; a login may still give more
		case state == core.ServiceDown:
			return nil, core.Errorf(core.CodeUnavailable, "%s", detail)
		}
		select {
		case <-ctx.Done():
			return nil, core.Errorf(core.CodeTimeout, "%s did not answer in time", l.server.spec.Name)
		case <-changed:
		}
	}
}
