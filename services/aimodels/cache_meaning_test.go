package aimodels

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/cache"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

// topics gives questions about one thing nearly the same vector: 0.98 from each other, unless they hold the same words.
func topics(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		v := []float32{0, 0, 0, 0}
		for j, topic := range []string{"reset", "refund"} {
			if strings.Contains(strings.ToLower(text), topic) {
				v[j] = 1
			}
		}
		if strings.Contains(text, "please") {
			v[3] = 0.2
		}
		out[i] = v
	}
	return out, nil
}

func meant(t *testing.T, text string) cacheQuery {
	t.Helper()
	q := question(t, text)
	q.Rule.Mode = CacheSemantic
	return q
}

func TestAQuestionThatMeansTheSameGetsTheAnswer(t *testing.T) {
	t.Parallel()
	a := newCache(t, CacheConfig{Embed: topics, EmbedModel: "local/e"})
	a.ask1(t, meant(t, "How do I reset my password?"), "", wholeChat)
	var out heard
	l := a.ask1(t, meant(t, "how can a password be reset please"), "", "")
	l.header(&out)
	if l.State != cacheHit || out.header["X-SutazAI-Cache"] != "hit" || out.header["X-SutazAI-Cache-Score"] != "0.981" || string(l.Entry.Raw) != wholeChat {
		t.Errorf("%s %v", l.State, out.header)
	}
	strict := meant(t, "how can a password be reset please")
	strict.Rule.Threshold = 0.99
	other := meant(t, "how can a password be reset please")
	other.Call.Body, _ = dialect.Scan([]byte(`{"model":"smart","messages":[{"role":"system","content":"Answer in French."},{"role":"user","content":"How do I reset a password?"}]}`))
	exact := meant(t, "how can a password be reset please")
	exact.Rule.Mode = CacheExact
	for what, q := range map[string]cacheQuery{
		"another thing": meant(t, "How do I get a refund?"), "a strict threshold": strict, "another system prompt": other, "an exact route": exact,
		"a long text": meant(t, "reset "+strings.Repeat("x", questionLimit)),
	} {
		if l := a.lookup(t.Context(), q); l.State != cacheMiss {
			t.Errorf("%s: %s", what, l.State)
		}
	}
}

func TestWhatVectorsHardlyShowTellsQuestionsApart(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"Is it allowed?", "Is it not allowed?"}, {"Can I do that?", "Can't I do that?"}, {"Can I do that?", "Can’t I do that?"}, {"a drink with sugar", "a drink without sugar"},
		{"the war of 1914", "the war of 1939"}, {"1.5 litres", "15 litres"}, {"5 minus 3", "3 minus 5"}, {"two eggs", "three eggs"}, {"10km", "10kg"}, {"3 + 4", "3 * 4"},
		{`Define "affect"`, `Define "effect"`}, {"run `ls`", "run `rm`"}, {"sag „ja“", "sag „nein“"},
		{"capital of France", "capital of Italy"}, {"France's capital?", "Italy's capital?"}, {"trains from London to Paris", "trains from Paris to London"},
		{"before the meal", "after the meal"}, {"how do I enable it", "how do I disable it"}, {"log in", "log out"}, {"turn it on", "turn it off"}, {"das ist gut", "das ist nicht gut"},
	} {
		if questionGuard(pair[0]) == questionGuard(pair[1]) {
			t.Errorf("%q and %q have one guard", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{
		{"What is the capital of France?", "Tell me the capital of France"}, {"How do I reset my password?", "how can a password be reset please"},
		{"I don't know", "we do not know"}, {"What is France's capital?", "the capital of France"}, {"What did it cost in 2024?", "the costs of it, 2024"}, {"", "?"},
	} {
		if questionGuard(pair[0]) != questionGuard(pair[1]) {
			t.Errorf("%q and %q have different guards", pair[0], pair[1])
		}
	}
	a := newCache(t, CacheConfig{Embed: oneVector, EmbedModel: "local/e"}) // all questions mean the same to it
	a.ask1(t, meant(t, "May I take 2 pills?"), "", wholeChat)
	if l := a.lookup(t.Context(), meant(t, "May I take 20 pills?")); l.State != cacheMiss {
		t.Errorf("another number: %s", l.State)
	}
	if l := a.lookup(t.Context(), meant(t, "may we have 2 pills")); l.State != cacheHit {
		t.Errorf("the same number: %s", l.State)
	}
}

func FuzzGuards(f *testing.F) {
	f.Add(`Is "it" 3.5 «x» or not? “`)
	f.Fuzz(func(t *testing.T, text string) {
		text = text[:min(len(text), questionLimit)]
		if questionGuard(text) != questionGuard(" "+text+" ") {
			t.Errorf("%q: white space around it counts", text)
		}
	})
}

func TestWithoutAVectorAQuestionIsAMiss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var give func(ctx context.Context) ([][]float32, error)
		a := newCache(t, CacheConfig{EmbedModel: "local/e", Embed: func(ctx context.Context, _ []string) ([][]float32, error) { return give(ctx) }})
		for what, f := range map[string]func(ctx context.Context) ([][]float32, error){
			"an error":     func(context.Context) ([][]float32, error) { return nil, errors.New("no") },
			"nothing":      func(context.Context) ([][]float32, error) { return nil, nil },
			"zeros":        func(context.Context) ([][]float32, error) { return [][]float32{{0, 0}}, nil },
			"no numbers":   func(context.Context) ([][]float32, error) { return [][]float32{{float32(math.NaN())}}, nil },
			"no end of it": func(ctx context.Context) ([][]float32, error) { <-ctx.Done(); return nil, ctx.Err() },
		} {
			give = f
			start := time.Now()
			l := a.ask1(t, meant(t, "Why "+what+"?"), "", wholeChat)
			if l.State != cacheMiss || time.Since(start) > time.Second {
				t.Errorf("%s: %s after %s", what, l.State, time.Since(start))
			}
			if l := a.lookup(t.Context(), meant(t, "Why "+what+"?")); l.State != cacheHit {
				t.Errorf("%s: the same words: %s", what, l.State)
			}
		}
	})
}

func TestReplicasShareWhatQuestionsMean(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		first := cache.New(cache.Options{Store: database.NewCache(db)})
		a := newCache(t, CacheConfig{Cache: first, Embed: topics, EmbedModel: "local/e"})
		a.ask1(t, meant(t, "How do I reset my password?"), "", wholeChat)
		first.Close()
		second := cache.New(cache.Options{Store: database.NewCache(db), Timeout: 5 * time.Second})
		defer second.Close()
		b := newCache(t, CacheConfig{Cache: second, Embed: topics, EmbedModel: "local/e"})
		if l := b.lookup(t.Context(), meant(t, "how can a password be reset please")); l.State != cacheHit {
			t.Errorf("at another replica: %s", l.State)
		}
		other := newCache(t, CacheConfig{Cache: second, Embed: topics, EmbedModel: "local/f"})
		if l := other.lookup(t.Context(), meant(t, "how can a password be reset please")); l.State != cacheMiss {
			t.Errorf("with vectors of another model: %s", l.State)
		}
		if err := second.Delete(t.Context(), core.CacheSpace{Project: "p"}); err != nil {
			t.Fatal(err)
		}
		if l := b.lookup(t.Context(), meant(t, "how can a password be reset please")); l.State != cacheMiss {
			t.Errorf("after the project's entries were deleted: %s", l.State)
		}
	})
}

func TestMeaningsAreBounded(t *testing.T) {
	t.Parallel()
	c := cache.New(cache.Options{})
	defer c.Close()
	m := newMeanings(c, time.Now)
	space := func(n int) core.CacheSpace {
		return core.CacheSpace{Kind: meaningKind, Project: "p", Group: fmt.Sprint(n)}
	}
	vector := normalised(make1(384))
	for i := range meaningsPerGroup + 100 {
		m.add(space(0), meaning{answer: exactKey(fmt.Sprint(i)), vector: vector}, time.Hour)
	}
	g := m.group(space(0))
	if len(g.items) != meaningsPerGroup || len(g.known) != meaningsPerGroup || g.known[exactKey("99")] || !g.known[exactKey("100")] {
		t.Errorf("%d questions are kept of a group, want the newest %d", len(g.items), meaningsPerGroup)
	}
	for n := 1; n <= 40; n++ {
		for i := range 1000 {
			m.add(space(n), meaning{answer: exactKey(fmt.Sprint(i)), vector: vector}, time.Hour)
		}
	}
	if m.bytes > meaningsBytes || m.bytes < meaningsBytes/2 || len(m.groups) != m.used.Len() || m.groups[space(0)] != nil || m.groups[space(40)] == nil {
		t.Errorf("%d bytes in %d groups; %d may be", m.bytes, len(m.groups), meaningsBytes)
	}
}

func make1(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i%7) - 3
	}
	return v
}

func BenchmarkMeaning2000(b *testing.B) {
	c := cache.New(cache.Options{})
	defer c.Close()
	m := newMeanings(c, time.Now)
	vector := normalised(make1(384))
	for i := range meaningsPerGroup {
		m.add(core.CacheSpace{}, meaning{answer: exactKey(fmt.Sprint(i)), vector: vector}, time.Hour)
	}
	ctx := context.Background()
	for b.Loop() {
		m.find(ctx, core.CacheSpace{}, vector, [16]byte{}, 0.9, nearestTried)
	}
}
