package aimodels_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T, cfg aimodels.Config, providers map[string]aimodels.Provider) *aimodels.Gateway {
	t.Helper()
	endpoints := map[string]aimodels.Endpoint{}
	for name, p := range providers {
		endpoints[name] = aimodels.Endpoint{Kind: "test", Provider: p}
	}
	g, err := aimodels.NewGateway(cfg, endpoints)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func request(model string) core.ModelRequest {
	return core.ModelRequest{Model: model, Messages: []core.Message{{Role: core.RoleUser, Text: "12345678"}}}
}

func unavailable(after time.Duration) aimodelstest.Turn {
	return aimodelstest.Fail(&aimodels.CallError{Err: &core.Error{Code: core.CodeUnavailable, Message: "down", RetryAfter: after}, Retryable: true})
}

func TestCheckNamesTheNearestValidModel(t *testing.T) {
	t.Parallel()
	g := setup(t, aimodels.Config{Routes: map[string]aimodels.Route{"default": aimodels.Ordered("local/default"), "smart": aimodels.Ordered("openai/big", "local/default")}},
		map[string]aimodels.Provider{"local": aimodelstest.NewScripted(nil), "openai": aimodelstest.NewScripted(nil)})
	for name, want := range map[string]string{
		"default": "", "smart": "", "local/default": "", "openai/org/model": "",
		"defualt":   `did you mean "default"?`,
		"locl/tiny": `did you mean "local/tiny"?`,
		"local/":    `nor of the form "provider/model"`,
		"":          `no model is named`,
		"zzz/x":     `there is no provider "zzz"`,
	} {
		err := g.Check(name)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", name, err)
			}
			continue
		}
		if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
}

func TestRoutesAreCheckedWhenTheGatewayIsMade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		targets []string
		want    string
	}{
		{nil, "models.routes.r has no target"},
		{[]string{"local"}, `models.routes.r[0].target: "local" is not of the form`},
		{[]string{"local/a", "opanai/b"}, `models.routes.r[1].target: there is no provider "opanai" under models.providers (did you mean "openai"?)`},
	} {
		_, err := aimodels.NewGateway(aimodels.Config{Routes: map[string]aimodels.Route{"r": aimodels.Ordered(c.targets...)}},
			map[string]aimodels.Endpoint{"local": {}, "openai": {}})
		if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v", c.targets, err)
		}
	}
}

func TestRetriesBackOffWithJitterAndHonourRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := aimodelstest.NewScripted(aimodelstest.Sequence(unavailable(0), unavailable(3*time.Second), aimodelstest.Text("ok")))
		g := setup(t, aimodels.Config{}, map[string]aimodels.Provider{"p": p})
		start := time.Now()
		resp, err := g.Chat(t.Context(), request("p/m"), nil)
		if err != nil || len(resp.Attempts) != 3 || resp.Model != "p/m" {
			t.Fatalf("got %+v, %v", resp, err)
		}
		if took := time.Since(start); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("took %s, want 3s of Retry-After and at most 0.5s of jitter", took)
		}
		if p.Requests()[0].Model != "m" {
			t.Errorf("the provider was asked for %q", p.Requests()[0].Model)
		}
	})
}

func TestALongRetryAfterIsLeftToTheNextTargetAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := setup(t, aimodels.Config{Routes: map[string]aimodels.Route{"r": aimodels.Ordered("a/m", "b/m")}}, map[string]aimodels.Provider{
			"a": aimodelstest.NewScripted(aimodelstest.Always(unavailable(time.Hour))),
			"b": aimodelstest.NewScripted(aimodelstest.Always(aimodelstest.Text("from b"))),
		})
		start := time.Now()
		resp, err := g.Chat(t.Context(), request("r"), nil)
		if err != nil || resp.Model != "b/m" || time.Since(start) > 0 || len(resp.Attempts) != 2 {
			t.Errorf("got %+v, %v after %s", resp, err, time.Since(start))
		}
	})
}

func TestWhichFailuresFallBackAndWhichEndTheCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		fault    aimodelstest.Turn
		fallback bool
		tries    int
		code     core.Code
	}{
		{"unavailable", unavailable(0), true, 3, ""},
		{"wrong key", aimodelstest.Fault{Status: 401}.Turn(), true, 1, ""},
		{"wrong request", aimodelstest.Fault{Status: 400}.Turn(), false, 1, core.CodeInvalid},
		{"unknown model", aimodelstest.Fault{Status: 404}.Turn(), false, 1, core.CodeNotFound},
		{"full context", aimodelstest.Fail(&aimodels.CallError{Err: core.Errorf(core.CodeContextFull, "full")}), false, 1, core.CodeContextFull},
		{"too slow", aimodelstest.Hang("text"), true, 1, ""},
		{"an error of another kind", aimodelstest.Fail(errors.New("boom")), false, 1, core.CodeInternal},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := aimodelstest.NewScripted(aimodelstest.Always(c.fault))
				g := setup(t, aimodels.Config{Timeout: time.Minute, Routes: map[string]aimodels.Route{"r": aimodels.Ordered("a/m", "b/m")}}, map[string]aimodels.Provider{
					"a": a, "b": aimodelstest.NewScripted(aimodelstest.Always(aimodelstest.Text("from b"))),
				})
				resp, err := g.Chat(t.Context(), request("r"), nil)
				if core.CodeOf(err) != c.code || (err == nil) != c.fallback {
					t.Fatalf("got %+v, %v", resp, err)
				}
				if n := len(a.Requests()); n != c.tries {
					t.Errorf("the first target was tried %d times, want %d", n, c.tries)
				}
				if err != nil && (len(aimodels.AttemptsOf(err)) != 1 || len(resp.Attempts) != 1) {
					t.Errorf("attempts are not carried: %+v, %+v", aimodels.AttemptsOf(err), resp.Attempts)
				}
			})
		})
	}
}

func TestASlowTargetEndsInATimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := setup(t, aimodels.Config{Timeout: time.Minute}, map[string]aimodels.Provider{
			"p": aimodelstest.NewScripted(aimodelstest.Always(aimodelstest.Hang("")))})
		_, err := g.Chat(t.Context(), request("p/m"), nil)
		if core.CodeOf(err) != core.CodeTimeout || core.MessageOf(err) != "model p/m did not finish its answer within 1m0s; ask for a shorter one" {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheBreakerOpensProbesOnceAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := false
		p := aimodelstest.NewScripted(func(int, core.ModelRequest) aimodelstest.Turn {
			if up {
				return aimodelstest.Text("ok")
			}
			return unavailable(0)
		})
		var seen []aimodels.Observation
		g := setup(t, aimodels.Config{Attempts: 2, BreakerAfter: 4, BreakerDelay: time.Minute, Observe: func(o aimodels.Observation) { seen = append(seen, o) }},
			map[string]aimodels.Provider{"p": p})
		state := func() string {
			list, err := g.Models(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return list[0].State
		}
		call := func() error {
			_, err := g.Chat(t.Context(), core.ModelRequest{Model: "p/default"}, nil)
			return err
		}
		for range 2 {
			if err := call(); core.CodeOf(err) != core.CodeUnavailable {
				t.Fatal(err)
			}
		}
		if n := len(p.Requests()); n != 4 || state() != "open" {
			t.Fatalf("%d calls, state %q", n, state())
		}
		err := call()
		if len(p.Requests()) != 4 || core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(err.Error(), "failed repeatedly") || core.RetryAfterOf(err) <= 0 {
			t.Fatalf("an open breaker must not call: %d calls, %v", len(p.Requests()), err)
		}
		time.Sleep(time.Minute)
		if err := call(); err == nil || len(p.Requests()) != 5 || state() != "open" {
			t.Fatalf("a failed probe opens it again after one call: %d calls, state %q, %v", len(p.Requests()), state(), err)
		}
		time.Sleep(time.Minute)
		up = true
		if err := call(); err != nil || state() != "closed" {
			t.Fatalf("a good probe closes it: state %q, %v", state(), err)
		}
		if len(seen) != 6 || seen[0].Code != core.CodeUnavailable || seen[5].Code != "" || seen[5].Usage.OutputTokens == 0 || seen[5].FirstDelta == 0 {
			t.Errorf("observations %+v", seen)
		}
	})
}

func TestAProbeThatTheCallerCutsShortLeavesTheBreakerUsable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := aimodelstest.NewScripted(aimodelstest.Sequence(unavailable(0), aimodelstest.Hang(""), aimodelstest.Text("ok")))
		g := setup(t, aimodels.Config{Attempts: 1, BreakerAfter: 1, BreakerDelay: time.Minute}, map[string]aimodels.Provider{"p": p})
		_, _ = g.Chat(t.Context(), request("p/m"), nil)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.Chat(ctx, request("p/m"), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := g.Chat(t.Context(), request("p/m"), nil); err != nil {
			t.Error(err)
		}
	})
}

func TestCancelReturnsTheContextsErrorAtOnce(t *testing.T) {
	t.Parallel()
	for name, turn := range map[string]aimodelstest.Turn{"in a call": aimodelstest.Hang("x"), "between two tries": unavailable(10 * time.Second)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := setup(t, aimodels.Config{}, map[string]aimodels.Provider{"p": aimodelstest.NewScripted(aimodelstest.Always(turn))})
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				start := time.Now()
				_, err := g.Chat(ctx, request("p/m"), nil)
				if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
					t.Errorf("got %v after %s", err, time.Since(start))
				}
			})
		})
	}
}

func TestABrokenStreamRaisesTheAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := aimodelstest.NewScripted(aimodelstest.Sequence(aimodelstest.BreakAfter("half an ans"), aimodelstest.Text("whole answer")))
		g := setup(t, aimodels.Config{}, map[string]aimodels.Provider{"p": p})
		text := map[int]string{}
		if _, err := g.Chat(t.Context(), request("p/m"), func(d core.Delta) { text[d.Attempt] += d.Text }); err != nil {
			t.Fatal(err)
		}
		if text[1] != "half an ans" || text[2] != "whole answer" || len(text) != 2 {
			t.Errorf("got %v", text)
		}
	})
}

func TestUsageIsPricedAndEstimatedWhereTheServerCountsNothing(t *testing.T) {
	t.Parallel()
	counted := aimodelstest.Answer(core.ModelResponse{Message: core.Message{Text: "x"}, Usage: core.Usage{InputTokens: 1000, OutputTokens: 500}})
	uncounted := func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
		return core.ModelResponse{Message: core.Message{Text: "123456789"}}, nil
	}
	prices := map[string]aimodels.Price{"p/m": {Input: 2, Output: 10}, "q/*": {Output: 1}}
	for _, c := range []struct {
		model string
		turn  aimodelstest.Turn
		want  core.Usage
	}{
		{"p/m", counted, core.Usage{InputTokens: 1000, OutputTokens: 500, CostMicroUSD: 7000}},
		{"p/other", counted, core.Usage{InputTokens: 1000, OutputTokens: 500}},
		{"q/any", counted, core.Usage{InputTokens: 1000, OutputTokens: 500, CostMicroUSD: 500}},
		{"p/m", uncounted, core.Usage{InputTokens: 2, OutputTokens: 3, CostMicroUSD: 34}},
	} {
		p := aimodelstest.NewScripted(aimodelstest.Always(c.turn))
		g := setup(t, aimodels.Config{Prices: prices}, map[string]aimodels.Provider{"p": p, "q": p})
		got, err := g.Chat(t.Context(), request(c.model), nil)
		if err != nil || got.Usage != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.model, got.Usage, err, c.want)
		}
	}
}

type deaf struct{ aimodels.Provider }

func (deaf) Models(ctx context.Context) ([]core.Model, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestModelsListsWhatAnswersAndSaysWhatDoesNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := setup(t, aimodels.Config{Routes: map[string]aimodels.Route{"default": aimodels.Ordered("a/x", "b/y")}}, map[string]aimodels.Provider{
			"a": aimodelstest.NewScripted(nil, "x", "org/z"), "b": deaf{},
		})
		got, err := g.Models(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, m := range got {
			ids = append(ids, m.ID)
		}
		if strings.Join(ids, " ") != "a/org/z a/x b/* default" || got[2].Detail != "did not list its models within 5s" || got[3].Detail != "a/x → b/y" {
			t.Errorf("got %+v", got)
		}
	})
}
