package aimodels_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

func TestAClientWhoseBytesMakeAServerFailOpensNoBreaker(t *testing.T) {
	t.Parallel()
	asked := 0
	server := func(w http.ResponseWriter, r *http.Request) {
		asked++
		b, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(b), "good") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answering(w, r)
	}
	g := gateway(t, aimodels.Config{Attempts: 3, BreakerAfter: 2}, map[string]aimodels.Endpoint{"up": upstream(t, "up", server)})
	for _, messages := range []string{`[{"role" "user"}]`, `[1,,2]`, `[{"role":"user","content":"\ud800"}]`, `[{"role":"user","content":"\x"}]`} {
		before := asked
		err := g.Exchange(t.Context(), newCall(t, `{"model":"up/m","stream":true,"messages":`+messages+`}`), &sink{})
		if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(core.MessageOf(err), "at byte") || asked != before+1 {
			t.Errorf("%s: asked %d times, %v", messages, asked-before, err)
		}
	}
	if err := g.Exchange(t.Context(), newCall(t, `{"model":"up/m","stream":true,"messages":[{"role":"user","content":"good"}]}`), &sink{}); err != nil {
		t.Errorf("the next client got %v", err)
	}
	if h := g.Health(); len(h) != 1 || h[0].State != "closed" || h[0].Failures != 0 || h[0].LastError != "" {
		t.Errorf("the target is told to be %+v", h)
	}
	err := g.Exchange(t.Context(), newCall(t, `{"model":"up/m","stream":true,"messages":[{"role":"user","content":"bad luck"}]}`), &sink{})
	if core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("a failure at what is right: %v", err)
	}
}

func TestAKeyThatIsRefusedIsToldToTheOwnerAndTheNextTargetAnswers(t *testing.T) {
	t.Parallel()
	const secret = "sk-canary-1234"
	for status, state := range map[int]string{http.StatusUnauthorized: "open", http.StatusForbidden: "closed"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, `{"error":{"message":"no such key: `+secret+`"}}`, status)
		}))
		t.Cleanup(srv.Close)
		p, err := openaicompat.New(openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: "a", BaseURL: srv.URL + "/v1", APIKey: secret}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		g := gateway(t, aimodels.Config{BreakerAfter: 2, Routes: map[string]aimodels.Route{"r": aimodels.Ordered("a/m", "b/m")}},
			map[string]aimodels.Endpoint{"a": {Kind: "openai", Provider: p}, "b": upstream(t, "b", answering)})
		for range 3 {
			out := &sink{}
			if err := g.Exchange(t.Context(), newCall(t, `{"model":"r","stream":true,"messages":[]}`), out); err != nil || out.header["X-SutazAI-Model"] != "b/m" {
				t.Errorf("%d: %v %v", status, out.header, err)
			}
		}
		h := g.Health()[0]
		for _, want := range []string{"refuses the key", "models.providers.a.api_key", "sutazai credentials add a"} {
			if !strings.Contains(h.LastError, want) {
				t.Errorf("%d: the last error %q does not say %q", status, h.LastError, want)
			}
		}
		if strings.Contains(h.LastError, "canary") || h.State != state {
			t.Errorf("%d: told %+v, want it %s", status, h, state)
		}
		err = g.Exchange(t.Context(), newCall(t, `{"model":"a/m","stream":true,"messages":[]}`), &sink{})
		if err == nil || !strings.Contains(core.MessageOf(err), "refuses the key") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%d: a call of it alone: %v", status, err)
		}
	}
}
