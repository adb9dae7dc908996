package aimodels

import (
	"context"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// Guards checks texts by named policies. Its errors are core.Error; what a policy forbids is core.CodeRefused.
type Guards interface {
	// Allow says whether a model may be asked.
	Allow(policies []string, model string) error
	// Texts checks what goes to a model and returns it with what was found redacted. Texts with the same number in groups,
	// other than 0, are parts of one message; nil = there are none.
	Texts(ctx context.Context, policies []string, texts []string, groups []int) ([]string, error)
	// JSON does the same to the texts in the body of a call, whose other bytes stay as they are.
	JSON(ctx context.Context, policies []string, body []byte) ([]byte, error)
	// Called does so to the arguments of a tool that was called earlier in what goes to a model, value by value.
	Called(ctx context.Context, policies []string, args []byte) ([]byte, error)
	// Arguments does so to the arguments of a tool that a model calls.
	Arguments(ctx context.Context, policies []string, args []byte) ([]byte, error)
	// Answer checks what a model says, piece by piece; nil where no policy checks answers.
	Answer(ctx context.Context, policies []string) AnswerCheck
}

// AnswerCheck checks one text that comes in pieces. What may still become a finding is held back.
type AnswerCheck interface {
	Add(piece string) (safe string, err error)
	End() (rest string, err error)
}

// policies returns the names of the policies that apply to a route's calls.
func (g *Gateway) policies(r *route) []string {
	if g.cfg.Guards == nil {
		return nil
	}
	if len(r.Guardrails) == 0 {
		return g.cfg.DefaultGuardrails
	}
	return append(slices.Clone(g.cfg.DefaultGuardrails), r.Guardrails...)
}

func (g *Gateway) allowed(r *route, policies []string) error {
	for _, t := range r.targets {
		if err := g.cfg.Guards.Allow(policies, t.String()); err != nil {
			return err
		}
	}
	return nil
}

// guardRequest checks the texts of a translated request and the arguments of the tools that were called in it, in place of
// which the redacted ones are put.
func (g *Gateway) guardRequest(ctx context.Context, r *route, req *core.ModelRequest) (*outputGuard, error) {
	policies := g.policies(r)
	if len(policies) == 0 {
		return nil, nil
	}
	if err := g.allowed(r, policies); err != nil {
		return nil, err
	}
	var texts []string
	var groups []int
	for i, m := range req.Messages {
		texts, groups = append(texts, m.Text), append(groups, 0)
		for _, p := range m.Parts {
			group := 0
			if p.Kind == core.PartText {
				group = i + 1
			}
			texts, groups = append(texts, p.Text), append(groups, group)
		}
	}
	clean, err := g.cfg.Guards.Texts(ctx, policies, texts, groups)
	if err != nil {
		return nil, err
	}
	messages := slices.Clone(req.Messages)
	at := 0
	for i := range messages {
		messages[i].Text = clean[at]
		at++
		messages[i].Parts = slices.Clone(messages[i].Parts)
		for k := range messages[i].Parts {
			messages[i].Parts[k].Text = clean[at]
			at++
		}
		messages[i].ToolCalls = slices.Clone(messages[i].ToolCalls)
		for k := range messages[i].ToolCalls {
			c := &messages[i].ToolCalls[k]
			args, err := g.cfg.Guards.Called(ctx, policies, c.Arguments)
			if err != nil {
				return nil, err
			}
			c.Arguments = args
		}
	}
	req.Messages = messages
	return g.outputGuard(policies), nil
}

// guardCall checks the texts of a call in its client's own bytes.
func (g *Gateway) guardCall(ctx context.Context, r *route, c *dialect.Call) (*outputGuard, error) {
	policies := g.policies(r)
	if len(policies) == 0 {
		return nil, nil
	}
	if err := g.allowed(r, policies); err != nil {
		return nil, err
	}
	body, err := g.cfg.Guards.JSON(ctx, policies, c.Body.Bytes)
	if err != nil {
		return nil, err
	}
	if len(body) != len(c.Body.Bytes) || &body[0] != &c.Body.Bytes[0] {
		if c.Body, err = dialect.Scan(body); err != nil {
			return nil, err
		}
	}
	return g.outputGuard(policies), nil
}

func (g *Gateway) outputGuard(policies []string) *outputGuard {
	if g.cfg.Guards.Answer(context.Background(), policies) == nil {
		return nil
	}
	return &outputGuard{g.cfg.Guards, policies}
}

// outputGuard checks the answers of one call; nil checks nothing.
type outputGuard struct {
	guards   Guards
	policies []string
}

// guardedStream is the answer of one attempt on its way through the checks.
type guardedStream struct {
	forward   func(core.Delta)
	text      AnswerCheck // nil = unchecked
	reasoning AnswerCheck
	guard     *outputGuard
	ctx       context.Context //nolint:containedctx // the attempt's, for the length of the attempt
	err       error
	fed       bool // text has come in pieces
	clean     strings.Builder
	thought   strings.Builder
}

func (o *outputGuard) stream(ctx context.Context, forward func(core.Delta)) *guardedStream {
	s := &guardedStream{forward: forward, guard: o, ctx: ctx}
	if o != nil {
		s.text, s.reasoning = o.guards.Answer(ctx, o.policies), o.guards.Answer(ctx, o.policies)
	}
	return s
}

func (s *guardedStream) delta(d core.Delta) {
	if s.guard == nil {
		s.forward(d)
		return
	}
	if s.err != nil {
		return
	}
	var text, thought string
	if d.Text != "" {
		s.fed = true
		if text, s.err = s.text.Add(d.Text); s.err != nil {
			return
		}
	}
	if d.Reasoning != "" {
		if thought, s.err = s.reasoning.Add(d.Reasoning); s.err != nil {
			return
		}
	}
	s.pass(text, thought)
}

func (s *guardedStream) pass(text, thought string) {
	s.clean.WriteString(text)
	s.thought.WriteString(thought)
	s.forward(core.Delta{Text: text, Reasoning: thought}) // a signature would not fit the checked text
}

// finish checks what was held back, puts the checked texts into the answer and checks the arguments of tool calls.
func (s *guardedStream) finish(r core.ModelResponse) (core.ModelResponse, error) {
	if s.guard == nil {
		return r, nil
	}
	if s.err != nil {
		return r, s.err
	}
	if !s.fed && r.Message.Text != "" { // a provider that did not stream
		s.delta(core.Delta{Text: r.Message.Text})
	}
	var text, thought string
	if s.err == nil {
		text, s.err = s.text.End()
	}
	if s.err == nil {
		thought, s.err = s.reasoning.End()
	}
	if s.err != nil {
		return r, s.err
	}
	s.pass(text, thought)
	r.Message.Text, r.Message.Parts = s.clean.String(), nil
	if s.thought.Len() > 0 {
		r.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: s.thought.String()}, {Kind: core.PartText, Text: r.Message.Text}}
	}
	for i, c := range r.Message.ToolCalls {
		if r.Message.ToolCalls[i].Arguments, s.err = s.guard.arguments(s.ctx, c.Arguments); s.err != nil {
			return r, s.err
		}
	}
	return r, nil
}

// arguments checks the arguments of a tool call twice: each value as it reads without escapes, in which anything can be
// hidden, and then all of it, where the name in front of a value tells that it is a credential.
func (o *outputGuard) arguments(ctx context.Context, args []byte) ([]byte, error) {
	args, err := o.guards.Arguments(ctx, o.policies, args)
	if err != nil {
		return nil, err
	}
	check := o.guards.Answer(ctx, o.policies)
	clean, err := check.Add(string(args))
	if err != nil {
		return nil, err
	}
	rest, err := check.End()
	if err != nil {
		return nil, err
	}
	return Arguments([]byte(clean + rest)), nil
}
