package backend

import (
	"context"
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

type modelTestInput struct {
	Body struct {
		Model     string `json:"model" minLength:"1" maxLength:"256" doc:"provider/model, or the name of a route."`
		Prompt    string `json:"prompt,omitempty" maxLength:"20000" doc:"What to say to it. Default: a greeting."`
		MaxTokens int    `json:"max_tokens,omitempty" minimum:"0" maximum:"8192" doc:"Longest answer. Default: 64."`
	}
}

type modelTest struct {
	Model       string         `json:"model" doc:"The model that answered."`
	Text        string         `json:"text"`
	Usage       core.UsageJSON `json:"usage"`
	FirstWordMS float64        `json:"first_word_ms"`
	TookMS      float64        `json:"took_ms"`
	Attempts    []core.Attempt `json:"attempts"`
}

// defaultPrompt is what a test without a prompt says.
const defaultPrompt = "Say hello in one short sentence."

func (s *server) modelRoutes() {
	register(s, operation(get, "/models", "list-models", "Models", "List the models that can be called"), func(ctx context.Context, _ *empty) (*output[page[core.Model]], error) {
		items, err := s.models.Models(ctx)
		if err != nil {
			return nil, err
		}
		return listOf(items, ""), nil
	})
	health := operation(get, "/models/health", "model-health", "Models", "How the models have done")
	health.Description = "Every target that stands in a route or was called since this server started: circuit breaker, next probe, latency, failures, " +
		"calls in flight, prices and the routes that may choose it. With several replicas, each tells of its own calls."
	register(s, health, func(context.Context, *empty) (*output[page[core.ModelHealth]], error) {
		return listOf(s.models.Health(), ""), nil
	})
	register(s, operation(get, "/models/routes", "model-routes", "Models", "List the routes and their targets"), func(context.Context, *empty) (*output[page[core.ModelRoute]], error) {
		return listOf(s.models.Routes(), ""), nil
	})
	test := operation(post, "/models/test", "test-model", "Models", "Ask a model once")
	test.Description = "Makes one short call like any other: it counts, and budgets and limits apply."
	register(s, test, s.testModel)
}

func (s *server) testModel(ctx context.Context, in *modelTestInput) (*output[modelTest], error) {
	prompt, most := in.Body.Prompt, in.Body.MaxTokens
	if prompt == "" {
		prompt = defaultPrompt
	}
	if most == 0 {
		most = 64
	}
	began := time.Now()
	var first time.Duration
	r, err := s.models.Chat(ctx, core.ModelRequest{
		Model: in.Body.Model, Messages: []core.Message{{Role: core.RoleUser, Text: prompt}}, MaxTokens: most, Caller: CallerOf(ctx),
	}, func(core.Delta) {
		if first == 0 {
			first = time.Since(began)
		}
	})
	if e, ok := errors.AsType[*dialect.UnknownModel](err); ok {
		return nil, core.Wrap(core.CodeNotFound, err, "%s", core.MessageOf(e))
	}
	if err != nil {
		return nil, providerFault(err)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return &output[modelTest]{modelTest{
		Model: r.Model, Text: r.Message.Text, FirstWordMS: ms(first), TookMS: ms(time.Since(began)), Attempts: append([]core.Attempt{}, r.Attempts...),
		Usage: core.UsageJSON{InputTokens: r.Usage.InputTokens, OutputTokens: r.Usage.OutputTokens, CostUSD: r.Usage.CostUSD()},
	}}, nil
}
