//go:build gateway

package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sutazai/sutazai/tests/testserver"
)

const (
	budgetCalls  = 1000
	budgetUSD    = 0.05
	inputTokens  = 10
	priceIn      = 2.0  // US dollars for a million tokens
	priceOut     = 10.0 // likewise
	mostTokens   = 20   // that a call asks for
	settleWithin = 20 * time.Second
)

// paid is a model server that keeps its own account of what it was used for, in millionths of a US dollar.
func paid(t *testing.T, account *atomic.Int64) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Most int `json:"max_completion_tokens"`
			Old  int `json:"max_tokens"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		out := 1 + rand.IntN(max(q.Most, q.Old, 1))
		account.Add(int64(inputTokens*priceIn) + int64(float64(out)*priceOut))
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, inputTokens, out)
	}))
	t.Cleanup(s.Close)
	return s
}

// newDatabase makes a database on the test PostgreSQL and returns its URL.
func newDatabase(t *testing.T) string {
	t.Helper()
	admin := os.Getenv("SUTAZAI_TEST_POSTGRES")
	if admin == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no PostgreSQL: SUTAZAI_TEST_POSTGRES is not set")
		}
		t.Skip("two replicas need a PostgreSQL: run make hostile-gateway")
	}
	config, err := pgx.ParseConfig(admin)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("gateway_%d_%d", os.Getpid(), time.Now().UnixNano())
	run := func(sql string) {
		c, err := pgx.ConnectConfig(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(context.Background()) }() // the statement has been answered
		if _, err := c.Exec(context.Background(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	quoted := pgx.Identifier{name}.Sanitize()
	run("CREATE DATABASE " + quoted)
	t.Cleanup(func() { run("DROP DATABASE IF EXISTS " + quoted + " WITH (FORCE)") })
	at := strings.LastIndex(admin, "/")
	rest := admin[at+1:]
	if i := strings.Index(rest, "?"); i >= 0 {
		return admin[:at+1] + name + rest[i:]
	}
	return admin[:at+1] + name
}

func TestHostileGatewayBudget(t *testing.T) {
	var account atomic.Int64
	up, url, binary := paid(t, &account), newDatabase(t), testserver.Build(t)
	var servers []*testserver.Process
	var options []testserver.Options
	for range 2 {
		o := testserver.Options{Binary: binary, DataDir: testserver.Dir(t), Env: []string{"SUTAZAI_DATABASE_URL=" + url}}
		settings := fmt.Sprintf(`
server: {rate_limit: {per_key_per_minute: 1000000, per_address_per_minute: 1000000}}
models:
  providers:
    up:
      kind: openai
      base_url: %s/v1
      concurrency: {queue: 2000}
      prices: {m: {input_usd_per_million: %g, output_usd_per_million: %g}}
`, up.URL, priceIn, priceOut)
		if err := os.WriteFile(filepath.Join(o.DataDir, "sutazai.yaml"), []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := testserver.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		servers, options = append(servers, p), append(options, o)
	}
	key, err := testserver.CreateKey(t.Context(), options[0], "gate", "admin")
	if err != nil {
		t.Fatal(err)
	}
	client := testserver.NewClient(servers[0].URL, key)
	budget := map[string]any{"scope": "all", "window": "total", "limit_usd": budgetUSD}
	if err := client.Call(t.Context(), http.MethodPut, "/api/v1/budgets/gate", nil, budget, nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second) // the other replica sees a new budget within about two

	answered, refused, other := storm(t, servers, key, budgetCalls, budgetCalls)
	// A storm reserves for the worst case and is refused early; what was given back is there for those that come after.
	for began, dry := time.Now(), 0; dry < 20 && time.Since(began) < settleWithin; {
		a, r, o := storm(t, servers, key, len(servers), 1)
		answered, refused, other = answered+a, refused+r, other+o
		if dry++; a > 0 {
			dry = 0
		} else {
			time.Sleep(100 * time.Millisecond) // what the other replica does not need comes back in a moment
		}
	}
	var state struct {
		Spent float64 `json:"spent_usd"`
		Over  float64 `json:"overspent_usd"`
	}
	charged := float64(account.Load()) / 1e6
	for began := time.Now(); time.Since(began) < settleWithin; time.Sleep(200 * time.Millisecond) {
		if err := client.Call(t.Context(), http.MethodGet, "/api/v1/budgets/gate", nil, nil, &state); err != nil {
			t.Fatal(err)
		}
		if same(state.Spent, charged) {
			break
		}
	}
	over := max(0, charged-budgetUSD)
	fmt.Printf("RESULT budget requests=%d charged=%.6f settled=%.6f overspent=%.6g answered=%d refused=%d other=%d limit=%g used=%.3f\n",
		answered+refused+other, charged, state.Spent, over, answered, refused, other, budgetUSD, charged/budgetUSD)
	switch {
	case over > 0 || state.Over > 0:
		t.Errorf("overspent by $%f, by the server's own account $%f", over, state.Over)
	case !same(state.Spent, charged):
		t.Errorf("the model server's account says $%f, the budget $%f", charged, state.Spent)
	case refused == 0 || other > 0:
		t.Errorf("%d calls were refused by the budget and %d failed otherwise", refused, other)
	case charged < budgetUSD*0.95:
		t.Errorf("only $%f of $%f could be used", charged, budgetUSD)
	}
}

func same(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

// storm makes calls, so many at once, in turn at each replica.
func storm(t *testing.T, servers []*testserver.Process, key string, calls, atOnce int) (answered, refused, other int64) {
	t.Helper()
	var a, r, o atomic.Int64
	var wg sync.WaitGroup
	body := fmt.Sprintf(`{"model":"up/m","max_tokens":%d,"messages":[{"role":"user","content":"hi"}]}`, mostTokens)
	slots := make(chan struct{}, atOnce)
	for i := range calls {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, servers[i%len(servers)].URL+"/v1/chat/completions", strings.NewReader(body))
			if err != nil {
				o.Add(1)
				return
			}
			req.Header.Set("Authorization", "Bearer "+key)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				o.Add(1)
				return
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			switch {
			case res.StatusCode == http.StatusOK:
				a.Add(1)
			case strings.Contains(string(text), "limit_exceeded"):
				r.Add(1)
			default:
				if o.Add(1) == 1 {
					t.Logf("HTTP %d: %s", res.StatusCode, text)
				}
			}
		})
	}
	wg.Wait()
	return a.Load(), r.Load(), o.Load()
}
