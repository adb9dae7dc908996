package backend

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

const (
	strangerBody = 16 << 10         // bytes
	bodyTime     = 60 * time.Second // for a client to send its body
	largeAtOnce  = 2                // bodies above Config.MaxBody in memory at one time
)

// guard puts a route's checks before its handler: rate of the address, credential, rate of the caller, scope, size and
// time. It writes errors in the protocol's form.
func (s *server) guard(pattern string, a access, fail func(http.ResponseWriter, *http.Request, error), next http.Handler) http.Handler {
	limit := s.bodyLimit(a)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := infoOf(r.Context())
		info.route = pattern
		address := ratelimit.Verdict{OK: true}
		if !auth.FromSocket(r.Context()) {
			address = s.limits.Address.Allow(limitKey(info.addr))
		}
		if !address.OK {
			address.Header(w.Header())
			fail(w, r, core.Errorf(core.CodeRateLimited, "too many requests from this address; try again in %d s", address.RetryAfter))
			return
		}
		if a.public {
			address.Header(w.Header())
		} else {
			p, ok := s.admit(w, r, a, address, fail)
			if !ok {
				return
			}
			r = r.WithContext(auth.WithPrincipal(r.Context(), p))
		}
		if r.ContentLength > limit {
			w.Header().Set("Connection", "close")
			fail(w, r, tooLarge(limit))
			return
		}
		rc := http.NewResponseController(w)
		if r.Body != nil && r.Body != http.NoBody {
			b := &body{ReadCloser: http.MaxBytesReader(w, r.Body, limit+1), rc: rc, slots: s.large, free: s.cfg.MaxBody, early: a.stream, ctx: r.Context()}
			// Not every writer has deadlines (httptest's has none); the server's own always do.
			_ = rc.SetReadDeadline(time.Now().Add(bodyTime))
			defer b.release()
			r.Body = b
		}
		if !a.stream {
			ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeout)
			defer cancel()
			r = r.WithContext(ctx)
			_ = rc.SetWriteDeadline(time.Now().Add(bodyTime + 2*s.cfg.Timeout))
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) bodyLimit(a access) int64 {
	switch {
	case a.small:
		return strangerBody
	case a.upload:
		return s.cfg.MaxUpload
	default:
		return s.cfg.MaxBody
	}
}

func tooLarge(limit int64) error {
	return core.Errorf(core.CodeTooLarge, "the body is larger than the %d bytes that this call takes", limit)
}

// admit authenticates the caller and checks its rate and scopes; it has answered where it returns false. What is left of
// the caller's rate is told in the place of its address's, where it has one.
func (s *server) admit(w http.ResponseWriter, r *http.Request, a access, rate ratelimit.Verdict, fail func(http.ResponseWriter, *http.Request, error)) (auth.Principal, bool) {
	info := infoOf(r.Context())
	p, presented, err := s.auth.Authenticate(r)
	if err != nil {
		rate.Header(w.Header())
		if core.CodeOf(err) == core.CodeUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sutazai"`)
			if presented && s.auditRate.Allow(limitKey(info.addr)).OK {
				s.record(r, core.AuditEvent{Action: "auth.failed", Target: info.route, Result: audit.Denied})
			}
		}
		fail(w, r, err)
		return p, false
	}
	info.actor = p.Actor()
	if p.Kind != auth.KindSocket {
		id := info.actor
		if p.Kind == auth.KindLocal {
			id += "@" + limitKey(info.addr)
		}
		if v := s.limits.Key.Allow(id); v.Limited() {
			rate = v
		}
		tokens := ratelimit.Verdict{OK: true}
		if p.Kind == auth.KindKey {
			tokens = s.limits.Tokens.Look(p.ID) // the gateway takes and refuses, which knows how many a call needs
		}
		rate.Header(w.Header(), tokens)
		if !rate.OK {
			fail(w, r, core.Errorf(core.CodeRateLimited, "too many requests with this credential; try again in %d s", rate.RetryAfter))
			return p, false
		}
	}
	if !p.HasAny(a.any...) {
		if s.auditRate.Allow(p.Actor()).OK {
			s.record(r, core.AuditEvent{Actor: p.Actor(), Action: "auth.forbidden", Target: info.route, Result: audit.Denied})
		}
		fail(w, r, core.Errorf(core.CodeForbidden, "this needs the scope %q, which the credential does not have", a.any[0]))
		return p, false
	}
	return p, true
}

// record writes an audit event about a request. The Log itself reports events that cannot be stored.
func (s *server) record(r *http.Request, e core.AuditEvent) { s.recordFrom(r.Context(), e) }

func (s *server) recordFrom(ctx context.Context, e core.AuditEvent) {
	info := infoOf(ctx)
	e.Addr = info.addr
	if e.Actor == "" {
		e.Actor = "anonymous"
	}
	if err := s.audit.Record(ctx, e); err != nil {
		s.metricsAuditLost.Inc()
	}
}

// body lets few large bodies into memory at one time. It takes a slot only once more than free bytes have come, so that
// a client which sends slowly holds none, and it lifts the read deadline at the end: a passed one would cancel the
// request while it is worked on.
type body struct {
	io.ReadCloser
	rc    *http.ResponseController
	slots chan struct{}
	free  int64
	early bool // give the slot back at Close: a stream goes on long after its body has been read
	ctx   context.Context
	read  int64
	held  bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.read > b.free && !b.held {
		select {
		case b.slots <- struct{}{}:
			b.held = true
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if err == io.EOF {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// release gives the slot back.
func (b *body) release() {
	if b.held {
		b.held = false
		<-b.slots
	}
}

// Close closes the body.
func (b *body) Close() error {
	if b.early {
		b.release()
	}
	return b.ReadCloser.Close()
}
