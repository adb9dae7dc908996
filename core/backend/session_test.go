package backend_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/internal/ratelimit"
)

const password = "maple orbit candle seventeen"

func cookie(t *testing.T, w *httptest.ResponseRecorder) *http.Cookie {
	t.Helper()
	list := w.Result().Cookies()
	if len(list) != 1 {
		t.Fatalf("%d cookies: %v %s", len(list), list, w.Body)
	}
	return list[0]
}

func jsonOf(t *testing.T, m map[string]string) string {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFromSetupLinkToSignOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, err := b.auth.NewSetupToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.check(t, []scenario{
		{name: "needed", url: "/api/v1/setup", status: 200, has: []string{`"needed":true`, `"token_valid":false`}},
		{name: "valid token", url: "/api/v1/setup?token=" + token, status: 200, has: []string{`"token_valid":true`}},
		{name: "invented token", url: "/api/v1/setup?token=abc", status: 200, has: []string{`"token_valid":false`}},
		{name: "set-up with an invented token", method: "POST", url: "/api/v1/setup", body: jsonOf(t, map[string]string{"token": "abc", "username": "ada", "password": password}), status: 401},
		{name: "set-up with null", method: "POST", url: "/api/v1/setup", body: `{"token":null,"username":"ada","password":"` + password + `"}`, status: 422, hasNot: []string{password}},
		{name: "set-up with a weak password", method: "POST", url: "/api/v1/setup", body: jsonOf(t, map[string]string{"token": token, "username": "ada", "password": "passwordpassword"}), status: 422,
			has: []string{`"field":"password"`}, hasNot: []string{"passwordpassword"}},
		{name: "sign in before there is anybody", method: "POST", url: "/api/v1/session", body: jsonOf(t, map[string]string{"username": "admin", "password": "admin"}), status: 401},
	})
	w := b.do(t, scenario{method: "POST", url: "/api/v1/setup", body: jsonOf(t, map[string]string{"token": token, "username": "Ada", "password": password})})
	first := cookie(t, w)
	if w.Code != 201 || !strings.Contains(w.Body.String(), `"actor":"user:ada"`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if first.Name != "sutazai_session" || !first.HttpOnly || first.Secure || first.SameSite != http.SameSiteStrictMode || first.Path != "/" {
		t.Errorf("cookie %+v", first)
	}
	with := func(c *http.Cookie) map[string]string { return map[string]string{"Cookie": c.Name + "=" + c.Value} }
	b.check(t, []scenario{
		{name: "signed in", url: "/api/v1/me", headers: with(first), status: 200, has: []string{`"kind":"user"`, `"name":"ada"`}},
		{name: "may do everything", url: "/api/v1/audit", headers: with(first), status: 200, has: []string{`"action":"setup"`}},
		{name: "set-up is over", url: "/api/v1/setup?token=" + token, status: 200, has: []string{`"needed":false`, `"token_valid":false`}},
		{name: "set-up again", method: "POST", url: "/api/v1/setup", body: jsonOf(t, map[string]string{"token": token, "username": "eve", "password": password}), status: 401},
		{name: "wrong password", method: "POST", url: "/api/v1/session", body: jsonOf(t, map[string]string{"username": "ada", "password": password + "!"}), status: 401, has: []string{"the user name or the password is wrong"}},
		{name: "wrong user says the same", method: "POST", url: "/api/v1/session", body: jsonOf(t, map[string]string{"username": "eve", "password": password}), status: 401, has: []string{"the user name or the password is wrong"}},
	})
	w = b.do(t, scenario{method: "POST", url: "/api/v1/session", headers: with(first), body: jsonOf(t, map[string]string{"username": "ada", "password": password})})
	second := cookie(t, w)
	if second.Value == first.Value || w.Header().Get("Cache-Control") != "no-store" {
		t.Error("the session's secret was not renewed")
	}
	b.check(t, []scenario{
		{name: "the older session has ended", url: "/api/v1/me", headers: with(first), status: 401},
		{name: "the newer one works", url: "/api/v1/me", headers: with(second), status: 200},
		{name: "a key beside a cookie decides", url: "/api/v1/me", headers: map[string]string{"Cookie": second.Name + "=" + second.Value, "Authorization": "Bearer wrong"}, status: 401},
		{name: "a foreign page cannot use the cookie", method: "DELETE", url: "/api/v1/session", headers: map[string]string{"Cookie": second.Name + "=" + second.Value, "Origin": "http://evil.example"}, status: 403},
	})
	w = b.do(t, scenario{method: "DELETE", url: "/api/v1/session", headers: with(second)})
	if c := cookie(t, w); w.Code != 204 || c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("%d %+v", w.Code, c)
	}
	b.check(t, []scenario{{name: "signed out", url: "/api/v1/me", headers: with(second), status: 401}})
	actions := strings.Join(b.audit.actions(), "\n")
	for _, want := range []string{"setup denied", "setup ok", "login denied", "login ok", "logout ok"} {
		if !strings.Contains(actions, want) {
			t.Errorf("%q was not audited: %s", want, actions)
		}
	}
	for _, secret := range []string{token, first.Value, second.Value, password} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log holds %s…", secret[:5])
		}
	}
}

func TestBehindTLSTheCookieIsBoundToTheHost(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.config.PublicURL = "https://agents.example.org" })
	token, err := b.auth.NewSetupToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := b.do(t, scenario{method: "POST", url: "/api/v1/setup", headers: map[string]string{"Host": "agents.example.org"},
		body: jsonOf(t, map[string]string{"token": token, "username": "ada", "password": password})})
	if c := cookie(t, w); c.Name != "__Host-sutazai" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie %+v", c)
	}
}

func TestGuessingPasswordsIsSlow(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) {
		o.rates = ratelimit.Rates{Login: ratelimit.Rate{PerSecond: 0.01, Burst: 2}, User: ratelimit.Rate{PerSecond: 0.01, Burst: 3}}
		o.limitClock = func() time.Time { return time.Unix(1_700_000_000, 0) }
	}, func(o *options) { o.config.TrustedProxies = prefixes("127.0.0.1/32") })
	try := func(addr, user string) scenario {
		return scenario{name: addr + " " + user, method: "POST", url: "/api/v1/session", headers: map[string]string{"X-Forwarded-For": addr},
			body: jsonOf(t, map[string]string{"username": user, "password": "x"}), status: 401}
	}
	refused := func(s scenario) scenario {
		s.name, s.status, s.has, s.header = s.name+" refused", 429, []string{`"code":"rate_limited"`}, map[string]string{"Retry-After": "100"}
		return s
	}
	setupTry := scenario{name: "set-up counts too", method: "POST", url: "/api/v1/setup", headers: map[string]string{"X-Forwarded-For": "203.0.113.1"}, body: `{"token":"x","username":"a","password":"b"}`}
	b.check(t, []scenario{
		try("203.0.113.1", "a"), try("203.0.113.1", "b"), refused(try("203.0.113.1", "c")), refused(setupTry),
		try("203.0.113.2", "ada"), try("203.0.113.3", "Ada"), try("203.0.113.4", " ADA\t"), refused(try("203.0.113.5", "ada")), refused(try("203.0.113.6", "aDa ")),
	})
}
