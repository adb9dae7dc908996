package aimodels

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/cache"
	"github.com/sutazai/sutazai/internal/dialect"
)

// Headers of answers that say what the cache did. The first one is exactly hit, miss or bypass.
const (
	cacheHeader      = "X-SutazAI-Cache"
	cacheScoreHeader = "X-SutazAI-Cache-Score" // of an answer to a question that means the same: how near it is, up to 1
	cacheAgeHeader   = "Age"                   // of an answer from the cache, in seconds
)

// What the header says.
const (
	cacheHit    = "hit"
	cacheMiss   = "miss"
	cacheBypass = "bypass" // the cache was not asked
)

// The kinds of what is kept.
const (
	answerKind    = "answer"
	meaningKind   = "meaning"
	embeddingKind = "embedding"
)

// Bounds of the search by meaning.
const (
	questionLimit      = 2000 // bytes; models of meaning read only the beginning of longer texts
	nearestTried       = 3    // questions whose answers are looked up
	defaultThreshold   = 0.95
	defaultMeaningTime = time.Second
)

// CacheConfig holds the settings of the gateway's caches.
type CacheConfig struct {
	Cache      *cache.Cache // nil = no cache at all
	Embeddings bool         // keep vectors of texts

	// Embed turns texts into vectors for routes that cache by meaning; nil = they cache exactly. EmbedModel is the
	// "provider/model" that does it: vectors of different models are never compared.
	Embed      func(ctx context.Context, texts []string) ([][]float32, error)
	EmbedModel string
	EmbedTime  time.Duration // longest time of Embed; 1s
	Threshold  float64       // how near a question must be in meaning where its route does not say; 0.95

	Now     func() time.Time   // nil = time.Now
	Logger  *slog.Logger       // nil = none
	Observe func(state string) // called for every call with hit, miss or bypass; nil = none
}

// answerCache keeps the answers of models. A failure of whatever it needs is a miss.
type answerCache struct {
	cfg       CacheConfig
	documents cacheDocuments
	meanings  *meanings
	often     rate.Sometimes
}

// newAnswerCache returns a cache of answers. It starts nothing; cfg.Cache has its own end.
func newAnswerCache(cfg CacheConfig) *answerCache {
	if cfg.EmbedTime <= 0 {
		cfg.EmbedTime = defaultMeaningTime
	}
	if cfg.Threshold <= 0 {
		cfg.Threshold = defaultThreshold
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string) {}
	}
	a := &answerCache{cfg: cfg, often: rate.Sometimes{Interval: 30 * time.Second}}
	if cfg.Cache != nil {
		a.meanings = newMeanings(cfg.Cache, cfg.Now)
	}
	return a
}

// cacheQuery is a call of which the cache is asked.
type cacheQuery struct {
	Call     *dialect.Call
	Route    string // the name by which the client called: a route's, or "provider/model"
	Revision string // what else the answer depends on and the body does not say: the route's targets, output guardrails
	Rule     CacheRule
}

// cacheLookup is what the cache says to one call. The answer of the model may be given to it afterwards.
type cacheLookup struct {
	State string     // hit, miss or bypass
	Entry cacheEntry // of a hit
	Score float64    // of a hit by meaning; 0 for the same words
	Age   time.Duration

	cache  *answerCache
	query  cacheQuery
	key    [32]byte
	keep   bool
	vector []float32 // of the question; nil = it is not found by meaning
	guard  [16]byte
	group  core.CacheSpace
}

// lookup asks the cache. It is quick unless the route caches by meaning, and never fails.
func (a *answerCache) lookup(ctx context.Context, q cacheQuery) *cacheLookup {
	l := &cacheLookup{State: cacheBypass, cache: a, query: q}
	a.ask(ctx, l, parseCacheControl(q.Call.CacheControl))
	a.cfg.Observe(l.State)
	return l
}

func (a *answerCache) ask(ctx context.Context, l *cacheLookup, policy CachePolicy) {
	q := l.query
	mode := policy.mode(q.Rule.Mode)
	if a.cfg.Cache == nil || mode == CacheOff || cacheStateful(q.Call) {
		return
	}
	d := a.documents.parse(q.Call.Body.Bytes)
	if d == nil {
		return
	}
	l.key, l.keep = d.key(q, -1), true
	text := ""
	if mode == CacheSemantic && a.cfg.Embed != nil {
		text = l.question(d)
	}
	a.documents.release(d)
	if !policy.NoCache {
		l.State = cacheMiss
		if a.answer(ctx, l, l.key, policy) {
			return
		}
	}
	if text == "" {
		return
	}
	if l.vector = a.meaning(ctx, text); l.vector == nil || policy.NoCache {
		return
	}
	threshold := q.Rule.Threshold
	if threshold <= 0 {
		threshold = a.cfg.Threshold
	}
	for _, n := range a.meanings.find(ctx, l.group, l.vector, l.guard, threshold, nearestTried) {
		if a.answer(ctx, l, n.answer, policy) {
			l.Score = n.score
			return
		}
	}
}

// question takes out of the body what is compared by meaning: the user's last text. Everything else must be the same, the
// other texts and images of that message included, and names the group. "" = there is nothing to compare.
func (l *cacheLookup) question(d *cacheDocument) string {
	node, text := d.question(l.query.Call.Dialect)
	if node < 0 || text == "" || len(text) > questionLimit {
		return ""
	}
	group := d.key(l.query, node, l.cache.cfg.EmbedModel)
	l.group = core.CacheSpace{Kind: meaningKind, Project: l.query.Call.Caller.Project, Route: l.query.Route, Group: hex.EncodeToString(group[:])}
	l.guard = questionGuard(text)
	return text
}

// answer makes a lookup a hit if there is an answer under a key that is fresh enough.
func (a *answerCache) answer(ctx context.Context, l *cacheLookup, key [32]byte, policy CachePolicy) bool {
	value, ok := a.cfg.Cache.Get(ctx, l.space(), key)
	if !ok {
		if l.vector != nil {
			a.meanings.forget(l.group, key)
		}
		return false
	}
	entry, err := decodeEntry(value)
	if err != nil {
		a.cfg.Cache.Forget(ctx, l.space(), key)
		return false
	}
	age := max(0, a.cfg.Now().Sub(entry.Created))
	if !policy.fresh(age) {
		return false
	}
	l.State, l.Entry, l.Age = cacheHit, entry, age
	return true
}

// meaning returns the vector of a text with the length 1, nil where there is none.
func (a *answerCache) meaning(ctx context.Context, text string) []float32 {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.EmbedTime)
	defer cancel()
	vectors, err := a.cfg.Embed(ctx, []string{text})
	if err == nil && len(vectors) == 1 {
		return normalised(vectors[0])
	}
	a.often.Do(func() {
		a.cfg.Logger.Warn("a question has no vector; it is answered without the cache by meaning", "model", a.cfg.EmbedModel, "vectors", len(vectors), "error", err)
	})
	return nil
}

func (l *cacheLookup) space() core.CacheSpace {
	return core.CacheSpace{Kind: answerKind, Project: l.query.Call.Caller.Project, Route: l.query.Route}
}

// header tells the client what the cache did.
func (l *cacheLookup) header(out dialect.Answer) {
	out.Header(cacheHeader, l.State)
	if l.State != cacheHit {
		return
	}
	out.Header(cacheAgeHeader, strconv.FormatInt(int64(l.Age/time.Second), 10))
	if l.Score > 0 {
		out.Header(cacheScoreHeader, strconv.FormatFloat(min(l.Score, 1), 'f', 3, 64))
	}
}

// storeResponse keeps a translated answer, if it is complete.
func (l *cacheLookup) storeResponse(r *core.ModelResponse) {
	if l.wanted() && responseComplete(r) {
		l.store(cacheEntry{Model: r.Model, Usage: r.Usage, Response: r})
	}
}

// storeRaw keeps what a client got in its own dialect, if it is complete: all that the recorder has heard.
func (l *cacheLookup) storeRaw(r *cacheRecorder, model string, usage core.Usage) {
	if r == nil || r.over || !l.wanted() || !rawComplete(l.query.Call.Dialect, l.query.Call.Stream, r.heard.Bytes()) {
		return
	}
	l.store(cacheEntry{Model: model, Usage: usage, Raw: r.heard.Bytes()})
}

// wanted says whether an answer is to be kept.
func (l *cacheLookup) wanted() bool { return l.keep && l.State != cacheHit }

func (l *cacheLookup) store(e cacheEntry) {
	e.Created = l.cache.cfg.Now()
	value, err := encodeEntry(e)
	if err != nil || len(value) > l.cache.cfg.Cache.MaxValue() {
		return
	}
	l.cache.cfg.Cache.Put(l.space(), l.key, value, l.query.Rule.TTL)
	if l.vector != nil {
		l.cache.meanings.add(l.group, meaning{answer: l.key, guard: l.guard, vector: l.vector}, l.query.Rule.TTL)
	}
}

// recorder returns what an answer in the client's dialect is to be written to as it goes by; nil where it is not kept.
func (l *cacheLookup) recorder() *cacheRecorder {
	if !l.wanted() {
		return nil
	}
	return &cacheRecorder{limit: l.cache.cfg.Cache.MaxValue()}
}

// cacheRecorder listens to an answer that is being sent. A nil one listens to nothing.
type cacheRecorder struct {
	heard bytes.Buffer
	limit int // bytes; a longer answer is not kept
	over  bool
}

func (r *cacheRecorder) write(b []byte) {
	if r == nil || r.over {
		return
	}
	if r.heard.Len()+len(b) > r.limit {
		r.over, r.heard = true, bytes.Buffer{}
		return
	}
	r.heard.Write(b)
}
