package a2a

import (
	"context"
	"net/http"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/egress"
)

// authorizer makes the headers that let us in.
type authorizer struct {
	o     Options
	oauth *clientcredentials.Config
	http  *http.Client // to the token server

	mu    sync.Mutex
	token *oauth2.Token
}

func newAuthorizer(o Options, out *egress.Client) *authorizer {
	a := &authorizer{o: o, http: &http.Client{Transport: roundTripper(out.Do), CheckRedirect: noRedirect}}
	if o.Auth.Kind == "oauth" {
		a.oauth = &clientcredentials.Config{ClientID: o.Auth.ClientID, ClientSecret: o.Auth.ClientSecret.Reveal(), TokenURL: o.Auth.TokenURL, Scopes: o.Auth.Scopes}
	}
	return a
}

// headers returns name and value of each, in turn. CodeUnavailable: the token server gives no token.
func (a *authorizer) headers(ctx context.Context) (map[string]string, error) {
	h := map[string]string{}
	for name, value := range a.o.Headers {
		h[name] = value.Reveal()
	}
	auth := a.o.Auth
	switch auth.Kind {
	case "bearer":
		h["Authorization"] = "Bearer " + auth.Token.Reveal()
	case "basic":
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(auth.User, auth.Token.Reveal())
		h["Authorization"] = r.Header.Get("Authorization")
	case "api_key":
		name := auth.Header
		if name == "" {
			name = "X-API-Key"
		}
		h[name] = auth.Token.Reveal()
	case "oauth":
		token, err := a.oauthToken(ctx)
		if err != nil {
			return nil, err
		}
		h["Authorization"] = "Bearer " + token
	}
	return h, nil
}

func (a *authorizer) oauthToken(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token.Valid() {
		return a.token.AccessToken, nil
	}
	token, err := a.oauth.Token(context.WithValue(ctx, oauth2.HTTPClient, a.http))
	if err != nil {
		return "", core.Wrap(core.CodeUnavailable, err, "the token server of peer %s gives no token; check token_url, client_id and client_secret of peers.%s.auth", a.o.Name, a.o.Name)
	}
	a.token = token
	return token.AccessToken, nil
}

// forget drops a token that the peer has refused.
func (a *authorizer) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = nil
}

// roundTripper makes a function one.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
