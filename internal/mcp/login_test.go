package mcp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/mcp"
)

// sso is a server of tools that wants a login, and the authorization server where it takes place.
type sso struct {
	*httptest.Server
	mu         sync.Mutex
	registered int
	codes      map[string]url.Values // what was asked for, by code
	tokens     map[string]bool       // that are good
	refresh    string                // the one refresh token that is good
	refreshed  int
	seen       []string // Authorization of requests to the tools
	problems   []string
	lifetime   int // of a token, in seconds
}

func newSSO(t *testing.T) *sso {
	s := &sso{codes: map[string]url.Values{}, tokens: map[string]bool{}, lifetime: 3600}
	tools := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return erp() }, nil)
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		auth := r.Header.Get("Authorization")
		s.seen = append(s.seen, auth)
		ok := s.tokens[strings.TrimPrefix(auth, "Bearer ")]
		s.mu.Unlock()
		if !ok {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer resource_metadata="%s/.well-known/oauth-protected-resource/mcp", scope="erp"`, s.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		tools.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /.well-known/oauth-protected-resource/mcp", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"resource": s.URL + "/mcp", "authorization_servers": []string{s.URL}})
	})
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{
			"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "registration_endpoint": s.URL + "/register",
			"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"client_secret_post"},
		})
	})
	mux.HandleFunc("POST /register", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.registered++
		reply(w, 201, map[string]any{"client_id": "client", "client_secret": "client-canary", "token_endpoint_auth_method": "client_secret_post", "redirect_uris": []string{"http://127.0.0.1:1/callback"}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		q := r.URL.Query()
		code := fmt.Sprintf("code-%d", len(s.codes))
		s.codes[code] = q
		w.Header().Set("Location", q.Get("redirect_uri")+"?code="+code+"&state="+url.QueryEscape(q.Get("state")))
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := r.ParseForm(); err != nil {
			s.problems = append(s.problems, err.Error())
		}
		if r.Form.Get("resource") != s.URL+"/mcp" || r.Form.Get("client_secret") != "client-canary" {
			s.problems = append(s.problems, "token request "+r.Form.Encode())
		}
		if r.Form.Get("grant_type") == "refresh_token" {
			if s.refresh == "" || r.Form.Get("refresh_token") != s.refresh {
				reply(w, 400, map[string]any{"error": "invalid_grant"})
				return
			}
			s.refreshed++
		} else if asked := s.codes[r.Form.Get("code")]; asked.Get("code_challenge_method") != "S256" || r.Form.Get("code_verifier") == "" || asked.Get("resource") != s.URL+"/mcp" {
			s.problems = append(s.problems, "authorization "+asked.Encode())
		}
		n := len(s.tokens)
		token := fmt.Sprintf("token-canary-%d", n)
		s.tokens[token], s.refresh = true, fmt.Sprintf("refresh-canary-%d", n)
		reply(w, 200, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": s.lifetime, "refresh_token": s.refresh, "scope": "erp"})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.problems) > 0 {
			t.Errorf("the authorization server says: %q", s.problems)
		}
	})
	return s
}

// revoke makes every token bad; refresh tokens stay good if keep.
func (s *sso) revoke(keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		s.tokens[token] = false
	}
	if !keep {
		s.refresh = ""
	}
}

func (s *sso) spec(per mcp.Per) mcp.Spec {
	return mcp.Spec{Name: "erp", URL: s.URL + "/mcp", Pin: mcp.PinOff, Auth: mcp.Auth{Kind: mcp.AuthOAuth, Per: per}}
}

// logIn does what a person does in a browser.
func (b *bundle) logIn(c core.Caller) core.MCPLogin {
	b.t.Helper()
	l, err := b.Login(b.t.Context(), "erp", c)
	if err != nil {
		b.t.Fatal(err)
	}
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(l.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	ended, err := b.Callback(b.t.Context(), back.Query())
	if err != nil || ended.State != "done" {
		b.t.Fatalf("the login ended as %+v, %v", ended, err)
	}
	if _, err := b.Callback(b.t.Context(), back.Query()); core.CodeOf(err) != core.CodeInvalid {
		b.t.Errorf("the answer was taken twice: %v", err)
	}
	return l
}

var (
	ann = core.Caller{Actor: "user:ann"}
	bob = core.Caller{Actor: "user:bob"}
)

func TestNothingIsBegunAtAnAuthorizationServerWithoutAPerson(t *testing.T) {
	t.Parallel()
	s := newSSO(t)
	b := start(t, s.spec(mcp.PerServer))
	b.until("a login is asked for", func() bool {
		return b.details("erp").Login == "needed" && b.details("erp").State == core.ServiceDegraded
	})
	if d := b.details("erp"); !strings.Contains(d.Detail, "sutazai mcp login erp") {
		t.Errorf("it says %q", d.Detail)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.registered != 0 || len(s.codes) != 0 {
		t.Errorf("%d clients were registered, %d logins begun", s.registered, len(s.codes))
	}
}

func TestALoginServesEverybodyAndRenewsItself(t *testing.T) {
	t.Parallel()
	s := newSSO(t)
	db := openDB(t)
	b := reopen(t, db, s.spec(mcp.PerServer))
	b.begin()
	l := b.logIn(ann)
	if got, err := b.LoginState(l.ID, ann); err != nil || got.State != "done" {
		t.Errorf("the login is %+v, %v", got, err)
	}
	if _, err := b.LoginState(l.ID, bob); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("somebody else sees it: %v", err)
	}
	b.until("the tools are there", func() bool { return b.tool("erp.list") != nil })
	if got, err := b.callAs(t.Context(), bob, "erp.list", `{"text":"1"}`); err != nil || got != "invoice 1" {
		t.Fatalf("got %q, %v", got, err)
	}
	s.revoke(true)
	if got, err := b.call("erp.list", `{"text":"2"}`); err != nil || got != "invoice 2" || s.refreshed != 1 {
		t.Errorf("after the token was refused: %q, %v, %d renewals", got, err, s.refreshed)
	}
	row, found, err := b.store.MCPToken(t.Context(), "erp", "")
	if err != nil || !found || !strings.HasPrefix(row.Sealed, row.Place()) {
		t.Errorf("stored %+v, %v", row, err)
	}
	again := reopen(t, db, s.spec(mcp.PerServer))
	again.begin()
	again.until("another process is connected", func() bool { return again.details("erp").State == core.ServiceHealthy })
	s.revoke(false)
	if _, err := b.call("erp.list", `{"text":"3"}`); core.CodeOf(err) != core.CodeUnauthorized || unknown(err) {
		t.Errorf("after the login was revoked: %v", err)
	}
	if strings.Contains(b.log.String(), "canary") {
		t.Errorf("a secret is in the log:\n%s", b.log)
	}
}

func TestALoginThatIsAboutToEndIsRenewedBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	s := newSSO(t)
	s.lifetime = 5 // less than the margin
	b := start(t, s.spec(mcp.PerServer))
	b.logIn(ann)
	b.until("the tools are there", func() bool { return b.tool("erp.list") != nil })
	if got, err := b.call("erp.list", `{"text":"1"}`); err != nil || got != "invoice 1" {
		t.Errorf("got %q, %v", got, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refreshed == 0 {
		t.Error("it was not renewed")
	}
}

func TestEachUserHasALoginOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newSSO(t)
	b := start(t, s.spec(mcp.PerUser))
	if d := b.details("erp"); d.Login != "needed" || d.State != core.ServiceUnknown {
		t.Errorf("before: %+v", d.MCPServer)
	}
	b.logIn(ann)
	b.until("the tools are there", func() bool { return b.tool("erp.list") != nil })
	if got, err := b.callAs(t.Context(), ann, "erp.list", `{"text":"1"}`); err != nil || got != "invoice 1" {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := b.callAs(t.Context(), bob, "erp.list", `{"text":"1"}`); core.CodeOf(err) != core.CodeUnauthorized {
		t.Errorf("bob calls with ann's login: %v", err)
	}
	if _, err := b.callAs(t.Context(), core.Caller{}, "erp.list", `{"text":"1"}`); core.CodeOf(err) != core.CodeForbidden {
		t.Errorf("nobody calls: %v", err)
	}
	if err := b.Logout(t.Context(), "erp", ann); err != nil {
		t.Fatal(err)
	}
	b.until("the login is forgotten", func() bool {
		_, err := b.callAs(t.Context(), ann, "erp.list", `{"text":"1"}`)
		return core.CodeOf(err) == core.CodeUnauthorized
	})
}

func TestEachProjectHasALoginOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newSSO(t)
	b := start(t, s.spec(mcp.PerProject))
	b.logIn(core.Caller{Actor: "user:ann", Project: "a"})
	b.until("the tools are there", func() bool { return b.tool("erp.list") != nil })
	if got, err := b.callAs(t.Context(), core.Caller{Actor: "key:1", Project: "a"}, "erp.list", `{"text":"1"}`); err != nil || got != "invoice 1" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := b.callAs(t.Context(), core.Caller{Actor: "user:ann", Project: "b"}, "erp.list", `{"text":"1"}`); core.CodeOf(err) != core.CodeUnauthorized {
		t.Errorf("another project calls with it: %v", err)
	}
}

func TestALoginIsNotUsedAtAnotherAddress(t *testing.T) {
	t.Parallel()
	s := newSSO(t)
	db := openDB(t)
	b := reopen(t, db, s.spec(mcp.PerServer))
	b.begin()
	b.logIn(ann)
	thief := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		thief <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(elsewhere.Close)
	spec := s.spec(mcp.PerServer)
	spec.URL = elsewhere.URL + "/mcp"
	again := reopen(t, db, spec)
	again.begin()
	if got := <-thief; got != "" {
		t.Errorf("it was sent %q", got)
	}
}

func TestATokenOfTheSettingsGoesToTheServerAlone(t *testing.T) {
	t.Parallel()
	thief := make(chan http.Header, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		thief <- r.Header
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(elsewhere.Close)
	got := make(chan http.Header, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	b := start(t, mcp.Spec{
		Name: "erp", URL: server.URL, Headers: map[string]core.Secret{"X-Key": core.NewSecret("key-canary")},
		Auth: mcp.Auth{Kind: mcp.AuthBearer, Per: mcp.PerServer, Token: core.NewSecret("token-canary")},
	})
	if h := <-got; h.Get("X-Key") != "key-canary" || h.Get("Authorization") != "Bearer token-canary" {
		t.Errorf("the server got %v", h)
	}
	if h := <-thief; h.Get("X-Key") != "" || h.Get("Authorization") != "" {
		t.Errorf("the other server got %v", h)
	}
	b.until("it is seen to fail", func() bool { return b.details("erp").Detail != "not connected yet" })
	if d := b.details("erp"); strings.Contains(d.Detail, "canary") || strings.Contains(b.log.String(), "canary") {
		t.Errorf("a secret is told: %q\n%s", d.Detail, b.log)
	}
}

func TestLoginsThatCannotBe(t *testing.T) {
	t.Parallel()
	b := start(t, mcp.Spec{Name: "erp", URL: serve(t, erp(), nil)})
	if _, err := b.Login(t.Context(), "erp", ann); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("a server without logins: %v", err)
	}
	if _, err := b.Login(t.Context(), "nope", ann); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("no server: %v", err)
	}
	if _, err := b.Callback(t.Context(), url.Values{"state": {"x"}, "code": {"y"}}); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("a login that nobody began: %v", err)
	}
	down := start(t, mcp.Spec{Name: "erp", URL: "http://127.0.0.1:1/mcp", Auth: mcp.Auth{Kind: mcp.AuthOAuth, Per: mcp.PerServer}})
	begin := time.Now()
	if _, err := down.Login(t.Context(), "erp", ann); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("a server that is down: %v", err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("that took %s", took)
	}
}
