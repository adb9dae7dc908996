package mcp_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/mcp"
)

// answers makes a server whose tool "get" does as fn says.
func answers(t *testing.T, options *sdk.StreamableHTTPOptions, fn func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error)) *bundle {
	t.Helper()
	s := empty()
	s.AddTool(&sdk.Tool{Name: "get", Description: "Gets.", InputSchema: json.RawMessage(`{"type":"object"}`)}, fn)
	b := start(t, mcp.Spec{Name: "erp", URL: serve(t, s, options), Pin: mcp.PinOff, Timeout: 300 * time.Millisecond, MaxTimeout: 30 * time.Second})
	b.until("the tool is there", func() bool { return b.tool("erp.get") != nil })
	return b
}

func result(content ...sdk.Content) *sdk.CallToolResult { return &sdk.CallToolResult{Content: content} }

func TestResultsBecomeTextAndFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		res   *sdk.CallToolResult
		want  string
		files map[string]string
	}{
		"text":            {res: result(&sdk.TextContent{Text: "one"}, &sdk.TextContent{Text: "two"}), want: "one\ntwo"},
		"nothing":         {res: result(), want: "[the tool returned nothing]"},
		"structured":      {res: &sdk.CallToolResult{StructuredContent: map[string]any{"paid": true}, Content: []sdk.Content{}}, want: `{"paid":true}`},
		"structured, too": {res: &sdk.CallToolResult{StructuredContent: map[string]any{"paid": true}, Content: []sdk.Content{&sdk.TextContent{Text: `{ "paid": true }`}}}, want: `{ "paid": true }`},
		"structured and other text": {res: &sdk.CallToolResult{StructuredContent: map[string]any{"paid": true}, Content: []sdk.Content{&sdk.TextContent{Text: "Done."}}},
			want: "Done.\n{\"paid\":true}"},
		"an image": {res: result(&sdk.ImageContent{Data: []byte("PNG"), MIMEType: "image/png"}), want: "[image of 3 bytes, in the file mcp/erp/get-83780627-1.png]",
			files: map[string]string{"w/mcp/erp/get-83780627-1.png": "PNG"}},
		"a page that would run": {res: result(&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "x://y", MIMEType: "text/html", Blob: []byte("<script>")}}),
			want: "[resource x://y of 8 bytes, in the file mcp/erp/get-83780627-1.txt]", files: map[string]string{"w/mcp/erp/get-83780627-1.txt": "<script>"}},
		"a text resource": {res: result(&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "x://y", Text: "hi"}}), want: "[resource x://y]\nhi"},
		"a link":          {res: result(&sdk.ResourceLink{URI: "x://y", Name: "y", Description: "about"}), want: "[resource y is at x://y] about"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := answers(t, nil, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return c.res, nil })
			got, err := b.call("erp.get", `{}`)
			if err != nil || got != c.want {
				t.Errorf("got %q, %v", got, err)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			for file, want := range c.files {
				if string(b.files[file]) != want {
					t.Errorf("files %q", b.files)
				}
			}
			if len(b.files) != len(c.files) {
				t.Errorf("files %q", b.files)
			}
		})
	}
}

func TestALargeResultIsKeptAsAFile(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 5000)
	b := answers(t, nil, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return result(&sdk.TextContent{Text: long}), nil
	})
	got, err := b.call("erp.get", `{}`)
	if err != nil || len(got) > 2000 || !strings.Contains(got, "is in the file mcp/erp/get-83780627-1.txt; read on with read_file") {
		t.Errorf("got %d bytes: %q, %v", len(got), got, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if string(b.files["w/mcp/erp/get-83780627-1.txt"]) != long {
		t.Errorf("kept %d bytes", len(b.files["w/mcp/erp/get-83780627-1.txt"]))
	}
}

func TestASlowCallIsGivenUpUnlessItShowsProgress(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	b := answers(t, nil, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if strings.Contains(string(r.Params.Arguments), "progress") {
			for i := range 6 { // twice the patience
				if err := r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i)}); err != nil {
					return nil, err
				}
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(100 * time.Millisecond):
				}
			}
			return result(&sdk.TextContent{Text: "done"}), nil
		}
		<-ctx.Done()
		ended <- struct{}{}
		return nil, ctx.Err()
	})
	if got, err := b.call("erp.get", `{"how":"progress"}`); err != nil || got != "done" {
		t.Errorf("with progress: %q, %v", got, err)
	}
	_, err := b.call("erp.get", `{}`)
	if core.CodeOf(err) != core.CodeTimeout || !unknown(err) || !strings.Contains(core.MessageOf(err), "no sign of life for 300ms") {
		t.Errorf("without: %v", err)
	}
	select {
	case <-ended: // the server was told
	case <-time.After(10 * time.Second):
		t.Error("the server still works on it")
	}
}

func TestACancelledCallEndsAndIsCancelledAtTheServer(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan struct{})
	b := answers(t, nil, func(ctx context.Context, _ *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		close(begun)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if _, err := b.callAs(ctx, core.Caller{}, "erp.get", `{}`); err == nil {
		t.Error("a cancelled call has a result")
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the server still works on it")
	}
}

func TestQuestionsOfServersAreRefused(t *testing.T) {
	t.Parallel()
	b := answers(t, nil, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		roots, err := r.Session.ListRoots(ctx, nil)
		if err == nil && len(roots.Roots) > 0 {
			return result(&sdk.TextContent{Text: "it has roots"}), nil
		}
		if _, err := r.Session.CreateMessage(ctx, &sdk.CreateMessageParams{MaxTokens: 1}); err == nil {
			return result(&sdk.TextContent{Text: "it lent its model"}), nil
		}
		if _, err := r.Session.Elicit(ctx, &sdk.ElicitParams{Message: "your password?"}); err != nil {
			return result(&sdk.TextContent{Text: "refused"}), nil
		}
		return result(&sdk.TextContent{Text: "it asked"}), nil
	})
	if got, err := b.call("erp.get", `{}`); err != nil || got != "refused" {
		t.Errorf("got %q, %v", got, err)
	}
}
