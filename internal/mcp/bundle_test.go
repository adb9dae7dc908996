package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/mcp"
	"github.com/sutazai/sutazai/internal/supervisor"
	"github.com/sutazai/sutazai/services/database"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv("MCP_TEST_SERVER"); mode != "" {
		stdioServer(mode)
		return
	}
	os.Exit(m.Run())
}

// bundle is a manager over a real database, with what it hands on.
type bundle struct {
	*mcp.Manager
	t     *testing.T
	store *database.MCP
	opts  mcp.Options

	mu      sync.Mutex
	tools   map[string]*mcp.Tool
	changed chan struct{}
	files   map[string][]byte
	log     *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// plain is a sealer that only notes the place.
type plain struct{}

func (plain) Seal(text, place string) (string, error) { return place + "\x01" + text, nil }

func (plain) Unseal(sealed, place string) (core.Secret, error) {
	text, ok := strings.CutPrefix(sealed, place+"\x01")
	if !ok {
		return core.Secret{}, core.Errorf(core.CodeInvalid, "it belongs elsewhere")
	}
	return core.NewSecret(text), nil
}

func (b *bundle) Attach(workspace string, files []core.File) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range files {
		b.files[workspace+"/"+f.Name] = f.Content
	}
	return nil
}

func openDB(t *testing.T) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// open makes a manager that has not started yet.
func open(t *testing.T, specs ...mcp.Spec) *bundle {
	t.Helper()
	return reopen(t, openDB(t), specs...)
}

func reopen(t *testing.T, db *database.DB, specs ...mcp.Spec) *bundle {
	t.Helper()
	b := &bundle{t: t, store: database.NewMCP(db), tools: map[string]*mcp.Tool{}, changed: make(chan struct{}), files: map[string][]byte{}, log: &syncBuffer{}}
	for i := range specs {
		if specs[i].HTTP == nil {
			specs[i].HTTP = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
			t.Cleanup(specs[i].HTTP.CloseIdleConnections)
		}
		if specs[i].Pin == "" {
			specs[i].Pin = mcp.PinApprove
		}
		if specs[i].Auth.Kind == "" {
			specs[i].Auth.Kind = mcp.AuthNone
		}
		if specs[i].Timeout == 0 {
			specs[i].Timeout = 20 * time.Second
		}
		if specs[i].MaxTimeout == 0 {
			specs[i].MaxTimeout = time.Minute
		}
	}
	b.opts = mcp.Options{
		Servers: specs, Store: b.store, Sealer: plain{}, Files: b, OutputMax: func() int { return 2000 },
		Program: func(server string, command []string, dir string, env map[string]core.Secret) (io.ReadWriteCloser, error) {
			list := []string{"PATH=" + os.Getenv("PATH")}
			for name, value := range env {
				list = append(list, name+"="+value.Reveal())
			}
			return supervisor.StartPiped(supervisor.Command{Path: command[0], Args: command[1:], Env: list, Dir: dir}, b.log, time.Second)
		},
		Changed: func(server string, tools []*mcp.Tool) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			for name := range b.tools {
				if strings.HasPrefix(name, server+".") {
					delete(b.tools, name)
				}
			}
			for _, tool := range tools {
				b.tools[tool.Spec().Name] = tool
			}
			close(b.changed)
			b.changed = make(chan struct{})
			return nil
		},
		CallbackURL: func() string { return "http://127.0.0.1:1/callback" }, Version: "test",
		Logger: slog.New(slog.NewTextHandler(b.log, nil)), Now: time.Now,
	}
	m, err := mcp.New(t.Context(), b.opts)
	if err != nil {
		t.Fatal(err)
	}
	b.Manager = m
	return b
}

// start makes a manager that connects.
func start(t *testing.T, specs ...mcp.Spec) *bundle {
	t.Helper()
	b := open(t, specs...)
	b.begin()
	return b
}

func (b *bundle) begin() {
	b.t.Helper()
	b.Start(context.Background())
	b.t.Cleanup(func() { _ = b.Close() })
}

// until waits for something to become true; it is asked again whenever tools change, and every few milliseconds.
func (b *bundle) until(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("%s did not happen; log:\n%s", what, b.log)
		}
	}
}

// details returns a server with its tools.
func (b *bundle) details(server string) core.MCPServerDetails {
	b.t.Helper()
	d, err := b.Server(b.t.Context(), server, core.Caller{Actor: "user:ann"})
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// approve waits until a server has told its tools, and approves all that wait.
func (b *bundle) approve(server string) {
	b.t.Helper()
	b.until("a list of tools of "+server, func() bool { return b.details(server).Pending > 0 })
	var list []core.MCPApproval
	for _, tool := range b.details(server).Tools {
		if tool.State == core.MCPToolNew || tool.State == core.MCPToolChanged {
			list = append(list, core.MCPApproval{Tool: tool.Name, Hash: tool.Hash})
		}
	}
	if _, err := b.Approve(b.t.Context(), server, list, core.Caller{Actor: "user:ann"}); err != nil {
		b.t.Fatal(err)
	}
}

// tool returns a tool that agents have, nil if they have none of that name.
func (b *bundle) tool(name string) *mcp.Tool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tools[name]
}

func (b *bundle) names() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for name := range b.tools {
		names = append(names, name)
	}
	return fmt.Sprint(names)
}

// call calls a tool that agents have.
func (b *bundle) call(name, args string) (string, error) {
	return b.callAs(b.t.Context(), core.Caller{}, name, args)
}

func (b *bundle) callAs(ctx context.Context, c core.Caller, name, args string) (string, error) {
	b.t.Helper()
	tool := b.tool(name)
	if tool == nil {
		b.t.Fatalf("agents have no tool %s; there is %s", name, b.names())
	}
	return tool.Call(ctx, core.ToolInvocation{Run: "r", Name: name, Arguments: json.RawMessage(args), IdempotencyKey: "r:1", Workspace: "w", Caller: c})
}

// unknown says whether nobody can say what became of a call.
func unknown(err error) bool {
	var u interface{ OutcomeUnknown() bool }
	return asUnknown(err, &u) && u.OutcomeUnknown()
}

type nothing struct{}

// erp is a small server of the official library: what most tests talk to.
func erp() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "erp", Version: "1.2"}, nil)
	type text struct {
		Text string `json:"text"`
	}
	sdk.AddTool(s, &sdk.Tool{Name: "list", Description: "Lists invoices.", Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true}},
		func(_ context.Context, _ *sdk.CallToolRequest, in text) (*sdk.CallToolResult, any, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "invoice " + in.Text}}}, nil, nil
		})
	sdk.AddTool(s, &sdk.Tool{Name: "pay", Description: "Pays an invoice."},
		func(_ context.Context, r *sdk.CallToolRequest, in text) (*sdk.CallToolResult, any, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: fmt.Sprintf("paid %s under %v", in.Text, r.Params.Meta["sutazai.com/idempotency-key"])}}}, nil, nil
		})
	sdk.AddTool(s, &sdk.Tool{Name: "refuse", Description: "Says no."},
		func(context.Context, *sdk.CallToolRequest, nothing) (*sdk.CallToolResult, any, error) {
			return nil, nil, fmt.Errorf("the period is closed")
		})
	return s
}

// serve serves a server of the official library over HTTP.
func serve(t *testing.T, s *sdk.Server, options *sdk.StreamableHTTPOptions) string {
	t.Helper()
	h := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, options))
	t.Cleanup(func() { h.CloseClientConnections(); h.Close() })
	return h.URL
}

// stdio is the settings of a server that this test program itself plays.
func stdio(mode string) mcp.Spec {
	return mcp.Spec{Name: "erp", Command: []string{os.Args[0]}, Env: map[string]core.Secret{"MCP_TEST_SERVER": core.NewSecret(mode)}}
}
