//go:build bench

// Package gateway measures what SutazAI costs between a client and a model server, beside nginx as a plain proxy, Go's own
// httputil.ReverseProxy, Bifrost's core and the LiteLLM proxy: all in one run, over one upstream that answers at once, with
// one client. SutazAI runs as shipped, with authentication, rate limits, token limits, accounts and its log on. Aims are
// not bounds: what misses one is printed as it is. It fails when something cannot be measured or answers wrong.
//
// Every peer is a process of its own; the upstream and the reverse proxy are this test's own binary in another role.
package gateway

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const roleEnv = "SUTAZAI_BENCH_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "upstream":
		err = serveUpstream()
	case "reverseproxy":
		err = serveReverseProxy(os.Getenv("UPSTREAM"))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A mode is one shape of request.
type mode struct {
	name        string
	prompt      int // bytes
	stream      bool
	concurrency int
	requests    int // in one round, of a peer that is not slow
}

// modes are what is measured. A stream's chunks come one by one, as a model's do, so it takes its time whatever stands
// between; more of them at once keep a round short.
func modes(t *testing.T) []mode {
	conns, share := knob(t, "GATEWAY_CONCURRENCY", 4), knob(t, "GATEWAY_REQUESTS", 20_000)
	return []mode{
		{"plain", 40, false, conns, share},
		{"large", 50_000, false, conns, share / 2},
		{"stream", 40, true, 16 * conns, share / 32},
	}
}

// aims are SutazAI's processor time divided by a peer's, at most.
func aims() map[string]map[string]float64 {
	return map[string]map[string]float64{
		"plain":  {"reverseproxy": 1.0, "bifrost": 0.75},
		"large":  {"reverseproxy": 1.25, "bifrost": 0.25},
		"stream": {"reverseproxy": 1.25, "bifrost": 0.5},
	}
}

// knob is a number from the environment.
func knob(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number above 0", name, text)
	}
	return n
}

// figures are those of one peer, mode and round.
type figures struct {
	cpu, p50, p99 float64 // microseconds; cpu for each request
	rps           float64 // requests a second
	failed        int64   // requests
}

func TestGateway(t *testing.T) {
	upstream := startUpstream(t)
	peers := startPeers(t, upstream)
	checkPeers(t, peers)
	rounds := knob(t, "GATEWAY_ROUNDS", 3)
	for _, m := range modes(t) {
		measured := map[string][]figures{}
		for round := range rounds {
			// Peers take turns within a round, each time in another order, so that what else the machine does hits all.
			for i := range peers {
				p := peers[(i+round)%len(peers)]
				measured[p.name] = append(measured[p.name], measure(t, p, m))
			}
		}
		report(t, m, peers, measured)
	}
	soak(t, peers[0])
}

// measure makes one round of requests to one peer.
func measure(t *testing.T, p *peer, m mode) figures {
	t.Helper()
	if p.slower > 1 && m.stream {
		m.concurrency = max(1, m.concurrency/8)
	}
	n := max(m.requests/p.slower, 2*m.concurrency)
	l := newLoad(t, p, m)
	defer l.close()
	if _, err := l.run(max(n/20, m.concurrency)); err != nil { // connections, and whatever is made at the first use
		t.Fatalf("%s, %s, warming up: %v", p.name, m.name, err)
	}
	before, began := p.cpu(t), time.Now()
	took, err := l.run(n)
	if err != nil {
		t.Fatalf("%s, %s: %v", p.name, m.name, err)
	}
	elapsed, used := time.Since(began), p.cpu(t)-before
	if used == 0 {
		t.Fatalf("%s, %s: %d requests took less processor time than Linux counts; raise GATEWAY_REQUESTS", p.name, m.name, n)
	}
	slices.Sort(took)
	return figures{
		cpu: micros(used) / float64(len(took)), rps: float64(len(took)) / elapsed.Seconds(),
		failed: l.failed.Load(), p50: micros(took[len(took)/2]), p99: micros(took[len(took)*99/100]),
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// report prints the medians of the rounds, and SutazAI beside each peer.
func report(t *testing.T, m mode, peers []*peer, measured map[string][]figures) {
	t.Helper()
	cpu := map[string]float64{}
	for _, p := range peers {
		f := measured[p.name]
		cpu[p.name] = middle(f, func(f figures) float64 { return f.cpu })
		failed := ""
		if n := sum(f); n > 0 {
			failed = fmt.Sprintf(" failed=%d", n)
		}
		fmt.Printf("RESULT gateway who=%s mode=%s cpu_us=%.0f p50_us=%.0f p99_us=%.0f rps=%.0f rss_mb=%.1f%s\n", p.name, m.name, cpu[p.name],
			middle(f, func(f figures) float64 { return f.p50 }), middle(f, func(f figures) float64 { return f.p99 }),
			middle(f, func(f figures) float64 { return f.rps }), float64(p.resident(t))/1e6, failed)
	}
	line, met := "RESULT gateway-ratio mode="+m.name, "met"
	var missed []string
	for _, name := range peerNames() {
		if _, there := cpu[name]; !there {
			line += " " + name + "=missing"
			continue
		}
		ratio := cpu["sutazai"] / cpu[name]
		line += fmt.Sprintf(" %s=%.2f", name, ratio)
		if aim, ok := aims()[m.name][name]; ok && ratio > aim {
			met = "missed"
			missed = append(missed, fmt.Sprintf("%s>%.2f", name, aim))
		}
	}
	if met == "met" {
		fmt.Println(line + " met=all")
		return
	}
	fmt.Println(line + " missed=" + strings.Join(missed, ","))
}

func middle(f []figures, of func(figures) float64) float64 {
	f = slices.SortedFunc(slices.Values(f), func(a, b figures) int { return cmp.Compare(of(a), of(b)) })
	return of(f[len(f)/2])
}

func sum(f []figures) (failed int64) {
	for _, f := range f {
		failed += f.failed
	}
	return failed
}
