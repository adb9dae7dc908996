package aimodels

import "strings"

// Target is one model at one provider.
type Target struct {
	Provider string
	Model    string // may itself hold slashes
}

// ParseTarget reads "provider/model"; ok is false for anything else.
func ParseTarget(s string) (t Target, ok bool) {
	p, m, found := strings.Cut(s, "/")
	if !found || p == "" || m == "" {
		return Target{}, false
	}
	return Target{Provider: p, Model: m}, true
}

// String returns "provider/model".
func (t Target) String() string { return t.Provider + "/" + t.Model }
