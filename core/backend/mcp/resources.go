package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
)

// Addresses of resources.
const (
	runsURI     = "sutazai://runs/"
	agentsURI   = "sutazai://agents/"
	stepsPart   = "/steps"
	answerPart  = "/answer"
	jsonType    = "application/json"
	runsCursor  = "runs." // begins the cursor of a page of runs
	runsOfAPage = 50
)

func runURI(id string) string     { return runsURI + id }
func agentURI(name string) string { return agentsURI + name }

// addResources makes what stands under a template. Agents are resources of their own: see sync.
func (s *Server) addResources() {
	for _, t := range []sdk.ResourceTemplate{
		{URITemplate: runsURI + "{id}", Name: "run", Title: "A run", MIMEType: jsonType, Description: "A run: its status, its answer and what it has used."},
		{URITemplate: runsURI + "{id}" + stepsPart, Name: "run-steps", Title: "The steps of a run", MIMEType: jsonType, Description: "The model calls, tool calls and delegations of a run."},
		{URITemplate: runsURI + "{id}" + answerPart, Name: "run-answer", Title: "The answer of a run", MIMEType: "text/markdown", Description: "What the agent said at the end; empty until then."},
	} {
		s.server.AddResourceTemplate(&t, s.readRun)
	}
	s.server.AddResourceTemplate(&sdk.ResourceTemplate{
		URITemplate: agentsURI + "{name}", Name: "agent", Title: "An agent", MIMEType: jsonType, Description: "An agent's card: what it does and which tools it has.",
	}, s.readAgent)
}

// runOfURI returns the run that a resource belongs to and which part of it is meant: "", "/steps" or "/answer".
func runOfURI(uri string) (id, part string, ok bool) {
	rest, ok := strings.CutPrefix(uri, runsURI)
	if !ok {
		return "", "", false
	}
	id, part = rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		id, part = rest[:i], rest[i:]
	}
	id, err := url.PathUnescape(id)
	return id, part, err == nil && id != "" && id == core.CleanText(id) && (part == "" || part == stepsPart || part == answerPart)
}

func (s *Server) readRun(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	id, part, ok := runOfURI(req.Params.URI)
	if !ok {
		return nil, sdk.ResourceNotFoundError(req.Params.URI)
	}
	run, err := s.d.Runs.Run(ctx, id)
	if err != nil {
		return nil, notFound(req.Params.URI, err)
	}
	switch part {
	case answerPart:
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: req.Params.URI, MIMEType: "text/markdown", Text: run.Output}}}, nil
	case stepsPart:
		steps, err := s.d.Runs.Steps(ctx, id)
		if err != nil {
			return nil, notFound(req.Params.URI, err)
		}
		return document(req.Params.URI, map[string]any{"steps": tidySteps(steps)})
	}
	return document(req.Params.URI, tidyRun(run))
}

func (s *Server) readAgent(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	name, err := url.PathUnescape(strings.TrimPrefix(req.Params.URI, agentsURI))
	if err != nil {
		return nil, sdk.ResourceNotFoundError(req.Params.URI)
	}
	a, err := s.d.Agents.Agent(name)
	if err != nil {
		return nil, notFound(req.Params.URI, err)
	}
	active, err := s.d.Runs.ActiveByAgent(ctx)
	if err != nil {
		return nil, err
	}
	return document(req.Params.URI, card(a, active[a.Name]))
}

func notFound(uri string, err error) error {
	if core.CodeOf(err) == core.CodeNotFound {
		return sdk.ResourceNotFoundError(uri)
	}
	return err
}

func document(uri string, v any) (*sdk.ReadResourceResult, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: uri, MIMEType: jsonType, Text: string(b)}}}, nil
}

// listResources lists what the SDK knows, then runs, newest first.
func (s *Server) listResources(ctx context.Context, next sdk.MethodHandler, req sdk.Request, p *sdk.ListResourcesParams) (sdk.Result, error) {
	cursor := ""
	if p != nil {
		cursor = p.Cursor
	}
	before, ofRuns := strings.CutPrefix(cursor, runsCursor)
	if !ofRuns {
		res, err := next(ctx, "resources/list", req)
		if list, ok := res.(*sdk.ListResourcesResult); err == nil && ok && list.NextCursor == "" {
			list.NextCursor = runsCursor
			return s.skipEmpty(ctx, list)
		}
		return res, err
	}
	if before != core.CleanText(before) || len(before) > 64 {
		return nil, core.Errorf(core.CodeInvalid, "params.cursor: is not one that this server has given")
	}
	out := &sdk.ListResourcesResult{Resources: []*sdk.Resource{}}
	private(ctx, req, &out.Cacheable)
	return out, s.addRuns(ctx, before, out)
}

// skipEmpty adds the newest runs to the last page, so that a server without runs has one page only.
func (s *Server) skipEmpty(ctx context.Context, list *sdk.ListResourcesResult) (sdk.Result, error) {
	list.NextCursor = ""
	return list, s.addRuns(ctx, "", list)
}

func (s *Server) addRuns(ctx context.Context, before string, to *sdk.ListResourcesResult) error {
	runs, next, err := s.d.Runs.Runs(ctx, core.RunFilter{Before: before, Limit: runsOfAPage})
	if err != nil {
		return err
	}
	for _, r := range runs {
		to.Resources = append(to.Resources, &sdk.Resource{
			URI: runURI(r.ID), Name: r.ID, Title: r.Agent + ": " + short(r.Input), MIMEType: jsonType,
			Description: fmt.Sprintf("Run of %s, %s, %s.", r.Agent, r.Status, r.CreatedAt.UTC().Format("2006-01-02 15:04")),
		})
	}
	if next != "" {
		to.NextCursor = runsCursor + next
	}
	return nil
}

// short is the beginning of a text, on one line.
func short(text string) string {
	const longest = 80
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) > longest {
		return string(line[:longest-1]) + "…"
	}
	return string(line)
}

// subscribe begins to watch what a client wants to hear about. Agents are static; changes of them come as changes of lists.
func (s *Server) subscribe(ctx context.Context, req *sdk.SubscribeRequest) error {
	if p, _ := auth.PrincipalOf(ctx); !p.HasAny(core.ScopeRead) { // subscriptions/listen comes here too
		return core.Errorf(core.CodeForbidden, "a subscription needs the scope %q, which the credential does not have", core.ScopeRead)
	}
	id, _, ok := runOfURI(req.Params.URI)
	if !ok {
		return nil
	}
	run, err := s.d.Runs.Run(ctx, id)
	if err != nil {
		return notFound(req.Params.URI, err)
	}
	if err := s.watches.add(req.Session, req.Params.URI, run); errors.Is(err, errTooMany) {
		return core.Errorf(core.CodeLimit, "this session watches %d resources already; end a subscription first", maxWatches)
	}
	return nil
}

func (s *Server) unsubscribe(_ context.Context, req *sdk.UnsubscribeRequest) error {
	s.watches.remove(req.Session, req.Params.URI)
	return nil
}

// updated tells those who subscribed to a resource that it has changed.
func (s *Server) updated(ctx context.Context, uri string) {
	if err := s.server.ResourceUpdated(ctx, &sdk.ResourceUpdatedNotificationParams{URI: uri}); err != nil {
		s.d.Logger.Debug("subscribers not told", "uri", uri, "error", err)
	}
}
