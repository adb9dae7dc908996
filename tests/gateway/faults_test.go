//go:build gateway

package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/tests/testserver"
)

// lab is a server between the upstream and the clients.
type lab struct {
	u   *upstream
	url string
	key string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{u: newUpstream(t)}
	o := testserver.Options{Binary: testserver.Build(t), DataDir: testserver.Dir(t), Env: []string{
		"SUTAZAI_MODELS_PROVIDERS_UP_KIND=openai", "SUTAZAI_MODELS_PROVIDERS_UP_BASE_URL=" + l.u.URL + "/v1",
		"SUTAZAI_MODELS_PROVIDERS_UP_TIMEOUT=1s", "SUTAZAI_MODELS_BREAKER_OPEN=1s", "SUTAZAI_MODELS_RETRY_MAX=200ms",
	}}
	p, err := testserver.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	l.url = p.URL
	if l.key, err = testserver.CreateKey(t.Context(), o, "gate", "read", "run"); err != nil {
		t.Fatal(err)
	}
	return l
}

// seen is what a client was told.
type seen struct {
	status     int
	retryAfter string
	body       string
	err        error
}

func (l *lab) call(ctx context.Context, d dialect, model string) seen {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+d.path, strings.NewReader(d.request(model)))
	if err != nil {
		return seen{err: err}
	}
	r.Header.Set("Authorization", "Bearer "+l.key)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Anthropic-Version", "2023-06-01")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return seen{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return seen{status: res.StatusCode, retryAfter: res.Header.Get("Retry-After"), body: string(b), err: err}
}

func has(s string, any []string) bool {
	for _, a := range any {
		if strings.Contains(s, a) {
			return true
		}
	}
	return false
}

// What a client must see.
const (
	inStream = "error-event"  // the answer had begun: an error event, and no end
	asStatus = "error-status" // nothing had begun: an error status in the dialect's form
	wait429  = "429"          // status and Retry-After of the provider survive
	normal   = "answer"
)

func TestHostileGatewayFaults(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct{ fault, want string }{
		{"fine", normal},
		{"kill", inStream},
		{"told", inStream},
		{"stalls", inStream},
		{"endless", inStream},
		{"reset", asStatus},
		{"silent", asStatus},
		{"wrong", asStatus},
		{"html", asStatus},
		{"storm", wait429},
	} {
		for _, d := range dialects() {
			got := l.call(t.Context(), d, c.fault+"-"+d.name)
			saw, ok := verdict(d, got, c.want)
			fmt.Printf("RESULT hostile-gateway case=%s dialect=%s sees=%s status=%d ok=%t\n", c.fault, d.name, saw, got.status, ok)
			if !ok {
				t.Errorf("%s over %s: want %s, got status %d, Retry-After %q, error %v, and %.600s", c.fault, d.name, c.want, got.status, got.retryAfter, got.err, got.body)
			}
		}
	}
}

// verdict says what a client saw, and whether that is what it must see.
func verdict(d dialect, s seen, want string) (saw string, ok bool) {
	failed, ended := has(s.body, d.failed), has(s.body, d.ended)
	switch {
	case s.status == http.StatusTooManyRequests && s.retryAfter == "17":
		saw = wait429
	case s.status >= 400 && strings.Contains(s.body, "error"):
		saw = asStatus
	case s.status == http.StatusOK && failed && !ended:
		saw = inStream
	case s.status == http.StatusOK && ended && !failed && s.err == nil:
		saw = normal
	default:
		saw = "lie"
	}
	return saw, saw == want
}

func TestHostileGatewayClientLeaves(t *testing.T) {
	l := newLab(t)
	const within = 100 * time.Millisecond
	for _, d := range dialects() {
		worst := time.Duration(0)
		for i := range 5 {
			model := fmt.Sprintf("leave-%s-%d", d.name, i)
			ctx, leave := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); l.call(ctx, d, model) }()
			for {
				if _, ok := l.u.waiting.Load(model); ok {
					break
				}
				time.Sleep(time.Millisecond)
			}
			time.Sleep(30 * time.Millisecond) // some of the answer is on its way
			began := time.Now()
			leave()
			<-done
			for {
				if at, ok := l.u.left.Load(model); ok {
					worst = max(worst, at.(time.Time).Sub(began))
					break
				}
				if time.Since(began) > 5*time.Second {
					worst = 5 * time.Second
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		ok := worst <= within
		fmt.Printf("RESULT hostile-gateway case=client-leaves dialect=%s cancelled_ms=%.1f ok=%t\n", d.name, float64(worst.Microseconds())/1000, ok)
		if !ok {
			t.Errorf("%s: upstream was cancelled after %s", d.name, worst)
		}
	}
}

func TestHostileGatewayBreaker(t *testing.T) {
	l := newLab(t)
	chat := dialects()[0]
	l.u.broken.Store(true)
	for range 10 {
		l.call(t.Context(), chat, "flaky")
	}
	before := l.u.flaky.Load()
	slowest := time.Duration(0)
	for range 50 {
		began := time.Now()
		l.call(t.Context(), chat, "flaky")
		slowest = max(slowest, time.Since(began))
	}
	reached := l.u.flaky.Load() - before
	l.u.broken.Store(false)
	began, recovered := time.Now(), false
	for time.Since(began) < 15*time.Second && !recovered {
		recovered = l.call(t.Context(), chat, "flaky").status == http.StatusOK
		time.Sleep(20 * time.Millisecond)
	}
	ok := reached == 0 && recovered
	fmt.Printf("RESULT hostile-gateway case=breaker reached_while_open=%d slowest_refusal_ms=%.1f recovered=%t recovered_ms=%d ok=%t\n",
		reached, float64(slowest.Microseconds())/1000, recovered, time.Since(began).Milliseconds(), ok)
	if !ok {
		t.Errorf("while the breaker was open %d calls reached the provider; recovered: %t", reached, recovered)
	}
}
