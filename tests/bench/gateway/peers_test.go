//go:build bench

package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/tests/testserver"
)

const (
	startPatience   = 2 * time.Minute // LiteLLM takes half a minute on two cores
	installPatience = 20 * time.Minute
)

// peer is a running program between the client and the upstream.
type peer struct {
	name   string
	url    string
	model  string
	key    string
	pid    int
	slower int // it gets so many times fewer requests, so that a round ends
}

// repository is the checkout; the test runs in its own folder.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func startUpstream(t *testing.T) string {
	t.Helper()
	url, _ := launch(t, self(t, "upstream", ""))
	return url
}

// peerNames are those beside SutazAI, in the order of the report.
func peerNames() []string { return []string{"nginx", "reverseproxy", "bifrost", "litellm"} }

// startPeers starts SutazAI first and then whatever else is there; GATEWAY_PEERS=nginx,bifrost names fewer. A peer that
// cannot be had is told of and left out.
func startPeers(t *testing.T, upstream string) []*peer {
	t.Helper()
	start := map[string]func(*testing.T, string) (*peer, error){
		"nginx": startNginx, "reverseproxy": startReverseProxy, "bifrost": startBifrost, "litellm": startLiteLLM,
	}
	names := peerNames()
	if list := os.Getenv("GATEWAY_PEERS"); list != "" {
		names = strings.Split(list, ",")
	}
	peers := []*peer{startSutazAI(t, upstream)}
	for _, name := range names {
		if start[name] == nil {
			t.Fatalf("GATEWAY_PEERS=%q: there is no peer %q; there are %s", os.Getenv("GATEWAY_PEERS"), name, strings.Join(peerNames(), ", "))
		}
		p, err := start[name](t, upstream)
		if err != nil {
			fmt.Printf("RESULT gateway who=%s missing=%q\n", name, err)
			continue
		}
		peers = append(peers, p)
	}
	return peers
}

// checkPeers sees to it that each answers right in every mode before anything is measured.
func checkPeers(t *testing.T, peers []*peer) {
	t.Helper()
	for _, p := range peers {
		for _, m := range modes(t) {
			m.concurrency = 1
			l := newLoad(t, p, m)
			_, err := l.run(1)
			l.close()
			if err != nil {
				t.Fatalf("%s answers wrong in mode %s: %v", p.name, m.name, err)
			}
		}
	}
}

// startSutazAI starts bin/sutazai with peers/sutazai.yaml, a key and a budget in money and tokens for everybody.
func startSutazAI(t *testing.T, upstream string) *peer {
	t.Helper()
	o := testserver.Options{
		Binary: filepath.Join(repository(t), "bin", "sutazai"), DataDir: testserver.Dir(t), Env: []string{"BENCH_KEY=upstream-key"},
	}
	if binary := os.Getenv("GATEWAY_BINARY"); binary != "" {
		o.Binary = binary
	}
	if _, err := os.Stat(o.Binary); err != nil {
		t.Fatalf("%v; run make build", err)
	}
	fill(t, "peers/sutazai.yaml", o.DataDir, "UPSTREAM", strings.TrimPrefix(upstream, "http://")) // it is found where the server starts
	p, err := testserver.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	if err := p.Ready(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, testserver.LogTail(o.DataDir))
	}
	key, err := testserver.CreateKey(t.Context(), o, "bench", "run", "admin")
	if err != nil {
		t.Fatalf("make an API key: %v", err)
	}
	budget := map[string]any{"scope": "all", "window": "total", "limit_usd": 1e6, "limit_tokens": int64(1e12)}
	if err := testserver.NewClient(p.URL, key).Call(t.Context(), http.MethodPut, "/api/v1/budgets/bench", nil, budget, nil); err != nil {
		t.Fatalf("set a budget: %v", err)
	}
	return &peer{name: "sutazai", url: p.URL, model: "up/bench", key: key, pid: p.Pid, slower: 1}
}

func startReverseProxy(t *testing.T, upstream string) (*peer, error) {
	url, pid := launch(t, self(t, "reverseproxy", upstream))
	return &peer{name: "reverseproxy", url: url, model: "bench", key: "none", pid: pid, slower: 1}, nil
}

func startNginx(t *testing.T, upstream string) (*peer, error) {
	if err := install(t, repository(t), "scripts/maintenance/need.sh", "nginx", "nginx-light"); err != nil {
		return nil, err
	}
	dir, address := testserver.Dir(t), freeAddress(t)
	conf := fill(t, "peers/nginx.conf", dir, "DIR", dir, "LISTEN", address, "UPSTREAM", strings.TrimPrefix(upstream, "http://"))
	pid, err := startAt(t, exec.CommandContext(t.Context(), "nginx", "-p", dir, "-e", "stderr", "-c", conf), address)
	return &peer{name: "nginx", url: "http://" + address, model: "bench", key: "none", pid: pid, slower: 1}, err
}

func startBifrost(t *testing.T, upstream string) (*peer, error) {
	binary := filepath.Join(cache(t), "bifrost")
	if err := install(t, "peers/bifrost", "go", "build", "-o", binary, "."); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), "UPSTREAM="+upstream)
	url, pid := launch(t, cmd)
	return &peer{name: "bifrost", url: url, model: "openai/bench", key: "none", pid: pid, slower: 1}, nil
}

func startLiteLLM(t *testing.T, upstream string) (*peer, error) {
	program, err := installLiteLLM(t)
	if err != nil {
		return nil, err
	}
	dir, address := testserver.Dir(t), freeAddress(t)
	conf := fill(t, "peers/litellm.yaml", dir, "UPSTREAM", strings.TrimPrefix(upstream, "http://"))
	host, port, _ := strings.Cut(address, ":")
	cmd := exec.CommandContext(t.Context(), program, "--config", conf, "--host", host, "--port", port, "--num_workers", "1")
	cmd.Dir = dir
	// Its table of prices would otherwise come from the network.
	cmd.Env = append(os.Environ(), "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_LOG=ERROR", "NO_PROXY=127.0.0.1")
	pid, err := startAt(t, cmd, address)
	return &peer{name: "litellm", url: "http://" + address, model: "bench", key: "none", pid: pid, slower: 30}, err
}

// installLiteLLM makes a Python environment that is kept for the next run, and returns the program in it.
func installLiteLLM(t *testing.T) (string, error) {
	t.Helper()
	want, err := os.ReadFile("peers/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	env := filepath.Join(cache(t), "litellm")
	stamp := filepath.Join(env, "installed")
	if have, err := os.ReadFile(stamp); err != nil || !bytes.Equal(have, want) {
		if err := install(t, ".", "python3", "-m", "venv", "--clear", env); err != nil {
			return "", err
		}
		if err := install(t, ".", filepath.Join(env, "bin", "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "peers/requirements.txt"); err != nil {
			return "", err
		}
		if err := os.WriteFile(stamp, want, 0o644); err != nil {
			return "", err
		}
	}
	return filepath.Join(env, "bin", "litellm"), nil
}

// cache is the folder of what is installed for this gate.
func cache(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(repository(t), ".make", "bench-gateway")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// install runs a command that may take its time; its error has the end of what it said.
func install(t *testing.T, dir, name string, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), installPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out[max(0, len(out)-300):])
	}
	return nil
}

// self is this test's binary in another role.
func self(t *testing.T, role, upstream string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env, cmd.Stderr = append(os.Environ(), roleEnv+"="+role, "UPSTREAM="+upstream), os.Stderr
	return cmd
}

// launch starts a program that says "serves URL" on its first line.
func launch(t *testing.T, cmd *exec.Cmd) (url string, pid int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin(t, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "serves ")
	if !ok {
		t.Fatalf("%s said %q (%v) instead of where it serves", cmd.Path, line, err)
	}
	return url, cmd.Process.Pid
}

// startAt starts a program that will listen at an address, and waits until it does.
func startAt(t *testing.T, cmd *exec.Cmd, address string) (pid int, err error) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	ended := begin(t, cmd)
	for deadline := time.Now().Add(startPatience); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return cmd.Process.Pid, nil
		}
		select {
		case <-ended:
			return 0, fmt.Errorf("%s ended: %s", cmd.Path, said.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return 0, errors.New(cmd.Path + " did not listen in time")
}

// begin starts a program that ends with the test.
func begin(t *testing.T, cmd *exec.Cmd) (ended chan struct{}) {
	t.Helper()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // nginx then ends its workers
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is ended by the test, which no exit code tells of
	}()
	t.Cleanup(func() { <-ended })
	return ended
}

// fill writes a file with the names in it replaced, and returns its path.
func fill(t *testing.T, name, dir string, oldnew ...string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(name))
	if err := os.WriteFile(path, []byte(strings.NewReplacer(oldnew...).Replace(string(b))), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// freeAddress is one where nobody listens, for programs that cannot choose a port themselves.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
