package backend

import (
	"context"
	"fmt"

	"github.com/sutazai/sutazai/core"
)

type clearCacheInput struct {
	Project string `query:"project" maxLength:"64" doc:"Whose answers and vectors; left out for those of all projects."`
	Route   string `query:"route" maxLength:"200" doc:"Of which route or provider/model; left out for all of them."`
}

type clearedCache struct {
	Project string `json:"project" doc:"Empty: all projects."`
	Route   string `json:"route" doc:"Empty: all routes and models."`
}

func (s *server) cacheRoute() {
	op := operation(remove, "/cache", "clear-cache", "Models", "Delete answers and vectors from the cache")
	op.Description = "Those of a project, of a route, of both or all. Other servers that share the database follow within seconds. " +
		"An answer that was asked for before and arrives afterwards is kept again."
	register(s, op, func(ctx context.Context, in *clearCacheInput) (*output[clearedCache], error) {
		err := s.cache.Delete(ctx, core.CacheSpace{Project: in.Project, Route: in.Route})
		s.recordResult(ctx, "cache.clear", in.Route, fmt.Sprintf("project %q, route %q (empty: all)", in.Project, in.Route), err)
		if err != nil {
			return nil, err
		}
		return &output[clearedCache]{clearedCache{in.Project, in.Route}}, nil
	})
}
