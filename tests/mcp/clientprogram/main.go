// Command clientprogram is the client of the Model Context Protocol's official suite: what gives agents tools, on a database
// of its own, with a person who logs in where a server asks for it. It is for tests alone. The suite starts it with the
// address of its server and says by MCP_CONFORMANCE_SCENARIO what to do; a scenario that it does not know is one in which a
// client connects, lists tools and calls those of MCP_CONFORMANCE_CONTEXT.
//
//	go build -o client ./tests/mcp/clientprogram
//	conformance client --command ./client --requirements 2026-07-28
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/egress"
	"github.com/sutazai/sutazai/internal/mcp"
	"github.com/sutazai/sutazai/internal/secrets"
	"github.com/sutazai/sutazai/services/database"
)

// The suite says by these variables what the client is to do.
const (
	scenarioVariable = "MCP_CONFORMANCE_SCENARIO"
	contextVariable  = "MCP_CONFORMANCE_CONTEXT"
)

// maxLogins is how often a person logs in at the same server.
const maxLogins = 3

// scenarioPatience bounds a scenario; the suite's own bound is a little longer.
const scenarioPatience = 25 * time.Second

func main() {
	scenario := os.Getenv(scenarioVariable)
	if scenario == "" || len(os.Args) != 2 {
		fmt.Fprintf(os.Stderr, "usage: %s=SCENARIO %s URL\n", scenarioVariable, os.Args[0])
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scenarioPatience)
	err := playClient(ctx, scenario, os.Args[1])
	cancel()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", scenario, err)
		os.Exit(1)
	}
}

// wishes is what the suite wants of some scenarios.
type wishes struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	ToolCalls    []struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"toolCalls"`
}

// player is the product's client of tools, on a database of its own, and the person who logs in.
type player struct {
	*mcp.Manager
	mu     sync.Mutex
	tools  map[string]*mcp.Tool
	logins int
}

// playClient connects to the suite's server, logs in where it asks for it, and calls tools as the scenario wants.
func playClient(ctx context.Context, scenario, address string) (err error) {
	var w wishes
	if text := os.Getenv(contextVariable); text != "" {
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "stz")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := &player{tools: map[string]*mcp.Tool{}}
	done, err := p.open(ctx, dir, scenario, address, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	p.Start(ctx)
	if err := p.connected(ctx); err != nil {
		return err
	}
	for _, call := range p.calls(scenario, w) {
		if err := p.call(ctx, call.name, call.args); err != nil {
			slog.Info("a call failed", "tool", call.name, "error", err) // some are meant to
		}
	}
	return nil
}

// open puts the client together.
func (p *player) open(ctx context.Context, dir, scenario, address string, w wishes) (done func() error, err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	db, err := database.Open(ctx, database.Options{DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	vault, err := secrets.Open(ctx, secrets.Options{DataDir: dir, Store: database.NewCredentials(db), Now: time.Now, Logger: log})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	outside, err := egress.New(egress.Config{AllowHosts: []string{"localhost", "127.0.0.1", "::1"}})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	spec := mcp.Spec{
		Name: "suite", URL: address, HTTP: outside.HTTPClient(), Pin: mcp.PinOff, Timeout: scenarioPatience, MaxTimeout: scenarioPatience,
		Auth: mcp.Auth{Kind: mcp.AuthNone, Per: mcp.PerServer},
	}
	if strings.HasPrefix(scenario, "auth/") {
		spec.Auth = mcp.Auth{
			Kind: mcp.AuthOAuth, Per: mcp.PerServer, ClientID: w.ClientID, ClientSecret: core.NewSecret(w.ClientSecret),
			ClientMetadataURL: "https://conformance-test.local/client-metadata.json",
		}
	}
	p.Manager, err = mcp.New(ctx, mcp.Options{
		Servers: []mcp.Spec{spec}, Store: database.NewMCP(db), Sealer: vault, Files: nowhere{}, OutputMax: func() int { return 1 << 20 },
		Changed: func(_ string, tools []*mcp.Tool) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			clear(p.tools)
			for _, t := range tools {
				p.tools[t.Spec().Name] = t
			}
			return nil
		},
		CallbackURL: func() string { return "http://localhost:3000/callback" },
		Elicit:      elicit(scenario), Version: "1", Logger: log, Now: time.Now,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error {
		err := p.Close()
		outside.Close()
		return errors.Join(err, db.Close())
	}, nil
}

// nowhere is a workspace that the suite has no use for.
type nowhere struct{}

func (nowhere) Attach(string, []core.File) error { return nil }

// elicit answers questions in the scenarios that are about them; in all others there is nobody to answer.
func elicit(scenario string) mcp.Elicit {
	content := map[string]any{}
	switch scenario {
	case "elicitation-sep1034-client-defaults":
	case "sep-2322-client-request-state":
		content["confirmed"] = true
	default:
		return nil
	}
	return func(context.Context, *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
		return &sdk.ElicitResult{Action: "accept", Content: content}, nil
	}
}

// connected waits for the connection, and logs in where the server asks for it.
func (p *player) connected(ctx context.Context) error {
	for {
		d, err := p.Server(ctx, "suite", core.Caller{Actor: "socket"})
		switch {
		case err != nil:
			return err
		case d.State == core.ServiceHealthy:
			return nil
		case d.State == core.ServiceDown:
			return errors.New(d.Detail)
		case d.State == core.ServiceDegraded:
			if err := p.logIn(ctx); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// logIn does what a person does in a browser: the suite's authorization server sends it back at once.
func (p *player) logIn(ctx context.Context) error {
	if p.logins++; p.logins > maxLogins {
		return errors.New("the person is tired of logging in")
	}
	l, err := p.Login(ctx, "suite", core.Caller{Actor: "socket"})
	if err != nil {
		return err
	}
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := browser.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return err
	}
	ended, err := p.Callback(ctx, back.Query())
	if err == nil && ended.State != "done" {
		err = errors.New(ended.Error)
	}
	return err
}

type wanted struct{ name, args string }

// calls are the tools that a scenario wants called.
func (p *player) calls(scenario string, w wishes) []wanted {
	if len(w.ToolCalls) > 0 {
		var list []wanted
		for _, c := range w.ToolCalls {
			list = append(list, wanted{c.Name, string(c.Arguments)})
		}
		return list
	}
	switch scenario {
	case "tools_call":
		return []wanted{{"add_numbers", `{"a":5,"b":3}`}}
	case "elicitation-sep1034-client-defaults":
		return []wanted{{"test_client_elicitation_defaults", `{}`}}
	case "sse-retry":
		return []wanted{{"test_reconnection", `{}`}}
	case "sep-2322-client-request-state":
		return []wanted{{"test_mrtr_echo_state", `{}`}, {"test_mrtr_no_state", `{}`}, {"test_mrtr_unrelated", `{}`}, {"test_mrtr_no_result_type", `{}`}}
	case "json-schema-2020-12-preservation":
		p.mu.Lock()
		defer p.mu.Unlock()
		if t := p.tools["suite.json_schema_2020_12_tool"]; t != nil {
			return []wanted{{"json_schema_echo", fmt.Sprintf(`{"schema":%s}`, t.Spec().Parameters)}}
		}
		return nil
	case "http-standard-headers", "http-invalid-tool-headers":
		p.mu.Lock()
		defer p.mu.Unlock()
		var list []wanted
		for name := range p.tools {
			list = append(list, wanted{strings.TrimPrefix(name, "suite."), `{"region":"us-west1"}`})
		}
		slices.SortFunc(list, func(a, b wanted) int { return strings.Compare(a.name, b.name) })
		return list
	}
	if strings.HasPrefix(scenario, "auth/") {
		return []wanted{{"test-tool", `{}`}}
	}
	return nil
}

func (p *player) call(ctx context.Context, name, args string) error {
	for {
		p.mu.Lock()
		t := p.tools["suite."+name]
		p.mu.Unlock()
		if t == nil {
			return fmt.Errorf("there is no tool %s", name)
		}
		_, err := t.Call(ctx, core.ToolInvocation{Name: name, Arguments: json.RawMessage(args), Caller: core.Caller{Actor: "socket"}})
		if core.CodeOf(err) != core.CodeUnauthorized {
			return err
		}
		if err := p.logIn(ctx); err != nil {
			return err
		}
		if err := p.connected(ctx); err != nil {
			return err
		}
	}
}
