//go:build bench

// Package bench measures what the project aims at, and prints each figure as one RESULT line with the aim and whether it
// is met. Aims are not bounds: a figure that misses its aim is printed as it is, and only what cannot be measured fails.
// Run it on an otherwise idle machine.
package bench

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/tests/testserver"
)

const (
	aimBinaryMB = 80
	aimReadyMS  = 300
	aimIdleMB   = 64

	starts  = 9
	settles = 10 * time.Second // until a started server counts as idle
	idleFor = 10 * time.Second // over which its processor time is counted
)

func TestSizeAndStart(t *testing.T) {
	binary := testserver.Build(t)
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	mb := float64(info.Size()) / 1e6
	fmt.Printf("RESULT size binary_mb=%.1f aim=%d met=%t\n", mb, aimBinaryMB, mb <= aimBinaryMB)
	measureStart(t, binary)
}

// measureStart takes the median over several starts on a data folder that exists, and as many on an empty one.
func measureStart(t *testing.T, binary string) {
	options := func(dir string) testserver.Options {
		// A model server that cannot be reached: what is measured is SutazAI alone.
		return testserver.Options{Binary: binary, DataDir: dir, Env: []string{"SUTAZAI_MODELS_PROVIDERS_LOCAL_KIND=openai",
			"SUTAZAI_MODELS_PROVIDERS_LOCAL_BASE_URL=http://" + deadAddress(t) + "/v1"}}
	}
	used := testserver.Dir(t)
	var first, again []time.Duration
	for n := range starts {
		empty := testserver.Dir(t)
		first = append(first, startOnce(t, options(empty)))
		took := startOnce(t, options(used))
		if n > 0 { // the first one was on an empty folder as well
			again = append(again, took)
		}
	}
	rss, cpu := idle(t, options(used))
	ready := median(again)
	fmt.Printf("RESULT start ready_ms=%d aim=%d met=%t first_ready_ms=%d idle_rss_mb=%.1f idle_aim=%d idle_met=%t idle_cpu_percent=%.2f starts=%d\n",
		ready.Milliseconds(), aimReadyMS, ready <= aimReadyMS*time.Millisecond, median(first).Milliseconds(),
		rss, aimIdleMB, rss <= aimIdleMB, cpu, starts)
}

// startOnce is the time from the start of the process until /readyz answers 200.
func startOnce(t *testing.T, o testserver.Options) time.Duration {
	t.Helper()
	p, err := testserver.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(p.Began)
	if err := p.Stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	return took
}

// idle is the memory (in MB of a million bytes) and the share of one core that a server takes which nobody uses.
func idle(t *testing.T, o testserver.Options) (rssMB, cpuPercent float64) {
	t.Helper()
	p, err := testserver.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	time.Sleep(settles)
	rssMB = float64(residentBytes(t, p.Pid)) / 1e6
	before := cpuTime(t, p.Pid)
	time.Sleep(idleFor)
	return rssMB, 100 * (cpuTime(t, p.Pid) - before).Seconds() / idleFor.Seconds()
}

func residentBytes(t *testing.T, pid int) int64 {
	t.Helper()
	for line := range strings.Lines(procFile(t, pid, "status")) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				t.Fatalf("VmRSS: %v", err)
			}
			return kib * 1024
		}
	}
	t.Fatal("the process has no VmRSS")
	return 0
}

// cpuTime is the processor time of a process: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text := procFile(t, pid, "stat")
	fields := strings.Fields(text[strings.LastIndex(text, ")")+1:]) // the name before may hold spaces; field 3 is the first
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatalf("stat: %v", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func procFile(t *testing.T, pid int, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
	if os.IsNotExist(err) {
		t.Skip("memory and processor time are read from /proc, which this system does not have")
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// deadAddress is one where nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}
