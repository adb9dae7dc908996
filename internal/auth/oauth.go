package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/sutazai/sutazai/core"
)

const (
	oauthTime = 10 * time.Second // of one request to the authorization server
	oauthCalm = 5 * time.Second  // between two requests for the same document: tokens of strangers must not cause many
	maxOAuth  = 1 << 20          // bytes of one of its documents
	maxName   = 200              // bytes of a subject or a name
)

// OAuthOptions say whose access tokens count (RFC 9068) and what they allow.
type OAuthOptions struct {
	Issuer   string
	Audience string                  // whom a token must be meant for
	JWKS     string                  // address of its keys; "" = as the issuer's metadata says
	Claim    string                  // whose values are roles: a list, or names with spaces between them; dots go into objects
	Roles    map[string][]core.Scope // what a role may do
	Client   *http.Client            // reaches the issuer; it has a Transport
	Now      func() time.Time        // nil = time.Now
}

// OAuth checks access tokens of one authorization server. It is safe for concurrent use.
type OAuth struct {
	o    OAuthOptions
	http *http.Client

	mu       sync.Mutex // one request for the metadata at a time
	verifier *oidc.IDTokenVerifier
	tried    time.Time
	failed   error
}

// NewOAuth returns a checker. The authorization server is asked when the first token comes.
func NewOAuth(o OAuthOptions) *OAuth {
	if o.Now == nil {
		o.Now = time.Now
	}
	client := *o.Client
	client.Transport = &calm{base: o.Client.Transport, now: o.Now, kept: map[string]document{}}
	client.Timeout = oauthTime
	return &OAuth{o: o, http: &client}
}

// verify returns the caller that an access token proves. CodeUnauthorized when it proves nothing, CodeUnavailable when the
// authorization server cannot be reached.
func (a *OAuth) verify(ctx context.Context, token string) (Principal, error) {
	wrong := core.Errorf(core.CodeUnauthorized, "this access token is not valid: it is not one of %s for this server", a.o.Issuer)
	if !a.claimsIssuer(token) {
		return Principal{}, wrong
	}
	v, err := a.ready(ctx)
	if err != nil {
		return Principal{}, err
	}
	asked := &asking{}
	t, err := v.Verify(context.WithValue(ctx, askingKey{}, asked), token)
	if err != nil {
		if asked.err != nil {
			return Principal{}, a.unavailable(asked.err)
		}
		if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
			return Principal{}, core.Errorf(core.CodeUnauthorized, "this access token has expired; get another from %s", a.o.Issuer)
		}
		return Principal{}, wrong
	}
	var claims map[string]json.RawMessage
	if t.Claims(&claims) != nil || t.Subject == "" || len(t.Subject) > maxName || t.Subject != core.CleanText(t.Subject) {
		return Principal{}, wrong
	}
	p := Principal{Kind: KindToken, ID: t.Subject, Name: nameOf(claims, t.Subject), expires: t.Expiry}
	for _, role := range valuesOf(claims, a.o.Claim) {
		p.Scopes = append(p.Scopes, a.o.Roles[role]...)
	}
	slices.Sort(p.Scopes)
	p.Scopes = slices.Compact(p.Scopes)
	return p, nil
}

// claimsIssuer says whether a token has the form of one and says to be from the issuer. It proves nothing: it only keeps
// others from making requests.
func (a *OAuth) claimsIssuer(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(payload, &claims) == nil && claims.Issuer == a.o.Issuer
}

// ready finds the issuer's keys at the first token.
func (a *OAuth) ready(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.verifier != nil {
		return a.verifier, nil
	}
	if a.failed != nil && a.o.Now().Sub(a.tried) < oauthCalm {
		return nil, a.failed
	}
	// The key set keeps the context's client beyond this request.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), a.http)
	config := &oidc.Config{
		ClientID: a.o.Audience, Now: a.o.Now,
		SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA},
	}
	address := a.o.JWKS
	if address == "" {
		a.tried = a.o.Now()
		var err error
		if address, err = a.discover(ctx); err != nil {
			a.failed = a.unavailable(err)
			return nil, a.failed
		}
	}
	a.verifier, a.failed = oidc.NewVerifier(a.o.Issuer, keySet{oidc.NewRemoteKeySet(ctx, address)}, config), nil
	return a.verifier, nil
}

// discover asks the issuer where its keys are.
func (a *OAuth) discover(ctx context.Context) (string, error) {
	provider, err := oidc.NewProvider(ctx, a.o.Issuer)
	if err != nil {
		return "", err
	}
	var metadata struct {
		Keys string `json:"jwks_uri"`
	}
	err = provider.Claims(&metadata)
	return metadata.Keys, err
}

// keySet remembers that the issuer could not be asked: the verifier's error does not tell that from a wrong signature.
type keySet struct{ oidc.KeySet }

type askingKey struct{}

type asking struct{ err error }

// VerifySignature implements oidc.KeySet.
func (k keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	if unreachable, ok := errors.AsType[*unreachableError](err); ok {
		if a, ok := ctx.Value(askingKey{}).(*asking); ok {
			a.err = unreachable
		}
	}
	return payload, err
}

func (a *OAuth) unavailable(err error) error {
	return core.Wrap(core.CodeUnavailable, err, "the authorization server %s cannot be asked for its keys; try again", a.o.Issuer)
}

func nameOf(claims map[string]json.RawMessage, subject string) string {
	for _, claim := range []string{"preferred_username", "email", "name", "client_id"} {
		var name string
		if json.Unmarshal(claims[claim], &name) == nil && name != "" && len(name) <= maxName && name == core.CleanText(name) {
			return name
		}
	}
	return subject
}

// valuesOf reads a claim that is a list of texts, or a text with spaces between the values as "scope" is (RFC 8693 section 4.2).
func valuesOf(claims map[string]json.RawMessage, claim string) []string {
	raw, ok := claims[claim]
	if first, rest, deeper := strings.Cut(claim, "."); !ok && deeper {
		var inner map[string]json.RawMessage
		if json.Unmarshal(claims[first], &inner) != nil {
			return nil
		}
		return valuesOf(inner, rest)
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return strings.Fields(text)
	}
	return nil
}

// calm answers a request for a document that has just come from what came. It marks failures to reach the server.
type calm struct {
	base http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	kept map[string]document
}

type document struct {
	at     time.Time
	header http.Header
	body   []byte
}

type unreachableError struct{ err error }

func (e *unreachableError) Error() string { return e.err.Error() }
func (e *unreachableError) Unwrap() error { return e.err }

// RoundTrip implements http.RoundTripper.
func (c *calm) RoundTrip(req *http.Request) (*http.Response, error) {
	url := req.URL.String()
	c.mu.Lock()
	d, ok := c.kept[url]
	c.mu.Unlock()
	if !ok || c.now().Sub(d.at) >= oauthCalm {
		res, err := c.base.RoundTrip(req)
		if err != nil {
			return nil, &unreachableError{err}
		}
		if res.StatusCode != http.StatusOK {
			return res, nil
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, maxOAuth))
		_ = res.Body.Close() // it has been read
		if err != nil {
			return nil, &unreachableError{err}
		}
		d = document{c.now(), res.Header, body}
		c.mu.Lock()
		c.kept[url] = d // the issuer's metadata and its keys: two documents
		c.mu.Unlock()
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: d.header.Clone(),
		Body: io.NopCloser(bytes.NewReader(d.body)), ContentLength: int64(len(d.body)), Request: req,
	}, nil
}
