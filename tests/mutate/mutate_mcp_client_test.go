//go:build mutate

package mutate

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/mcp"
	"github.com/sutazai/sutazai/services/database"
)

const (
	mcpBatch    = 200                    // callers of one manager; each has a connection of its own
	mcpParallel = 50                     // callers at the same time
	mcpPause    = 300 * time.Millisecond // that a server may be silent
)

// mcpAnswers are what an honest server answers to each method.
var mcpAnswers = map[string][]string{
	"initialize":      {`{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"evil","version":"1"},"instructions":"x"}}`},
	"server/discover": {`{"jsonrpc":"2.0","id":0,"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"evil","version":"1"}}}}`},
	"tools/list": {`{"jsonrpc":"2.0","id":0,"result":{"tools":[{"name":"pay","title":"Pay","description":"Pays.","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}},"required":[]},` +
		`"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"destructiveHint":false,"openWorldHint":true},"icons":[{"src":"https://x/y.png"}],"_meta":{"a":1}}],"ttlMs":1000}}`},
	"tools/call": {
		`{"jsonrpc":"2.0","id":0,"result":{"content":[{"type":"text","text":"paid"},{"type":"image","data":"aGk=","mimeType":"image/png"},{"type":"resource","resource":{"uri":"x://y","mimeType":"text/plain","text":"t"}},{"type":"resource_link","uri":"x://y","name":"n","size":5}],"structuredContent":{"a":[1,2]},"isError":false}}`,
		`{"jsonrpc":"2.0","id":0,"result":{"content":[{"type":"audio","data":"aGk=","mimeType":"audio/wav"}],"isError":true,"_meta":{"a":1}}}`,
		`{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"no such account","data":{"a":1}}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1,"total":2,"message":"m"}}`,
		`{"jsonrpc":"2.0","id":5,"method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{"a":{"type":"string"}}}}}`,
		`{"jsonrpc":"2.0","id":6,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}`,
		`{"jsonrpc":"2.0","id":7,"method":"roots/list"}`,
		`{"jsonrpc":"2.0","id":0,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"m"}}},"requestState":"s"}}`,
	},
}

// mcpEvil is a server that breaks one of its answers to each caller, and says in the caller's name what it sent.
type mcpEvil struct {
	mu   sync.Mutex
	m    *Mutator
	sent map[string]string
}

// ServeHTTP answers a caller, who is told by the header X-Caller.
func (e *mcpEvil) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || len(in.ID) == 0 {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	caller, modern := r.Header.Get("Authorization"), strings.HasSuffix(r.Header.Get("Authorization"), "1")
	if in.Method == "server/discover" && !modern || mcpAnswers[in.Method] == nil {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no such method"}}`, in.ID)
		return
	}
	e.mu.Lock()
	valid := Pick(e.m, mcpAnswers[in.Method])
	body := []byte(strings.Replace(valid, `"id":0`, `"id":`+string(in.ID), 1))
	stream := Pick(e.m, []bool{true, false}) || strings.Contains(valid, `"method"`)
	_, broken := e.sent[caller]
	// Most of what is broken is the answer to a call: without a list there is none.
	if !broken && (in.Method == "tools/call" || Pick(e.m, []int{0, 1, 2, 3, 4, 5}) == 0) {
		body = e.m.Message(body)
		e.sent[caller] = string(body)
	}
	e.mu.Unlock()
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for line := range strings.SplitSeq(string(body), "\n") {
		fmt.Fprintf(w, "data: %s\n", line)
	}
	fmt.Fprint(w, "\n")
}

func TestMCPClient(t *testing.T) {
	before := runtime.NumGoroutine()
	evil := &mcpEvil{m: New(11), sent: map[string]string{}}
	server := httptest.NewServer(evil)
	db, err := database.Open(t.Context(), database.Options{DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	log := &mcpLog{}
	count := map[string]int{}
	for from := 0; len(evil.sent) < mcpMessages && from < 2*mcpMessages; from += mcpBatch { // a few are given up before they got a broken message
		mcpCallers(t, server.URL, database.NewMCP(db), slog.New(log), evil, from, count)
	}
	server.Close()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+2 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if left := runtime.NumGoroutine() - before; left > 2 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left:\n%s", left, buf[:runtime.Stack(buf, true)])
		count["leaks"]++
	}
	fmt.Printf("RESULT mutate protocol=mcp role=client messages=%d panics=%d leaks=%d unexplained=%d refused=%d taken=%d\n",
		len(evil.sent), log.panics, count["leaks"], count["unexplained"], count["refused"], count["taken"])
	if log.panics+count["leaks"]+count["unexplained"] > 0 || len(evil.sent) < mcpMessages {
		t.Fail()
	}
}

// mcpCallers lets a batch of callers connect, each with a token of its own, and call.
func mcpCallers(t *testing.T, url string, store *database.MCP, log *slog.Logger, evil *mcpEvil, from int, count map[string]int) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: mcpParallel}
	defer transport.CloseIdleConnections()
	tokens := map[string]core.Secret{}
	for n := range mcpBatch {
		tokens[fmt.Sprint(from+n)] = core.NewSecret(fmt.Sprint(from + n))
	}
	honest := core.MCPPin{Server: "erp", Tool: "pay", Seen: `{"name":"pay","description":"Pays.","inputSchema":{"type":"object"}}`, SeenHash: "h"}
	if err := store.SeeMCPTools(t.Context(), "erp", []core.MCPPin{honest}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var pay *mcp.Tool // of the honest list; what a broken list says changes it for later calls, which is the server's own affair
	m, err := mcp.New(t.Context(), mcp.Options{
		Servers: []mcp.Spec{{
			Name: "erp", URL: url, HTTP: &http.Client{Transport: transport}, Pin: mcp.PinOff, Timeout: mcpPause, MaxTimeout: 2 * mcpPause,
			Auth: mcp.Auth{Kind: mcp.AuthBearer, Per: mcp.PerProject, Tokens: tokens},
		}},
		Store: store, Files: mcpNowhere{}, OutputMax: func() int { return 16 << 10 },
		Changed: func(_ string, tools []*mcp.Tool) error {
			mu.Lock()
			defer mu.Unlock()
			for _, tool := range tools {
				if pay == nil && tool.Spec().Name == "erp.pay" {
					pay = tool
				}
			}
			return nil
		},
		CallbackURL: func() string { return "" }, Version: "1", Logger: log, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Start(t.Context())
	turns := make(chan int)
	var callers sync.WaitGroup
	for range mcpParallel {
		callers.Go(func() {
			for n := range turns {
				project := fmt.Sprint(n)
				text, err := pay.Call(context.Background(), core.ToolInvocation{
					Run: "r", Name: "erp.pay", Arguments: json.RawMessage(`{"a":"b"}`), IdempotencyKey: "r:1", Workspace: "w", Caller: core.Caller{Project: project},
				})
				evil.mu.Lock()
				sent := evil.sent["Bearer "+project]
				evil.mu.Unlock()
				message := core.MessageOf(err)
				mu.Lock()
				switch {
				case err == nil:
					count["taken"]++
					message = text
				default:
					count["refused"]++
					if !Explained(message, "erp") {
						count["unexplained"]++
						t.Errorf("%q explains nothing about %.300s", message, sent)
					}
				}
				if leak := Leak(message, sent); leak != "" {
					count["leaks"]++
					t.Errorf("%q leaks in %q, said of %.300s", leak, message, sent)
				}
				mu.Unlock()
			}
		})
	}
	for n := range mcpBatch {
		turns <- from + n
	}
	close(turns)
	callers.Wait()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// mcpNowhere takes files and keeps none.
type mcpNowhere struct{}

func (mcpNowhere) Attach(string, []core.File) error { return nil }
