package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/guardrails"
	"github.com/sutazai/sutazai/internal/http1"
	"github.com/sutazai/sutazai/internal/metrics"
	"github.com/sutazai/sutazai/services/aimodels"
)

// guards is the gateway's view of the guardrails: several policies at once, and no findings.
type guards struct{ guard *guardrails.Guard }

// newGuards makes the policies of the settings; nil where there are none. revision changes with what they say.
func newGuards(cfg *config.Config, m *metrics.Metrics, log *slog.Logger) (g aimodels.Guards, revision string, err error) {
	if len(cfg.Models.Guardrails) == 0 {
		return nil, "", nil
	}
	policies := map[string][]guardrails.Check{}
	for name, checks := range cfg.Models.Guardrails {
		for _, c := range checks {
			policies[name] = append(policies[name], guardrails.Check{
				Kind: guardrails.Kind(c.Kind), Name: c.Name, On: guardrails.Direction(c.On), Action: guardrails.Action(c.Action),
				Pattern: c.Pattern, MaxLength: c.MaxLength, Types: c.Types, Max: int(c.Max), Models: c.Models,
				URL: c.URL, Format: guardrails.Format(c.Format), Timeout: c.Timeout, Fail: guardrails.Fail(c.Fail),
			})
		}
	}
	made, err := guardrails.New(guardrails.Config{Policies: policies}, guardrails.Deps{
		Transport: http1.New(http1.Config{}), Logger: log,
		Observe: func(policy, check string, dir guardrails.Direction, action guardrails.Action) {
			m.GuardrailFound(policy, check, string(dir), string(action))
		},
	})
	if err != nil {
		return nil, "", err
	}
	text, err := json.Marshal(policies) // maps are written in the order of their keys
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(text)
	return &guards{made}, hex.EncodeToString(sum[:]), nil
}

// Allow implements aimodels.Guards.
func (g *guards) Allow(policies []string, model string) error {
	return g.each(policies, func(p *guardrails.Policy) error { return p.AllowModel(model) })
}

// Texts implements aimodels.Guards.
func (g *guards) Texts(ctx context.Context, policies, texts []string, groups []int) ([]string, error) {
	err := g.each(policies, func(p *guardrails.Policy) (err error) {
		texts, _, err = p.Pass(guardrails.Input, nil).Parts(ctx, texts, groups)
		return err
	})
	return texts, err
}

// JSON implements aimodels.Guards.
func (g *guards) JSON(ctx context.Context, policies []string, body []byte) ([]byte, error) {
	err := g.each(policies, func(p *guardrails.Policy) (err error) {
		body, _, err = p.Pass(guardrails.Input, nil).JSON(ctx, body)
		return err
	})
	return body, err
}

// Called implements aimodels.Guards.
func (g *guards) Called(ctx context.Context, policies []string, args []byte) ([]byte, error) {
	return g.arguments(ctx, policies, args, guardrails.Input)
}

// Arguments implements aimodels.Guards.
func (g *guards) Arguments(ctx context.Context, policies []string, args []byte) ([]byte, error) {
	return g.arguments(ctx, policies, args, guardrails.Output)
}

func (g *guards) arguments(ctx context.Context, policies []string, args []byte, dir guardrails.Direction) ([]byte, error) {
	err := g.each(policies, func(p *guardrails.Policy) (err error) {
		args, _, err = p.Pass(dir, nil).Arguments(ctx, args)
		return err
	})
	return args, err
}

// Answer implements aimodels.Guards.
func (g *guards) Answer(ctx context.Context, policies []string) aimodels.AnswerCheck {
	a := &answerCheck{ctx: ctx}
	err := g.each(policies, func(p *guardrails.Policy) error {
		if p.On(guardrails.Output) {
			a.streams = append(a.streams, p.Pass(guardrails.Output, nil).Stream())
		}
		return nil
	})
	if err != nil {
		a.err = err // a policy that is not there fails the answer, rather than letting it pass
	}
	if a.err == nil && len(a.streams) == 0 {
		return nil
	}
	return a
}

func (g *guards) each(policies []string, do func(*guardrails.Policy) error) error {
	for _, name := range policies {
		p, err := g.guard.Policy(name)
		if err != nil {
			return core.Wrap(core.CodeInternal, err, "guardrail %q is not there", name)
		}
		if err := do(p); err != nil {
			return err
		}
	}
	return nil
}

// answerCheck gives an answer through the streams of several policies, one after the other.
type answerCheck struct {
	ctx     context.Context //nolint:containedctx // the attempt's, for the length of the attempt
	streams []*guardrails.Stream
	err     error
}

// Add implements aimodels.AnswerCheck.
func (a *answerCheck) Add(piece string) (string, error) { return a.through(piece, false) }

// End implements aimodels.AnswerCheck.
func (a *answerCheck) End() (string, error) { return a.through("", true) }

func (a *answerCheck) through(piece string, end bool) (string, error) {
	for _, s := range a.streams {
		if a.err != nil {
			return "", a.err
		}
		safe := ""
		if piece != "" {
			safe, _, a.err = s.Add(a.ctx, piece)
		}
		if end && a.err == nil {
			var rest string
			rest, _, a.err = s.End(a.ctx)
			safe += rest
		}
		piece = safe
	}
	return piece, a.err
}
