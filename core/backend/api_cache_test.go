package backend_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// clearings is a cache that remembers what was deleted. The route "broken" cannot be.
type clearings struct {
	mu   sync.Mutex
	seen []core.CacheSpace
}

func (c *clearings) Delete(_ context.Context, within core.CacheSpace) error {
	if within.Route == "broken" {
		return core.Errorf(core.CodeUnavailable, "cannot delete from the cache: the database does not answer; try again")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, within)
	return nil
}

func TestTheCacheIsClearedByAdministrators(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.check(t, []scenario{
		{name: "of a project and a route", method: "DELETE", url: "/api/v1/cache?project=team-a&route=local%2Fm", key: "admin", status: 200, has: []string{`{"project":"team-a","route":"local/m"}`}},
		{name: "all", method: "DELETE", url: "/api/v1/cache", key: "admin", status: 200, has: []string{`{"project":"","route":""}`}},
		{name: "the database is away", method: "DELETE", url: "/api/v1/cache?route=broken", key: "admin", status: 503, has: []string{"does not answer"}},
		{name: "without the right", method: "DELETE", url: "/api/v1/cache", key: "run", status: 403},
	})
	if want := []core.CacheSpace{{Project: "team-a", Route: "local/m"}, {}}; !slices.Equal(b.ports.cleared.seen, want) {
		t.Errorf("deleted %+v, want %+v", b.ports.cleared.seen, want)
	}
	for _, want := range []string{"cache.clear ok", "cache.clear error"} {
		if !strings.Contains(strings.Join(b.audit.actions(), "\n"), want) {
			t.Errorf("%q was not audited: %v", want, b.audit.actions())
		}
	}
}
