package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"

	"github.com/sutazai/sutazai/core"
)

// errLogin says that a login is missing or no longer good.
var errLogin = errors.New("a login is needed")

// renewTimeout bounds the renewal of a login.
const renewTimeout = 30 * time.Second

// login is what is stored, encrypted, of a login at a server.
type login struct {
	ClientID     string           `json:"client_id"`
	ClientSecret string           `json:"client_secret,omitempty"`
	AuthStyle    oauth2.AuthStyle `json:"auth_style"`
	TokenURL     string           `json:"token_url"`
	Resource     string           `json:"resource"`
	Scopes       []string         `json:"scopes,omitempty"`
	AccessToken  string           `json:"access_token"`
	RefreshToken string           `json:"refresh_token,omitempty"`
	Expiry       time.Time        `json:"expiry,omitzero"`
}

// expiryMargin is how long before its end a token counts as over.
const expiryMargin = 10 * time.Second

func (l *login) fresh(now time.Time) bool {
	return l.Expiry.IsZero() || now.Before(l.Expiry.Add(-expiryMargin))
}

// challenge is how a server asked for a login.
type challenge struct {
	status int
	header []string // WWW-Authenticate
}

// grant is the login of an owner at a server, as the connection uses it. It renews itself; where that fails, or there is
// none, calls fail until somebody logs in: nothing is begun at an authorization server without a person.
type grant struct {
	s     *server
	owner string

	mu        sync.Mutex
	loaded    bool
	now       *login // nil = none
	sealed    string
	challenge *challenge
	refused   int // how often the server has asked for a login that there is not
	changes   int // how often somebody has logged in or out
}

func newGrant(s *server, owner string) *grant { return &grant{s: s, owner: owner} }

func (g *grant) row() core.MCPToken {
	return core.MCPToken{Server: g.s.spec.Name, Owner: g.owner, URL: g.s.spec.URL}
}

// TokenSource implements the SDK's OAuthHandler.
func (g *grant) TokenSource(ctx context.Context) (oauth2.TokenSource, error) {
	token, err := g.token(ctx, "")
	if errors.Is(err, errLogin) {
		return nil, nil //nolint:nilnil // without one the server says how to log in
	}
	if err != nil {
		return nil, err
	}
	return oauth2.StaticTokenSource(token), nil
}

// token returns a token that is good as far as we know. refused is one that the server did not take.
func (g *grant) token(ctx context.Context, refused string) (*oauth2.Token, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.loaded {
		if err := g.load(ctx); err != nil {
			return nil, err
		}
	}
	if g.usable(refused) {
		return g.now.token(), nil
	}
	if err := g.load(ctx); err != nil { // another process, or a person, may have renewed it
		return nil, err
	}
	if g.usable(refused) {
		return g.now.token(), nil
	}
	if g.now == nil || g.now.RefreshToken == "" {
		return nil, errLogin
	}
	before := g.sealed
	if err := g.renew(ctx); err != nil {
		if again := g.load(ctx); again != nil {
			return nil, again
		}
		if g.sealed != before && g.usable(refused) {
			return g.now.token(), nil
		}
		return nil, err
	}
	return g.now.token(), nil
}

func (g *grant) usable(refused string) bool {
	return g.now != nil && g.now.AccessToken != refused && g.now.fresh(g.s.m.o.Now())
}

func (l *login) token() *oauth2.Token {
	return &oauth2.Token{AccessToken: l.AccessToken, TokenType: "Bearer", Expiry: l.Expiry}
}

// load reads what is stored. g.mu is held.
func (g *grant) load(ctx context.Context) error {
	row, found, err := g.s.m.o.Store.MCPToken(ctx, g.s.spec.Name, g.owner)
	if err != nil {
		return err
	}
	g.loaded, g.now, g.sealed = true, nil, ""
	if !found || row.URL != g.s.spec.URL { // a login at another address is none
		return nil
	}
	text, err := g.s.m.o.Sealer.Unseal(row.Sealed, row.Place())
	if err != nil {
		g.s.m.o.Logger.Error("a login at an MCP server cannot be used", "server", row.Server, "owner", row.Owner, "error", core.MessageOf(err))
		return nil
	}
	var l login
	if json.Unmarshal([]byte(text.Reveal()), &l) == nil {
		g.now, g.sealed = &l, row.Sealed
	}
	return nil
}

// save stores a login. before is what it replaces, "" whatever there is. g.mu is held.
func (g *grant) save(ctx context.Context, l *login, before string) error {
	text, err := json.Marshal(l) //nolint:gosec // it is encrypted at once
	if err != nil {
		return core.Wrap(core.CodeInternal, err, "the login cannot be stored")
	}
	row := g.row()
	if row.Sealed, err = g.s.m.o.Sealer.Seal(string(text), row.Place()); err != nil {
		return err
	}
	stored, err := g.s.m.o.Store.PutMCPToken(ctx, row, before, g.s.m.o.Now())
	if err != nil {
		return err
	}
	if !stored { // somebody else was faster
		return g.load(ctx)
	}
	g.loaded, g.now, g.sealed = true, l, row.Sealed
	return nil
}

// renew gets a new token for the stored login. g.mu is held.
func (g *grant) renew(ctx context.Context) error {
	old := *g.now
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	cfg := &oauth2.Config{ClientID: old.ClientID, ClientSecret: old.ClientSecret, Endpoint: oauth2.Endpoint{TokenURL: old.TokenURL, AuthStyle: old.AuthStyle}}
	token, err := cfg.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, g.s.client(old.Resource)), &oauth2.Token{RefreshToken: old.RefreshToken}).Token()
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError {
		g.s.m.o.Logger.Warn("a login at an MCP server is over", "server", g.s.spec.Name, "owner", g.owner, "code", refused.ErrorCode)
		return errLogin
	}
	if err != nil {
		return core.Errorf(core.CodeUnavailable, "the login at %s cannot be renewed now: its authorization server cannot be reached", g.s.spec.Name)
	}
	next := old
	next.AccessToken, next.Expiry = token.AccessToken, token.Expiry
	if token.RefreshToken != "" {
		next.RefreshToken = token.RefreshToken
	}
	return g.save(ctx, &next, g.sealed)
}

// Authorize implements the SDK's OAuthHandler: it is asked what to do about a refusal. nil = try once more.
func (g *grant) Authorize(ctx context.Context, req *http.Request, resp *http.Response) error {
	_ = resp.Body.Close()
	header := resp.Header.Values("WWW-Authenticate")
	if resp.StatusCode == http.StatusForbidden && !insufficient(header) {
		return core.Errorf(core.CodeForbidden, "the server %s does not allow this; the call was not made", g.s.spec.Name)
	}
	err := errLogin // with more rights than before, or because there is none
	if used := bearerOf(req); used != "" && resp.StatusCode == http.StatusUnauthorized {
		_, err = g.token(ctx, used)
	}
	if errors.Is(err, errLogin) {
		g.mu.Lock()
		g.challenge = &challenge{resp.StatusCode, slices.Clone(header)}
		g.refused++
		g.mu.Unlock()
	}
	return err
}

// refusals says how often a login was asked for that there is not. A server without logins has no grant.
func (g *grant) refusals() int {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// insufficient says whether a server asks for more rights than the login has.
func insufficient(header []string) bool {
	challenges, err := oauthex.ParseWWWAuthenticate(header)
	return err == nil && slices.ContainsFunc(challenges, func(c oauthex.Challenge) bool { return c.Params["error"] == "insufficient_scope" })
}

func bearerOf(req *http.Request) string {
	const scheme = "Bearer "
	if h := req.Header.Get("Authorization"); len(h) > len(scheme) {
		return h[len(scheme):]
	}
	return ""
}

// reset forgets what is in memory: somebody has logged in or out.
func (g *grant) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loaded, g.challenge = false, nil
	g.changes++
}

// changed says how often somebody has logged in or out. A server without logins has no grant.
func (g *grant) changed() int {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changes
}

// asked returns how the server asked for a login, nil if it has not, and the rights that the stored login has.
func (g *grant) asked() (*challenge, []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == nil {
		return g.challenge, nil
	}
	return g.challenge, g.now.Scopes
}

// client is for what goes to authorization servers: it carries nothing that the settings give for the server itself.
func (s *server) client(resource string) *http.Client {
	c := *s.spec.HTTP
	c.Transport = &metadataTransport{inner: s.spec.HTTP.Transport, resource: resource}
	c.Timeout = renewTimeout
	return &c
}
