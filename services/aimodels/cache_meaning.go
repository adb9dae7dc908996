package aimodels

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/cache"
)

// Bounds of what is kept of questions' meanings.
const (
	meaningsPerGroup = 2000                   // the newest
	meaningsBytes    = 32 << 20               // of all groups in memory; those go first that were not asked for the longest
	meaningsReload   = 30 * time.Second       // how soon what other replicas have learned is read
	meaningsOverlap  = 15 * time.Second       // rows are written a little after they were made, by clocks that differ a little
	meaningsTimeout  = 250 * time.Millisecond // of reading a group
	meaningOverhead  = 128                    // bytes of a meaning beside its vector
	groupOverhead    = 512
)

// meaning is a question that has an answer in the cache.
type meaning struct {
	answer [32]byte // the answer's key
	guard  [16]byte
	vector []float32 // of length 1
}

// meanings holds the questions of each group in memory, above the table that replicas share.
type meanings struct {
	cache *cache.Cache
	now   func() time.Time

	mu     sync.Mutex
	groups map[core.CacheSpace]*list.Element
	used   *list.List // of *meaningGroup, the last used first
	bytes  int
}

// meaningGroup holds questions that differ in nothing but their words.
type meaningGroup struct {
	space core.CacheSpace
	bytes int // guarded by meanings.mu

	mu     sync.Mutex
	items  []meaning // the newest last
	known  map[[32]byte]bool
	loaded time.Time // when the table was read last
	tried  time.Time // when it was asked last, answered or not
}

func newMeanings(c *cache.Cache, now func() time.Time) *meanings {
	return &meanings{cache: c, now: now, groups: map[core.CacheSpace]*list.Element{}, used: list.New()}
}

func (m *meanings) group(space core.CacheSpace) *meaningGroup {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.groups[space]; ok {
		m.used.MoveToFront(e)
		return e.Value.(*meaningGroup)
	}
	g := &meaningGroup{space: space, known: map[[32]byte]bool{}}
	m.groups[space] = m.used.PushFront(g)
	return g
}

// resize takes note of what a group holds now, and makes room.
func (m *meanings) resize(g *meaningGroup, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.groups[g.space]
	if !ok || e.Value != any(g) {
		return // it has been forgotten meanwhile
	}
	m.bytes += bytes - g.bytes
	g.bytes = bytes
	for m.bytes > meaningsBytes && m.used.Len() > 0 {
		oldest := m.used.Remove(m.used.Back()).(*meaningGroup)
		delete(m.groups, oldest.space)
		m.bytes -= oldest.bytes
	}
}

// near is a question that means nearly the same, with the cosine of the angle between both.
type near struct {
	answer [32]byte
	score  float64
}

// find returns the nearest questions, at most count, the nearest first, of those that are near enough and have the same
// guard. vector has the length 1.
func (m *meanings) find(ctx context.Context, space core.CacheSpace, vector []float32, guard [16]byte, threshold float64, count int) []near {
	g := m.group(space)
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := m.now(); now.Sub(g.tried) >= meaningsReload {
		g.tried = now
		m.load(ctx, g, now)
	}
	var best []near
	for i := len(g.items) - 1; i >= 0; i-- {
		it := &g.items[i]
		if it.guard != guard || len(it.vector) != len(vector) {
			continue
		}
		score := float64(dot(it.vector, vector))
		if score < threshold {
			continue
		}
		at := len(best)
		for at > 0 && best[at-1].score < score {
			at--
		}
		if at < count {
			best = append(best, near{})
			copy(best[at+1:], best[at:])
			best[at] = near{it.answer, score}
			best = best[:min(len(best), count)]
		}
	}
	return best
}

// load reads what the table holds of a group beyond what is known. The group is locked.
func (m *meanings) load(ctx context.Context, g *meaningGroup, now time.Time) {
	var after time.Time
	if g.loaded.IsZero() {
		after = time.UnixMilli(0)
	} else {
		after = g.loaded.Add(-meaningsOverlap)
	}
	defer func() { m.resize(g, g.size()) }()
	values, ok := m.cache.List(ctx, g.space, after, meaningsPerGroup, meaningsTimeout)
	if !ok {
		return
	}
	g.loaded = now
	for _, v := range values {
		if it, ok := decodeMeaning(v); ok {
			g.add(it)
		}
	}
}

// add keeps a question, in memory at once and in the table soon.
func (m *meanings) add(space core.CacheSpace, it meaning, ttl time.Duration) {
	g := m.group(space)
	g.mu.Lock()
	g.add(it)
	size := g.size()
	g.mu.Unlock()
	m.resize(g, size)
	m.cache.Share(space, sha256.Sum256(it.answer[:]), encodeMeaning(it), ttl)
}

// forget deletes a question whose answer is gone.
func (m *meanings) forget(space core.CacheSpace, answer [32]byte) {
	g := m.group(space)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.items {
		if g.items[i].answer == answer {
			g.items = append(g.items[:i:i], g.items[i+1:]...)
			delete(g.known, answer)
			break
		}
	}
	m.resize(g, g.size())
}

func (g *meaningGroup) add(it meaning) {
	if g.known[it.answer] {
		return
	}
	g.known[it.answer] = true
	g.items = append(g.items, it)
	if over := len(g.items) - meaningsPerGroup; over > 0 {
		for _, old := range g.items[:over] {
			delete(g.known, old.answer)
		}
		g.items = append([]meaning(nil), g.items[over:]...)
	}
}

func (g *meaningGroup) size() int {
	n := groupOverhead
	for i := range g.items {
		n += meaningOverhead + 4*len(g.items[i].vector)
	}
	return n
}

// encodeMeaning is the row of a question: the answer's key, the guard, and the vector.
func encodeMeaning(it meaning) []byte {
	out := make([]byte, 0, 48+4*len(it.vector))
	out = append(out, it.answer[:]...)
	out = append(out, it.guard[:]...)
	return appendVector(out, it.vector)
}

func decodeMeaning(b []byte) (it meaning, ok bool) {
	if len(b) <= 48 || len(b)%4 != 0 {
		return meaning{}, false
	}
	copy(it.answer[:], b)
	copy(it.guard[:], b[32:])
	it.vector = readVector(b[48:])
	return it, true
}

// appendVector appends a vector as little-endian 32-bit floats.
func appendVector(out []byte, v []float32) []byte {
	for _, f := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(f))
	}
	return out
}

func readVector(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

// dot is the scalar product of vectors of one length. Four sums at once are twice as fast as one.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// normalised returns a copy of the length 1; nil where there is none, as for a vector of zeros or with a hole in it.
func normalised(v []float32) []float32 {
	var sum float64
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil
	}
	scale := 1 / math.Sqrt(sum)
	out := make([]float32, len(v))
	for i, f := range v {
		out[i] = float32(float64(f) * scale)
	}
	return out
}
