package anthropic

import (
	"strconv"
	"strings"
)

// generation is what a Claude model's name tells of it. Names that tell nothing (those of compatible servers) have major 0
// and get the oldest form of everything, which such servers know.
type generation struct {
	family       string // such as opus
	major, minor int
}

// generationOf reads names such as claude-opus-4-7, claude-haiku-4-5-20251001 and claude-3-7-sonnet-20250219.
func generationOf(model string) generation {
	_, name, ok := strings.Cut(strings.ToLower(model), "claude-")
	if !ok {
		return generation{}
	}
	var g generation
	numbers := 0
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '-' || r == '.' || r == '@' }) {
		n, err := strconv.Atoi(word)
		switch {
		case err != nil && g.family == "":
			g.family = word
		case err != nil || len(word) > 2: // a date is no version
		case numbers == 0:
			g.major, numbers = n, 1
		case numbers == 1:
			g.minor, numbers = n, 2
		}
	}
	return g
}

func (g generation) atLeast(major, minor int) bool {
	return g.major > major || g.major == major && g.minor >= minor
}

// adaptive says whether the model decides by itself how long it thinks and is told of an effort (since 4.6). Those before
// are given a number of tokens, which later ones refuse.
func (g generation) adaptive() bool { return g.atLeast(4, 6) }

// alwaysThinks says whether the model refuses to be told not to think.
func (g generation) alwaysThinks() bool { return g.family == "fable" || g.family == "mythos" }

// sampling says whether the model takes temperature, top_p and top_k; since 4.7 it refuses them.
func (g generation) sampling() bool { return !g.atLeast(4, 7) && !g.alwaysThinks() }

// oneSampler says whether the model refuses temperature and top_p together (since 4.1).
func (g generation) oneSampler() bool { return g.atLeast(4, 1) }
