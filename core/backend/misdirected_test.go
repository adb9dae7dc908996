package backend_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

func TestAClientWithoutV1IsToldWhereToGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	html := map[string]string{"Accept": "text/html,application/xhtml+xml"}
	told := func(method, url string) scenario {
		return scenario{name: method + " " + url, method: method, url: url, status: 404, has: []string{`"error":{`, "/v1" + url, `"code":"unknown_url"`}, header: map[string]string{"Content-Type": "application/json"}}
	}
	b.check(t, []scenario{
		told("POST", "/chat/completions"), told("POST", "/messages"), told("POST", "/messages/count_tokens"), told("POST", "/responses"),
		told("POST", "/embeddings"), told("GET", "/models"), told("GET", "/models/local/tiny"),
		{name: "the console's page", url: "/models", headers: html, status: 200, has: []string{"console"}},
		{name: "anything else", url: "/chats", status: 200, has: []string{"console"}},
	})
}

func TestAModelThatIsTestedAndNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ports.chat = func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
		return core.ModelResponse{}, &dialect.UnknownModel{Err: core.Errorf(core.CodeInvalid, "unknown model \"nope\" (did you mean \"local/tiny\"?)")}
	}
	b.check(t, []scenario{{name: "test", method: "POST", url: "/api/v1/models/test", key: "run", body: `{"model":"nope"}`, status: 404, has: []string{`"code":"not_found"`, "did you mean"}}})
}

func TestWhatAnOpenBreakerRefusesIsNoNewFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{&core.Error{Code: core.CodeUnavailable, Message: "it failed repeatedly", RetryAfter: time.Second}, "level=DEBUG"},
		{core.Errorf(core.CodeUnavailable, "it failed"), "level=ERROR"},
		{&core.Error{Code: core.CodeInternal, RetryAfter: time.Second}, "level=ERROR"},
		{errors.New("a defect"), "level=ERROR"},
		{core.Errorf(core.CodeInvalid, "wrong"), ""},
	} {
		var out bytes.Buffer
		backend.LogFault(t.Context(), slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), c.err)
		if c.want == "" && out.Len() > 0 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%v is logged as %q", c.err, out.String())
		}
	}
}
