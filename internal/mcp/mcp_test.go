package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/mcp"
)

func asUnknown(err error, to any) bool { return errors.As(err, to) }

// stdioServer is what this program does as a server on its standard input and output.
func stdioServer(mode string) {
	switch mode {
	case "erp":
		s := erp()
		sdk.AddTool(s, &sdk.Tool{Name: "environment", Description: "Shows the environment.", Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true}},
			func(context.Context, *sdk.CallToolRequest, nothing) (*sdk.CallToolResult, any, error) {
				return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: strings.Join(os.Environ(), "\n")}}}, nil, nil
			})
		for name, read := range map[string]bool{"crash": false, "crash_reading": true} {
			sdk.AddTool(s, &sdk.Tool{Name: name, Description: "Ends the program once.", Annotations: &sdk.ToolAnnotations{ReadOnlyHint: read}},
				func(_ context.Context, _ *sdk.CallToolRequest, in struct {
					File string `json:"file"`
				}) (*sdk.CallToolResult, any, error) {
					if _, err := os.Stat(in.File); err == nil {
						return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "alive"}}}, nil, nil
					}
					_ = os.WriteFile(in.File, nil, 0o600)
					os.Exit(3)
					return nil, nil, nil
				})
		}
		_ = s.Run(context.Background(), &sdk.StdioTransport{})
	case "deaf": // answers what is needed to be connected and listed, then reads nothing any more
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			var m struct {
				ID     json.RawMessage `json:"id"`
				Method string          `json:"method"`
			}
			_ = json.Unmarshal(in.Bytes(), &m)
			switch m.Method {
			case "server/discover":
				fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no such method"}}`+"\n", m.ID)
			case "initialize":
				fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"deaf","version":"1"}}}`+"\n", m.ID)
			case "tools/list":
				fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"pay","description":"Pays.","inputSchema":{"type":"object"}}]}}`+"\n", m.ID)
				select {}
			}
		}
	}
}

func TestToolsOfAProgramAreCalled(t *testing.T) {
	t.Parallel()
	testTools(t, stdio("erp"))
}

func TestToolsOfAnAddressAreCalled(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]*sdk.StreamableHTTPOptions{"with sessions": nil, "stateless": {Stateless: true}, "as JSON": {JSONResponse: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testTools(t, mcp.Spec{Name: "erp", URL: serve(t, erp(), options)})
		})
	}
}

func testTools(t *testing.T, spec mcp.Spec) {
	t.Helper()
	spec.Deny = []string{"ref*"}
	b := start(t, spec)
	b.approve("erp")
	if b.tool("erp.refuse") != nil {
		t.Error("a tool that the settings deny is there")
	}
	if got := b.tool("erp.list").Spec(); got.Effect != core.EffectReadOnly || got.Description != "Lists invoices." || !got.Flow.Has(core.FlowUntrusted|core.FlowEgress) {
		t.Errorf("list is %+v", got)
	}
	if got := b.tool("erp.pay").Spec(); got.Effect != core.EffectUnsafe {
		t.Errorf("pay is %+v", got)
	}
	if got, err := b.call("erp.list", `{"text":"7"}`); err != nil || got != "invoice 7" {
		t.Errorf("list: %q, %v", got, err)
	}
	if got, err := b.call("erp.pay", `{"text":"7"}`); err != nil || got != "paid 7 under r:1" {
		t.Errorf("pay: %q, %v", got, err)
	}
	d := b.details("erp")
	if d.State != core.ServiceHealthy || d.Software != "erp 1.2" || d.Protocol == "" || d.Pending != 0 {
		t.Errorf("status %+v", d.MCPServer)
	}
	if svc := b.Health(); len(svc) != 1 || svc[0].Name != "mcp/erp" || svc[0].State != core.ServiceHealthy {
		t.Errorf("health %+v", svc)
	}
}

func TestAToolThatSaysNoGivesAnError(t *testing.T) {
	t.Parallel()
	b := start(t, mcp.Spec{Name: "erp", URL: serve(t, erp(), nil)})
	b.approve("erp")
	_, err := b.call("erp.refuse", `{}`)
	if core.CodeOf(err) != core.CodeInvalid || core.MessageOf(err) != "the period is closed" || unknown(err) {
		t.Errorf("got %v", err)
	}
	_, err = b.call("erp.list", `{"text":7}`)
	if err == nil || unknown(err) || !strings.Contains(core.MessageOf(err), "text") {
		t.Errorf("wrong arguments: %v", err)
	}
}

func TestAProgramGetsNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("SUTAZAI_CANARY", "canary-secret")
	b := start(t, stdio("erp"))
	b.approve("erp")
	got, err := b.call("erp.environment", `{}`)
	if err != nil || strings.Contains(got, "canary") || !strings.Contains(got, "MCP_TEST_SERVER=erp") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestACallOfAnUnsafeToolIsNeverRepeatedWhenTheServerCrashes(t *testing.T) {
	t.Parallel()
	b := start(t, stdio("erp"))
	b.approve("erp")
	file := t.TempDir() + "/crashed"
	_, err := b.call("erp.crash", `{"file":"`+file+`"}`)
	if !unknown(err) || !strings.Contains(core.MessageOf(err), "not known whether") {
		t.Fatalf("got %v", err)
	}
	if got, err := b.call("erp.crash", `{"file":"`+file+`"}`); err != nil || got != "alive" {
		t.Errorf("after the restart: %q, %v", got, err)
	}
	if d := b.details("erp"); d.Restarts != 1 {
		t.Errorf("%d restarts", d.Restarts)
	}
	if got, err := b.call("erp.crash_reading", `{"file":"`+t.TempDir()+`/crashed"}`); err != nil || got != "alive" {
		t.Errorf("a call that is harmless to repeat: %q, %v", got, err)
	}
}

func TestAServerThatDoesNotReadDoesNotHoldUpACall(t *testing.T) {
	t.Parallel()
	spec := stdio("deaf")
	spec.Timeout = 50 * time.Millisecond
	b := start(t, spec)
	b.approve("erp")
	_, err := b.call("erp.pay", `{"text":"`+strings.Repeat("x", 1<<20)+`"}`)
	// Whether the call is slow or its connection is given up first, is a matter of moments.
	if code := core.CodeOf(err); !unknown(err) || code != core.CodeTimeout && code != core.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestPinnedToolsAreThereBeforeTheServerIs(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	url := serve(t, erp(), nil)
	b := reopen(t, db, mcp.Spec{Name: "erp", URL: url})
	b.begin()
	b.approve("erp")
	again := reopen(t, db, mcp.Spec{Name: "erp", URL: "http://127.0.0.1:1/"})
	if again.tool("erp.list") == nil {
		t.Fatal("approved tools are not there")
	}
	again.begin()
	again.until("the server counts as down", func() bool { return again.details("erp").State == core.ServiceDown })
	_, err := again.call("erp.list", `{"text":"x"}`)
	if core.CodeOf(err) != core.CodeUnavailable || unknown(err) {
		t.Errorf("got %v", err)
	}
}
