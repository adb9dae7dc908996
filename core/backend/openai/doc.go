// Package openai speaks OpenAI's chat dialect: /v1/chat/completions and /v1/models, where "agent/<name>" is a model that
// runs the agent durably. It owns the dialect's forms, its errors and its streaming; nothing of them leaves the package.
package openai

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// Runs starts and follows runs. The orchestrator implements it.
type Runs interface {
	Start(ctx context.Context, r core.StartRun) (run core.Run, existed bool, err error)
	Run(ctx context.Context, id string) (core.Run, error)
	Events(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error]
	Approvals(ctx context.Context, status core.ApprovalStatus, run string) ([]core.Approval, error)
}

// Agents knows the agents.
type Agents interface {
	Agent(name string) (core.Agent, error)
	List() []core.AgentStatus
}

// Models is the gateway: Chat retries and falls back by itself and returns ctx's error soon after ctx ends.
type Models interface {
	Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error)
	Models(ctx context.Context) ([]core.Model, error)
	Check(name string) error
}

// Deps are the parts that the dialect calls. All are needed.
type Deps struct {
	Runs      Runs
	Agents    Agents
	Models    Models
	Logger    *slog.Logger
	PublicURL func() string    // address of the console, for links to a waiting run
	Now       func() time.Time // nil = time.Now
	KeepAlive time.Duration    // between comments in a silent stream; 0 = 15 s
	Write     time.Duration    // for one write of a stream; 0 = 20 s
}

type handler struct {
	Deps
}

// agentPrefix makes an agent's name a model's.
const agentPrefix = "agent/"

// Routes returns the routes of the dialect for backend.Deps.Routes.
func Routes(d Deps) []backend.Route {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.KeepAlive == 0 {
		d.KeepAlive = 15 * time.Second
	}
	if d.Write == 0 {
		d.Write = 20 * time.Second
	}
	h := &handler{d}
	route := func(pattern string, f http.HandlerFunc) backend.Route {
		return backend.Route{Pattern: pattern, Handler: f, Problem: h.fail}
	}
	return []backend.Route{
		route("POST /v1/chat/completions", h.chat),
		route("GET /v1/models", h.listModels),
		route("GET /v1/models/{model...}", h.getModel),
		route("/v1/", func(w http.ResponseWriter, r *http.Request) {
			h.fail(w, r, &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
				Message: "Unknown request URL: " + r.Method + " " + r.URL.Path})
		}),
	}
}
