//go:build bench

package gateway

import (
	"fmt"
	"os"
	"testing"
	"time"
)

const (
	soakFor    = 30 * time.Second // GATEWAY_SOAK=10m for the full one
	aimGrowth  = 8.0              // megabytes
	soakSample = 250 * time.Millisecond
)

// soak keeps streams going and looks whether memory grows once the program has warmed up. Start and end are each the
// highest of several looks, since the collector of garbage makes memory go up and down.
func soak(t *testing.T, p *peer) {
	t.Helper()
	whole := soakFor
	if text := os.Getenv("GATEWAY_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 4*time.Second {
			t.Fatalf("GATEWAY_SOAK=%q is not a time of 4s or more", text)
		}
		whole = d
	}
	all := modes(t)
	l := newLoad(t, p, all[len(all)-1])
	defer l.close()
	began := time.Now()
	ended := make(chan error, 1)
	go func() {
		ended <- l.each(func(c **client) (bool, error) { return time.Since(began) < whole, l.once(c) })
	}()
	var start, end float64
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("streams to %s: %v", p.name, err)
			}
			running = false
		case <-time.After(soakSample):
			mb := float64(p.resident(t)) / 1e6
			switch part := time.Since(began).Seconds() / whole.Seconds(); {
			case part > 0.2 && part <= 0.4:
				start = max(start, mb)
			case part > 0.8:
				end = max(end, mb)
			}
		}
	}
	fmt.Printf("RESULT gateway-memory minutes=%.1f start_mb=%.1f end_mb=%.1f growth_mb=%.1f aim=%.0f met=%t\n",
		whole.Minutes(), start, end, end-start, aimGrowth, end-start <= aimGrowth)
}
