// Package ratelimit holds token buckets for each caller, bounded in memory, and writes the RateLimit header fields
// (IETF draft-ietf-httpapi-ratelimit-headers-11). It owns how much is left for whom; it knows neither what a caller is
// nor what is protected.
package ratelimit

import (
	"container/list"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
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
	name   string
	now    func() time.Time
	mu     sync.Mutex
	rate   Rate
	policy string // as a header field's item
	byID   map[string]*list.Element
	used   *list.List // of *bucket, most recently used first
}

// bucket holds level tokens at a moment; below 0 it is in debt.
type bucket struct {
	id    string
	level float64
	at    time.Time
}

// New returns a Limiter; name stands in its header fields. now is the clock; nil means time.Now.
func New(name string, r Rate, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	l := &Limiter{name: name, now: now}
	l.SetRate(r)
	return l
}

// Verdict is what a Limiter says about one request.
type Verdict struct {
	OK         bool
	RetryAfter int // seconds, at least 1; only where OK is false

	name, policy string // "" without a limit
	left, reset  int    // tokens, and seconds until the bucket is full
}

// Allow takes one token from the bucket of id.
func (l *Limiter) Allow(id string) Verdict { return l.Take(id, 1) }

// Take takes n tokens from the bucket of id, or none where it holds fewer. What is larger than the bucket may go when the
// bucket is full, and leaves it in debt.
func (l *Limiter) Take(id string, n int64) Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate.PerSecond <= 0 {
		return Verdict{OK: true}
	}
	b := l.bucket(id)
	need := min(float64(n), float64(l.rate.Burst))
	if b.level < need {
		v := l.verdict(b)
		v.RetryAfter = seconds((need - b.level) / l.rate.PerSecond)
		return v
	}
	b.level -= float64(n)
	v := l.verdict(b)
	v.OK = true
	return v
}

// Look tells what the bucket of id holds; the verdict is OK.
func (l *Limiter) Look(id string) Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate.PerSecond <= 0 {
		return Verdict{OK: true}
	}
	v := l.verdict(l.bucket(id))
	v.OK = true
	return v
}

// verdict tells what a bucket holds. l.mu is held.
func (l *Limiter) verdict(b *bucket) Verdict {
	return Verdict{
		name: l.name, policy: l.policy, left: int(max(0, b.level)), reset: seconds((float64(l.rate.Burst) - b.level) / l.rate.PerSecond),
	}
}

// Correct takes n more tokens from the bucket of id for a request that was let in, into debt if need be, or gives back
// where n is negative.
func (l *Limiter) Correct(id string, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate.PerSecond <= 0 {
		return
	}
	b := l.bucket(id)
	b.level = min(b.level-float64(n), float64(l.rate.Burst))
}

func seconds(s float64) int { return int(max(1, math.Ceil(s))) }

// SetRate changes the rate; what callers have used so far is forgotten.
func (l *Limiter) SetRate(r Rate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = r.withBurst()
	l.policy = ""
	if r.PerSecond > 0 {
		l.policy = string(item(nil, l.name, 'q', l.rate.Burst, 'w', seconds(float64(l.rate.Burst)/l.rate.PerSecond)))
	}
	l.byID = map[string]*list.Element{}
	l.used = list.New()
}

// bucket returns the bucket of id as it is now.
func (l *Limiter) bucket(id string) *bucket {
	now := l.now()
	if e, ok := l.byID[id]; ok {
		l.used.MoveToFront(e)
		b := e.Value.(*bucket)
		if dt := now.Sub(b.at); dt > 0 {
			b.level = min(b.level+dt.Seconds()*l.rate.PerSecond, float64(l.rate.Burst))
			b.at = now
		}
		return b
	}
	if l.used.Len() >= maxBuckets {
		oldest := l.used.Back()
		delete(l.byID, l.used.Remove(oldest).(*bucket).id)
	}
	b := &bucket{id: id, level: float64(l.rate.Burst), at: now}
	l.byID[id] = l.used.PushFront(b)
	return b
}

// The names as http.Header keys, so that nothing has to be converted for each request.
const (
	policyField = "Ratelimit-Policy"
	limitField  = "Ratelimit"
)

// Limited says whether there is a limit.
func (v Verdict) Limited() bool { return v.policy != "" }

// Header writes the verdict into h, in the place of earlier ones, and behind it a second one that holds for the same
// request. Without a limit there is nothing to write.
func (v Verdict) Header(h http.Header, also ...Verdict) {
	var room [128]byte
	policy, limit := "", room[:0]
	for i := range 1 + len(also) {
		if i > 0 {
			v = also[i-1]
		}
		switch {
		case !v.Limited():
			continue
		case policy == "":
			policy = v.policy
		default:
			policy, limit = policy+", "+v.policy, append(limit, ", "...)
		}
		limit = item(limit, v.name, 'r', v.left, 't', v.reset)
		if !v.OK {
			h["Retry-After"] = []string{strconv.Itoa(v.RetryAfter)}
		}
	}
	if policy == "" {
		return
	}
	fields := &[2]string{policy, string(limit)}
	h[policyField], h[limitField] = fields[:1:1], fields[1:]
}

// item appends an item with two parameters, as RFC 9651 writes it; names hold no quotes.
func item(b []byte, name string, first byte, a int, second byte, c int) []byte {
	b = append(append(append(b, '"'), name...), '"', ';', first, '=')
	b = append(strconv.AppendInt(b, int64(a), 10), ';', second, '=')
	return strconv.AppendInt(b, int64(c), 10)
}

// Rates are the limits of a server.
type Rates struct {
	Key     Rate // of one API key, user or local client
	Address Rate // of one address, before its credential is looked at
	Login   Rate // of attempts to sign in or set up, of one address
	User    Rate // of attempts to sign in as one user, from anywhere
	Tokens  Rate // of models' tokens for one API key, both directions
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
	Key, Address, Login, User, Tokens *Limiter
}

// NewLimits returns a limiter for each rate. now is the clock; nil means time.Now.
func NewLimits(r Rates, now func() time.Time) *Limits {
	return &Limits{
		Key:     New("key", r.Key, now),
		Address: New("address", r.Address, now),
		Login:   New("login", r.Login, now),
		User:    New("user", r.User, now),
		Tokens:  New("tokens", r.Tokens, now),
	}
}
