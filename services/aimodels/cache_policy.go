package aimodels

import (
	"strconv"
	"strings"
	"time"
)

// CacheMode says which answers of a route are kept and given again.
type CacheMode string

// The modes.
const (
	CacheOff      CacheMode = "off"
	CacheExact    CacheMode = "exact"    // to the same request
	CacheSemantic CacheMode = "semantic" // also to one that means the same
)

// CacheRule is what the settings say of a route's answers. Zero fields take the defaults named beside them.
type CacheRule struct {
	Mode      CacheMode
	TTL       time.Duration // how long an answer is good; the cache's own
	Threshold float64       // how near a question must be in meaning, from 0 to 1; CacheConfig.Threshold
}

// CachePolicy is what a client says of one call, in the header X-SutazAI-Cache-Control.
type CachePolicy struct {
	On      bool          // cache exactly, even where the route does not
	NoCache bool          // do not answer from the cache; the answer is kept for others
	NoStore bool          // pass by the cache
	MaxAge  time.Duration // the oldest answer that will do; negative = any
}

// parseCacheControl reads the header. As in HTTP, words that it does not know mean nothing, and a max-age that cannot be
// read counts as 0.
func parseCacheControl(header string) CachePolicy {
	p := CachePolicy{MaxAge: -1}
	for header != "" {
		var word string
		word, header, _ = strings.Cut(header, ",")
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(word)), "=")
		switch strings.TrimSpace(name) {
		case "on":
			p.On = true
		case "no-cache":
			p.NoCache = true
		case "no-store":
			p.NoStore = true
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil {
				seconds = 0
			}
			p.MaxAge = time.Duration(seconds) * time.Second
		}
	}
	p.NoCache = p.NoCache || p.MaxAge == 0
	return p
}

// mode is how a call is cached in the end.
func (p CachePolicy) mode(rule CacheMode) CacheMode {
	switch {
	case p.NoStore:
		return CacheOff
	case rule == CacheExact || rule == CacheSemantic:
		return rule
	case p.On:
		return CacheExact
	}
	return CacheOff
}

// fresh says whether an answer of an age will do.
func (p CachePolicy) fresh(age time.Duration) bool { return p.MaxAge < 0 || age <= p.MaxAge }
