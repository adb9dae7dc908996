package backend

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

type readyBody struct {
	Ready    bool           `json:"ready"`
	Reason   string         `json:"reason"`
	Version  string         `json:"version"`
	Services []core.Service `json:"services"`
}

func (s *server) healthRoutes(reg *prometheus.Registry) {
	s.router.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	s.router.HandleFunc("GET /readyz", s.ready)
	s.router.handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: s.cfg.Timeout, ErrorLog: metricsLog{s},
	}), nil)
}

type metricsLog struct{ s *server }

// Println is what promhttp calls with an error.
func (l metricsLog) Println(v ...any) { l.s.log.Error("metrics", "error", v) }

// ready answers 200 when the server can take work and 503 otherwise. With ?verbose it tells about every service, which
// needs the right to read unless metrics are open.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	err := s.services.Ready(r.Context())
	code, word, reason := http.StatusOK, "ready", ""
	if err != nil {
		code, word, reason = http.StatusServiceUnavailable, "not ready", core.MessageOf(err)
	}
	if !r.URL.Query().Has("verbose") {
		plain(w, code, word)
		return
	}
	if !s.cfg.OpenMetrics {
		if _, ok := s.admit(w, r, access{any: []core.Scope{core.ScopeRead}}, ratelimit.Verdict{OK: true}, s.problem); !ok {
			return
		}
	}
	services := s.services.Services(r.Context())
	if services == nil {
		services = []core.Service{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// The header is out; a client that has left is told nothing.
	_ = json.NewEncoder(w).Encode(readyBody{err == nil, reason, s.cfg.Version, services})
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n"))
}
