package auth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/auth/authtest"
)

const goodPassword = "maple orbit candle seventeen"

type bundle struct {
	svc *auth.Service
	mem *authtest.Memory
	now time.Time
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{mem: authtest.NewMemory(), now: time.UnixMilli(1_700_000_000_000).UTC()}
	b.svc = auth.New(b.mem.Keys(), b.mem.Users(), b.mem.Sessions(), auth.Options{Now: func() time.Time { return b.now }})
	return b
}

func (b *bundle) request(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestMemoryStoresBehaveAsAuthNeeds(t *testing.T) {
	t.Parallel()
	m := authtest.NewMemory()
	authtest.Stores(t, m.Keys(), m.Users(), m.Sessions())
}

func TestCredentialsInHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k, secret, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret, k.Prefix) || len(secret) != len("sk-sutazai-")+43 || strings.Contains(k.Prefix, secret[len(k.Prefix):]) {
		t.Fatalf("secret %q, prefix %q", secret, k.Prefix)
	}
	_, other, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	flipped := secret[:len(secret)-1] + string(secret[len(secret)-1]^1)
	for name, c := range map[string]struct {
		headers []string
		ok      bool
	}{
		"bearer":                   {[]string{"Authorization", "Bearer " + secret}, true},
		"lower-case scheme":        {[]string{"Authorization", "bearer " + secret}, true},
		"x-api-key":                {[]string{"X-Api-Key", secret}, true},
		"both the same":            {[]string{"Authorization", "Bearer " + secret, "X-Api-Key", secret}, true},
		"both different":           {[]string{"Authorization", "Bearer " + secret, "X-Api-Key", other}, false},
		"nothing":                  {nil, false},
		"empty bearer":             {[]string{"Authorization", "Bearer "}, false},
		"bare scheme":              {[]string{"Authorization", "Bearer"}, false},
		"empty x-api-key":          {[]string{"X-Api-Key", ""}, false},
		"null":                     {[]string{"Authorization", "Bearer null"}, false},
		"undefined":                {[]string{"Authorization", "Bearer undefined"}, false},
		"object":                   {[]string{"Authorization", "Bearer [object Object]"}, false},
		"json":                     {[]string{"Authorization", `Bearer {"$ne":null}`}, false},
		"basic":                    {[]string{"Authorization", "Basic " + secret}, false},
		"two headers":              {[]string{"Authorization", "Bearer " + secret, "Authorization", "Bearer " + other}, false},
		"prefix only":              {[]string{"Authorization", "Bearer " + k.Prefix}, false},
		"one character wrong":      {[]string{"Authorization", "Bearer " + flipped}, false},
		"one character more":       {[]string{"Authorization", "Bearer " + secret + "a"}, false},
		"hostile":                  {[]string{"Authorization", "Bearer sk-sutazai-' OR '1'='1' -- aaaaaaaaaaaaaaaaaaaaaaa"}, false},
		"empty header beside good": {[]string{"Authorization", "", "X-Api-Key", secret}, false},
		"empty cookie":             {[]string{"Cookie", "sutazai_session="}, false},
		"invented cookie":          {[]string{"Cookie", "sutazai_session=abc"}, false},
		"the key as a cookie":      {[]string{"Cookie", "sutazai_session=" + secret}, false},
	} {
		p, _, err := b.svc.Authenticate(b.request(c.headers...))
		if c.ok && (err != nil || p.Actor() != "key:"+k.ID) {
			t.Errorf("%s: %v %v", name, p, err)
		}
		if !c.ok && core.CodeOf(err) != core.CodeUnauthorized {
			t.Errorf("%s: got %v, %v; want unauthorized", name, p, err)
		}
		if err != nil && strings.Contains(err.Error(), secret[15:]) {
			t.Errorf("%s: the error repeats the secret", name)
		}
	}
}

func TestAKeyEndsWhenRevokedOrExpired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	expires := b.now.Add(time.Hour)
	k1, s1, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "short", Scopes: []core.Scope{core.ScopeRun, core.ScopeRun, core.ScopeRead}, ExpiresAt: &expires})
	if err != nil || len(k1.Scopes) != 2 {
		t.Fatal(k1, err)
	}
	k2, s2, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "long"})
	if err != nil {
		t.Fatal(err)
	}
	works := func(secret string) (auth.Principal, bool) {
		p, _, err := b.svc.Authenticate(b.request("X-Api-Key", secret))
		return p, err == nil
	}
	p1, ok1 := works(s1)
	p2, ok2 := works(s2)
	if !ok1 || !ok2 || !b.svc.StillValid(t.Context(), p1) || !b.svc.StillValid(t.Context(), p2) {
		t.Fatal("fresh keys do not work")
	}
	b.now = expires
	if _, ok := works(s1); ok || b.svc.StillValid(t.Context(), p1) {
		t.Error("an expired key works")
	}
	if _, err := b.svc.RevokeKey(t.Context(), k2.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := works(s2); ok || b.svc.StillValid(t.Context(), p2) {
		t.Error("a revoked key works")
	}
}

func TestTheUseOfAKeyIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k, secret, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	start := b.now
	for _, c := range []struct{ at, want time.Duration }{{0, 0}, {30 * time.Second, 0}, {61 * time.Second, 61 * time.Second}} {
		b.now = start.Add(c.at)
		if _, _, err := b.svc.Authenticate(b.request("X-Api-Key", secret)); err != nil {
			t.Fatal(err)
		}
		got, err := b.svc.Key(t.Context(), k.ID)
		if err != nil || got.LastUsedAt == nil || !got.LastUsedAt.Equal(start.Add(c.want)) {
			t.Errorf("after %v: last used %v (%v)", c.at, got.LastUsedAt, err)
		}
	}
}

func TestWrongKeysAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	past := b.now.Add(-time.Second)
	for name, f := range map[string]func() error{
		"name": func() error { _, _, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: " "}); return err },
		"scopes": func() error {
			_, _, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "k", Scopes: []core.Scope{"root"}})
			return err
		},
		"expires_at": func() error {
			_, _, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "k", ExpiresAt: &past})
			return err
		},
	} {
		if err := f(); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSetupLinkWorksOnceAndNotAfterADay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	old, err := b.svc.NewSetupToken(ctx)
	if err != nil || len(old) < 40 {
		t.Fatal(old, err)
	}
	token, err := b.svc.NewSetupToken(ctx)
	if err != nil || token == old {
		t.Fatal(token, err)
	}
	try := func(token, password string) core.Code {
		_, _, err := b.svc.Setup(ctx, token, "Ada", password)
		return core.CodeOf(err)
	}
	for _, link := range []string{old, token} { // of two replicas, say
		if ok, err := b.svc.SetupTokenValid(ctx, link); !ok || err != nil {
			t.Errorf("a link is void beside another (%v)", err)
		}
	}
	for _, bad := range []string{"", "null", token + "x"} {
		if got := try(bad, goodPassword); got != core.CodeUnauthorized {
			t.Errorf("token %q: %q", bad, got)
		}
	}
	if got := try(token, "short"); got != core.CodeInvalid {
		t.Errorf("short password: %q", got)
	}
	created := b.now
	b.now = created.Add(24 * time.Hour)
	if got := try(token, goodPassword); got != core.CodeUnauthorized {
		t.Errorf("after a day: %q", got)
	}
	b.now = created
	secret, session, err := b.svc.Setup(ctx, token, "Ada", goodPassword)
	if err != nil || session.User.Name != "ada" {
		t.Fatal(session, err)
	}
	if p, _, err := b.svc.Authenticate(b.request("Cookie", "sutazai_session="+secret)); err != nil || p.Actor() != "user:ada" || !p.HasAny(core.ScopeApprove) {
		t.Errorf("the new administrator is not signed in: %v %v", p, err)
	}
	for _, link := range []string{token, old} {
		if got := try(link, goodPassword); got != core.CodeUnauthorized {
			t.Errorf("use after the set-up: %q", got)
		}
	}
	if again, err := b.svc.NewSetupToken(ctx); again != "" || err != nil {
		t.Errorf("a set-up link was made although there is an administrator: %q %v", again, err)
	}
}

func TestSessionsEndByIdlenessAgeAndLogout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	token, err := b.svc.NewSetupToken(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.svc.Setup(ctx, token, "ada", goodPassword); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ user, password string }{{"ada", "wrong wrong wrong wrong"}, {"eve", goodPassword}, {"", ""}, {"ada", strings.Repeat("x", 5000)}} {
		if _, _, err := b.svc.Login(ctx, c.user, c.password); core.CodeOf(err) != core.CodeUnauthorized {
			t.Errorf("%s: %v", c.user, err)
		}
	}
	login := func() string {
		t.Helper()
		secret, _, err := b.svc.Login(ctx, " ADA ", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	alive := func(secret string) (auth.Principal, bool) {
		p, _, err := b.svc.Authenticate(b.request("Cookie", "__Host-sutazai="+secret))
		return p, err == nil
	}
	first, second := login(), login()
	if first == second {
		t.Fatal("two sign-ins share a secret")
	}
	p, ok := alive(first)
	if !ok {
		t.Fatal("not signed in")
	}
	if err := b.svc.Logout(ctx, p); err != nil {
		t.Fatal(err)
	}
	if _, ok := alive(first); ok || b.svc.StillValid(ctx, p) {
		t.Error("signed in after signing out")
	}
	start := b.now
	for day := range 7 { // used every 23 hours: never idle
		b.now = start.Add(time.Duration(day) * 23 * time.Hour)
		if _, ok := alive(second); !ok {
			t.Fatalf("signed out on day %d", day)
		}
	}
	b.now = start.Add(7 * 24 * time.Hour)
	if _, ok := alive(second); ok {
		t.Error("signed in after a week")
	}
	third := login()
	b.now = b.now.Add(24 * time.Hour)
	if _, ok := alive(third); ok {
		t.Error("signed in after a day without use")
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for password, ok := range map[string]bool{
		goodPassword:                   true,
		"correct horse battery staple": false,
		"short password":               false,
		"aaaaaaaaaaaaaaaa":             false,
		"abcabcabcabcabcabc":           false,
		"PasswordPassword1234":         false,
		"12345678901234567890":         false,
		"qwertyuiopasdfghjkl":          false,
		"administrator2026!":           false,
		"ada.lovelace.password":        false,
		"Sommerregen über Würzburg 7":  true,
		"雨の日には古い地図を持って海へ行こう": true,
		"8305517726940318465":             true,
		"k7#xQ2!mZp9$wL4":                 true,
		strings.Repeat("long words ", 99): false,
		"bad\xffutf8 but long enough":     false,
	} {
		if err := auth.CheckPassword(password, "ada.lovelace"); (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestTheSocketIsTheOwners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.request()
	p, _, err := b.svc.Authenticate(r.WithContext(auth.WithSocket(r.Context())))
	if err != nil || p.Actor() != "socket" || !p.HasAny(core.ScopeAdmin) {
		t.Errorf("%v %v", p, err)
	}
}

func TestWithoutAuthenticationEverybodyIsLocal(t *testing.T) {
	t.Parallel()
	m := authtest.NewMemory()
	svc := auth.New(m.Keys(), m.Users(), m.Sessions(), auth.Options{NoAuth: true})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer whatever a client wants to send")
	if p, _, err := svc.Authenticate(r); err != nil || p.Actor() != "local" {
		t.Errorf("%v %v", p, err)
	}
	if token, err := svc.NewSetupToken(t.Context()); token != "" || err != nil {
		t.Errorf("%q %v", token, err)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		has  []core.Scope
		need []core.Scope
		want bool
	}{
		{nil, nil, true},
		{nil, []core.Scope{core.ScopeRead}, false},
		{[]core.Scope{core.ScopeRead}, []core.Scope{core.ScopeRun}, false},
		{[]core.Scope{core.ScopeRun}, []core.Scope{core.ScopeRead, core.ScopeRun}, true},
		{[]core.Scope{core.ScopeAdmin}, []core.Scope{core.ScopeApprove}, true},
	} {
		if got := (auth.Principal{Scopes: c.has}).HasAny(c.need...); got != c.want {
			t.Errorf("%v for %v: %v", c.has, c.need, got)
		}
	}
}

func TestCallsOfAKeyCountForItsProject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ project, want string }{{"", "default"}, {"team-a", "team-a"}} {
		k, secret, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "bot", Project: c.project})
		if err != nil || k.Project != c.want {
			t.Fatal(k, err)
		}
		for range 2 { // from the store, and as known
			p, _, err := b.svc.Authenticate(b.request("X-Api-Key", secret))
			want := core.Caller{Project: c.want, Key: k.ID, Actor: "key:" + k.ID}
			if err != nil || p.Caller() != want {
				t.Errorf("%q: %+v (%v), want %+v", c.project, p.Caller(), err, want)
			}
		}
	}
	for _, bad := range []string{"Team A", "a/b", strings.Repeat("a", 65)} {
		if _, _, err := b.svc.CreateKey(t.Context(), auth.NewKey{Name: "bot", Project: bad}); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("the project %q: %v", bad, err)
		}
	}
	if c := (auth.Principal{Kind: auth.KindUser, ID: "u1", Name: "ada"}).Caller(); c != (core.Caller{Project: "default", Actor: "user:ada"}) {
		t.Errorf("a person: %+v", c)
	}
}
