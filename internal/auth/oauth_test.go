package auth_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/auth/authtest"
)

const audience = "https://agents.example.com/mcp"

// issuer is an authorization server with one key.
type issuer struct {
	url      string
	key      *rsa.PrivateKey
	requests atomic.Int64
	down     atomic.Bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	inner := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: crypto.PublicKey(&key.PublicKey), KeyID: "one", Algorithm: "RS256"}}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.requests.Add(1)
		if i.down.Load() {
			panic(http.ErrAbortHandler)
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	inner.SetIssuer(s.URL)
	i.url = s.URL
	return i
}

// token signs claims; expires is in seconds from now.
func (i *issuer) token(t *testing.T, kid string, now time.Time, claims string) string {
	t.Helper()
	all := fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"ann","iat":%d,"exp":%d%s}`, i.url, audience, now.Unix(), now.Add(time.Hour).Unix(), claims)
	return oidctest.SignIDToken(i.key, kid, "RS256", all)
}

func withTokens(t *testing.T, i *issuer, change func(*auth.OAuthOptions)) (*auth.Service, func() time.Time) {
	t.Helper()
	now := time.Now
	o := auth.OAuthOptions{
		Issuer: i.url, Audience: audience, Claim: "scope", Client: &http.Client{Transport: &http.Transport{}}, Now: now,
		Roles: map[string][]core.Scope{"sutazai:read": {core.ScopeRead}, "sutazai:run": {core.ScopeRun, core.ScopeRead}},
	}
	if change != nil {
		change(&o)
	}
	m := authtest.NewMemory()
	return auth.New(m.Keys(), m.Users(), m.Sessions(), auth.Options{OAuth: auth.NewOAuth(o), Now: o.Now}), o.Now
}

func bearer(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func TestAnAccessTokenGivesItsRoles(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	for _, c := range []struct {
		claim, claims string
		want          []core.Scope
	}{
		{"scope", `,"scope":"openid sutazai:run"`, []core.Scope{core.ScopeRead, core.ScopeRun}},
		{"scope", `,"scope":"openid"`, nil},
		{"scope", ``, nil},
		{"roles", `,"roles":["sutazai:read","other"]`, []core.Scope{core.ScopeRead}},
		{"realm_access.roles", `,"realm_access":{"roles":["sutazai:read"]}`, []core.Scope{core.ScopeRead}},
		{"https://example.com/roles", `,"https://example.com/roles":["sutazai:read"]`, []core.Scope{core.ScopeRead}},
		{"scope", `,"scope":5`, nil},
	} {
		s, now := withTokens(t, i, func(o *auth.OAuthOptions) { o.Claim = c.claim })
		p, presented, err := s.Authenticate(bearer(i.token(t, "one", now(), c.claims)))
		if err != nil || !presented || p.Actor() != "oauth:ann" || p.Kind != auth.KindToken || !slices.Equal(p.Scopes, c.want) {
			t.Errorf("%s: %+v (%v), want %v", c.claims, p, err, c.want)
		}
		if !s.StillValid(t.Context(), p) {
			t.Error("it is not valid any longer")
		}
	}
}

func TestOtherTokensProveNothing(t *testing.T) {
	t.Parallel()
	i, other := newIssuer(t), newIssuer(t)
	s, now := withTokens(t, i, nil)
	good := i.token(t, "one", now(), "")
	head, rest, _ := strings.Cut(good, ".")
	_, signature, _ := strings.Cut(rest, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	forged := b64([]byte(fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"root","exp":%d}`, i.url, audience, now().Add(time.Hour).Unix())))
	for name, token := range map[string]string{
		"another issuer":           other.token(t, "one", now(), ""),
		"another's key":            oidctest.SignIDToken(other.key, "one", "RS256", fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"ann","exp":%d}`, i.url, audience, now().Add(time.Hour).Unix())),
		"for another audience":     oidctest.SignIDToken(i.key, "one", "RS256", fmt.Sprintf(`{"iss":%q,"aud":"https://other.example.com","sub":"ann","exp":%d}`, i.url, now().Add(time.Hour).Unix())),
		"expired":                  i.token(t, "one", now().Add(-2*time.Hour), ""),
		"without an end":           oidctest.SignIDToken(i.key, "one", "RS256", fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"ann"}`, i.url, audience)),
		"without a subject":        oidctest.SignIDToken(i.key, "one", "RS256", fmt.Sprintf(`{"iss":%q,"aud":%q,"exp":%d}`, i.url, audience, now().Add(time.Hour).Unix())),
		"changed":                  head + "." + forged + "." + signature,
		"not signed":               b64([]byte(`{"alg":"none"}`)) + "." + forged + ".",
		"signed with a public key": b64([]byte(`{"alg":"HS256"}`)) + "." + forged + "." + b64([]byte("x")),
		"no token":                 "a.b.c", "a text": "hello", "a key's form": "sk-sutazai-nonsense",
	} {
		_, presented, err := s.Authenticate(bearer(token))
		if core.CodeOf(err) != core.CodeUnauthorized || !presented {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := s.Authenticate(bearer(good)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestATokenEnds(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var late atomic.Int64
	s, now := withTokens(t, i, func(o *auth.OAuthOptions) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	token := i.token(t, "one", now(), "")
	p, _, err := s.Authenticate(bearer(token))
	if err != nil {
		t.Fatal(err)
	}
	late.Store(int64(2 * time.Hour))
	if s.StillValid(t.Context(), p) {
		t.Error("it is valid after its end")
	}
	if _, _, err := s.Authenticate(bearer(token)); core.CodeOf(err) != core.CodeUnauthorized || !strings.Contains(core.MessageOf(err), "expired") {
		t.Errorf("%v", err)
	}
}

func TestTokensOfStrangersCauseFewRequests(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s, now := withTokens(t, i, nil)
	for n := range 50 {
		if _, _, err := s.Authenticate(bearer(i.token(t, fmt.Sprint("key-", n), now(), ""))); n > 0 && err == nil {
			t.Error("a key that nobody knows was taken")
		}
	}
	if n := i.requests.Load(); n > 2 {
		t.Errorf("%d requests", n)
	}
}

func TestAnAuthorizationServerThatIsAwayIsNoRefusal(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.down.Store(true)
	s, now := withTokens(t, i, nil)
	if _, _, err := s.Authenticate(bearer(i.token(t, "one", now(), ""))); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("%v", err)
	}
	i.down.Store(false)
	s, now = withTokens(t, i, func(o *auth.OAuthOptions) { o.JWKS = i.url + "/keys" })
	if _, _, err := s.Authenticate(bearer(i.token(t, "one", now(), ""))); err != nil {
		t.Errorf("with the address of the keys: %v", err)
	}
	i.down.Store(true)
	s, now = withTokens(t, i, func(o *auth.OAuthOptions) { o.JWKS = i.url + "/keys" })
	if _, _, err := s.Authenticate(bearer(i.token(t, "one", now(), ""))); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("%v", err)
	}
}
