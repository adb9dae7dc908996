package aimodels

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// ring makes a ring with keys of the settings and a clock that the test moves.
func ring(texts ...string) (*KeyRing, *time.Time) {
	now := time.UnixMilli(1_700_000_000_000)
	var keys []core.Secret
	for _, text := range texts {
		keys = append(keys, core.NewSecret(text))
	}
	return NewKeyRing("cloud", keys, func() time.Time { return now }), &now
}

// picks returns the texts of the next n keys.
func picks(r *KeyRing, n int) string {
	var list []string
	for range n {
		list = append(list, r.Pick().Secret.Reveal())
	}
	return strings.Join(list, " ")
}

func TestKeysAreUsedInTurn(t *testing.T) {
	t.Parallel()
	r, _ := ring("a", "b")
	r.Set([]Key{{ID: "1", Secret: core.NewSecret("c")}})
	if got := picks(r, 7); got != "a b c a b c a" {
		t.Errorf("picked %s", got)
	}
	r.Set(nil)
	if got := picks(r, 4); got != "a b a b" {
		t.Errorf("after a removal: %s", got)
	}
	none, _ := ring()
	if k := none.Pick(); k.Secret.Reveal() != "" || k.Aside != "" {
		t.Errorf("a ring without keys gives %v", k)
	}
}

func TestAKeyThatIsRefusedIsLeftOutUntilItIsReplaced(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403} {
		r, now := ring("a")
		r.Set([]Key{{ID: "1", Secret: core.NewSecret("old")}})
		r.Report(Key{ID: "1"}, status, 0)
		*now = now.Add(1000 * time.Hour)
		if got := picks(r, 3); got != "a a a" || r.Healthy() != 1 {
			t.Errorf("%d: picked %s", status, got)
		}
		r.Set([]Key{{ID: "1", Secret: core.NewSecret("old")}})
		if got := picks(r, 2); got != "a a" {
			t.Errorf("%d: the same key again is used: %s", status, got)
		}
		r.Set([]Key{{ID: "1", Secret: core.NewSecret("new")}})
		if got := picks(r, 2); got != "a new" {
			t.Errorf("%d: after the replacement: %s", status, got)
		}
	}
}

func TestAKeyThatIsAskedToWaitRestsSoLong(t *testing.T) {
	t.Parallel()
	r, now := ring("a", "b")
	r.Report(r.Pick(), 429, 30*time.Second)
	if got := picks(r, 2); got != "b b" {
		t.Errorf("at once: %s", got)
	}
	*now = now.Add(29 * time.Second)
	if got := picks(r, 2); got != "b b" {
		t.Errorf("a second early: %s", got)
	}
	*now = now.Add(time.Second)
	if got := picks(r, 2); got != "a b" {
		t.Errorf("afterwards: %s", got)
	}
	r.Report(Key{ID: "settings 1"}, 429, 0)
	if r.Healthy() != 1 {
		t.Error("a 429 without Retry-After is passed over")
	}
	*now = now.Add(time.Second)
	r.Report(Key{ID: "settings 1"}, 500, 0)
	r.Report(Key{ID: "gone"}, 401, 0)
	if r.Healthy() != 2 {
		t.Error("a failure that is not the key's puts it aside")
	}
}

func TestWhenAllAreAsideTheLeastBadIsGivenWithTheReason(t *testing.T) {
	t.Parallel()
	r, _ := ring("refused", "long", "short")
	r.Report(Key{ID: "settings 1"}, 401, 0)
	r.Report(Key{ID: "settings 2"}, 429, time.Hour)
	r.Report(Key{ID: "settings 3"}, 429, time.Minute)
	k := r.Pick()
	if k.Secret.Reveal() != "short" || k.Aside != "provider cloud asks this key to wait (HTTP 429)" {
		t.Errorf("picked %s: %s", k.Secret.Reveal(), k.Aside)
	}
	r.Report(k, 200, 0)
	if k = r.Pick(); k.Secret.Reveal() != "short" || k.Aside != "" || r.Healthy() != 1 {
		t.Errorf("a key that works after all stays aside: %s", k.Aside)
	}
	only, _ := ring("x")
	only.Report(only.Pick(), 403, 0)
	if k = only.Pick(); k.Secret.Reveal() != "x" || !strings.Contains(k.Aside, "HTTP 403") {
		t.Errorf("the only key: %v", k)
	}
}

func TestTheUsesOfCredentialsAreTold(t *testing.T) {
	t.Parallel()
	r, now := ring("a")
	r.Set([]Key{{ID: "1", Secret: core.NewSecret("b")}, {ID: "2", Secret: core.NewSecret("c")}})
	r.Report(Key{ID: "settings 1"}, 200, 0)
	r.Report(Key{ID: "1"}, 401, 0)
	want := []core.CredentialUse{{ID: "1", UsedAt: *now, Error: "provider cloud refuses this key (HTTP 401)"}}
	if got := r.Uses(); !slices.Equal(got, want) {
		t.Errorf("uses %+v", got)
	}
}

func TestNoKeyIsShown(t *testing.T) {
	t.Parallel()
	const canary = "sk-canary-0123456789"
	r, _ := ring(canary)
	r.Set([]Key{{ID: "1", Secret: core.NewSecret(canary + "-stored")}})
	r.Report(r.Pick(), 401, 0)
	for _, v := range []any{r, *r.keys[0], r.keys, r.Pick(), r.Uses()} { //nolint:govet // the lock is only looked at
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of %T: %s", verb, v, got)
			}
		}
		if got, err := json.Marshal(v); err != nil || strings.Contains(string(got), canary) {
			t.Errorf("JSON of %T: %s, %v", v, got, err)
		}
	}
	if got := r.Scrub("the key " + canary + " is wrong, as is " + canary + "-stored"); strings.Contains(got, canary) {
		t.Errorf("scrubbed: %s", got)
	}
}

func TestManyCallsShareARing(t *testing.T) {
	t.Parallel()
	r, _ := ring("a", "b", "c")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				k := r.Pick()
				if k.Secret.Reveal() == "" {
					t.Error("a ring with keys gave none")
				}
				r.Report(k, []int{200, 429, 401}[(i+j)%3], time.Millisecond)
				r.Set([]Key{{ID: "1", Secret: core.NewSecret("d")}})
				r.Uses()
			}
		})
	}
	wg.Wait()
}

func BenchmarkPick(b *testing.B) {
	r, _ := ring("a", "b", "c")
	for b.Loop() {
		r.Report(r.Pick(), 200, 0)
	}
}
