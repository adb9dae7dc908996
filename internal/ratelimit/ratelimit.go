// Package ratelimit holds token buckets for each caller, bounded in memory, and writes the RateLimit header fields
// (IETF draft-ietf-httpapi-ratelimit-headers-11). It owns how much is left for whom; it knows neither what a caller is
// nor what is protected.
package ratelimit

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is a token bucket: PerSecond tokens flow in, up to Burst. Zero PerSecond means no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) withBurst() Rate {
	if r.Burst < 1 {
		r.Burst = int(max(1, math.Ceil(r.PerSecond)))
	}
	return r
}

// maxBuckets bounds how many callers one Limiter remembers. A bucket is about 200 bytes. The one that was not used for
// the longest time is forgotten first, which by then is full again or nearly so.
const maxBuckets = 10_000

// Limiter holds a bucket for each caller.
type Limiter struct {
	name string
	rate Rate
	now  func() time.Time
	mu   sync.Mutex
	byID map[string]*list.Element
	used *list.List // of *bucket, most recently used first
}

type bucket struct {
	id  string
	lim *rate.Limiter
}

// New returns a Limiter; name stands in its header fields. now is the clock; nil means time.Now.
func New(name string, r Rate, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{name: name, rate: r.withBurst(), now: now, byID: map[string]*list.Element{}, used: list.New()}
}

// Verdict is what a Limiter says about one request.
type Verdict struct {
	OK         bool
	Policy     string // RateLimit-Policy; "" without a limit
	Remaining  string // RateLimit
	RetryAfter int    // seconds, at least 1; only where OK is false
}

// Allow takes one token from the bucket of id.
func (l *Limiter) Allow(id string) Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate.PerSecond <= 0 {
		return Verdict{OK: true}
	}
	now := l.now()
	b := l.bucket(id)
	ok := b.lim.AllowN(now, 1)
	left := b.lim.TokensAt(now)
	v := Verdict{OK: ok, Policy: fmt.Sprintf("%q;q=%d;w=%d", l.name, l.rate.Burst, seconds(float64(l.rate.Burst)/l.rate.PerSecond))}
	v.Remaining = fmt.Sprintf("%q;r=%d;t=%d", l.name, int(max(0, left)), seconds((float64(l.rate.Burst)-left)/l.rate.PerSecond))
	if !ok {
		v.RetryAfter = seconds((1 - left) / l.rate.PerSecond)
	}
	return v
}

func seconds(s float64) int { return int(max(1, math.Ceil(s))) }

// SetRate changes the rate; what callers have used so far is forgotten.
func (l *Limiter) SetRate(r Rate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = r.withBurst()
	l.byID = map[string]*list.Element{}
	l.used.Init()
}

func (l *Limiter) bucket(id string) *bucket {
	if e, ok := l.byID[id]; ok {
		l.used.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if l.used.Len() >= maxBuckets {
		oldest := l.used.Back()
		delete(l.byID, l.used.Remove(oldest).(*bucket).id)
	}
	b := &bucket{id: id, lim: rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)}
	l.byID[id] = l.used.PushFront(b)
	return b
}

// Header writes the verdict into h. Of several verdicts on one request the last one stands.
func (v Verdict) Header(h http.Header) {
	if v.Policy == "" {
		return
	}
	h.Set("RateLimit-Policy", v.Policy)
	h.Set("RateLimit", v.Remaining)
	if !v.OK {
		h.Set("Retry-After", strconv.Itoa(v.RetryAfter))
	}
}

// Rates are the limits of a server.
type Rates struct {
	Key     Rate // of one API key, user or local client
	Address Rate // of one address, before its credential is looked at
	Login   Rate // of attempts to sign in or set up, of one address
	User    Rate // of attempts to sign in as one user, from anywhere
}

// DefaultRates are generous to a busy client and mean to somebody who guesses.
func DefaultRates() Rates {
	return Rates{
		Key:     Rate{PerSecond: 100, Burst: 400},
		Address: Rate{PerSecond: 200, Burst: 800},
		Login:   Rate{PerSecond: 1.0 / 12, Burst: 5},
		// At most 100 attempts in a row on one account (NIST SP 800-63B-4, section 3.2.2).
		User: Rate{PerSecond: 1.0 / 60, Burst: 100},
	}
}

// Limits are the limiters of a server.
type Limits struct {
	Key, Address, Login, User *Limiter
}

// NewLimits returns a limiter for each rate. now is the clock; nil means time.Now.
func NewLimits(r Rates, now func() time.Time) *Limits {
	return &Limits{
		Key:     New("key", r.Key, now),
		Address: New("address", r.Address, now),
		Login:   New("login", r.Login, now),
		User:    New("user", r.User, now),
	}
}
