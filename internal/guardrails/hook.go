package guardrails

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"golang.org/x/sync/errgroup"
)

// What is taken where a check does not say, and what it may say at most.
const (
	defaultTimeout   = 5 * time.Second
	maxTimeout       = time.Minute
	defaultThreshold = 0.5
	defaultHookMax   = 50_000    // bytes of text in one call
	largestHookMax   = 1_000_000 // bytes
)

// parallel is how many calls about the texts of one request are made at a time.
const parallel = 4

// hook is an outside checker.
type hook struct {
	url       string
	format    Format
	header    map[string]string
	timeout   time.Duration
	open      bool // a text passes when the checker does not answer
	types     []string
	language  string
	threshold float64
	max       int
	transport http.RoundTripper
}

// verdict is what a checker says about one text.
type verdict struct {
	block   bool
	spans   []span  // what it found
	replace *string // the text with that replaced, where the checker does it itself
}

// segment is a part of a text that one call is about.
type segment struct {
	text  int // its number
	start int // in bytes
	part  string
}

// ask asks about texts, in parts of least to most bytes, and returns a verdict for each text. A checker that does not
// answer is an error where it fails closed; otherwise what it was not heard about passes.
func (p *Pass) ask(ctx context.Context, c *check, texts []string, least, most int) ([]verdict, error) {
	var segments []segment
	for i, text := range texts {
		for at := 0; at < len(text); {
			n := window(text[at:], least, most, true)
			if part := text[at : at+n]; strings.TrimSpace(part) != "" {
				segments = append(segments, segment{i, at, part})
			}
			at += n
		}
	}
	answers := make([]verdict, len(segments))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for from := 0; from < len(segments); {
		to := from + 1
		if c.hook.format == Presidio { // its findings are places in the text, which can be told apart
			for size := len(segments[from].part); to < len(segments) && size+len(segments[to].part)+len(joint) <= most; to++ {
				size += len(segments[to].part) + len(joint)
			}
		}
		some, out := segments[from:to], answers[from:to]
		group.Go(func() error { return c.hook.judge(inner, p, c, some, out) })
		from = to
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return nil, cancelled(ctx.Err())
	}
	if err != nil {
		p.policy.observe(c, p.dir, ActionError)
		if p.policy.deps.Logger != nil {
			p.policy.deps.Logger.WarnContext(ctx, "a guardrail's checker did not answer",
				"policy", p.policy.name, "check", c.name, "direction", string(p.dir), "passes", c.hook.open, "error", err)
		}
		if c.hook.open { // what it did answer counts
			return gather(texts, segments, answers), nil
		}
		return nil, core.Wrap(core.CodeUnavailable, err, "the guardrail %s/%s could not check %s: its checker did not give an answer; try again later",
			p.policy.name, c.name, p.what())
	}
	return gather(texts, segments, answers), nil
}

// gather joins the verdicts about parts to verdicts about texts.
func gather(texts []string, segments []segment, answers []verdict) []verdict {
	out := make([]verdict, len(texts))
	replaced := make([]strings.Builder, len(texts))
	copied := make([]int, len(texts))
	for i, s := range segments {
		v := &out[s.text]
		v.block = v.block || answers[i].block
		for _, one := range answers[i].spans {
			one.start, one.end = one.start+s.start, one.end+s.start
			v.spans = append(v.spans, one)
		}
		if answers[i].replace != nil {
			b := &replaced[s.text]
			b.WriteString(texts[s.text][copied[s.text]:s.start])
			b.WriteString(*answers[i].replace)
			copied[s.text] = s.start + len(s.part)
			whole := ""
			v.replace = &whole // set below, when all of it is known
		}
	}
	for i := range out {
		out[i].spans = merge(out[i].spans)
		if out[i].replace != nil {
			*out[i].replace = replaced[i].String() + texts[i][copied[i]:]
		}
	}
	return out
}

// applyVerdicts does with texts what the check's action says, and returns the new texts, or nil where they stay, and the
// findings with the new ones.
func (p *Pass) applyVerdicts(c *check, texts []string, verdicts []verdict, found []Finding) ([]string, []Finding, error) {
	var changed []string
	for i, text := range texts {
		v := verdicts[i]
		spans := v.spans
		if len(spans) == 0 && (v.block || v.replace != nil) { // it does not say what it found
			spans = []span{{end: len(text), kind: c.name}}
		}
		if len(spans) == 0 {
			continue
		}
		if v.block && c.action != Flag {
			p.policy.observe(c, p.dir, Block)
			return nil, nil, p.blocked(c, spans[0].kind)
		}
		f, err := p.report(c, spans, i)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, f...)
		if c.action != Redact {
			continue
		}
		if changed == nil {
			changed = append([]string(nil), texts...)
		}
		if v.replace != nil {
			changed[i] = *v.replace
		} else {
			changed[i] = replace(text, 0, spans)
		}
	}
	return changed, found, nil
}

// judge makes one call about some segments.
func (h *hook) judge(ctx context.Context, p *Pass, c *check, segments []segment, out []verdict) error {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	if h.format == Presidio {
		return h.presidio(ctx, segments, out)
	}
	v, err := h.generic(ctx, p, c, segments[0].part)
	out[0] = v
	return err
}

// call sends a question and reads the answer, of which no more than a bounded number of bytes.
func (h *hook) call(ctx context.Context, question, answer any, size int) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("write the question: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	for name, value := range h.header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := h.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask the checker: %w", err)
	}
	defer resp.Body.Close()
	limit := int64(8*size + 256<<10)
	read, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the checker's answer: %w", err)
	case int64(len(read)) > limit:
		return fmt.Errorf("the checker's answer has more than %d bytes", limit)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the checker answered with status %d", resp.StatusCode)
	}
	if json.Unmarshal(read, answer) != nil { // its error may quote the answer, and that the text
		return errors.New("the checker's answer is not the JSON that was expected")
	}
	return nil
}
