package a2a

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

// approvalExtension says that questions about calls come with a data part for programs (docs/a2a.md).
const approvalExtension = "urn:sutazai:a2a:approval:1"

// card describes an agent. The extended one, for callers who have shown who they are, tells what it works with too.
func (s *Server) card(agent core.Agent, extended bool) *a2a.AgentCard {
	c := s.base(agent.Name, agent.Description, agent.Version, agent.Name)
	if len(agent.Output) > 0 {
		c.DefaultOutputModes = append([]string{"application/json"}, c.DefaultOutputModes...)
	}
	c.Skills = []a2a.AgentSkill{{ID: agent.Name, Name: agent.Name, Description: agent.Description, Tags: []string{"agent"}}}
	if !extended {
		return c
	}
	c.Skills[0].Tags = append(c.Skills[0].Tags, string(agent.KindOf()))
	for _, tool := range agent.Tools {
		c.Skills = append(c.Skills, a2a.AgentSkill{ID: "tool:" + tool.Name, Name: tool.Name, Description: "It may use the tool " + tool.Name + ".", Tags: []string{"tool"}})
	}
	for _, other := range agent.Agents {
		c.Skills = append(c.Skills, a2a.AgentSkill{ID: "agent:" + other, Name: other, Description: "It may give work to the agent " + other + ".", Tags: []string{"delegation"}})
	}
	for _, collection := range agent.Knowledge {
		c.Skills = append(c.Skills, a2a.AgentSkill{ID: "knowledge:" + collection, Name: collection, Description: "It may search the collection " + collection + ".", Tags: []string{"knowledge"}})
	}
	return c
}

// platformCard describes the whole installation: the agent that answers where a call names none, and in the extended one
// every agent as a skill.
func (s *Server) platformCard(extended bool) *a2a.AgentCard {
	name := s.d.Settings.DefaultAgent
	c := s.base("SutazAI", "Runs AI agents that finish their work. The agent is named by tenant; without one, "+name+" answers.", s.d.Version, "")
	c.Skills = []a2a.AgentSkill{}
	for _, a := range s.d.Agents.List() {
		if a.Agent.Version == "" || !extended && a.Agent.Name != name {
			continue
		}
		c.Skills = append(c.Skills, a2a.AgentSkill{ID: a.Agent.Name, Name: a.Agent.Name, Description: a.Agent.Description, Tags: []string{"agent"}})
	}
	return c
}

// base is what every card has. agent "" is the whole installation.
func (s *Server) base(name, description, version, agent string) *a2a.AgentCard {
	base := strings.TrimSuffix(s.d.PublicURL(), "/")
	at, tenant := base+"/a2a/"+agent, ""
	if agent == "" {
		at, tenant = base+"/a2a", s.d.Settings.DefaultAgent
	}
	way := func(at string, binding a2a.TransportProtocol, tenant string, version a2a.ProtocolVersion) *a2a.AgentInterface {
		return &a2a.AgentInterface{URL: at, ProtocolBinding: binding, Tenant: tenant, ProtocolVersion: version}
	}
	old := at
	if agent == "" {
		old = at + "/" + tenant // that version knows no tenants
	}
	grpcTenant := agent
	if agent == "" {
		grpcTenant = tenant
	}
	c := &a2a.AgentCard{
		Name: name, Description: description, Version: version, DefaultInputModes: []string{"text/plain", "application/json", "application/octet-stream"},
		DefaultOutputModes: []string{"text/plain", "application/octet-stream"},
		Provider:           &a2a.AgentProvider{Org: "SutazAI", URL: base},
		Capabilities: a2a.AgentCapabilities{
			Streaming: true, PushNotifications: s.d.Settings.Push, ExtendedAgentCard: true,
			Extensions: []a2a.AgentExtension{{URI: approvalExtension, Description: "A question about a call comes with a data part {approval, decisions}, and may be answered by one {approval, decision, arguments, result, comment}."}},
		},
		SupportedInterfaces: []*a2a.AgentInterface{
			way(at, a2a.TransportProtocolJSONRPC, tenant, a2a.Version),
			way(at, a2a.TransportProtocolHTTPJSON, tenant, a2a.Version),
			way(hostPort(base), a2a.TransportProtocolGRPC, grpcTenant, a2a.Version),
			way(old, a2a.TransportProtocolJSONRPC, "", a2av0.Version),
			way(old, a2a.TransportProtocolHTTPJSON, "", a2av0.Version),
		},
	}
	if !s.d.Settings.Open {
		c.SecuritySchemes = a2a.NamedSecuritySchemes{
			"bearer": a2a.HTTPAuthSecurityScheme{Scheme: "bearer", Description: "An API key of this server."},
			"apiKey": a2a.APIKeySecurityScheme{Location: a2a.APIKeySecuritySchemeLocationHeader, Name: "x-api-key", Description: "An API key of this server."},
		}
		if issuer := s.d.Settings.Issuer; issuer != "" {
			c.SecuritySchemes["openIdConnect"] = a2a.OpenIDConnectSecurityScheme{
				OpenIDConnectURL: strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration", Description: "An access token of the authorization server that this server trusts.",
			}
		}
	}
	return c
}

// hostPort is how gRPC names a server.
func hostPort(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return base
	}
	if u.Port() != "" {
		return u.Host
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// serveCard answers with an agent's card.
func (s *Server) serveCard(w http.ResponseWriter, r *http.Request) {
	agent, err := s.d.Agents.Agent(r.PathValue("agent"))
	if err != nil {
		backend.WriteProblem(w, r, s.d.Logger, err)
		return
	}
	s.writeCard(w, r, s.card(agent, false))
}

func (s *Server) servePlatformCard(w http.ResponseWriter, r *http.Request) {
	s.writeCard(w, r, s.platformCard(false))
}

// writeCard writes a card so that clients of either version find what they look for.
func (s *Server) writeCard(w http.ResponseWriter, r *http.Request, c *a2a.AgentCard) {
	var (
		b   []byte
		err error
	)
	if v := versionOf(r); v == string(a2acheck.V10) {
		b, err = json.Marshal(c)
	} else {
		b, err = cardOfBoth(r.Context(), c)
	}
	if err != nil {
		backend.WriteProblem(w, r, s.d.Logger, err)
		return
	}
	w.Header().Set("Vary", a2a.SvcParamVersion)
	_ = backend.WriteBody(w, http.StatusOK, "application/json", b) // a client that has left needs no card
}

// cardOfBoth is a card with the fields of both versions. What a caller must show stands in the words of 0.3, which clients of
// both read: the libraries do not agree on how 1.0 writes it.
func cardOfBoth(ctx context.Context, c *a2a.AgentCard) ([]byte, error) {
	producer, ok := a2av0.NewStaticAgentCardProducer(c).(a2asrv.AgentCardJSONProducer)
	if !ok {
		return json.Marshal(c)
	}
	old, err := producer.CardJSON(ctx)
	if err != nil {
		return nil, err
	}
	current, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var both, now map[string]any
	if err := errors.Join(json.Unmarshal(old, &both), json.Unmarshal(current, &now)); err != nil {
		return nil, err
	}
	schemes, _ := both["securitySchemes"].(map[string]any)
	newer, _ := now["securitySchemes"].(map[string]any)
	security := []any{}
	for _, name := range slices.Sorted(maps.Keys(newer)) {
		scheme, ok := schemes[name].(map[string]any)
		if !ok {
			continue
		}
		delete(scheme, "http") // what the library writes for early versions of 1.0
		delete(scheme, "apiKey")
		delete(scheme, "openIdConnect")
		fields, _ := newer[name].(map[string]any)
		maps.Copy(scheme, fields)
		security = append(security, map[string]any{name: []any{}})
	}
	if len(security) > 0 {
		both["security"] = security
	}
	delete(both, "securityRequirements")
	return json.Marshal(both)
}
