package backend

import (
	"context"
	"log/slog"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// AgentPrefix makes an agent's name a model's: a call of the model "agent/<name>" runs that agent durably.
const AgentPrefix = "agent/"

// Gateway calls models. Its errors are core.Error or wrap one; *dialect.UnknownModel for a name that is not configured;
// ctx's own after ctx has ended.
type Gateway interface {
	Exchange(ctx context.Context, c *dialect.Call, out dialect.Answer) error
	Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error)
	Models(ctx context.Context) ([]core.Model, error)
}

// Chats answers model calls of every dialect: agents by running them, all other models through the gateway.
type Chats struct {
	Runs      Runs
	Agents    Agents
	Models    Gateway
	Logger    *slog.Logger
	PublicURL func() string // address of the console, for links to a waiting run
}

// Exchange answers one call. Nothing has been written where it returns an error and out has not been called.
func (c *Chats) Exchange(ctx context.Context, call *dialect.Call, out dialect.Answer) error {
	if name, ok := strings.CutPrefix(call.Model, AgentPrefix); ok {
		return c.agent(ctx, name, call, out)
	}
	return providerFault(c.Models.Exchange(ctx, call, out))
}

// providerFault keeps a provider's refusal of our key apart from a refusal of the client's: that one may sign in again,
// this one only the server's owner can mend.
func providerFault(err error) error {
	if core.CodeOf(err) != core.CodeUnauthorized {
		return err
	}
	return core.Wrap(core.CodeInternal, err, "%s", core.MessageOf(err))
}

// Embed turns texts into vectors.
func (c *Chats) Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	r, err := c.Models.Embed(ctx, req)
	return r, providerFault(err)
}

// List lists what can be called: agents first, then routes and models.
func (c *Chats) List(ctx context.Context) ([]core.Model, error) {
	out := []core.Model{}
	for _, a := range c.Agents.List() {
		if a.Agent.Version == "" {
			continue // its file has never been right
		}
		out = append(out, core.Model{ID: AgentPrefix + a.Agent.Name, Provider: "sutazai", Kind: "agent", Detail: a.Agent.Description})
	}
	models, err := c.Models.Models(ctx)
	if err != nil {
		return nil, err
	}
	return append(out, models...), nil
}
