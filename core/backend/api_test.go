package backend_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

func TestTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	problem := map[string]string{"Content-Type": "application/problem+json"}
	b.check(t, []scenario{
		{name: "start a run", method: "POST", url: "/api/v1/runs", key: "run", status: 201,
			body:   `{"agent":"assistant","input":"hello","metadata":{"a":"b"},"limits":{"cost_usd":0.5,"time":"90s"},"files":[{"name":"a.txt","content_base64":"aGk="}]}`,
			has:    []string{`"id":"run-1"`, `"status":"queued"`, `"metadata":{}`, `"cost_usd":0.5`, `"time":"1m30s"`, `"usage":{"input_tokens":0,"output_tokens":0,"cost_usd":0}`, `"error":null`},
			header: map[string]string{"Location": "/api/v1/runs/run-1", "Content-Type": "application/json"}},
		{name: "start with an idempotency key", method: "POST", url: "/api/v1/runs", key: "run", status: 201, body: `{"agent":"assistant","input":"once"}`, headers: map[string]string{"Idempotency-Key": "k1"}},
		{name: "the same again", method: "POST", url: "/api/v1/runs", key: "run", status: 200, body: `{"agent":"assistant","input":"once"}`, headers: map[string]string{"Idempotency-Key": "k1"}, has: []string{`"id":"run-1"`}},
		{name: "the same key for another body", method: "POST", url: "/api/v1/runs", key: "run", status: 409, body: `{"agent":"assistant","input":"twice"}`, headers: map[string]string{"Idempotency-Key": "k1"}, has: []string{`"code":"conflict"`}},
		{name: "missing fields", method: "POST", url: "/api/v1/runs", key: "run", status: 422, body: `{}`, header: problem,
			has: []string{`"code":"invalid"`, `"field":"agent"`, `"field":"input"`, `"type":"/api/docs#error-invalid"`, `"status":422`}},
		{name: "unknown field", method: "POST", url: "/api/v1/runs", key: "run", status: 422, body: `{"agent":"a","input":"b","inptu":"SECRET-CANARY"}`, has: []string{"inptu"}, hasNot: []string{"SECRET-CANARY"}},
		{name: "wrong types", method: "POST", url: "/api/v1/runs", key: "run", status: 422, body: `{"agent":1,"input":null}`, has: []string{`"field":"agent"`, `"field":"input"`}},
		{name: "body null", method: "POST", url: "/api/v1/runs", key: "run", status: 422, body: `null`, header: problem},
		{name: "body list", method: "POST", url: "/api/v1/runs", key: "run", status: 422, body: `[]`},
		{name: "no body", method: "POST", url: "/api/v1/runs", key: "run", status: 400, header: problem},
		{name: "broken JSON", method: "POST", url: "/api/v1/runs", key: "run", status: 400, body: `{"agent":`, header: problem, has: []string{`"code":"invalid"`}},
		{name: "broken base64", method: "POST", url: "/api/v1/runs", key: "run", status: 422, body: `{"agent":"a","input":"b","files":[{"name":"x","content_base64":"***"}]}`},
		{name: "negative limit", method: "POST", url: "/api/v1/runs", key: "run", status: 422, body: `{"agent":"a","input":"b","limits":{"steps":-1}}`, has: []string{`"field":"limits.steps"`}},
		{name: "no duration", method: "POST", url: "/api/v1/runs", key: "run", status: 422, body: `{"agent":"a","input":"b","limits":{"time":"soon"}}`, has: []string{`"field":"limits"`, "90s"}},
		{name: "the head of a stream", method: "HEAD", url: "/api/v1/runs/r1/events", key: "read", status: 200},
		{name: "not JSON", method: "POST", url: "/api/v1/runs", key: "run", status: 415, body: `a=b`, headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, header: problem},
		{name: "list of runs", url: "/api/v1/runs?status=succeeded&limit=5", key: "read", status: 200, has: []string{`"items":[{`, `"next":""`, `"cost_usd":0.0015`}, hasNot: []string{`"metadata":null`}},
		{name: "empty list", url: "/api/v1/runs?status=failed", key: "read", status: 200, has: []string{`"items":[]`}},
		{name: "unknown status", url: "/api/v1/runs?status=done", key: "read", status: 422, header: problem, has: []string{`"field":"status"`}},
		{name: "unknown query", url: "/api/v1/runs?stauts=failed", key: "read", status: 422, has: []string{"stauts"}},
		{name: "limit too large", url: "/api/v1/runs?limit=100000", key: "read", status: 422},
		{name: "a run", url: "/api/v1/runs/r1", key: "read", status: 200, has: []string{`"output":"done"`, `"metadata":{}`}},
		{name: "no such run", url: "/api/v1/runs/nope", key: "read", status: 404, header: problem, has: []string{`"code":"not_found"`, `"errors":[]`}},
		{name: "steps", url: "/api/v1/runs/r1/steps", key: "read", status: 200, has: []string{`"attempts":[]`, `"id":"r1:0"`}},
		{name: "messages", url: "/api/v1/runs/r1/messages", key: "read", status: 200, has: []string{`"items":[]`}},
		{name: "cancel", method: "POST", url: "/api/v1/runs/r1/cancel", key: "run", status: 200},
		{name: "resume", method: "POST", url: "/api/v1/runs/r1/resume", key: "run", status: 200},
		{name: "message", method: "POST", url: "/api/v1/runs/r1/messages", key: "run", status: 200, body: `{"text":"go on"}`},
		{name: "empty message", method: "POST", url: "/api/v1/runs/r1/messages", key: "run", status: 422, body: `{"text":""}`},
		{name: "approvals", url: "/api/v1/approvals?status=pending", key: "read", status: 200, has: []string{`"arguments":{}`}},
		{name: "an approval", url: "/api/v1/approvals/a1", key: "read", status: 200, has: []string{`"tool":"pay"`}},
		{name: "approve", method: "POST", url: "/api/v1/approvals/a1", key: "approve", status: 200, body: `{"decision":"approve","comment":"fine"}`},
		{name: "edit", method: "POST", url: "/api/v1/approvals/a1", key: "approve", status: 200, body: `{"decision":"edit","arguments":{"amount":1}}`},
		{name: "edit without arguments", method: "POST", url: "/api/v1/approvals/a1", key: "approve", status: 422, body: `{"decision":"edit"}`, has: []string{`"field":"arguments"`}},
		{name: "edit with a list", method: "POST", url: "/api/v1/approvals/a1", key: "approve", status: 422, body: `{"decision":"edit","arguments":[1]}`},
		{name: "unknown decision", method: "POST", url: "/api/v1/approvals/a1", key: "approve", status: 422, body: `{"decision":"maybe"}`, has: []string{`"field":"decision"`}},
		{name: "decided already", method: "POST", url: "/api/v1/approvals/a2", key: "approve", status: 409, body: `{"decision":"deny"}`},
		{name: "agents", url: "/api/v1/agents", key: "read", status: 200, has: []string{`"active":2`, `"tools":[]`, `"agents":[]`, `"errors":[]`}},
		{name: "an agent", url: "/api/v1/agents/assistant", key: "read", status: 200, has: []string{`"active":2`}},
		{name: "no such agent", url: "/api/v1/agents/nobody", key: "read", status: 404},
		{name: "services", url: "/api/v1/services", key: "read", status: 200, has: []string{`"state":"healthy"`}},
		{name: "models", url: "/api/v1/models", key: "read", status: 200, has: []string{`"id":"local/tiny"`}},
		{name: "overview", url: "/api/v1/overview", key: "read", status: 200, has: []string{`"runs_24h":6`, `"failed_24h":1`, `"active":2`, `"waiting_approvals":2`, "1 run failed"}},
		{name: "usage by agent", url: "/api/v1/usage?group=agent", key: "read", status: 200, has: []string{`"key":"agent since `, `"runs":2`, `"input_tokens":3,"output_tokens":4`, `"cost_usd":0.0015`, `"next":""`}},
		{name: "usage by model", url: "/api/v1/usage?group=model", key: "read", status: 200, has: []string{`"key":"model since `, `"mean_ms":250`, `"saved_usd":0.5`}},
		{name: "usage by colour", url: "/api/v1/usage?group=colour", key: "read", status: 422, has: []string{`"field":"group"`}},
		{name: "usage of no day", url: "/api/v1/usage?days=0", key: "read", status: 422, has: []string{`"field":"days"`}},
		{name: "me", url: "/api/v1/me", key: "run", status: 200, has: []string{`"kind":"key"`, `"scopes":["run"]`}},
		{name: "keys", url: "/api/v1/keys", key: "admin", status: 200, has: []string{`"prefix":"sk-sutazai-`}, hasNot: []string{"hash"}},
		{name: "make a key", method: "POST", url: "/api/v1/keys", key: "admin", status: 201, body: `{"name":"ci"}`, has: []string{`"secret":"sk-sutazai-`, `"scopes":["read","run"]`}},
		{name: "make a key with a wrong scope", method: "POST", url: "/api/v1/keys", key: "admin", status: 422, body: `{"name":"ci","scopes":["root"]}`},
		{name: "revoke no key", method: "DELETE", url: "/api/v1/keys/none", key: "admin", status: 404},
		{name: "audit", url: "/api/v1/audit?limit=10", key: "admin", status: 200, has: []string{`"items":[`}},
		{name: "wrong method", method: "PUT", url: "/api/v1/runs/r1", key: "admin", status: 405, header: map[string]string{"Allow": "GET", "Content-Type": "application/problem+json"}},
		{name: "no such call", url: "/api/v1/nothing", key: "admin", status: 404, header: problem},
		{name: "no such call in the other dialect", url: "/v1/nothing", key: "admin", status: 404, has: []string{`{"error":{`, `"unknown_url"`}},
		{name: "path tricks", url: "/api/v1/runs/..%2f..%2fetc", key: "read", status: 404, header: problem},
		{name: "healthy", url: "/healthz", status: 200, has: []string{"ok"}},
		{name: "ready", url: "/readyz", status: 200, has: []string{"ready"}},
		{name: "ready in detail", url: "/readyz?verbose", key: "read", status: 200, has: []string{`"ready":true`, `"name":"database"`}},
		{name: "ready in detail for a stranger", url: "/readyz?verbose", status: 401, hasNot: []string{"database"}},
		{name: "metrics", url: "/metrics", key: "read", status: 200, has: []string{`sutazai_http_requests_total{method="POST",route="POST /api/v1/runs",status="201"}`}},
		{name: "metrics for a stranger", url: "/metrics", status: 401},
		{name: "description", url: "/api/openapi.json", status: 200, has: []string{`"openapi":"3.1.0"`, `"cost_usd"`}, hasNot: []string{"ErrorModel"}},
		{name: "reference", url: "/api/docs", status: 200, has: []string{"Start a run", `id="error-storage_full"`}, hasNot: []string{"<script", "http://", "https://"}},
		{name: "console", url: "/runs/abc", status: 200, has: []string{"console "}},
	})
	if got := b.ports.started[0]; got.Files[0].Name != "a.txt" || string(got.Files[0].Content) != "hi" || !strings.HasPrefix(got.Actor, "key:") || got.Limits.CostMicroUSD != 500_000 {
		t.Errorf("started %+v", got)
	}
	if len(b.ports.verdicts) != 2 || string(b.ports.verdicts[1].Arguments) != `{"amount":1}` {
		t.Errorf("verdicts %+v", b.ports.verdicts)
	}
	for _, want := range []string{"run.cancel ok", "run.resume ok", "approval.decide ok", "approval.decide error", "key.create ok", "key.revoke error"} {
		if !strings.Contains(strings.Join(b.audit.actions(), "\n"), want) {
			t.Errorf("%q was not audited: %v", want, b.audit.actions())
		}
	}
}

func TestEveryErrorCodeHasAStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := map[core.Code]int{
		core.CodeInvalid: 422, core.CodeNotFound: 404, core.CodeConflict: 409, core.CodeUnauthorized: 401, core.CodeForbidden: 403,
		core.CodeLimit: 422, core.CodeRateLimited: 429, core.CodeUnavailable: 503, core.CodeTimeout: 504, core.CodeCancelled: 409,
		core.CodeTooLarge: 413, core.CodeStorageFull: 507, core.CodeRefused: 422, core.CodeContextFull: 422, core.CodeInternal: 500,
	}
	codes := codesOfCore(t)
	if len(codes) != len(want) {
		t.Errorf("core has %d codes, this test knows %d", len(codes), len(want))
	}
	for _, c := range codes {
		b.ports.err = core.Wrap(c, errors.New("CAUSE-CANARY"), "a message for people")
		w := b.do(t, scenario{url: "/api/v1/runs/r1", key: "read"})
		if w.Code != want[c] || !strings.Contains(w.Body.String(), `"code":"`+string(c)+`"`) || strings.Contains(w.Body.String(), "CANARY") {
			t.Errorf("%s: %d %s", c, w.Code, w.Body)
		}
		w = b.do(t, scenario{method: "POST", url: "/v1/chat/completions", key: "run", body: `{"model":"agent/assistant","messages":[{"role":"user","content":"x"}]}`})
		if w.Code < 400 || (c != core.CodeInternal && w.Code == 500) || strings.Contains(w.Body.String(), "CANARY") {
			t.Errorf("%s in OpenAI's dialect: %d %s", c, w.Code, w.Body)
		}
	}
	b.ports.err = errors.New("sql: SELECT secret FROM CAUSE-CANARY")
	w := b.do(t, scenario{url: "/api/v1/runs/r1", key: "read"})
	if w.Code != 500 || strings.Contains(w.Body.String(), "CANARY") {
		t.Errorf("unknown error: %d %s", w.Code, w.Body)
	}
	if !strings.Contains(b.log.String(), "CAUSE-CANARY") {
		t.Error("the cause is not in the log")
	}
}

func TestAPanicIsAnErrorAndIsLogged(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) {
		o.console = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("PANIC-CANARY") })
	})
	b.check(t, []scenario{{name: "panic", url: "/", status: 500, hasNot: []string{"PANIC-CANARY"}, has: []string{`"code":"internal"`}}})
	if !strings.Contains(b.log.String(), "PANIC-CANARY") {
		t.Error("the panic is not in the log")
	}
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.config.OpenMetrics = true })
	b.ports.ready = core.Wrap(core.CodeUnavailable, errors.New("CAUSE-CANARY"), "the database does not answer")
	b.ports.services = nil
	b.check(t, []scenario{
		{name: "plain", url: "/readyz", status: 503, has: []string{"not ready"}, hasNot: []string{"database"}},
		{name: "verbose", url: "/readyz?verbose", status: 503, has: []string{`"ready":false`, "the database does not answer", `"services":[]`}, hasNot: []string{"CANARY"}},
		{name: "live", url: "/healthz", status: 200},
		{name: "open metrics", url: "/metrics", status: 200, has: []string{"sutazai_http_requests_in_flight"}},
	})
}

func TestUsageLooksAtWholeDays(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) {
		o.config.Now = func() time.Time { return time.Date(2026, 3, 31, 1, 30, 0, 0, time.FixedZone("", 2*60*60)) } // 30 March in UTC
	})
	b.check(t, []scenario{
		{name: "30 days by day when nothing is said", url: "/api/v1/usage", key: "read", status: 200, has: []string{`"key":"day since 2026-03-01T00:00:00Z"`}},
		{name: "today", url: "/api/v1/usage?days=1", key: "read", status: 200, has: []string{`"key":"day since 2026-03-30T00:00:00Z"`}},
	})
}

func TestBudgetsAreMadeSeenAndRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	keys, err := b.auth.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := keys[0].ID
	b.check(t, []scenario{
		{name: "none", url: "/api/v1/budgets", key: "read", status: 200, has: []string{`"items":[]`}},
		{name: "make one", method: "PUT", url: "/api/v1/budgets/team-a", key: "admin", status: 200,
			body: `{"scope":"project","scope_id":"a","window":"month","limit_usd":49.5}`, has: []string{`"id":"team-a"`, `"limit_usd":49.5`, `"limit_tokens":0`, `"left_usd":49.5`, `"left_tokens":0`}, hasNot: []string{"window_end"}},
		{name: "of a key", method: "PUT", url: "/api/v1/budgets/bot", key: "admin", status: 200, body: `{"scope":"key","scope_id":"` + key + `","window":"day","limit_tokens":1000}`},
		{name: "of an unknown key", method: "PUT", url: "/api/v1/budgets/bot", key: "admin", status: 422, body: `{"scope":"key","scope_id":"bot","window":"day","limit_tokens":1000}`, has: []string{`"field":"scope_id"`}},
		{name: "without a limit", method: "PUT", url: "/api/v1/budgets/x", key: "admin", status: 422, body: `{"scope":"all","window":"day"}`, has: []string{`"field":"limit"`}},
		{name: "below a micro-dollar", method: "PUT", url: "/api/v1/budgets/x", key: "admin", status: 422, body: `{"scope":"all","window":"day","limit_usd":1e-9}`, has: []string{`"field":"limit"`}},
		{name: "beyond all money", method: "PUT", url: "/api/v1/budgets/x", key: "admin", status: 422, body: `{"scope":"all","window":"day","limit_usd":1e30}`},
		{name: "of an odd window", method: "PUT", url: "/api/v1/budgets/x", key: "admin", status: 422, body: `{"scope":"all","window":"year","limit_usd":1}`, has: []string{`"field":"window"`}},
		{name: "of an odd name", method: "PUT", url: "/api/v1/budgets/Team%20A", key: "admin", status: 422, body: `{"scope":"all","window":"day","limit_usd":1}`, has: []string{`"field":"id"`}},
		{name: "without the right", method: "PUT", url: "/api/v1/budgets/x", key: "read", status: 403, body: `{"scope":"all","window":"day","limit_usd":1}`},
		{name: "list", url: "/api/v1/budgets", key: "read", status: 200, has: []string{`"id":"team-a"`, `"id":"bot"`}},
		{name: "one", url: "/api/v1/budgets/bot", key: "read", status: 200, has: []string{`"scope":"key"`, `"window":"day"`}},
		{name: "remove", method: "DELETE", url: "/api/v1/budgets/bot", key: "admin", status: 200, has: []string{`"id":"bot"`}},
		{name: "remove again", method: "DELETE", url: "/api/v1/budgets/bot", key: "admin", status: 404},
		{name: "gone", url: "/api/v1/budgets/bot", key: "read", status: 404, has: []string{`"code":"not_found"`}},
	})
	for _, want := range []string{"budget.set ok", "budget.set error", "budget.remove ok", "budget.remove error"} {
		if !slices.Contains(b.audit.actions(), want) {
			t.Errorf("the audit log has no %q: %v", want, b.audit.actions())
		}
	}
}

func TestTheOverviewNamesWhatNeedsAttention(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ports.services = []core.Service{{Name: "local model", State: core.ServiceDown, Detail: "exited"}, {Name: "database", State: core.ServiceHealthy}}
	b.ports.agents = append(b.ports.agents, core.AgentStatus{Agent: core.Agent{Name: "broken"}, Errors: []string{"agents/broken.md:7: unknown tool"}})
	b.ports.runs["w"] = core.Run{ID: "w", Status: core.RunWaiting, WaitReason: core.WaitModel, WaitDetail: "local/tiny"}
	w := b.do(t, scenario{url: "/api/v1/overview", key: "read"})
	for _, want := range []string{"local model is down", "agents/broken.md:7", "1 run waits for a model", "clerk asks to call pay"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q is not in %s", want, w.Body)
		}
	}
}
