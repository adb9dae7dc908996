// Package nearest finds the word that was probably meant when an unknown one was
// written ("did you mean …?"). It owns that one question and must know nothing about
// configuration, agents, tools or any other part that asks it.
package nearest

import "strings"

// Nearest returns the word among the given ones that is most like word, or "" when none
// is near enough to be worth suggesting. Letter case, and the difference between "-", "_"
// and a space, count for nothing; two swapped neighbours count as one mistake. About one
// mistake in three letters is forgiven. Of equally near words the first one wins, so an
// ordered list gives a stable answer.
func Nearest(word string, among []string) string {
	w := fold(word)
	if len(w) == 0 {
		return ""
	}
	best, bestDistance := "", -1
	for _, candidate := range among {
		c := fold(candidate)
		limit := max(len(w), len(c)) / 3
		if limit == 0 {
			limit = 1
		}
		d := distance(w, c)
		if d > limit || d >= max(len(w), len(c)) {
			continue
		}
		if bestDistance < 0 || d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// fold brings a word into the form in which words are compared.
func fold(s string) []rune {
	s = strings.ToLower(strings.TrimSpace(s))
	return []rune(strings.NewReplacer("-", "_", " ", "_").Replace(s))
}

// distance is the optimal string alignment distance: the fewest insertions, deletions,
// replacements and swaps of neighbours that turn a into b.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
