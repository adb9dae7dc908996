package backend_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

var update = flag.Bool("update", false, "write testdata/routes.golden from the live router")

// TestRoutesAndRights asks the live router for its routes and calls each as every kind of caller. The outcome is held
// against a reviewed file: a new route, or a changed right, shows there.
func TestRoutesAndRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var out bytes.Buffer
	for _, pattern := range backend.Patterns(b.handler) {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = http.MethodGet, pattern
		}
		fmt.Fprintf(&out, "%-36s", pattern)
		for _, who := range []string{"", "read", "run", "approve", "admin"} {
			url := strings.NewReplacer("{id}", "r1", "{name}", "assistant", "{model...}", "local/tiny").Replace(path)
			w := b.do(t, scenario{method: method, url: url, key: who})
			verdict := "yes"
			if w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden {
				verdict = fmt.Sprint(w.Code)
			}
			if who == "" {
				who = "anybody"
			}
			fmt.Fprintf(&out, " %s=%s", who, verdict)
		}
		out.WriteString("\n")
	}
	const golden = "testdata/routes.golden"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != string(want) {
		t.Errorf("routes and rights differ from %s; review the change, then run with -update:\n%s", golden, got)
	}
}

func TestARouteWithoutARowInTheTableStopsTheStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := backend.New(backend.Deps{
		Runs: b.ports, RunCounts: b.ports, Agents: b.ports, Models: b.ports, Services: b.ports, Auth: b.auth,
		Limits: ratelimit.NewLimits(ratelimit.Rates{}, nil), Metrics: newRegistry(), Logger: discard(),
		Routes: []backend.Route{{Pattern: "POST /api/v1/backdoor", Handler: http.NotFoundHandler()}},
	}, backend.Config{})
	if err == nil || !strings.Contains(err.Error(), "POST /api/v1/backdoor") {
		t.Errorf("error: %v", err)
	}
}

func TestForeignPagesAndNamesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) {
		o.config.PublicURL = "https://agents.example.org"
		o.config.AllowedHosts = []string{"sutazai.lan"}
	})
	b.check(t, []scenario{
		{name: "rebound name", url: "/", headers: map[string]string{"Host": "evil.example"}, status: 421, hasNot: []string{"evil.example", "console"}},
		{name: "rebound name on the API", url: "/api/v1/runs", key: "read", headers: map[string]string{"Host": "evil.example:8080"}, status: 421},
		{name: "rebound name on the other dialect", url: "/v1/models", key: "read", headers: map[string]string{"Host": "evil.example"}, status: 421},
		{name: "rebound name on metrics", url: "/metrics", key: "read", headers: map[string]string{"Host": "evil.example"}, status: 421},
		{name: "foreign address on loopback", url: "/", headers: map[string]string{"Host": "203.0.113.7"}, status: 421},
		{name: "name that only starts right", url: "/", headers: map[string]string{"Host": "localhost.evil.example"}, status: 421},
		{name: "no host", url: "/", headers: map[string]string{"Host": ""}, status: 421},
		{name: "localhost", url: "/", headers: map[string]string{"Host": "LOCALHOST:1"}, status: 200},
		{name: "IPv4", url: "/", headers: map[string]string{"Host": "127.0.0.1:8080"}, status: 200},
		{name: "IPv6", url: "/", headers: map[string]string{"Host": "[::1]:8080"}, status: 200},
		{name: "configured name", url: "/", headers: map[string]string{"Host": "sutazai.lan"}, status: 200},
		{name: "public name", url: "/", headers: map[string]string{"Host": "agents.example.org"}, status: 200,
			header: map[string]string{"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}},
		{name: "foreign origin writes", method: "POST", url: "/api/v1/runs", key: "run", body: `{}`, headers: map[string]string{"Origin": "https://evil.example"}, status: 403},
		{name: "foreign origin reads", url: "/api/v1/runs", key: "read", headers: map[string]string{"Origin": "https://evil.example"}, status: 403},
		{name: "foreign origin asks first", method: "OPTIONS", url: "/api/v1/runs", headers: map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}, status: 403, header: map[string]string{"Access-Control-Allow-Origin": ""}},
		{name: "null origin", method: "POST", url: "/v1/chat/completions", key: "run", body: `{}`, headers: map[string]string{"Origin": "null"}, status: 403},
		{name: "foreign site by fetch metadata", method: "POST", url: "/api/v1/runs", key: "run", body: `{}`, headers: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		{name: "own origin", method: "POST", url: "/api/v1/runs", key: "run", body: `{"agent":"a","input":"b"}`, headers: map[string]string{"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}, status: 201},
		{name: "own origin of another port", method: "POST", url: "/api/v1/runs", key: "run", body: `{}`, headers: map[string]string{"Origin": "http://localhost:3000"}, status: 403},
		{name: "public origin", method: "POST", url: "/api/v1/runs", key: "run", body: `{"agent":"a","input":"b"}`, headers: map[string]string{"Host": "agents.example.org", "Origin": "https://agents.example.org"}, status: 201},
	})
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := map[string]bool{}
	for _, url := range []string{"/", "/api/v1/runs", "/api/docs", "/nope", "/v1/models", "/healthz"} {
		w := b.do(t, scenario{url: url})
		csp := w.Header().Get("Content-Security-Policy")
		_, rest, _ := strings.Cut(csp, "'nonce-")
		nonce, _, _ := strings.Cut(rest, "'")
		forPrograms := url == "/api/v1/runs" || url == "/v1/models"
		if !forPrograms && (seen[nonce] || len(nonce) < 20) {
			t.Errorf("%s: nonce %q", url, nonce)
		}
		seen[nonce] = true
		want := "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" + nonce + "'; connect-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
		if forPrograms { // what no browser shows may do nothing at all
			want = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
		}
		if csp != want {
			t.Errorf("%s: policy %q", url, csp)
		}
		for k, v := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "",
		} {
			if got := w.Header().Get(k); got != v {
				t.Errorf("%s: %s is %q", url, k, got)
			}
		}
		if url == "/" && !strings.Contains(w.Body.String(), nonce) {
			t.Error("the console does not get the nonce of its answer")
		}
		if url == "/api/docs" && !strings.Contains(w.Body.String(), `<style nonce="`+nonce+`">`) {
			t.Error("the reference page has not the nonce of its answer")
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.config.MaxBody, o.config.MaxUpload = 1000, 4000 })
	text := func(n int) string { return strings.Repeat("x", n) }
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	b.check(t, []scenario{
		{name: "upload within bounds", method: "POST", url: "/api/v1/runs", key: "run", body: `{"agent":"a","input":"` + text(3000) + `"}`, status: 201},
		{name: "upload too large", method: "POST", url: "/api/v1/runs", key: "run", body: `{"agent":"a","input":"` + text(5000) + `"}`, status: 413, has: []string{`"code":"too_large"`}},
		{name: "message too large", method: "POST", url: "/api/v1/runs/r1/messages", key: "run", body: `{"text":"` + text(2000) + `"}`, status: 413},
		{name: "stranger's body too large", method: "POST", url: "/api/v1/session", body: `{"username":"a","password":"` + text(20_000) + `"}`, status: 413},
		{name: "chat too large", method: "POST", url: "/v1/chat/completions", key: "run", body: `{"model":"` + text(5000) + `"}`, status: 413, has: []string{`{"error":{`, "request_too_large"}},
		{name: "compressed", method: "POST", url: "/api/v1/runs", key: "run", body: "x", headers: map[string]string{"Content-Encoding": "gzip"}, status: 415},
		{name: "compressed chat", method: "POST", url: "/v1/chat/completions", key: "run", body: "x", headers: map[string]string{"Content-Encoding": "br"}, status: 415},
	})
	roomy := setup(t)
	roomy.check(t, []scenario{
		{name: "deep", method: "POST", url: "/api/v1/runs", key: "run", body: deep, status: 400, has: []string{"nested deeper than 100"}},
		{name: "deep chat", method: "POST", url: "/v1/chat/completions", key: "run", body: deep, status: 400, has: []string{"nested deeper than 100"}},
		{name: "deep lists", method: "POST", url: "/api/v1/approvals/a1", key: "approve", body: strings.Repeat("[", 100_000), status: 400},
		{name: "brackets in texts are no depth", method: "POST", url: "/api/v1/runs", key: "run", body: `{"agent":"a","input":"` + strings.Repeat(`[{\"`, 500) + `"}`, status: 201},
	})
}

func TestUnknownLengthIsBoundedToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, url := range []string{"/api/v1/runs", "/v1/chat/completions", "/api/v1/keys"} {
		body := &endless{}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, url, io.MultiReader(strings.NewReader(`{"agent":"`), body))
		r.Host, r.ContentLength = "localhost", -1
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+b.keys["admin"])
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.sent > 32<<20 {
			t.Errorf("%s: %d after %d bytes", url, w.Code, body.sent)
		}
	}
}

type endless struct{ sent int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.sent += len(p)
	return len(p), nil
}

func TestRatesAreLimitedByKeyAndByAddress(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) {
		o.rates = ratelimit.Rates{Key: ratelimit.Rate{PerSecond: 0.01, Burst: 2}, Address: ratelimit.Rate{PerSecond: 0.01, Burst: 6}}
	})
	b.check(t, []scenario{
		{name: "first", url: "/api/v1/me", key: "read", status: 200, header: map[string]string{"RateLimit-Policy": `"key";q=2;w=200`, "RateLimit": `"key";r=1;t=100`, "Retry-After": ""}},
		{name: "second", url: "/api/v1/me", key: "read", status: 200},
		{name: "third", url: "/api/v1/me", key: "read", status: 429, header: map[string]string{"Retry-After": "100"}, has: []string{`"code":"rate_limited"`}},
		{name: "another way to carry the credential", url: "/v1/models", headers: map[string]string{"X-Api-Key": b.keys["read"]}, status: 429, has: []string{"rate_limit_exceeded"}},
		{name: "another key", url: "/api/v1/me", key: "run", status: 200},
		{name: "another key again", url: "/api/v1/me", key: "admin", status: 200},
		{name: "the address is used up", url: "/api/v1/me", key: "approve", status: 429, header: map[string]string{"RateLimit-Policy": `"address";q=6;w=600`}},
		{name: "strangers there too", url: "/healthz", status: 429},
	})
}

func TestForwardedAddressesCountOnlyFromTrustedProxies(t *testing.T) {
	t.Parallel()
	limited := func(o *options) { o.rates = ratelimit.Rates{Address: ratelimit.Rate{PerSecond: 0.01, Burst: 1}} }
	from := func(addr string) map[string]string { return map[string]string{"X-Forwarded-For": addr} }
	b := setup(t, limited)
	b.check(t, []scenario{
		{name: "first", url: "/healthz", headers: from("203.0.113.1"), status: 200},
		{name: "an invented address does not help", url: "/healthz", headers: from("203.0.113.2"), status: 429},
	})
	b = setup(t, limited, func(o *options) { o.config.TrustedProxies = prefixes("127.0.0.0/8") })
	b.check(t, []scenario{
		{name: "one client", url: "/healthz", headers: from("203.0.113.1"), status: 200},
		{name: "another", url: "/healthz", headers: from("203.0.113.2"), status: 200},
		{name: "the first with an invented hop", url: "/healthz", headers: from("198.51.100.9, 203.0.113.1"), status: 429},
		{name: "neighbours in one IPv6 network", url: "/healthz", headers: from("2001:db8::1"), status: 200},
		{name: "are one client", url: "/healthz", headers: from("2001:db8::2"), status: 429},
	})
}

func TestSecretsAppearInNoAnswerLogOrMetric(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const canary = "CANARY-7f3a"
	key := "sk-sutazai-" + canary
	for _, pattern := range backend.Patterns(b.handler) {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = http.MethodPost, pattern
		}
		url := strings.NewReplacer("{id}", "r1", "{name}", "assistant", "{model...}", "local/tiny").Replace(path)
		for _, who := range []string{"", "admin"} {
			for _, body := range []string{"", `{"password":"` + canary + `","username":5,"token":"` + canary + `"}`, `{"x": ` + canary} {
				headers := map[string]string{"Cookie": "sutazai_session=" + canary, "X-Request-Id": "bad id " + canary, "Last-Event-ID": "r9-" + canary}
				if who == "" {
					headers["Authorization"] = "Bearer " + key
				}
				w := b.do(t, scenario{method: method, url: url + "?token=" + canary, key: who, body: body, headers: headers})
				if strings.Contains(w.Body.String(), canary) || strings.Contains(fmt.Sprint(w.Header()), canary) {
					t.Errorf("%s as %q: %s", pattern, who, w.Body)
				}
			}
		}
	}
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	events, err := json.Marshal(b.audit.events)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"log": b.log.String(), "metrics": fmt.Sprint(families), "audit": string(events)} {
		if strings.Contains(text, canary) {
			i := strings.Index(text, canary)
			t.Errorf("%s: …%s…", name, text[max(0, i-300):i+40])
		}
		for scope, secret := range b.keys {
			if strings.Contains(text, secret) {
				t.Errorf("the %s key is in the %s", scope, name)
			}
		}
	}
	if !strings.Contains(b.log.String(), `"path":"/api/v1/runs"`) {
		t.Error("requests are not logged at all")
	}
}

func TestRoutesDoNotMultiplyMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 50 {
		b.do(t, scenario{url: fmt.Sprintf("/api/v1/runs/run-%d", i), key: "read"})
		b.do(t, scenario{url: fmt.Sprintf("/made/up/%d", i)})
		b.do(t, scenario{method: fmt.Sprintf("M%d", i), url: "/api/v1/runs"})
		b.do(t, scenario{url: "/", headers: map[string]string{"Host": fmt.Sprintf("h%d.example", i)}})
	}
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if len(f.Metric) > 8 {
			t.Errorf("%s has %d series", f.GetName(), len(f.Metric))
		}
	}
}

func TestRefusalsAreAuditedButCannotFloodTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 200 {
		b.do(t, scenario{url: "/api/v1/runs", headers: map[string]string{"Authorization": "Bearer wrong"}})
	}
	b.do(t, scenario{url: "/api/v1/keys", key: "read"})
	n, forbidden := 0, false
	for _, e := range b.audit.events {
		if e.Action == "auth.failed" && e.Result == "denied" && e.Addr == "127.0.0.1" {
			n++
		}
		forbidden = forbidden || e.Action == "auth.forbidden" && strings.HasPrefix(e.Actor, "key:")
	}
	if n == 0 || n > 30 || !forbidden {
		t.Errorf("%d failures audited, forbidden: %v", n, forbidden)
	}
}

func TestWithoutAuthenticationTheCallerIsLocal(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.noAuth = true })
	b.check(t, []scenario{
		{name: "me", url: "/api/v1/me", status: 200, has: []string{`"actor":"local"`}},
		{name: "set-up is not needed", url: "/api/v1/setup", status: 200, has: []string{`"needed":false`}},
		{name: "a foreign page is refused all the same", method: "POST", url: "/api/v1/runs", body: `{}`, headers: map[string]string{"Origin": "https://evil.example"}, status: 403},
		{name: "a rebound name too", url: "/api/v1/me", headers: map[string]string{"Host": "evil.example"}, status: 421},
	})
	if b.ports.runs["run-1"].Status == core.RunQueued {
		t.Error("a run was started")
	}
}
