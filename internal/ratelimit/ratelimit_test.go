package ratelimit_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/sutazai/sutazai/internal/ratelimit"
)

func TestABucketEmptiesAndRefills(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	l := ratelimit.New("key", ratelimit.Rate{PerSecond: 0.5, Burst: 2}, func() time.Time { return now })
	for i := range 2 {
		if v := l.Allow("a"); !v.OK {
			t.Fatalf("request %d refused", i)
		}
	}
	v := l.Allow("a")
	if v.OK || v.RetryAfter != 2 {
		t.Errorf("third request: %+v", v)
	}
	h := http.Header{}
	v.Header(h)
	if h.Get("RateLimit-Policy") != `"key";q=2;w=4` || h.Get("RateLimit") != `"key";r=0;t=4` || h.Get("Retry-After") != "2" {
		t.Errorf("header: %v", h)
	}
	if !l.Allow("b").OK {
		t.Error("another caller is refused too")
	}
	now = now.Add(2 * time.Second)
	h = http.Header{}
	v = l.Allow("a")
	v.Header(h)
	if !v.OK || h.Get("Retry-After") != "" {
		t.Errorf("after refilling: %+v %v", v, h)
	}
}

func TestNoRateMeansNoLimit(t *testing.T) {
	t.Parallel()
	l := ratelimit.New("key", ratelimit.Rate{}, nil)
	h := http.Header{}
	for range 1000 {
		v := l.Allow("a")
		v.Header(h)
		if !v.OK || len(h) > 0 {
			t.Fatal(v, h)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	l := ratelimit.New("address", ratelimit.Rate{PerSecond: 0.001, Burst: 1}, func() time.Time { return now })
	if !l.Allow("first").OK || l.Allow("first").OK {
		t.Fatal("the limit does not hold")
	}
	for i := range 9_999 {
		l.Allow(fmt.Sprint(i))
	}
	if l.Allow("first").OK {
		t.Error("forgotten although it was used last but a moment ago")
	}
	for i := range 10_000 {
		l.Allow(fmt.Sprint("other", i))
	}
	if !l.Allow("first").OK {
		t.Error("ten thousand callers later the oldest is still remembered: memory is not bounded")
	}
}

func TestANewRateHoldsAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	l := ratelimit.New("key", ratelimit.Rate{PerSecond: 1, Burst: 1}, func() time.Time { return now })
	if !l.Allow("a").OK || l.Allow("a").OK {
		t.Fatal("the first rate does not hold")
	}
	l.SetRate(ratelimit.Rate{PerSecond: 1, Burst: 2})
	if first, second, third := l.Allow("a").OK, l.Allow("a").OK, l.Allow("a").OK; !first || !second || third {
		t.Error("the new rate does not hold")
	}
	l.SetRate(ratelimit.Rate{})
	if !l.Allow("a").OK {
		t.Error("no rate, but refused")
	}
}

func TestTokensAreTakenBeforeAndCorrectedAfter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	l := ratelimit.New("tokens", ratelimit.Rate{PerSecond: 10, Burst: 600}, func() time.Time { return now })
	steps := []struct {
		name  string
		wait  time.Duration
		take  int64 // asked for
		more  int64 // corrected afterwards
		ok    bool
		retry int
		limit string
	}{
		{name: "an estimate", take: 500, ok: true, limit: `"tokens";r=100;t=50`},
		{name: "too much for what is left", take: 101, retry: 1, limit: `"tokens";r=100;t=50`},
		{name: "what is left, and it used less", take: 100, more: -60, ok: true, limit: `"tokens";r=0;t=60`},
		{name: "what came back, and it used more", take: 60, more: 50, ok: true, limit: `"tokens";r=0;t=60`},
		{name: "anything, in debt", take: 1, retry: 6, limit: `"tokens";r=0;t=65`},
		{name: "more than the bucket holds, when it is not full", wait: 64 * time.Second, take: 1000, retry: 1, limit: `"tokens";r=590;t=1`},
		{name: "more than the bucket holds, when it is full", wait: time.Second, take: 1000, ok: true, limit: `"tokens";r=0;t=100`},
		{name: "later", wait: 30 * time.Second, take: 1, retry: 11, limit: `"tokens";r=0;t=70`},
		{name: "giving back does not overfill", wait: time.Hour, take: 1, more: -100, ok: true, limit: `"tokens";r=599;t=1`},
		{name: "a full bucket", take: 600, ok: true, limit: `"tokens";r=0;t=60`},
	}
	for _, s := range steps {
		now = now.Add(s.wait)
		v := l.Take("a", s.take)
		if look := l.Look("a"); !look.OK {
			t.Errorf("%s: looking is refused", s.name)
		}
		h := http.Header{}
		v.Header(h)
		if v.OK != s.ok || v.RetryAfter != s.retry || h.Get("RateLimit") != s.limit || h.Get("RateLimit-Policy") != `"tokens";q=600;w=60` {
			t.Errorf("%s: %+v %v", s.name, v, h)
		}
		l.Correct("a", s.more)
	}
}

func TestSeveralPoliciesStandInOneField(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	limits := ratelimit.NewLimits(ratelimit.Rates{
		Key: ratelimit.Rate{PerSecond: 1, Burst: 60}, Tokens: ratelimit.Rate{PerSecond: 100, Burst: 6000},
	}, func() time.Time { return now })
	h := http.Header{}
	limits.Address.Allow("a").Header(h)
	limits.Tokens.Correct("a", 7000)
	limits.Key.Allow("a").Header(h, limits.Tokens.Look("a"))
	if got := h.Values("RateLimit-Policy"); len(got) != 1 || got[0] != `"key";q=60;w=60, "tokens";q=6000;w=60` {
		t.Errorf("policies %q", got)
	}
	if got := h.Values("RateLimit"); len(got) != 1 || got[0] != `"key";r=59;t=1, "tokens";r=0;t=70` {
		t.Errorf("limits %q", got)
	}
	limits.Address.Allow("a").Header(h, limits.Login.Allow("a")) // no limit: nothing to say
	if got := h.Values("RateLimit"); len(got) != 1 || len(h) != 2 {
		t.Errorf("header %q", h)
	}
	h = http.Header{}
	limits.Address.Allow("a").Header(h, limits.Tokens.Look("a")) // only the second has one
	if got := h.Values("RateLimit"); len(got) != 1 || got[0] != `"tokens";r=0;t=70` {
		t.Errorf("limits %q", got)
	}
}

func BenchmarkAllowAndHeader(b *testing.B) {
	l := ratelimit.New("key", ratelimit.Rate{PerSecond: 1e9, Burst: 1e9}, nil)
	h := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		v := l.Allow("key:019ab3c1-7c2e-7a3b-9f00-1234567890ab")
		v.Header(h)
	}
}
