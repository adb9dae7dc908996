package guardrails

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// Pass is the way of one request, or of one answer, through a policy. What is counted, such as the size, is counted over
// all texts and streams of the pass. It is safe to use from several goroutines; each Stream belongs to one.
type Pass struct {
	policy *Policy
	dir    Direction
	checks []*check
	meta   map[string]string
	size   []atomic.Int64 // characters so far, for each check
}

// Pass begins a pass in one direction. Outside checkers of the generic format are told meta.
func (p *Policy) Pass(dir Direction, meta map[string]string) *Pass {
	checks := p.texts(dir)
	return &Pass{policy: p, dir: dir, checks: checks, meta: meta, size: make([]atomic.Int64, len(checks))}
}

// CheckText checks one text that is all there is.
func (p *Policy) CheckText(ctx context.Context, dir Direction, text string) (Outcome, error) {
	return p.Pass(dir, nil).Text(ctx, text)
}

// Text checks a complete text. The error is a core.Error: CodeRefused where a check blocks it, CodeUnavailable where an
// outside checker that fails closed did not answer, CodeCancelled where ctx ended. Neither says what was found.
func (p *Pass) Text(ctx context.Context, text string) (Outcome, error) {
	texts, found, err := p.Texts(ctx, []string{text})
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Text: texts[0], Findings: found}, nil
}

// Texts checks complete texts that belong together, each on its own, and asks outside checkers about them together where
// that is possible. It returns them with what was found redacted, or texts itself where nothing was.
func (p *Pass) Texts(ctx context.Context, texts []string) ([]string, []Finding, error) {
	return p.Parts(ctx, texts, nil)
}

// Parts does the same to texts of which some are parts of one message: models read those with nothing between them. Texts
// with the same number in groups, other than 0, are such parts. They are checked each on its own and joined; what lies
// across a border is replaced in each part that it touches.
func (p *Pass) Parts(ctx context.Context, texts []string, groups []int) ([]string, []Finding, error) {
	var found []Finding
	same := true
	messages := messagesOf(groups)
	for i, c := range p.checks {
		if c.hook != nil {
			verdicts, err := p.ask(ctx, c, texts, c.hook.max/2, c.hook.max)
			if err != nil {
				return nil, nil, err
			}
			var changed []string
			if changed, found, err = p.applyVerdicts(c, texts, verdicts, found); err != nil {
				return nil, nil, err
			}
			if changed != nil {
				texts, same = changed, false
			}
			var across bool
			if texts, across, found, err = p.askAcross(ctx, c, texts, messages, same, found); err != nil {
				return nil, nil, err
			}
			same = same && !across
			continue
		}
		for t, text := range texts {
			out, f, err := p.local(ctx, i, text, t)
			if err != nil {
				return nil, nil, err
			}
			found = append(found, f...)
			if out == text {
				continue
			}
			if same {
				texts, same = append([]string(nil), texts...), false
			}
			texts[t] = out
		}
		if c.kind == KindSize {
			continue
		}
		var across bool
		var err error
		if texts, across, found, err = p.lookAcross(ctx, c, texts, messages, same, found); err != nil {
			return nil, nil, err
		}
		same = same && !across
	}
	return texts, found, nil
}

// JSON checks the texts of a JSON body (see RewriteJSON) and returns it with what was found redacted, or body itself where
// nothing was.
func (p *Pass) JSON(ctx context.Context, body []byte) ([]byte, []Finding, error) {
	return p.rewrite(ctx, body, rewriteJSON)
}

// Arguments checks the arguments of a tool call, each value as a text of its own and as it reads without the escapes of
// JSON, and returns them with what was found redacted.
func (p *Pass) Arguments(ctx context.Context, args []byte) ([]byte, []Finding, error) {
	return p.rewrite(ctx, args, rewriteArguments)
}

// rewrite checks the texts that walk finds in JSON, all together.
func (p *Pass) rewrite(ctx context.Context, body []byte, walk func([]byte, func(string, int) (string, error)) ([]byte, error)) ([]byte, []Finding, error) {
	if len(p.checks) == 0 {
		return body, nil, nil
	}
	var texts []string
	var groups []int
	if _, err := walk(body, func(text string, group int) (string, error) {
		texts, groups = append(texts, text), append(groups, group)
		return text, nil
	}); err != nil {
		return nil, nil, err
	}
	if len(texts) == 0 {
		return body, nil, nil
	}
	checked, found, err := p.Parts(ctx, texts, groups)
	if err != nil {
		return nil, nil, err
	}
	if slices.Equal(checked, texts) {
		return body, found, nil
	}
	next := 0
	out, err := walk(body, func(string, int) (string, error) {
		next++
		return checked[next-1], nil
	})
	return out, found, err
}

// local runs a check that needs nobody else over a complete text.
func (p *Pass) local(ctx context.Context, i int, text string, number int) (string, []Finding, error) {
	if err := ctx.Err(); err != nil {
		return "", nil, cancelled(err)
	}
	c := p.checks[i]
	if c.kind == KindSize {
		f, err := p.count(i, text)
		for j := range f {
			f[j].Text = number
		}
		return text, f, err
	}
	if len(text) > chunk {
		return p.inChunks(ctx, c, text, number)
	}
	spans, _ := c.detector.scan(text, 0, true)
	if spans = merge(spans); len(spans) == 0 {
		return text, nil, nil
	}
	found, err := p.report(c, spans, number)
	if err != nil || c.action != Redact {
		return text, found, err
	}
	return replace(text, 0, spans), found, nil
}

// chunk is the number of bytes that are checked between two looks at the context. A text that was made to be slow to check
// takes up to a second for so many.
const chunk = 128 << 10

func (p *Pass) inChunks(ctx context.Context, c *check, text string, number int) (string, []Finding, error) {
	stage := textStage{pass: p, check: c}
	var out strings.Builder
	var found []Finding
	for at := 0; at < len(text); {
		if err := ctx.Err(); err != nil {
			return "", nil, cancelled(err)
		}
		end := runeStart(text, at+chunk)
		safe, f, err := stage.add(ctx, text[at:end], end == len(text))
		if err != nil {
			return "", nil, err
		}
		out.WriteString(safe)
		for i := range f {
			f[i].Text = number
		}
		found, at = append(found, f...), end
	}
	if len(found) == 0 || c.action != Redact {
		return text, found, nil
	}
	return out.String(), found, nil
}

// count adds a text to the size of the pass.
func (p *Pass) count(i int, text string) ([]Finding, error) {
	c, n := p.checks[i], utf8.RuneCountInString(text)
	now := p.size[i].Add(int64(n))
	passed := now-int64(n) > int64(c.max) // it was too much before, and that was reported
	if now <= int64(c.max) || passed && c.action == Flag {
		return nil, nil
	}
	p.policy.observe(c, p.dir, c.action)
	if c.action == Block {
		return nil, core.Errorf(core.CodeRefused, "the guardrail %s/%s stopped %s: it has more than %d characters",
			p.policy.name, c.name, p.what(), c.max)
	}
	return []Finding{{Check: c.name, Kind: "size", End: len(text), Action: c.action}}, nil
}

// report tells of findings, and returns the error of a check that blocks.
func (p *Pass) report(c *check, spans []span, number int) ([]Finding, error) {
	found := make([]Finding, len(spans))
	for i, s := range spans {
		found[i] = Finding{Check: c.name, Kind: s.kind, Text: number, Start: s.start, End: s.end, Action: c.action}
		p.policy.observe(c, p.dir, c.action)
		if c.action == Block {
			return nil, p.blocked(c, s.kind)
		}
	}
	return found, nil
}

// blocked is the error of a check that blocks; kind is what it found, never the text.
func (p *Pass) blocked(c *check, kind string) error {
	found := kind
	if found == c.name {
		found = "what it looks for"
	}
	return core.Errorf(core.CodeRefused, "the guardrail %s/%s stopped %s: it contains %s", p.policy.name, c.name, p.what(), found)
}

func (p *Pass) what() string {
	if p.dir == Output {
		return "the answer"
	}
	return "the request"
}

func cancelled(err error) error {
	return core.Wrap(core.CodeCancelled, err, "the request ended before it was checked")
}
