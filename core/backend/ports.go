package backend

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

// Runs starts, shows and steers runs. The orchestrator implements it; every method is safe to repeat.
type Runs interface {
	Start(ctx context.Context, r core.StartRun) (run core.Run, existed bool, err error)
	Run(ctx context.Context, id string) (core.Run, error)
	Runs(ctx context.Context, f core.RunFilter) (items []core.Run, next string, err error)
	Steps(ctx context.Context, run string) ([]core.Step, error)
	Messages(ctx context.Context, run string) ([]core.Message, error)
	Events(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error]
	Cancel(ctx context.Context, id, actor string) (core.Run, error)
	Resume(ctx context.Context, id, actor string) (core.Run, error)
	Message(ctx context.Context, id, text, actor string) (core.Run, error)
	Approvals(ctx context.Context, status core.ApprovalStatus, run string) ([]core.Approval, error)
	Approval(ctx context.Context, id string) (core.Approval, error)
	Decide(ctx context.Context, id string, v core.Verdict) (core.Approval, error)
	ActiveByAgent(ctx context.Context) (map[string]int, error)
}

// RunCounts counts the runs made since a moment, by their status now. The store of runs implements it.
type RunCounts interface {
	CountSince(ctx context.Context, from time.Time) (map[core.RunStatus]int, error)
}

// Usage sums up what model calls have consumed since a moment, by core.UsageByDay (newest first) or another group, and
// counts the root runs made since. The database implements it.
type Usage interface {
	Usage(ctx context.Context, group string, from time.Time) ([]core.UsageRow, error)
}

// Budgets lists and changes budgets. The ledger of internal/budget implements it.
type Budgets interface {
	Budgets(ctx context.Context) ([]core.BudgetState, error)
	SetBudget(ctx context.Context, b core.Budget) (core.Budget, error) // CodeInvalid: it makes no sense
	RemoveBudget(ctx context.Context, id string) (core.Budget, error)  // CodeNotFound: there is none
}

// Cache deletes answers and vectors that are kept. The cache of internal/cache implements it.
type Cache interface {
	Delete(ctx context.Context, within core.CacheSpace) error
}

// Agents knows the agents. The registry of agent files implements it.
type Agents interface {
	Agent(name string) (core.Agent, error)
	List() []core.AgentStatus
}

// Versions publishes agents and chooses which version is in use. internal/versions implements it.
type Versions interface {
	Versions(ctx context.Context, agent string) ([]core.AgentVersion, error)
	Publish(ctx context.Context, agent, note, actor string) (core.AgentVersion, error)
	Use(ctx context.Context, agent string, number int) error
	Diff(ctx context.Context, agent, from, to string) (fromName, toName, diff string, err error)
}

// Evaluations tests agents. internal/evaluations implements it.
type Evaluations interface {
	Start(ctx context.Context, agent string, repeats int, actor string) (core.Evaluation, error)
	Evaluation(ctx context.Context, id string) (core.Evaluation, error)
	Evaluations(ctx context.Context, agent, before string, limit int) (items []core.Evaluation, next string, err error)
	Cancel(ctx context.Context, id, actor string) (core.Evaluation, error)
	SetList() ([]core.EvaluationSetStatus, error)
	AddCase(ctx context.Context, agent, run, name string) (core.EvaluationSetStatus, error)
}

// Models lists, tests and tells of the models that can be called. The gateway implements it.
type Models interface {
	Models(ctx context.Context) ([]core.Model, error)
	Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error)
	Health() []core.ModelHealth
	Routes() []core.ModelRoute
}

// Services tells the health of what SutazAI runs and depends on.
type Services interface {
	Services(ctx context.Context) []core.Service
	// Ready returns nil when the server can take work, else what is missing.
	Ready(ctx context.Context) error
}

// Credentials keeps the keys of model providers, encrypted. The vault implements it.
type Credentials interface {
	List(ctx context.Context) ([]core.Credential, error)
	Add(ctx context.Context, provider, name string, secret core.Secret, actor string) (core.Credential, error)
	Remove(ctx context.Context, id string) (core.Credential, error)
	RotateMaster(ctx context.Context) (credentials int, err error)
}

// MCP knows the servers that give agents tools. The manager of internal/mcp implements it.
type MCP interface {
	Servers(ctx context.Context, c core.Caller) ([]core.MCPServer, error)
	Server(ctx context.Context, name string, c core.Caller) (core.MCPServerDetails, error)
	Approve(ctx context.Context, name string, tools []core.MCPApproval, c core.Caller) (core.MCPServerDetails, error)
	// Owner is whose login a login of the caller's is: the caller's own, if it is c.Actor.
	Owner(name string, c core.Caller) (string, error)
	Login(ctx context.Context, name string, c core.Caller) (core.MCPLogin, error)
	LoginState(id string, c core.Caller) (core.MCPLogin, error)
	Callback(ctx context.Context, query url.Values) (core.MCPLogin, error)
	Logout(ctx context.Context, name string, c core.Caller) error
}

// Deps are the parts that the handler calls. All are needed, except Console (then "/" is 404) and Routes.
type Deps struct {
	Runs        Runs
	RunCounts   RunCounts
	Usage       Usage
	Budgets     Budgets
	Versions    Versions
	Evaluations Evaluations
	Cache       Cache
	Agents      Agents
	Models      Models
	Services    Services
	Credentials Credentials
	MCP         MCP
	Auth        *auth.Service
	Audit       *audit.Log
	Limits      *ratelimit.Limits
	Metrics     *prometheus.Registry // the backend adds its own collectors and serves all of it at /metrics
	Console     http.Handler         // serves every path that no other route takes
	Routes      []Route              // further protocols, such as openai.Routes
	Logger      *slog.Logger
}

// Route is one pattern of the router. Its rights and bounds stand in the table of access.go, under the same pattern.
type Route struct {
	Pattern string // of http.ServeMux: "POST /v1/chat/completions"
	Handler http.Handler
	// Problem writes an error of the middleware in the protocol's own form; nil = RFC 9457.
	Problem func(w http.ResponseWriter, r *http.Request, err error)
}
