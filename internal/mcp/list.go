package mcp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// list asks the server for its tools, makes the session with that list the one that calls use, and records what it says. What is wrong with single tools is kept for people to see.
func (l *link) list(ctx context.Context, ses *session) error {
	s := l.server
	ctx, cancel := context.WithTimeoutCause(ctx, listTimeout, errSlow)
	defer cancel()
	ctx, x := withExchange(ctx)
	tools, problems, err := l.pages(ctx, ses)
	if err != nil {
		switch {
		case errors.Is(err, errLogin):
			return l.loginNeeded()
		case errors.Is(context.Cause(ctx), errSlow):
			return core.Wrap(core.CodeTimeout, err, "%s did not list its tools within %s", s.spec.Name, listTimeout)
		}
		if status := x.status.Load(); status == 401 || status == 403 {
			return core.Wrap(core.CodeUnauthorized, err, "%s does not let us list its tools (HTTP status %d)", s.spec.Name, status)
		}
		return core.Wrap(core.CodeUnavailable, err, "%s does not list its tools: %s", s.spec.Name, said(err))
	}
	ses.offered = map[string]string{}
	var pins []core.MCPPin
	for _, t := range tools {
		_, text, hash, problem := define(t)
		switch {
		case problem != "":
			problems = append(problems, problem)
		case ses.offered[t.Name] != "":
			problems = append(problems, fmt.Sprintf("the tool %s is offered twice; the first one counts", t.Name))
		default:
			ses.offered[t.Name] = hash
			pins = append(pins, core.MCPPin{Server: s.spec.Name, Tool: t.Name, Seen: text, SeenHash: hash})
		}
	}
	l.connected(ses) // first: what is approved from now on is held against this list
	return s.saw(ctx, pins, problems)
}

// pages reads the whole list. A server that has too many tools, or never comes to an end, is cut short.
func (l *link) pages(ctx context.Context, ses *session) (tools []*sdk.Tool, problems []string, err error) {
	if res := ses.InitializeResult(); res.Capabilities == nil || res.Capabilities.Tools == nil {
		return nil, []string{"it offers no tools"}, nil
	}
	cursor, seen := "", []string{}
	for page := 1; ; page++ {
		res, err := ses.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
		if err != nil {
			return nil, nil, err
		}
		tools = append(tools, res.Tools...)
		if res.NextCursor == "" && len(tools) <= maxTools {
			return tools, nil, nil
		}
		seen = append(seen, cursor)
		cursor = res.NextCursor
		switch {
		case len(tools) > maxTools:
			return tools[:maxTools], []string{fmt.Sprintf("it lists more than %d tools; the others are left out", maxTools)}, nil
		case page == maxPages:
			return tools, []string{fmt.Sprintf("its list has more than %d pages; the others are left out", maxPages)}, nil
		case slices.Contains(seen, cursor):
			return tools, []string{"its list goes round in circles; it was read once"}, nil
		}
	}
}
