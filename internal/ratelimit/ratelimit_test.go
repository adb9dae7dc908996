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
