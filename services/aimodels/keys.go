package aimodels

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Bounds of how long a key is left out that a provider asked to wait.
const (
	shortestRest = time.Second // also where the provider does not say how long
	longestRest  = 24 * time.Hour
)

// Key is one key of a provider.
type Key struct {
	ID     string // of its credential, or "settings 1" for the first one of the settings
	Secret core.Secret
	// Aside says why the key would better not be used, "" = it is fine. Pick gives such a key only where no other is left.
	Aside string
}

// KeyRing holds the keys of one provider and gives them out in turn. What is left of a key that the provider refuses or
// asks to wait is the others'. It may be used by many goroutines at once.
type KeyRing struct {
	provider string
	fixed    []core.Secret
	now      func() time.Time

	mu   sync.Mutex
	keys []*ringKey
	next int
}

// ringKey is a key and what its calls have shown.
type ringKey struct {
	Key
	stored  bool      // a credential of the database, whose uses are recorded
	refused bool      // 401 or 403: only another key helps
	until   time.Time // 429: no call before
	usedAt  time.Time
	failure string // of the latest answer; "" = it worked
}

// NewKeyRing makes a ring of the keys that the settings give; Set adds those of the database.
func NewKeyRing(provider string, settings []core.Secret, now func() time.Time) *KeyRing {
	r := &KeyRing{provider: provider, fixed: slices.Clone(settings), now: now}
	r.Set(nil)
	return r
}

// Set replaces the keys of the database; those of the settings stay. A key that was there before keeps what is known
// of it.
func (r *KeyRing) Set(stored []Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.keys
	r.keys = make([]*ringKey, 0, len(r.fixed)+len(stored))
	add := func(k Key, stored bool) {
		i := slices.IndexFunc(before, func(b *ringKey) bool { return b.ID == k.ID && b.Secret.Reveal() == k.Secret.Reveal() })
		if i >= 0 {
			r.keys = append(r.keys, before[i])
			return
		}
		r.keys = append(r.keys, &ringKey{Key: Key{ID: k.ID, Secret: k.Secret}, stored: stored})
	}
	for i, secret := range r.fixed {
		add(Key{ID: fmt.Sprintf("settings %d", i+1), Secret: secret}, false)
	}
	for _, k := range stored {
		add(k, true)
	}
	r.next = 0
}

// Pick returns the key for the next call: the healthy ones in turn. Where all are aside, it is the one that may be used
// again first, with the reason; where there are none, it is the zero Key, for a provider that wants none.
func (r *KeyRing) Pick() Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	var least *ringKey
	for i := range r.keys {
		at := (r.next + i) % len(r.keys)
		k := r.keys[at]
		if k.healthy(now) {
			r.next = at + 1
			return k.Key
		}
		if least == nil || k.better(least) {
			least = k
		}
	}
	if least == nil {
		return Key{}
	}
	key := least.Key
	key.Aside = least.failure
	return key
}

// Healthy returns how many keys are not aside: after a refusal, it says whether another try with another key makes sense.
func (r *KeyRing) Healthy() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, n := r.now(), 0
	for _, k := range r.keys {
		if k.healthy(now) {
			n++
		}
	}
	return n
}

func (k *ringKey) healthy(now time.Time) bool { return !k.refused && !now.Before(k.until) }

// better says whether k is more likely to work than other, both being aside.
func (k *ringKey) better(other *ringKey) bool {
	if k.refused != other.refused {
		return other.refused
	}
	return k.until.Before(other.until)
}

// Report says how the provider answered a call with the key: by its HTTP status and, where it named one, how long it
// asked to wait. 401 and 403 put the key aside until it is replaced or works after all, 429 for that time.
func (r *KeyRing) Report(key Key, status int, retryAfter time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.keys, func(k *ringKey) bool { return k.ID == key.ID })
	if i < 0 { // it was removed meanwhile
		return
	}
	k, now := r.keys[i], r.now()
	k.usedAt = now
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		k.refused = true
		k.failure = fmt.Sprintf("provider %s refuses this key (HTTP %d)", r.provider, status)
	case status == http.StatusTooManyRequests:
		k.until = now.Add(min(max(retryAfter, shortestRest), longestRest))
		k.failure = fmt.Sprintf("provider %s asks this key to wait (HTTP 429)", r.provider)
	case status >= 200 && status < 300:
		k.refused, k.until, k.failure = false, time.Time{}, ""
	}
}

// ofTheKey says whether an HTTP status is about the key, so that another one may succeed.
func ofTheKey(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests
}

// Uses returns the latest use of each credential of the database.
func (r *KeyRing) Uses() []core.CredentialUse {
	r.mu.Lock()
	defer r.mu.Unlock()
	var uses []core.CredentialUse
	for _, k := range r.keys {
		if k.stored && !k.usedAt.IsZero() {
			uses = append(uses, core.CredentialUse{ID: k.ID, UsedAt: k.usedAt, Error: k.failure})
		}
	}
	return uses
}

// Scrub removes every key from a text: servers repeat keys in their errors.
func (r *KeyRing) Scrub(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if secret := k.Secret.Reveal(); secret != "" {
			text = strings.ReplaceAll(text, secret, "[key]")
		}
	}
	return text
}
