package aimodels

import (
	"context"
	"math"
	"strconv"

	"github.com/sutazai/sutazai/core"
)

// embedQuery asks for the vectors of texts by one target.
type embedQuery struct {
	Project string
	Target  string // "provider/model" that is asked: vectors of different models never stand in one answer
	Dims    int    // 0 = the model's own
	Inputs  []string
	Control string // of the header X-SutazAI-Cache-Control
}

// embedCall asks the target for the vectors of those texts that are in no cache, each text once.
type embedCall func(ctx context.Context, texts []string) ([][]float32, core.Usage, error)

// embedCached returns the vectors of texts in their order: those that are kept, and for the others what call returns.
// usage is what call has used, hits how many texts needed no call. Where all do, call is not made. Errors: call's, and
// core.CodeUnavailable where it returns another number of vectors than it was given texts.
func (a *answerCache) embedCached(ctx context.Context, q embedQuery, call embedCall) (vectors [][]float32, usage core.Usage, hits int, err error) {
	policy := parseCacheControl(q.Control)
	if a.cfg.Cache == nil || !a.cfg.Embeddings || policy.NoStore {
		vectors, usage, err = embedAll(ctx, q.Inputs, call)
		return vectors, usage, 0, err
	}
	space := core.CacheSpace{Kind: embeddingKind, Project: q.Project, Route: q.Target}
	keys := make([][32]byte, len(q.Inputs))
	for i, text := range q.Inputs {
		keys[i] = exactKey(cacheForm, q.Target, strconv.Itoa(q.Dims), text)
	}
	vectors = make([][]float32, len(q.Inputs))
	if !policy.NoCache {
		for i, b := range a.cfg.Cache.GetMany(ctx, space, keys) {
			if len(b) > 0 && len(b)%4 == 0 {
				vectors[i] = readVector(b)
				hits++
			}
		}
	}
	var missing []string
	places := map[[32]byte][]int{} // of a text that stands several times in the list
	for i, text := range q.Inputs {
		if vectors[i] != nil {
			continue
		}
		if places[keys[i]] == nil {
			missing = append(missing, text)
		}
		places[keys[i]] = append(places[keys[i]], i)
	}
	if len(missing) == 0 {
		return vectors, core.Usage{}, hits, nil
	}
	fresh, usage, err := embedAll(ctx, missing, call)
	if err != nil {
		return nil, usage, 0, err
	}
	next := 0
	for i := range q.Inputs {
		if vectors[i] != nil {
			continue
		}
		v := fresh[next]
		next++
		for _, at := range places[keys[i]] {
			vectors[at] = v
		}
		if sound(v) {
			a.cfg.Cache.Put(space, keys[i], appendVector(make([]byte, 0, 4*len(v)), v), 0)
		}
	}
	return vectors, usage, hits, nil
}

func embedAll(ctx context.Context, texts []string, call embedCall) ([][]float32, core.Usage, error) {
	vectors, usage, err := call(ctx, texts)
	if err != nil {
		return nil, usage, err
	}
	if len(vectors) != len(texts) {
		return nil, usage, core.Errorf(core.CodeUnavailable, "the model returned %d vectors for %d texts", len(vectors), len(texts))
	}
	return vectors, usage, nil
}

// sound says whether a vector is worth keeping: it has numbers only.
func sound(v []float32) bool {
	for _, f := range v {
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return false
		}
	}
	return len(v) > 0
}
