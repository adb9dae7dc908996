package core_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

func TestUsageShowsDollarsAndKeepsMillionths(t *testing.T) {
	t.Parallel()
	u := core.Usage{InputTokens: 3, OutputTokens: 4, CostMicroUSD: 1_234_567}
	b, err := json.Marshal(u)
	if err != nil || string(b) != `{"input_tokens":3,"output_tokens":4,"cost_usd":1.234567}` {
		t.Fatalf("got %s (%v)", b, err)
	}
	var back core.Usage
	if err := json.Unmarshal(b, &back); err != nil || back != u {
		t.Errorf("came back as %+v (%v)", back, err)
	}
}

func TestLimitsReadAndWriteTheOutsideForm(t *testing.T) {
	t.Parallel()
	in := `{"steps":5,"tokens":100,"cost_usd":0.25,"time":"1m30s","depth":2}`
	var l core.Limits
	if err := json.Unmarshal([]byte(in), &l); err != nil {
		t.Fatal(err)
	}
	if l != (core.Limits{Steps: 5, Tokens: 100, CostMicroUSD: 250_000, Time: 90 * time.Second, Depth: 2}) {
		t.Errorf("read %+v", l)
	}
	if b, err := json.Marshal(l); err != nil || string(b) != in {
		t.Errorf("wrote %s (%v)", b, err)
	}
	for _, bad := range []string{`{"steps":-1}`, `{"time":"soon"}`, `{"time":"-3s"}`, `{"cost_usd":-0.1}`} {
		if err := json.Unmarshal([]byte(bad), &l); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestZeroLimitsTakeTheDefaults(t *testing.T) {
	t.Parallel()
	got := core.Limits{Steps: 3}.Or(core.Limits{Steps: 9, Tokens: 8, CostMicroUSD: 7, Time: 6, Depth: 5})
	if got != (core.Limits{Steps: 3, Tokens: 8, CostMicroUSD: 7, Time: 6, Depth: 5}) {
		t.Errorf("got %+v", got)
	}
}

func TestInternalsNeverReachAUser(t *testing.T) {
	t.Parallel()
	secret := errors.New("password=hunter2")
	wrapped := fmt.Errorf("load run: %w", core.Wrap(core.CodeUnavailable, secret, "the database does not answer"))
	if m := core.MessageOf(wrapped); m != "the database does not answer" {
		t.Errorf("message %q", m)
	}
	if m := core.MessageOf(secret); m != "internal error; the server's log has the details" {
		t.Errorf("message %q", m)
	}
	if !errors.Is(wrapped, secret) || core.CodeOf(wrapped) != core.CodeUnavailable || core.CodeOf(secret) != core.CodeInternal || core.CodeOf(nil) != "" {
		t.Errorf("codes %q %q %q", core.CodeOf(wrapped), core.CodeOf(secret), core.CodeOf(nil))
	}
}
