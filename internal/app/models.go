package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/cache"
	"github.com/sutazai/sutazai/internal/metrics"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/anthropic"
	"github.com/sutazai/sutazai/services/aimodels/azure"
	"github.com/sutazai/sutazai/services/aimodels/bedrock"
	"github.com/sutazai/sutazai/services/aimodels/constrained"
	"github.com/sutazai/sutazai/services/aimodels/gemini"
	"github.com/sutazai/sutazai/services/aimodels/local"
	"github.com/sutazai/sutazai/services/aimodels/ollama"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
	"github.com/sutazai/sutazai/services/aimodels/responses"
)

// models is the gateway with the model server that SutazAI runs itself.
type models struct {
	*aimodels.Gateway
	local   *local.Runtime // nil where no provider is of the kind local
	closers []func()
}

// modelParts is what the gateway needs of the rest of the program.
type modelParts struct {
	money   aimodels.Money
	tokens  aimodels.TokenLimit
	cache   *cache.Cache
	keys    map[string]*aimodels.KeyRing // of the providers that may want one
	metrics *metrics.Metrics
	log     *slog.Logger
	idle    bool // start no model server
}

// startModels makes the gateway.
func startModels(ctx context.Context, cfg *config.Config, parts modelParts) (*models, error) {
	out := &models{}
	endpoints := map[string]aimodels.Endpoint{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Models.Providers)) {
		p := cfg.Models.Providers[name]
		provider, err := out.provider(ctx, name, p, cfg, parts)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("models.providers.%s: %w", name, err), out.close())
		}
		endpoints[name] = aimodels.Endpoint{Kind: p.Kind, Provider: provider}
	}
	gc := gatewayConfig(cfg)
	gc.Money, gc.Tokens, gc.Logger = parts.money, parts.tokens, parts.log
	gc.Observe = func(o aimodels.Observation) { parts.metrics.ModelCalled(o.Target, o.Code, o.Took, o.FirstDelta) }
	gc.Cache = aimodels.CacheConfig{
		Cache: parts.cache, Embeddings: cfg.Models.Cache.Embeddings, Threshold: cfg.Models.Cache.Semantic.Threshold, Logger: parts.log,
		Observe: parts.metrics.CacheAsked,
	}
	if model := cfg.Models.Cache.Semantic.Model; model != "" {
		gc.Cache.EmbedModel = model
		gc.Cache.Embed = func(ctx context.Context, texts []string) ([][]float32, error) {
			r, err := out.Embed(ctx, core.EmbedRequest{Model: model, Inputs: texts})
			return r.Vectors, err
		}
	}
	var err error
	if gc.Guards, gc.GuardsRevision, err = newGuards(cfg, parts.metrics, parts.log); err != nil {
		return nil, errors.Join(err, out.close())
	}
	gateway, err := aimodels.NewGateway(gc, endpoints)
	if err != nil {
		return nil, errors.Join(err, out.close())
	}
	out.Gateway = gateway
	return out, nil
}

// provider makes one provider. Models that know no tools get them by constrained answers.
func (m *models) provider(ctx context.Context, name string, p config.Provider, cfg *config.Config, parts modelParts) (aimodels.Provider, error) {
	inner, err := m.dialect(ctx, name, p, cfg, parts)
	if err != nil || p.Tools == string(aimodels.ToolsNative) {
		return inner, err
	}
	return constrained.New(inner, constrained.Options{Mode: aimodels.ToolMode(p.Tools)}), nil
}

// closing is a provider that keeps connections.
type closing interface {
	aimodels.Provider
	Close()
}

func (m *models) dialect(ctx context.Context, name string, p config.Provider, cfg *config.Config, parts modelParts) (aimodels.Provider, error) {
	if p.Kind == "local" {
		if m.local == nil { // providers of this kind share the machine's one server
			m.local = local.Start(ctx, localConfig(name, p, cfg, parts.idle, parts.log))
			m.closers = append(m.closers, m.local.Close)
		}
		return m.local, nil
	}
	http, err := httpConfig(name, p, parts.keys[name])
	if err != nil {
		return nil, err
	}
	provider, err := newProvider(p, http, cfg.Models.Local.Context)
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, provider.Close)
	return provider, nil
}

// newProvider makes a provider that is reached over the network.
func newProvider(p config.Provider, http aimodels.HTTPConfig, context int) (closing, error) {
	switch p.Kind {
	case "ollama":
		return ollama.New(ollama.Config{HTTP: http, Context: context})
	case "anthropic":
		http.BaseURL = cmp.Or(http.BaseURL, "https://api.anthropic.com/v1")
		return anthropic.New(anthropic.Config{HTTP: http})
	case "responses":
		http.BaseURL = cmp.Or(http.BaseURL, "https://api.openai.com/v1")
		return responses.New(responses.Config{HTTP: http})
	case "gemini":
		return gemini.New(gemini.Config{HTTP: http})
	case "azure":
		return azure.New(azure.Config{HTTP: http, APIVersion: p.APIVersion, Deployments: p.Deployments})
	case "bedrock":
		return bedrock.New(bedrock.Config{HTTP: http, Region: p.Region})
	default:
		return openaicompat.New(openaicompat.Config{HTTP: http, Quirks: p.Quirks})
	}
}

func localConfig(name string, p config.Provider, cfg *config.Config, idle bool, log *slog.Logger) local.Config {
	l := cfg.Models.Local
	return local.Config{
		Provider: name, DataDir: cfg.Server.DataDir, Runtime: l.Runtime, Model: l.Model, Python: l.Python,
		Threads: l.Threads, Context: l.Context, Parallel: l.Parallel, ReadyTimeout: l.ReadyTimeout, Silence: p.Timeout, Idle: idle,
		OpenAI: func(http aimodels.HTTPConfig) (aimodels.Provider, error) {
			return openaicompat.New(openaicompat.Config{HTTP: http, Quirks: "llamacpp", Extra: againstLoops()})
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

func httpConfig(name string, p config.Provider, keys *aimodels.KeyRing) (aimodels.HTTPConfig, error) {
	headers := map[string]string{}
	for k, v := range p.Headers {
		value, err := v.Resolve()
		if err != nil {
			return aimodels.HTTPConfig{}, err
		}
		headers[k] = value
	}
	return aimodels.HTTPConfig{Name: name, BaseURL: p.BaseURL, Keys: keys, Headers: headers, FirstByteTimeout: p.Timeout, IdleTimeout: p.Timeout}, nil
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

// gatewayConfig is what the settings say of the gateway itself.
func gatewayConfig(cfg *config.Config) aimodels.Config {
	m := cfg.Models
	out := aimodels.Config{
		Routes: map[string]aimodels.Route{}, Prices: map[string]aimodels.Price{}, Windows: map[string]int{}, Limits: map[string]aimodels.Limit{},
		Probes:   map[string]time.Duration{},
		Attempts: m.Retry.Attempts, BaseDelay: m.Retry.Base, MaxDelay: m.Retry.Max,
		BreakerAfter: uint(m.Breaker.Failures), BreakerDelay: m.Breaker.Open,
		MaxOutput: m.MaxOutputTokens, DefaultGuardrails: m.DefaultGuardrails,
	}
	for name, r := range m.Routes {
		route := aimodels.Route{
			Strategy: aimodels.Strategy(r.Strategy), Fallback: []aimodels.Failure{}, Sticky: r.Sticky, Hedge: r.Hedge,
			Cache: aimodels.CacheMode(r.Cache), CacheTTL: r.CacheTTL, Threshold: r.CacheThreshold, Guardrails: r.Guardrails,
		}
		if route.CacheTTL == 0 {
			route.CacheTTL = m.Cache.TTL
		}
		for _, f := range r.Fallback {
			route.Fallback = append(route.Fallback, aimodels.Failure(f))
		}
		for _, t := range r.Targets {
			route.Targets = append(route.Targets, aimodels.RouteTarget{Target: t.Target, Weight: t.Weight})
		}
		out.Routes[name] = route
	}
	for name, p := range m.Providers {
		for model, tokens := range p.Windows {
			out.Windows[name+"/"+model] = tokens
		}
		if p.Kind == "local" && len(p.Windows) == 0 {
			out.Windows[name+"/*"] = cfg.Models.Local.Context
		}
		for model, price := range p.Prices {
			out.Prices[name+"/"+model] = aimodels.Price{Input: price.InputUSDPerMillion, CachedInput: price.CachedInputUSDPerMillion, Output: price.OutputUSDPerMillion}
		}
		out.Probes[name] = p.Probe
		limit := aimodels.Limit{Max: p.Concurrency.Max, Queue: p.Concurrency.Queue, Wait: p.Concurrency.Wait}
		if p.Kind == "local" && limit.Max == 0 {
			limit.Max = m.Local.Parallel // what the server works on at once: more would only wait in it
		}
		out.Limits[name] = limit
	}
	return out
}

// remoteServices tells the health of the providers that run elsewhere, by what their last calls showed.
func (m *models) remoteServices(ctx context.Context) []core.Service {
	list, err := m.Models(ctx)
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
	g, err := aimodels.NewGateway(gatewayConfig(cfg), endpoints)
	if err != nil {
		return err
	}
	return g.Check(name)
}
