package evaluations

import (
	"cmp"
	"math"
	"slices"

	"github.com/sutazai/sutazai/core"
)

// Wilson returns the 95 % confidence interval of a share of which passed of tried were seen (Wilson, 1927): unlike the
// normal approximation it stays within 0 and 1 and says something of few tries. Of none it is everything.
func Wilson(passed, tried int) (low, high float64) {
	if tried == 0 {
		return 0, 1
	}
	const z = 1.959963984540054 // 97.5 % quantile of the normal distribution
	n, p := float64(tried), float64(passed)/float64(tried)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}

// newResult is an evaluation's account of its cases before the first try.
func newResult(set core.EvaluationSet) []core.EvaluationResult {
	out := make([]core.EvaluationResult, len(set.Cases))
	for i, c := range set.Cases {
		out[i] = core.EvaluationResult{Name: c.Name, Tries: []core.EvaluationTry{}}
	}
	return out
}

// withTry returns the evaluation with one more try of a case, and its sums. Nothing of e is changed.
func withTry(e core.Evaluation, index int, try core.EvaluationTry) core.Evaluation {
	e.Cases = slices.Clone(e.Cases)
	tries := append(slices.Clone(e.Cases[index].Tries), try)
	slices.SortFunc(tries, func(a, b core.EvaluationTry) int { return cmp.Compare(a.Try, b.Try) })
	e.Cases[index].Tries = tries
	e.Passed, e.Tried, e.CostUSD = 0, 0, 0
	for _, c := range e.Cases {
		for _, t := range c.Tries {
			e.Tried++
			e.CostUSD += t.CostUSD
			if t.Passed {
				e.Passed++
			}
		}
	}
	e.Low, e.High = Wilson(e.Passed, e.Tried)
	return e
}

// verdict says how an evaluation ends of which every case was tried.
func verdict(e core.Evaluation) core.EvaluationStatus {
	const rounding = 1e-9
	if float64(e.Passed)+rounding >= e.Pass*float64(e.Tried) {
		return core.EvaluationPassed
	}
	return core.EvaluationFailed
}
