package aimodels_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// TestAnErrorInAStreamIsOfTheKindThatItsNameSays plays the error objects of the dialects' streams.
func TestAnErrorInAStreamIsOfTheKindThatItsNameSays(t *testing.T) {
	t.Parallel()
	c, err := aimodels.NewHTTPClient(aimodels.HTTPConfig{Name: "up", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tc := range []struct {
		object    string
		code      core.Code
		retryable bool
	}{
		{`{"code":"context_length_exceeded","type":"invalid_request_error","message":"Your input exceeds"}`, core.CodeContextFull, false},
		{`{"code":"context_length_exceeded","message":""}`, core.CodeContextFull, false},
		{`{"type":"exceed_context_size_error","code":400,"message":"x"}`, core.CodeContextFull, false},
		{`{"type":"invalid_request_error","message":"prompt is too long: 200001 tokens > 200000 maximum"}`, core.CodeContextFull, false},
		{`{"code":"rate_limit_exceeded","type":"tokens","message":"Rate limit reached"}`, core.CodeRateLimited, true},
		{`{"code":"rate_limit_exceeded","type":"invalid_request_error","message":"too many tokens per minute"}`, core.CodeRateLimited, true},
		{`{"type":"rate_limit_error","message":"slow"}`, core.CodeRateLimited, true},
		{`{"code":"insufficient_quota","type":"insufficient_quota","message":"no money"}`, core.CodeRateLimited, true},
		{`{"code":"invalid_prompt","message":"Invalid prompt: it has no text"}`, core.CodeInvalid, false},
		{`{"code":"invalid_prompt","message":"Invalid prompt: it was flagged as against our usage policy"}`, core.CodeRefused, false},
		{`{"code":"invalid_image_format","message":"x"}`, core.CodeInvalid, false},
		{`{"code":"unsupported_value","type":"server_error","message":"x"}`, core.CodeInvalid, false},
		{`{"code":"content_filter","message":"x"}`, core.CodeRefused, false},
		{`{"code":"bio_policy","message":"x"}`, core.CodeRefused, false},
		{`{"code":"invalid_api_key","message":"x"}`, core.CodeUnauthorized, false},
		{`{"type":"authentication_error","message":"x"}`, core.CodeUnauthorized, false},
		{`{"type":"billing_error","message":"x"}`, core.CodeInvalid, false},
		{`{"code":"model_not_found","message":"x"}`, core.CodeNotFound, false},
		{`{"type":"request_too_large","message":"x"}`, core.CodeTooLarge, false},
		{`{"code":"server_error","message":"x"}`, core.CodeUnavailable, true},
		{`{"code":null,"type":"server_error","message":"too many tokens"}`, core.CodeUnavailable, true},
		{`{"type":"api_error","message":"x"}`, core.CodeUnavailable, true},
		{`{"type":"overloaded_error","message":"Overloaded"}`, core.CodeUnavailable, true},
		{`{"code":"vector_store_timeout","message":"x"}`, core.CodeUnavailable, true},
		{`{"code":503,"type":"invalid_request_error","message":"a number says more"}`, core.CodeUnavailable, true},
		{`{"code":"3505","type":"rate_limited","message":"a number of their own"}`, core.CodeRateLimited, true},
		{`{"code":"of_tomorrow","type":"of_tomorrow","message":"x"}`, core.CodeUnavailable, true},
		{`"a text"`, core.CodeUnavailable, true},
		{`{`, core.CodeUnavailable, true},
	} {
		err := c.StreamError([]byte(tc.object))
		ce, ok := errors.AsType[*aimodels.CallError](err)
		if !ok || core.CodeOf(err) != tc.code || ce.Retryable != tc.retryable {
			t.Errorf("%s is %q, retryable %t: %v", tc.object, core.CodeOf(err), ok && ce.Retryable, err)
		}
		if said := "no money"; strings.Contains(tc.object, said) && !strings.Contains(err.Error(), said) {
			t.Errorf("%s: the provider's words are gone: %v", tc.object, err)
		}
	}
}

func TestWhatIsNotThereSaysWhatToCheck(t *testing.T) {
	t.Parallel()
	c, err := aimodels.NewHTTPClient(aimodels.HTTPConfig{Name: "up", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := core.MessageOf(c.StreamError([]byte(`{"code":404,"message":"no such thing"}`)))
	for _, want := range []string{"no such thing", "the model's name", "models.providers.up.base_url"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
}
