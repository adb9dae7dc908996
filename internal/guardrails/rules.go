package guardrails

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
)

//go:embed gitleaks/rules.json
var gitleaksRules []byte

// ruleFile is the form of gitleaks/rules.json.
type ruleFile struct {
	Allow []allowed  `json:"allow"`
	Rules []ruleJSON `json:"rules"`
}

type ruleJSON struct {
	ID       string    `json:"id"`
	Keywords []string  `json:"keywords"`
	Regex    string    `json:"regex"`
	Back     int       `json:"back"`   // bytes that the match begins before the keyword
	Word     bool      `json:"word"`   // no word character stands before the match
	Before   string    `json:"before"` // where not empty: one of these bytes stands before it, or nothing
	Group    int       `json:"group"`  // which group is the secret; 0 = the first that took part, or all
	Entropy  float64   `json:"entropy"`
	Allow    []allowed `json:"allow"`
}

// allowed says what is no secret, although it looks like one.
type allowed struct {
	Target    string   `json:"target"` // what the expressions look at: "" = the secret, match, line
	Regexes   []string `json:"regexes"`
	Stopwords []string `json:"stopwords"` // in the secret, in lower case
}

// largestSecret bounds how many bytes a secret and what is around it may have, where its rule gives no limit.
const largestSecret = 8192

// rule is a rule as it is used. Its expressions are compiled when its keyword is seen for the first time.
type rule struct {
	ruleJSON
	window int // bytes that a match has at most, with the one behind it
	match  func() *regexp.Regexp
	open   func() *regexp.Regexp // nil result = a text of any form may be the beginning of a match
	allow  func() []allowList
}

type allowList struct {
	target    string
	regexes   []*regexp.Regexp
	stopwords *words
}

// ruleSet is all rules; it is read once and used by every check of kind secrets.
type ruleSet struct {
	rules []*rule
	allow func() []allowList // for all rules
}

func readRules() (*ruleSet, error) {
	var file ruleFile
	if err := json.Unmarshal(gitleaksRules, &file); err != nil {
		return nil, fmt.Errorf("read the rules for secrets: %w", err)
	}
	set := &ruleSet{allow: compileAllowed(file.Allow)}
	for _, r := range file.Rules {
		tree, err := syntax.Parse(r.Regex, syntax.Perl)
		if err != nil {
			return nil, fmt.Errorf("the rule %s for secrets: %w", r.ID, err)
		}
		one := &rule{ruleJSON: r, window: largestSecret, allow: compileAllowed(r.Allow)}
		if n := longest(tree); n != unbounded {
			one.window = min(n+1, largestSecret)
		}
		one.match = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\A(?:` + r.Regex + `)`) })
		one.open = sync.OnceValue(func() *regexp.Regexp { return beginning(tree, true) })
		set.rules = append(set.rules, one)
	}
	return set, nil
}

func compileAllowed(lists []allowed) func() []allowList {
	return sync.OnceValue(func() []allowList {
		out := make([]allowList, len(lists))
		for i, l := range lists {
			out[i] = allowList{target: l.Target, stopwords: newWords(l.Stopwords)}
			for _, expr := range l.Regexes {
				out[i].regexes = append(out[i].regexes, regexp.MustCompile(expr))
			}
		}
		return out
	})
}

// names returns the names of all rules.
func (s *ruleSet) names() []string {
	names := make([]string, len(s.rules))
	for i, r := range s.rules {
		names[i] = r.ID
	}
	return names
}

// without returns a detector by all rules but some.
func (s *ruleSet) without(names []string) *secrets {
	d := &secrets{allow: s.allow}
	byWord := map[string][]int{}
	for _, r := range s.rules {
		if slices.Contains(names, r.ID) {
			continue
		}
		for _, word := range r.Keywords {
			byWord[word] = append(byWord[word], len(d.rules))
		}
		d.rules = append(d.rules, r)
	}
	list := make([]string, 0, len(byWord))
	for word := range byWord {
		list = append(list, word)
	}
	slices.Sort(list)
	for _, word := range list {
		d.byWord = append(d.byWord, byWord[word])
	}
	d.words = newWords(list)
	return d
}

// secretIn returns what of a match is the secret, as offsets in the matched text.
func (r *rule) secretIn(loc []int) (start, end int) {
	if r.Group > 0 && loc[2*r.Group] >= 0 {
		return loc[2*r.Group], loc[2*r.Group+1]
	}
	for i := 2; i < len(loc) && r.Group == 0; i += 2 {
		if loc[i] >= 0 && loc[i] < loc[i+1] {
			return loc[i], loc[i+1]
		}
	}
	return loc[0], loc[1]
}

// begins says whether a match may begin at an offset, by what stands before it.
func (r *rule) begins(text string, start int) bool {
	switch {
	case start < 0 || r.Word && inWord(text, start):
		return false
	case r.Before != "" && start > 0:
		return strings.IndexByte(r.Before, text[start-1]) >= 0
	}
	return true
}

// covers says whether a list allows a secret.
func (l *allowList) covers(secret, match, line string) bool {
	if l.stopwords != nil && l.stopwords.any(secret) {
		return true
	}
	target := secret
	switch l.target {
	case "match":
		target = match
	case "line":
		target = line
	}
	return slices.ContainsFunc(l.regexes, func(re *regexp.Regexp) bool { return re.MatchString(target) })
}

// entropy returns the entropy of a text's bytes in bits a byte (Shannon, 1948).
func entropy(text string) float64 {
	var count [256]int
	for i := range len(text) {
		count[text[i]]++
	}
	bits, size := 0.0, float64(len(text))
	for _, n := range count {
		if n > 0 {
			p := float64(n) / size
			bits -= p * math.Log2(p)
		}
	}
	return bits
}
