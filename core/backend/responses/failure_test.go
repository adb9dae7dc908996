package responses_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

func TestAnErrorBeforeTheAnswerHasItsStatus(t *testing.T) {
	t.Parallel()
	limited := core.Errorf(core.CodeRateLimited, "too many")
	limited.RetryAfter = 1500 * time.Millisecond
	for _, c := range []struct {
		err    error
		status int
		has    string
	}{
		{limited, 429, `"code":"rate_limit_exceeded"`},
		{&dialect.UnknownModel{Err: core.Errorf(core.CodeNotFound, "no model x")}, 404, `"code":"model_not_found"`},
		{core.Errorf(core.CodeContextFull, "too long"), 400, `"code":"context_length_exceeded"`},
		{core.Wrap(core.CodeUnavailable, errors.New("dial 10.0.0.1"), "no provider answers"), 503, `"message":"no provider answers"`},
		{errors.New("a defect with internals"), 500, `"type":"server_error"`},
	} {
		for _, stream := range []string{"true", "false"} {
			b := setup(t)
			b.exchange = func(context.Context, *dialect.Call, dialect.Answer) error { return c.err }
			w := b.post(t, `{"model":"m","input":"Hi","stream":`+stream+`}`)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) || strings.Contains(w.Body.String(), "internals") || strings.Contains(w.Body.String(), "10.0.0.1") {
				t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
			}
			if after := w.Header().Get("Retry-After"); c.status == 429 && after != "2" {
				t.Errorf("Retry-After %q", after)
			}
		}
	}
}

func TestAStreamThatFailsInTheMiddleEndsWithItsFailure(t *testing.T) {
	t.Parallel()
	lost := core.Wrap(core.CodeUnavailable, errors.New("reset by 10.0.0.1"), "the provider broke off")
	for _, c := range []struct {
		name     string
		exchange func(context.Context, *dialect.Call, dialect.Answer) error
	}{
		{"failed_translated", func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
			if err := out.Delta(core.Delta{Text: "Par"}); err != nil {
				return err
			}
			return lost
		}},
		{"failed_raw", func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
			if err := out.Raw([]byte(upstreamEvents()[0])); err != nil {
				return err
			}
			return lost
		}},
		{"failed_upstream", func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
			if err := out.Raw([]byte("event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":0,\"response\":{\"id\":\"resp_up\",\"status\":\"failed\"}}\n\n")); err != nil {
				return err
			}
			return lost
		}},
		{"failed_restart", func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
			if err := out.Delta(core.Delta{Text: "Par"}); err != nil {
				return err
			}
			return out.Done(said("Bern."))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.exchange = c.exchange
			w := b.post(t, `{"model":"m","input":"Hi","stream":true}`)
			got := w.Body.String()
			if w.Code != http.StatusOK || strings.Contains(got, "response.completed") || strings.Contains(got, "10.0.0.1") {
				t.Errorf("%d %s", w.Code, got)
			}
			if n := strings.Count(got, "event: response.failed") + strings.Count(got, "event: error"); n != 1 {
				t.Errorf("%d failures are told: %s", n, got)
			}
			golden(t, c.name+".sse", fixed(got))
			if w := b.as(t, "a", "GET", "/v1/responses/"+idIn(t, got+`"id":"resp_none"`), ""); w.Code != http.StatusNotFound {
				t.Errorf("what failed is kept: %s", w.Body)
			}
		})
	}
}

func TestAClientThatHasLeftIsToldNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.exchange = func(ctx context.Context, _ *dialect.Call, _ dialect.Answer) error {
		cancel()
		return ctx.Err()
	}
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/v1/responses", strings.NewReader(`{"model":"m","input":"Hi"}`)))
	if w.Body.Len() > 0 {
		t.Errorf("told %s", w.Body)
	}
}

// brokenStore cannot keep anything.
type brokenStore struct{}

var errBroken = core.Errorf(core.CodeUnavailable, "the database does not answer")

func (brokenStore) Save(context.Context, core.StoredResponse) error { return errBroken }

func (brokenStore) Get(context.Context, string, string, time.Time) (core.StoredResponse, error) {
	return core.StoredResponse{}, errBroken
}

func (brokenStore) Chain(context.Context, string, string, time.Time, int64) ([]core.StoredResponse, error) {
	return nil, errBroken
}

func (brokenStore) Delete(context.Context, string, string, time.Time) error { return errBroken }

func TestAnAnswerThatCannotBeKeptComesAllTheSameAndSaysSo(t *testing.T) {
	t.Parallel()
	b := setupWith(t, brokenStore{})
	b.exchange = translated(said("Hi"))
	w := b.post(t, `{"model":"m","input":"Hi"}`)
	var got struct {
		Status string
		Store  bool
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Status != "completed" || got.Store {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	b.exchange = raw(upstream)
	if w := b.post(t, `{"model":"m","input":"Hi"}`); w.Body.String() != upstream {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for method, url := range map[string]string{"GET": "/v1/responses/x", "DELETE": "/v1/responses/x"} {
		if w := b.as(t, "a", method, url, ""); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
	if w := b.post(t, `{"model":"m","input":"Hi","previous_response_id":"x"}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
