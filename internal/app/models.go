package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/metrics"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/constrained"
	"github.com/sutazai/sutazai/services/aimodels/local"
	"github.com/sutazai/sutazai/services/aimodels/ollama"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

// models is the gateway with the model server that SutazAI runs itself.
type models struct {
	gateway *aimodels.Gateway
	local   *local.Runtime // nil where no provider is of the kind local
	closers []func()
}

// startModels makes the gateway. With idle, no model server is started.
func startModels(ctx context.Context, cfg *config.Config, idle bool, m *metrics.Metrics, log *slog.Logger) (*models, error) {
	out := &models{}
	endpoints := map[string]aimodels.Endpoint{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Models.Providers)) {
		p := cfg.Models.Providers[name]
		provider, err := out.provider(ctx, name, p, cfg, idle, log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("models.providers.%s: %w", name, err), out.close())
		}
		endpoints[name] = aimodels.Endpoint{Kind: p.Kind, Provider: provider}
	}
	gateway, err := aimodels.NewGateway(aimodels.Config{
		Routes: routes(cfg), Prices: prices(cfg),
		Attempts: cfg.Models.Retry.Attempts, BaseDelay: cfg.Models.Retry.Base, MaxDelay: cfg.Models.Retry.Max,
		BreakerAfter: uint(cfg.Models.Breaker.Failures), BreakerDelay: cfg.Models.Breaker.Open, Logger: log,
		Observe: func(o aimodels.Observation) { m.ModelCalled(o.Target, o.Code, o.Took, o.FirstDelta) },
	}, endpoints)
	if err != nil {
		return nil, errors.Join(err, out.close())
	}
	out.gateway = gateway
	return out, nil
}

// provider makes one provider. Models that know no tools get them by constrained answers.
func (m *models) provider(ctx context.Context, name string, p config.Provider, cfg *config.Config, idle bool, log *slog.Logger) (aimodels.Provider, error) {
	inner, err := m.dialect(ctx, name, p, cfg, idle, log)
	if err != nil || p.Tools == string(aimodels.ToolsNative) {
		return inner, err
	}
	return constrained.New(inner, constrained.Options{Mode: aimodels.ToolMode(p.Tools)}), nil
}

func (m *models) dialect(ctx context.Context, name string, p config.Provider, cfg *config.Config, idle bool, log *slog.Logger) (aimodels.Provider, error) {
	if p.Kind == "local" {
		if m.local == nil { // providers of this kind share the machine's one server
			m.local = local.Start(ctx, localConfig(name, p, cfg, idle, log))
			m.closers = append(m.closers, m.local.Close)
		}
		return m.local, nil
	}
	http, err := httpConfig(name, p)
	if err != nil {
		return nil, err
	}
	if p.Kind == "ollama" {
		provider, err := ollama.New(ollama.Config{HTTP: http, Context: cfg.Models.Local.Context})
		if err != nil {
			return nil, err
		}
		m.closers = append(m.closers, provider.Close)
		return provider, nil
	}
	provider, err := openaicompat.New(openaicompat.Config{HTTP: http})
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, provider.Close)
	return provider, nil
}

func localConfig(name string, p config.Provider, cfg *config.Config, idle bool, log *slog.Logger) local.Config {
	l := cfg.Models.Local
	return local.Config{
		Provider: name, DataDir: cfg.Server.DataDir, Runtime: l.Runtime, Model: l.Model, Python: l.Python,
		Threads: l.Threads, Context: l.Context, Parallel: l.Parallel, ReadyTimeout: l.ReadyTimeout, Silence: p.Timeout, Idle: idle,
		OpenAI: func(http aimodels.HTTPConfig) (aimodels.Provider, error) {
			return openaicompat.New(openaicompat.Config{HTTP: http, Extra: againstLoops()})
		},
		Ollama: func(http aimodels.HTTPConfig, context int) (aimodels.Provider, error) {
			return ollama.New(ollama.Config{HTTP: http, Context: context})
		},
		Logger: log,
	}
}

// againstLoops are llama.cpp's settings that keep a small model from saying the same words for ever: a sequence of tokens
// that was there before becomes less likely the longer it gets ("don't repeat yourself"), and an answer is bounded unless
// the agent's file says otherwise. Penalties on single words were tried too; they make a 135M model ramble.
func againstLoops() map[string]any {
	return map[string]any{"dry_multiplier": 0.8, "dry_base": 1.75, "dry_allowed_length": 16, "max_tokens": 768}
}

func httpConfig(name string, p config.Provider) (aimodels.HTTPConfig, error) {
	key, err := p.APIKey.Resolve()
	if err != nil {
		return aimodels.HTTPConfig{}, err
	}
	headers := map[string]string{}
	for k, v := range p.Headers {
		if headers[k], err = v.Resolve(); err != nil {
			return aimodels.HTTPConfig{}, err
		}
	}
	return aimodels.HTTPConfig{Name: name, BaseURL: p.BaseURL, APIKey: key, Headers: headers, FirstByteTimeout: p.Timeout, IdleTimeout: p.Timeout}, nil
}

func (m *models) close() error {
	for _, c := range m.closers {
		c()
	}
	return nil
}

// localService tells the state of the local model server; false where there is none to tell of.
func (m *models) localService() (core.Service, bool) {
	if m.local == nil {
		return core.Service{}, false
	}
	return m.local.Service()
}

func routes(cfg *config.Config) map[string][]string {
	out := map[string][]string{}
	for name, targets := range cfg.Models.Routes {
		for _, t := range targets {
			out[name] = append(out[name], t.Target)
		}
	}
	return out
}

func prices(cfg *config.Config) map[string]aimodels.Price {
	out := map[string]aimodels.Price{}
	for name, p := range cfg.Models.Providers {
		for model, price := range p.Prices {
			out[name+"/"+model] = aimodels.Price{Input: price.InputUSDPerMillion, Output: price.OutputUSDPerMillion}
		}
	}
	return out
}

// Chat implements the orchestrator's port. Tries that failed are told apart from the answer's even when there is none.
func (m *models) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	resp, err := m.gateway.Chat(ctx, req, onDelta)
	if err != nil {
		resp.Attempts = aimodels.AttemptsOf(err)
	}
	return resp, err
}

// Check says whether a model or route is configured.
func (m *models) Check(name string) error { return m.gateway.Check(name) }

// Models lists what can be called.
func (m *models) Models(ctx context.Context) ([]core.Model, error) { return m.gateway.Models(ctx) }

// remoteServices tells the health of the providers that run elsewhere, by what their last calls showed.
func (m *models) remoteServices(ctx context.Context) []core.Service {
	list, err := m.gateway.Models(ctx)
	if err != nil {
		return nil
	}
	states := map[string]core.Service{}
	for _, model := range list {
		if model.Kind == "route" || model.Kind == "local" {
			continue
		}
		svc := states[model.Provider]
		svc.Name, svc.Kind = "model:"+model.Provider, "external"
		switch {
		case strings.HasSuffix(model.ID, "/*"): // it could not list its models
			svc.State, svc.Detail = core.ServiceDown, model.Detail
		case model.State == "open":
			svc.State, svc.Detail = core.ServiceDegraded, model.ID+" fails; its circuit breaker is open"
		case svc.State == "":
			svc.State = core.ServiceHealthy
		}
		states[model.Provider] = svc
	}
	var out []core.Service
	for _, name := range slices.Sorted(maps.Keys(states)) {
		out = append(out, states[name])
	}
	return out
}

// checkModel is Check without a running gateway.
func checkModel(cfg *config.Config, name string) error {
	endpoints := map[string]aimodels.Endpoint{}
	for name, p := range cfg.Models.Providers {
		endpoints[name] = aimodels.Endpoint{Kind: p.Kind}
	}
	g, err := aimodels.NewGateway(aimodels.Config{Routes: routes(cfg)}, endpoints)
	if err != nil {
		return err
	}
	return g.Check(name)
}
