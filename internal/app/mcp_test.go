package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// mcpServerVariable makes this test program a server of tools on its standard input and output.
const mcpServerVariable = "SUTAZAI_TEST_MCP_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(mcpServerVariable) == "" {
		os.Exit(m.Run())
	}
	s := sdk.NewServer(&sdk.Implementation{Name: "erp", Version: "1"}, nil)
	s.AddTool(&sdk.Tool{
		Name: "pay", Description: "Pays an invoice.", Annotations: &sdk.ToolAnnotations{IdempotentHint: true},
		InputSchema: json.RawMessage(`{"type":"object","properties":{"invoice":{"type":"string"}},"required":["invoice"],"additionalProperties":false}`),
	}, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "paid " + string(r.Params.Arguments)}, &sdk.TextContent{Text: strings.Repeat("receipt ", 5000)}}}, nil
	})
	_ = s.Run(context.Background(), &sdk.StdioTransport{})
}

// mcpClient talks to a server that asks for no credential.
type mcpClient struct {
	t   *testing.T
	url string
}

func (c mcpClient) do(method, path, body string, out any) int {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if out != nil && json.Unmarshal(text, out) != nil {
		c.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return resp.StatusCode
}

// until asks again and again, for a bounded time, until a predicate holds.
func (c mcpClient) until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s did not happen", what)
		}
	}
}

func TestAnAgentCallsAToolOfAnMCPServer(t *testing.T) {
	t.Parallel()
	var results atomic.Value
	model := httptest.NewServer(aimodelstest.OpenAIServer(func(_ int, req core.ModelRequest) aimodelstest.Turn {
		last := req.Messages[len(req.Messages)-1]
		if last.Role == core.RoleTool {
			results.Store(last.Text)
			return aimodelstest.Text("It is paid.")
		}
		if len(req.Tools) != 1 {
			return aimodelstest.Text(fmt.Sprintf("I have %d tools.", len(req.Tools)))
		}
		return aimodelstest.Calls(aimodelstest.Call(req.Tools[0].Name, map[string]string{"invoice": "7"}))
	}, "m"))
	t.Cleanup(model.Close)
	dir, agents := t.TempDir(), t.TempDir()
	err := os.WriteFile(filepath.Join(agents, "clerk.md"), []byte("---\nname: clerk\ndescription: Pays invoices.\ntools:\n  - mcp: erp\n---\nYou are careful.\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{NoFile: true, Env: []string{"HOME=" + dir}, Set: []string{
		"server.listen=127.0.0.1:0", "server.data_dir=" + dir, "server.auth=none", "models.local.runtime=off", "agents.dir=" + agents,
		"models.providers.fake.kind=openai", "models.providers.fake.base_url=" + model.URL + "/v1", "models.routes.default=[{target: fake/m}]",
		"tools.output_max=4KB", "mcp.servers={erp: {command: [" + os.Args[0] + "], env: {" + mcpServerVariable + ": \"1\"}}}",
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Start(t.Context(), Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	t.Cleanup(func() {
		if !closed {
			_ = a.Close(context.Background())
		}
	})
	c := mcpClient{t, a.URL()}

	var d core.MCPServerDetails
	c.until("a tool that waits for approval", func() bool { return c.do("GET", "/mcp/servers/erp", "", &d) == 200 && d.Pending == 1 })
	run := func() core.Run {
		var r core.Run
		if status := c.do("POST", "/runs", `{"agent":"clerk","input":"Pay invoice 7."}`, &r); status != 201 {
			t.Fatalf("the run was not started: %d", status)
		}
		c.until("the end of the run", func() bool { c.do("GET", "/runs/"+r.ID, "", &r); return r.Status.Final() })
		return r
	}
	if r := run(); r.Output != "I have 0 tools." {
		t.Errorf("before the approval: %+v", r)
	}
	if status := c.do("POST", "/mcp/servers/erp/approve", fmt.Sprintf(`{"tools":[{"tool":"erp.pay","hash":%q}]}`, d.Tools[0].Hash), &d); status != 200 || d.Usable != 1 {
		t.Fatalf("approved: %d, %+v", status, d)
	}
	r := run()
	if r.Output != "It is paid." {
		t.Fatalf("the run is %+v", r)
	}
	got, _ := results.Load().(string)
	if !strings.HasPrefix(got, `paid {"invoice":"7"}`) || !strings.Contains(got, "is in the file mcp/erp/pay-") || len(got) > int(cfg.Tools.OutputMax) {
		t.Errorf("the model got %d bytes: %.200s", len(got), got)
	}
	files, err := filepath.Glob(filepath.Join(dir, "workspaces", r.ID, "mcp", "erp", "pay-*.txt"))
	if err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
	var steps struct{ Items []core.Step }
	c.do("GET", "/runs/"+r.ID+"/steps", "", &steps)
	called := false
	for _, s := range steps.Items {
		called = called || s.Name == "erp.pay" && s.Effect == core.EffectIdempotent && s.Status == core.StepSucceeded
	}
	if !called {
		t.Errorf("steps %+v", steps.Items)
	}
	var services struct{ Items []core.Service }
	c.do("GET", "/services", "", &services)
	healthy := false
	for _, s := range services.Items {
		healthy = healthy || s.Name == "mcp/erp" && s.State == core.ServiceHealthy && s.Kind == "process"
	}
	if !healthy {
		t.Errorf("services %+v", services.Items)
	}
	closed = true
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "logs", "mcp-erp.log")); err != nil {
		t.Error(err)
	}
}

func TestFlowWordsOfMCPServers(t *testing.T) {
	t.Parallel()
	if f := mcpFlow(nil); f != nil {
		t.Errorf("none said: %v", *f)
	}
	for words, want := range map[string]core.Flow{"none": 0, "private": core.FlowPrivate, "untrusted egress": core.FlowUntrusted | core.FlowEgress} {
		if f := mcpFlow(strings.Fields(words)); f == nil || *f != want {
			t.Errorf("%s: %v", words, f)
		}
	}
}
