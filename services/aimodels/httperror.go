package aimodels

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// upstreamError is the union of the error bodies in use: {"error": {"message", "type", "code"}}, {"error": "text"} and
// Google's, which has details.
type upstreamError struct {
	Message    string
	Type       string // Google's: the reason, where it gives one
	Code       string
	RetryAfter time.Duration // Google gives it here and not in a header
}

func parseUpstream(body []byte) upstreamError {
	var outer struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return upstreamError{}
	}
	var inner struct {
		Message string          `json:"message"`
		Type    string          `json:"type"`
		Code    json.RawMessage `json:"code"`
		Details json.RawMessage `json:"details"`
	}
	code := func() string { return strings.Trim(string(inner.Code), `"`) }
	if json.Unmarshal(outer.Error, &inner) == nil && (inner.Message != "" || inner.Type != "" || code() != "") {
		up := upstreamError{Message: inner.Message, Type: inner.Type, Code: code()}
		up.readDetails(inner.Details)
		return up
	}
	var text string
	if json.Unmarshal(outer.Error, &text) == nil && text != "" {
		return upstreamError{Message: text}
	}
	if json.Unmarshal(outer.Detail, &text) == nil && text != "" {
		return upstreamError{Message: text}
	}
	return upstreamError{Message: outer.Message}
}

// readDetails takes what is of use from the list that Google's errors have.
func (e *upstreamError) readDetails(raw json.RawMessage) {
	var details []struct {
		Reason     string `json:"reason"`
		RetryDelay string `json:"retryDelay"` // such as 3.5s
	}
	if json.Unmarshal(raw, &details) != nil {
		return
	}
	for _, d := range details {
		if e.Type == "" {
			e.Type = d.Reason
		}
		if delay, err := time.ParseDuration(d.RetryDelay); err == nil && delay > 0 {
			e.RetryAfter = delay
		}
	}
}

// status is the HTTP status that says best what went wrong: Google answers to a wrong key with 400.
func (e upstreamError) status(sent int) int {
	if e.Type == "API_KEY_INVALID" {
		return http.StatusUnauthorized
	}
	return sent
}

// StreamError maps an error object that a server sent in the middle of a 200 answer. Its code is an HTTP status where it
// is a number, else it or its type is a word that says what went wrong; anything else counts as a server's failure.
func (c *HTTPClient) StreamError(object []byte) error {
	up := parseUpstream([]byte(`{"error":` + string(object) + `}`))
	status, err := strconv.Atoi(up.Code)
	if err != nil || status < 400 || status > 599 {
		status = cmp.Or(statusOf(up.Code), statusOf(up.Type), http.StatusInternalServerError)
	}
	return c.mapError(up.status(status), up, up.RetryAfter)
}

// statusOf is the status with which servers send an error of a name when they can still send one, 0 for names that are not
// known. It has the codes and types of OpenAI's two dialects and those of Anthropic's; a code says more than a type.
func statusOf(name string) int {
	switch name {
	case "invalid_request_error", "context_length_exceeded", "exceed_context_size_error", "string_above_max_length",
		"content_filter", "content_policy_violation", "bio_policy", "image_content_policy_violation",
		"empty_image_file", "failed_to_download_image":
		return http.StatusBadRequest
	case "authentication_error", "invalid_api_key":
		return http.StatusUnauthorized
	case "billing_error":
		return http.StatusPaymentRequired
	case "permission_error", "permission_denied":
		return http.StatusForbidden
	case "not_found_error", "model_not_found":
		return http.StatusNotFound
	case "request_too_large":
		return http.StatusRequestEntityTooLarge
	case "insufficient_quota", "too_many_requests", "tokens", "requests":
		return http.StatusTooManyRequests
	case "server_error", "api_error", "internal_error", "internal_server_error":
		return http.StatusInternalServerError
	case "slow_down", "server_overloaded", "engine_overloaded", "service_unavailable":
		return http.StatusServiceUnavailable
	case "timeout", "timeout_error", "vector_store_timeout":
		return http.StatusGatewayTimeout
	case "overloaded_error":
		return statusOverloaded
	}
	switch {
	case strings.HasPrefix(name, "rate_limit"):
		return http.StatusTooManyRequests
	case strings.HasPrefix(name, "invalid_"), strings.HasPrefix(name, "image_"), strings.HasPrefix(name, "unsupported_"):
		return http.StatusBadRequest
	}
	return 0
}

// mapError maps a status other than 2xx. What the server says is shown only where it helps to mend the request, and never
// for a refused key, since servers repeat parts of it.
func (c *HTTPClient) mapError(status int, up upstreamError, retryAfter time.Duration) *CallError {
	said := ""
	if up.Message != "" {
		said = ": " + clip(c.scrub(up.Message), 500)
	}
	final := func(code core.Code, format string, args ...any) *CallError {
		return &CallError{Err: core.Errorf(code, format, args...)}
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e := final(core.CodeUnauthorized, "%s refuses the key (HTTP %d); give it a good one: models.providers.%s.api_key in the settings, or `sutazai credentials add %s`",
			c.target(), status, c.cfg.Name, c.cfg.Name)
		e.key = status == http.StatusUnauthorized
		return e
	case status < 500 && status != http.StatusTooManyRequests && isContextFull(up): // "too many tokens" may also be a limit per minute
		return final(core.CodeContextFull, "the conversation does not fit the model's context%s", said)
	case status < 500 && isRefusal(up):
		return final(core.CodeRefused, "%s refuses to answer%s", c.target(), said)
	case status == http.StatusNotFound:
		return final(core.CodeNotFound, "%s does not have what was asked for (HTTP 404)%s; check the model's name (`sutazai models list` shows them) and models.providers.%s.base_url",
			c.target(), said, c.cfg.Name)
	case status == http.StatusRequestEntityTooLarge:
		return final(core.CodeTooLarge, "the request is too large for %s%s", c.target(), said)
	case status == http.StatusTooManyRequests:
		return c.overloaded(core.CodeRateLimited, retryAfter, "%s is overloaded or its limit is reached (HTTP 429)%s", c.target(), said)
	case status == http.StatusServiceUnavailable, status == statusOverloaded:
		return c.overloaded(core.CodeUnavailable, retryAfter, "%s is overloaded (HTTP %d)%s", c.target(), status, said)
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusFailedDependency, status == http.StatusTooEarly, status >= 500:
		e := Retryable(core.Errorf(core.CodeUnavailable, "%s failed (HTTP %d)%s", c.target(), status, said))
		e.Err.RetryAfter = retryAfter
		return e
	default:
		return final(core.CodeInvalid, "%s refuses the request (HTTP %d)%s", c.target(), status, said)
	}
}

// statusOverloaded is Anthropic's own status for too much load.
const statusOverloaded = 529

func (c *HTTPClient) overloaded(code core.Code, retryAfter time.Duration, format string, args ...any) *CallError {
	e := core.Errorf(code, format, args...)
	e.RetryAfter = retryAfter
	return &CallError{Err: e, Retryable: true, overload: true}
}

func isContextFull(up upstreamError) bool {
	if up.Code == "context_length_exceeded" || up.Type == "exceed_context_size_error" {
		return true
	}
	m := strings.ToLower(up.Message)
	for _, s := range []string{"context length", "context size", "context window", "maximum context", "prompt is too long", "too many tokens", "input is too long", "input token count"} {
		if strings.Contains(m, s) {
			return true
		}
	}
	return false
}

func isRefusal(up upstreamError) bool {
	switch up.Code {
	case "content_filter", "content_policy_violation", "bio_policy", "image_content_policy_violation":
		return true
	case "invalid_prompt": // one that was flagged, or one that is no prompt
		return strings.Contains(up.Message, "policy")
	}
	return up.Type == "content_filter"
}

// parseRetryAfter reads both forms of the header (RFC 9110, 10.2.3): seconds, or a date.
func parseRetryAfter(v string, now time.Time) time.Duration {
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
		if s < 0 || s > 7*24*3600 {
			return 0
		}
		return time.Duration(s * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// clip cuts s to at most n bytes at a character's border.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
