package tests

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/internal/app"
)

// specFile is the committed description of the HTTP API.
const specFile = "docs/openapi.json"

func TestOpenAPIInTheDocsIsTheServers(t *testing.T) {
	t.Parallel()
	want := servedSpec(t)
	if os.Getenv("SUTAZAI_GENERATE") == "1" { // make generate
		if err := os.WriteFile(filepath.Join(root(t), specFile), want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have := read(t, specFile); !bytes.Equal(have, want) {
		t.Errorf("%s is not what the server describes; run make generate", specFile)
	}
}

// servedSpec is what a real server answers at /api/openapi.json, indented.
func servedSpec(t *testing.T) []byte {
	t.Helper()
	a := startApp(t, "models.local.runtime=off")
	client := &http.Client{Timeout: 30 * time.Second}
	resp, err := client.Get(a.URL() + "/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// startApp starts a server with an empty data folder on a free port.
func startApp(t *testing.T, set ...string) *app.App {
	t.Helper()
	dir, err := os.MkdirTemp("", "sz") // short enough for a unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg, err := config.Load(config.Options{
		NoFile: true, Env: []string{"HOME=" + dir}, Dir: dir,
		Set: append([]string{"server.data_dir=" + filepath.Join(dir, "data"), "server.listen=127.0.0.1:0", "server.shutdown_grace=1s"}, set...),
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(t.Context(), app.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), Version: "0.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return a
}
