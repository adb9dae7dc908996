package core_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

func TestNoRenderingShowsASecret(t *testing.T) {
	t.Parallel()
	const canary = "sk-canary-0123456789"
	type holder struct {
		Public core.Secret
		hidden core.Secret
	}
	s := core.NewSecret(canary)
	h := holder{s, s}
	for _, v := range []any{s, &s, h, &h, []core.Secret{s}, map[string]holder{"a": h}, map[core.Secret]int{s: 1}, fmt.Errorf("failed: %v", h)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T", "%p"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of a %T shows it: %s", verb, v, got)
			}
		}
	}
	encoded, err := json.Marshal(map[string]any{"secret": s, "holder": h})
	if err != nil || strings.Contains(string(encoded), canary) || !strings.Contains(string(encoded), `"secret":"***"`) {
		t.Errorf("JSON: %s, %v", encoded, err)
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("m", "secret", s, "holder", h, "list", []core.Secret{s})
	}
	if strings.Contains(log.String(), canary) || !strings.Contains(log.String(), "secret=***") {
		t.Errorf("log: %s", log.String())
	}
	if s.Reveal() != canary || (core.Secret{}).Reveal() != "" || (core.Secret{}).String() != "" {
		t.Error("a secret does not give out what it holds")
	}
}
