package backend

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sutazai/sutazai/core"
)

// recorder remembers what a handler answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(code int) {
	if w.status == 0 && code >= 200 { // 1xx are not the answer yet
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find the real writer.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type httpMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newHTTPMetrics(reg *prometheus.Registry) (*httpMetrics, error) {
	m := &httpMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sutazai_http_requests_total", Help: "HTTP requests by route, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sutazai_http_request_duration_seconds", Help: "Time until an HTTP request was answered in full.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 60},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sutazai_http_requests_in_flight", Help: "HTTP requests that are being answered.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.inFlight} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register HTTP metrics: %w", err)
		}
	}
	return m, nil
}

// observe gives each request an id and a nonce, logs and counts its answer, and turns a panic into a 500. The log holds
// no header, query or body: any of them may carry a secret.
func (s *server) observe(next http.Handler) http.Handler {
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		info := newRequestInfo(r, s.cfg.TrustedProxies)
		r = r.WithContext(context.WithValue(r.Context(), infoKey{}, info))
		rec := &recorder{ResponseWriter: w}
		info.response = rec.Header()
		rec.Header().Set("X-Request-Id", info.id)
		s.metrics.inFlight.Inc()
		defer func() {
			s.metrics.inFlight.Dec()
			p := recover()
			cut := p != nil && rec.status != 0         // a cut answer must not look like a whole one
			if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic's value, not an error that was returned
				s.log.Error("panic in a request", "panic", fmt.Sprint(p), "stack", string(debug.Stack()), "request_id", info.id)
				if !cut {
					WriteProblem(rec, r, s.log, core.Errorf(core.CodeInternal, "internal error; the server's log has the details under request %s", info.id))
				}
			}
			route, method := info.route, r.Method
			if route == "" {
				route = "other"
			}
			if !slices.Contains(methods, method) {
				method = "other"
			}
			took := time.Since(start)
			s.metrics.requests.WithLabelValues(route, method, strconv.Itoa(rec.status)).Inc()
			s.metrics.duration.WithLabelValues(route).Observe(took.Seconds())
			s.logAccess(r.Context(), levelOf(route, rec.status),
				slog.String("method", method), slog.String("path", short(r.URL.Path)), slog.Int("status", rec.status),
				slog.Int64("bytes", rec.bytes), slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("actor", info.actor),
				slog.String("addr", info.addr), slog.String("request_id", info.id))
			if cut {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// logAccess writes the line of a request. Logger.LogAttrs would look up the calling line of code for each.
func (s *server) logAccess(ctx context.Context, level slog.Level, attrs ...slog.Attr) {
	h := s.log.Handler()
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(time.Now(), level, "request", 0)
	r.AddAttrs(attrs...)
	_ = h.Handle(ctx, r) // as slog does: there is nowhere to tell
}

// levelOf keeps probes and the console's files out of the ordinary log.
func levelOf(route string, status int) slog.Level {
	if status < 400 && (route == "/" || route == "GET /healthz" || route == "GET /readyz" || route == "GET /metrics") {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func short(path string) string {
	if len(path) > 200 {
		return path[:200] + "…"
	}
	return path
}
