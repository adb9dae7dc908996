//go:build bench

package gateway

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tick is the unit of processor time in /proc: Linux gives it in hundredths of a second on every machine.
const tick = 10 * time.Millisecond

// family are the process and its children, as nginx and a supervised program have them.
func (p *peer) family(t *testing.T) []int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	out := []int{p.pid}
	for _, name := range all {
		if fields := statFields(name); fields != nil && fields[1] == strconv.Itoa(p.pid) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err == nil {
				out = append(out, pid)
			}
		}
	}
	return out
}

// statFields are those of /proc/PID/stat from the third on; nil when the process is gone. The second may hold spaces.
func statFields(name string) []string {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 22 {
		return nil
	}
	return fields
}

// cpu is the processor time of the process and its children, user's and system's.
func (p *peer) cpu(t *testing.T) time.Duration {
	t.Helper()
	var ticks int64
	for _, pid := range p.family(t) {
		fields := statFields(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if fields == nil {
			if pid == p.pid {
				t.Fatalf("%s has ended", p.name)
			}
			continue
		}
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				t.Fatalf("processor time of %s: %v", p.name, err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}

// resident is the memory of the process and its children in bytes.
func (p *peer) resident(t *testing.T) int64 {
	t.Helper()
	var pages int64
	for _, pid := range p.family(t) {
		fields := statFields(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if fields == nil {
			continue
		}
		n, err := strconv.ParseInt(fields[21], 10, 64)
		if err != nil {
			t.Fatalf("memory of %s: %v", p.name, err)
		}
		pages += n
	}
	return pages * int64(os.Getpagesize())
}
