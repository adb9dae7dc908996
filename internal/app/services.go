package app

import (
	"context"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/sandbox"
	"github.com/sutazai/sutazai/services/database"
)

const (
	checkEvery   = 5 * time.Second
	checkTimeout = 3 * time.Second
)

// services tells the health of what SutazAI runs and depends on. Checks are made when somebody asks, at most every few
// seconds.
type services struct {
	db      *database.DB
	dbKind  string
	local   func() (core.Service, bool) // the local model server, where there is one
	remotes func(ctx context.Context) []core.Service
	mcp     func() []core.Service
	peers   func(ctx context.Context) []core.PeerStatus
	sandbox func(ctx context.Context) sandbox.Status
	started time.Time
	now     func() time.Time

	mu      sync.Mutex
	last    []core.Service
	checked time.Time
	since   map[string]stateSince
}

type stateSince struct {
	state core.ServiceState
	since time.Time
}

// Services lists them.
func (s *services) Services(ctx context.Context) []core.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.checked) < checkEvery {
		return s.withLocal(s.last)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s.checked = s.now()
	s.last = append([]core.Service{
		{Name: "server", Kind: "builtin", State: core.ServiceHealthy, Since: s.started, CheckedAt: s.checked},
		s.database(ctx),
		sandboxService(s.sandbox(ctx)),
	}, s.remotes(ctx)...)
	s.last = append(s.last, peerServices(s.peers(ctx))...)
	for i := range s.last {
		s.last[i].CheckedAt = s.checked
		s.last[i].Since = s.sinceWhen(s.last[i])
	}
	return s.withLocal(s.last)
}

// withLocal adds the local model server and the MCP servers, whose state is known at any time.
func (s *services) withLocal(list []core.Service) []core.Service {
	out := append(append([]core.Service{}, list...), s.mcp()...)
	if svc, ok := s.local(); ok {
		out = append(out, svc)
	}
	return out
}

// peerServices tells the health of agents that run elsewhere.
func peerServices(list []core.PeerStatus) []core.Service {
	out := make([]core.Service, 0, len(list))
	for _, p := range list {
		svc := core.Service{Name: "peer/" + p.Name, Kind: "process", Detail: p.Detail, State: core.ServiceUnknown}
		if p.Protocol == "a2a" {
			svc.Kind = "external"
		}
		switch p.State {
		case "healthy":
			svc.State = core.ServiceHealthy
		case "unhealthy":
			svc.State = core.ServiceDown
		}
		out = append(out, svc)
	}
	return out
}

func (s *services) sinceWhen(svc core.Service) time.Time {
	if !svc.Since.IsZero() {
		return svc.Since
	}
	before, ok := s.since[svc.Name]
	if !ok || before.state != svc.State {
		before = stateSince{svc.State, s.checked}
		s.since[svc.Name] = before
	}
	return before.since
}

func (s *services) database(ctx context.Context) core.Service {
	svc := core.Service{Name: "database", Kind: s.dbKind, State: core.ServiceHealthy, Detail: s.db.Dialect().Name()}
	begin := s.now()
	if err := s.db.Ping(ctx); err != nil {
		svc.State, svc.Detail = core.ServiceDown, core.MessageOf(err)
	}
	svc.LatencyMS = float64(s.now().Sub(begin).Microseconds()) / 1000
	return svc
}

// Ready says whether the server can take work: it can, while its database answers. Models may come and go.
func (s *services) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return s.db.Ping(ctx)
}
