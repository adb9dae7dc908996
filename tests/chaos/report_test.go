//go:build chaos

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// shown bounds how many violations of a kind are told in full.
const shown = 10

// report prints the result and fails the test when a bound is broken.
func (v *verdict) report(backend string, kills int, seed uint64, took time.Duration) {
	resumed, unresumed := v.k.resumes()
	p := func(q float64) int64 {
		if len(resumed) == 0 {
			return 0
		}
		return resumed[min(len(resumed)-1, int(q*float64(len(resumed))))].Milliseconds()
	}
	inStart := 0
	for _, l := range v.k.lives {
		if !l.served {
			inStart++
		}
	}
	if p99 := time.Duration(p(0.99)) * time.Millisecond; p99 > resumeBound {
		v.violate("slow", "", "interrupted runs went on %s after a restart (99 of 100); at most %s is allowed", p99, resumeBound)
	}
	count := func(kind string) int { return len(v.violations[kind]) }
	fmt.Printf("RESULT chaos backend=%s kills=%d runs=%d lost=%d repeated=%d duplicate_unsafe=%d stuck=%d events_wrong=%d refused=%d"+
		" runs_total=%d steps=%d kills_in_start=%d interrupted=%d resumed_p50_ms=%d resumed_p99_ms=%d not_resumed_before_next_kill=%d"+
		" asked=%d retries=%d calls_made_again=%d cancelled=%d seed=%d seconds=%.0f\n",
		backend, kills, runsAtOnce, count("lost"), count("repeated"), count("duplicate_unsafe"), count("stuck"), count("events"), count("refused"),
		v.runs, v.steps, inStart, len(resumed)+unresumed, p(0.5), p(0.99), unresumed,
		v.asked, v.retries, v.again, v.cancelled, seed, took.Seconds())
	for _, kind := range slices.Sorted(maps.Keys(v.violations)) {
		for i, text := range v.violations[kind] {
			if i == shown {
				v.k.t.Errorf("%s: and %d more", kind, len(v.violations[kind])-shown)
				break
			}
			v.k.t.Errorf("%s: %s", kind, text)
		}
	}
}

// resumes tells, for every run that a kill interrupted, how long after the next start the server did something for it
// again. A run for which nothing was done before the following kill came is counted apart, unless that took longer than
// it ever may.
func (k *killer) resumes() (resumed []time.Duration, unresumed int) {
	w := k.load.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, l := range k.lives {
		for _, task := range l.interrupted {
			if i+1 == len(k.lives) {
				continue
			}
			next := k.lives[i+1]
			first := time.Time{}
			for _, at := range w.activity[task] {
				if at.After(next.began) && (first.IsZero() || at.Before(first)) {
					first = at
				}
			}
			switch {
			case first.IsZero():
				unresumed++ // it had ended, and the news of it reached its client before the kill was noted
			case next.killed.IsZero() || first.Before(next.killed):
				resumed = append(resumed, first.Sub(next.began))
			case next.killed.Sub(next.began) > resumeBound:
				resumed = append(resumed, next.killed.Sub(next.began))
			default:
				unresumed++
			}
		}
	}
	slices.Sort(resumed)
	return resumed, unresumed
}
