package backend_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

func TestTheSocketNeedsNoCredentialAndIsTheOwnersOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	url, socket, stop := b.serve(t)
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	res, err := client.Get("http://sutazai/api/v1/me")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.Body.Close() != nil || res.StatusCode != 200 || !strings.Contains(string(body), `"actor":"socket"`) {
		t.Errorf("%d %s %v", res.StatusCode, body, err)
	}
	// The same request over TCP must not pass for the socket's.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close() != nil || res.StatusCode != 401 {
		t.Errorf("over TCP: %d", res.StatusCode)
	}
	if _, err := backend.ListenSocket(t.Context(), socket); core.CodeOf(err) != core.CodeConflict || !strings.Contains(err.Error(), "another sutazai uses this data folder") {
		t.Errorf("a second server: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestAStaleSocketIsReplacedAndOtherFilesAreNot(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	stale := filepath.Join(dir, "a.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := backend.ListenSocket(t.Context(), stale)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "b.sock")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backend.ListenSocket(t.Context(), file); err == nil {
		t.Error("a file was taken for a stale socket")
	}
	if got, err := os.ReadFile(file); string(got) != "precious" {
		t.Errorf("the file is gone: %q %v", got, err)
	}
	if _, err := backend.ListenSocket(t.Context(), filepath.Join(dir, strings.Repeat("x", 120))); err == nil || !strings.Contains(err.Error(), "server.data_dir") {
		t.Errorf("too long a path: %v", err)
	}
	if _, err := backend.ListenSocket(t.Context(), filepath.Join(dir, "none", "c.sock")); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("no folder: %v", err)
	}
}

func TestAnAddressInUseIsSaidClearly(t *testing.T) {
	t.Parallel()
	l, err := backend.ListenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := backend.ListenTCP(t.Context(), l.Addr().String()); core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(err.Error(), "server.listen") {
		t.Errorf("in use: %v", err)
	}
	if _, err := backend.ListenTCP(t.Context(), "nonsense"); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("nonsense: %v", err)
	}
}
