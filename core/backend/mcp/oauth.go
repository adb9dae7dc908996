package mcp

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// metadataPath is where RFC 9728 section 3.1 wants the metadata of a protected resource; the resource's own path follows it.
const metadataPath = "/.well-known/oauth-protected-resource"

// OAuth says which authorization server issues tokens for this server. The zero value means none: then only API keys are
// taken.
type OAuth struct {
	Issuer string
	// Scopes returns the names that tokens use for one of these scopes.
	Scopes func(need ...core.Scope) []string
}

func (o OAuth) scopes(need ...core.Scope) []string {
	if o.Scopes != nil {
		return o.Scopes(need...)
	}
	out := []string{}
	for _, s := range need {
		out = append(out, string(s))
	}
	return out
}

// resource is the address of this server as its clients know it; tokens are issued for it (RFC 8707).
func (s *Server) resource(r *http.Request) string { return s.base(r) + Path }

func (s *Server) base(r *http.Request) string {
	if s.d.PublicURL != nil && strings.HasPrefix(s.d.PublicURL(), "https://") {
		return strings.TrimSuffix(s.d.PublicURL(), "/")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host // the shield lets only names pass that are this server's
}

// metadata answers GET /.well-known/oauth-protected-resource (RFC 9728).
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	m := oauthex.ProtectedResourceMetadata{
		Resource: s.resource(r), ResourceName: "SutazAI", BearerMethodsSupported: []string{"header"},
		ScopesSupported: s.d.OAuth.scopes(core.ScopeRead, core.ScopeRun, core.ScopeApprove),
	}
	if s.d.OAuth.Issuer != "" {
		m.AuthorizationServers = []string{s.d.OAuth.Issuer}
	}
	b, err := json.Marshal(m)
	if err != nil { // texts only: it cannot happen
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	// A client that has left needs no answer.
	_ = backend.WriteBody(w, http.StatusOK, jsonType, b)
}

// unknownMetadata keeps the console's page away from clients that look for documents which this server has not.
func (s *Server) unknownMetadata(w http.ResponseWriter, r *http.Request) {
	backend.WriteProblem(w, r, s.d.Logger, core.Errorf(core.CodeNotFound, "there is no such document; the metadata of this server is at %s", metadataPath+Path))
}

// challenge is the field WWW-Authenticate of a refusal: where to learn how to get a token, and for what (RFC 6750, RFC 9728).
func (s *Server) challenge(r *http.Request, why string, need []core.Scope) string {
	if need == nil {
		need = []core.Scope{core.ScopeRead, core.ScopeRun}
	}
	parts := []string{`resource_metadata="` + s.base(r) + metadataPath + Path + `"`}
	if why != "" {
		parts = append([]string{why}, parts...)
	}
	if names := s.d.OAuth.scopes(need...); len(names) > 0 {
		parts = append(parts, `scope="`+strings.Join(names, " ")+`"`)
	}
	return "Bearer " + strings.Join(parts, ", ")
}
