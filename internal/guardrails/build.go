package guardrails

import (
	"fmt"
	"net/url"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"golang.org/x/net/http/httpguts"
)

// builder makes checks ready to be used and collects what is wrong with them.
type builder struct {
	deps     Deps
	at       string // which check: policy[index]
	rules    *ruleSet
	problems []core.FieldError
}

func (b *builder) wrong(field, format string, args ...any) {
	b.problems = append(b.problems, core.FieldError{Field: b.at + "." + field, Message: fmt.Sprintf(format, args...)})
}

func (b *builder) check(c Check) *check {
	out := &check{kind: c.Kind, on: c.On, action: c.Action}
	if out.on == "" {
		out.on = Both
	}
	if out.action == "" {
		out.action = Block
	}
	b.word("on", string(out.on), string(Input), string(Output), string(Both))
	switch c.Kind {
	case KindSize, KindModels:
		b.word("action", string(out.action), string(Block), string(Flag))
	default:
		b.word("action", string(out.action), string(Block), string(Redact), string(Flag))
	}
	if strings.ContainsAny(c.Name, " \t\r\n[]") {
		b.wrong("name", "%q has a space or a bracket in it; it stands in metrics and between brackets in redacted text", c.Name)
	}
	switch c.Kind {
	case KindPattern:
		b.pattern(c, out)
	case KindPII:
		b.personal(c, out)
	case KindSecrets:
		b.secrets(c, out)
	case KindSize:
		if out.max = c.Max; c.Max < 1 {
			b.wrong("max", "say how many characters are allowed, at least 1")
		}
	case KindModels:
		b.models(c, out)
	case KindHTTP:
		b.hook(c, out)
	default:
		b.word("kind", string(c.Kind), string(KindPattern), string(KindPII), string(KindSecrets), string(KindSize), string(KindModels), string(KindHTTP))
		return out
	}
	b.unused(c)
	return out
}

// word holds a field to its words.
func (b *builder) word(field, value string, words ...string) {
	if !slices.Contains(words, value) {
		b.wrong(field, "%q is not one of: %s", value, strings.Join(words, ", "))
	}
}

// unused refuses fields that have no meaning for the check's kind. Settings give format, timeout and fail a value in any
// case, so those say nothing.
func (b *builder) unused(c Check) {
	for _, f := range []struct {
		name  string
		set   bool
		kinds []Kind
	}{
		{"pattern", c.Pattern != "", []Kind{KindPattern}},
		{"max_length", c.MaxLength != 0, []Kind{KindPattern}},
		{"types", len(c.Types) > 0, []Kind{KindPII, KindHTTP}},
		{"except", len(c.Except) > 0, []Kind{KindSecrets}},
		{"max", c.Max != 0, []Kind{KindSize, KindHTTP}},
		{"models", len(c.Models) > 0, []Kind{KindModels}},
		{"url", c.URL != "", []Kind{KindHTTP}},
		{"headers", len(c.Headers) > 0, []Kind{KindHTTP}},
		{"language", c.Language != "", []Kind{KindHTTP}},
		{"threshold", c.Threshold != 0, []Kind{KindHTTP}},
	} {
		if f.set && !slices.Contains(f.kinds, c.Kind) {
			b.wrong(f.name, "a check of kind %s has no %s", c.Kind, f.name)
		}
	}
	if c.Kind == KindHTTP && c.Format != Presidio && (len(c.Types) > 0 || c.Language != "" || c.Threshold != 0) {
		b.wrong("format", "types, language and threshold belong to the format presidio")
	}
	if c.Kind == KindModels && c.On == Output {
		b.wrong("on", "the model is known before anything is asked: leave on away")
	}
}

func (b *builder) pattern(c Check, out *check) {
	length := c.MaxLength
	if length == 0 {
		length = defaultMaxLength
	}
	if length < 8 || length > largestMaxLength {
		b.wrong("max_length", "%d is not between 8 and %d (bytes)", length, largestMaxLength)
		return
	}
	if c.Pattern == "" {
		b.wrong("pattern", "say what to look for, as a regular expression (RE2)")
		return
	}
	kind := c.Name
	if kind == "" {
		kind = string(KindPattern)
	}
	p, err := newPattern(kind, c.Pattern, length)
	if err != nil {
		reason := err.Error()
		if e, ok := err.(*syntax.Error); ok { //nolint:errorlint // syntax.Parse returns it as it is
			reason = fmt.Sprintf("%s: %q", e.Code, e.Expr)
		}
		b.wrong("pattern", "not a regular expression (RE2) that can be used: %s", reason)
		return
	}
	out.detector = visible{p}
}

func (b *builder) personal(c Check, out *check) {
	types := c.Types
	if len(types) == 0 {
		types = []string{"card", "iban", "email"}
	}
	var every all
	for _, t := range types {
		switch t {
		case "card":
			every = append(every, cards{})
		case "iban":
			every = append(every, ibans{})
		case "email":
			every = append(every, emails{})
		case "phone":
			every = append(every, phones{})
		case "ip":
			every = append(every, ips{})
		default:
			b.word("types", t, "card", "iban", "email", "phone", "ip")
		}
	}
	out.detector = visible{every}
}

func (b *builder) secrets(c Check, out *check) {
	if b.rules == nil {
		rules, err := readRules()
		if err != nil {
			b.wrong("kind", "%v", err)
			return
		}
		b.rules = rules
	}
	known := b.rules.names()
	for _, name := range c.Except {
		if !slices.Contains(known, name) {
			b.wrong("except", "there is no rule %q; the names are in redacted text and findings, behind \"secret:\"", name)
		}
	}
	out.detector = visible{b.rules.without(c.Except)}
}

func (b *builder) models(c Check, out *check) {
	if len(c.Models) == 0 {
		b.wrong("models", "say which models are allowed, such as \"openai/*\"")
	}
	for _, glob := range c.Models {
		if glob == "" || strings.ContainsAny(glob, "[]{}\\ \t\r\n") {
			b.wrong("models", "%q is not a model's name; only * (any text) and ? (one character) have a special meaning", glob)
		}
	}
	out.models = c.Models
}

func (b *builder) hook(c Check, out *check) {
	h := &hook{
		url: c.URL, format: c.Format, header: c.Headers, timeout: c.Timeout, open: c.Fail == Open,
		types: c.Types, language: c.Language, threshold: c.Threshold, max: c.Max, transport: b.deps.Transport,
	}
	if h.format == "" {
		h.format = Generic
	}
	if h.timeout == 0 {
		h.timeout = defaultTimeout
	}
	if h.language == "" {
		h.language = "en"
	}
	if h.threshold == 0 {
		h.threshold = defaultThreshold
	}
	if h.max == 0 {
		h.max = defaultHookMax
	}
	b.word("format", string(h.format), string(Generic), string(Presidio))
	if c.Fail != "" {
		b.word("fail", string(c.Fail), string(Closed), string(Open))
	}
	if h.timeout < time.Millisecond || h.timeout > maxTimeout {
		b.wrong("timeout", "%s is not between 1ms and %s", h.timeout, maxTimeout)
	}
	if h.threshold < 0 || h.threshold > 1 {
		b.wrong("threshold", "%v is not between 0 and 1", h.threshold)
	}
	if h.max < streamMax || h.max > largestHookMax {
		b.wrong("max", "%d is not between %d and %d (bytes in one call)", h.max, streamMax, largestHookMax)
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		b.wrong("url", "say where the checker is, such as http://127.0.0.1:5002/analyze")
	case u.User != nil:
		b.wrong("url", "credentials do not belong into an address; put them into headers")
	}
	for name, value := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			b.wrong("headers", "%q is not a header with a valid value", name)
		}
	}
	if h.transport == nil {
		b.wrong("kind", "no transport was given for calls to checkers")
	}
	out.hook = h
}
