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
	"github.com/sutazai/sutazai/services/aimodels/ollama"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

// models is the gateway with the model server that SutazAI runs itself.
type models struct {
	gateway *aimodels.Gateway
	closers []func()
}

func startModels(ctx context.Context, cfg *config.Config, m *metrics.Metrics, log *slog.Logger) (*models, error) {
	out := &models{}
	endpoints := map[string]aimodels.Endpoint{}
	for name, p := range cfg.Models.Providers {
		provider, err := out.provider(ctx, name, p, cfg, log)
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

func (m *models) provider(_ context.Context, name string, p config.Provider, cfg *config.Config, _ *slog.Logger) (aimodels.Provider, error) {
	http, err := httpConfig(name, p)
	if err != nil {
		return nil, err
	}
	switch p.Kind {
	case "openai":
		provider, err := openaicompat.New(openaicompat.Config{HTTP: http})
		if err == nil {
			m.closers = append(m.closers, provider.Close)
		}
		return provider, err
	case "ollama":
		provider, err := ollama.New(ollama.Config{HTTP: http, Context: cfg.Models.Local.Context})
		if err == nil {
			m.closers = append(m.closers, provider.Close)
		}
		return provider, err
	}
	return ollama.New(ollama.Config{HTTP: http})
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

func (m *models) localService() (core.Service, bool) { return core.Service{}, false }

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
