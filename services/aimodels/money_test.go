package aimodels_test

import (
	"context"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/ratelimit"
	"github.com/sutazai/sutazai/services/aimodels"
)

// fixedUse answers everything with the same usage.
type fixedUse struct{ used core.Usage }

func (p fixedUse) Chat(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
	return core.ModelResponse{Message: core.Message{Role: core.RoleAssistant, Text: "ok"}, Finish: core.FinishStop, Usage: p.used}, nil
}

func (fixedUse) Models(context.Context) ([]core.Model, error) { return nil, nil }

func TestAKeyUsesItsTokensOfAMinuteAndWhatACallDidNotNeedComesBack(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	limit := ratelimit.New("tokens", ratelimit.Rate{PerSecond: 10, Burst: 600}, func() time.Time { return now })
	g := setup(t, aimodels.Config{Tokens: limit}, map[string]aimodels.Provider{"p": fixedUse{core.Usage{InputTokens: 40, OutputTokens: 60}}})
	call := func(c core.Caller) error {
		_, err := g.Chat(t.Context(), core.ModelRequest{
			Model: "p/m", Messages: []core.Message{{Role: core.RoleUser, Text: "hi"}}, MaxTokens: 300, Caller: c,
		}, nil)
		return err
	}
	key := core.Caller{Key: "k1"}
	for i := range 3 { // each takes over 300 and gives back all but 100
		if err := call(key); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	err := call(key) // 300 are left
	if core.CodeOf(err) != core.CodeRateLimited || core.RetryAfterOf(err) < time.Second {
		t.Errorf("the limit does not hold: %v (after %s)", err, core.RetryAfterOf(err))
	}
	for name, c := range map[string]core.Caller{"another key": {Key: "k2"}, "a run of the key": {Key: "k1", Run: "r"}, "no key": {Actor: "user:ada"}} {
		if err := call(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	now = now.Add(time.Minute)
	if err := call(key); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}
