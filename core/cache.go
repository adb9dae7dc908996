package core

import "time"

// CacheSpace names a part of a cache. Entries of different spaces never meet. As a filter, an empty field stands for every
// value.
type CacheSpace struct {
	Kind    string // what is kept: an answer, a vector, …
	Project string // for whom
	Route   string // of which model or route
	Group   string // what belongs together beyond that; "" = nothing
}

// Holds says whether the filter s covers the space t.
func (s CacheSpace) Holds(t CacheSpace) bool {
	covers := func(want, have string) bool { return want == "" || want == have }
	return covers(s.Kind, t.Kind) && covers(s.Project, t.Project) && covers(s.Route, t.Route) && covers(s.Group, t.Group)
}

// CachePurge is the kind of the rows that tell other replicas what was deleted. Deletions leave them alone.
const CachePurge = "purge"

// CacheRow is an entry of a cache as it lies in the table that replicas share.
type CacheRow struct {
	ID        [32]byte
	Space     CacheSpace
	Value     []byte
	CreatedAt time.Time
	ExpiresAt time.Time
}
