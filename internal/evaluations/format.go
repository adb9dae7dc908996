package evaluations

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/sutazai/sutazai/core"
)

// caseYAML writes a case that was made of a run as an item of a list, each line after indent.
func caseYAML(c core.EvaluationCase, indent string) string {
	var b strings.Builder
	b.WriteString(indent + "- name: " + scalar(c.Name, "") + "\n")
	in := indent + "  "
	b.WriteString(in + "input: " + scalar(c.Input, in) + "\n")
	if len(c.Files) > 0 {
		b.WriteString(in + "files:\n")
		for _, name := range slices.Sorted(maps.Keys(c.Files)) {
			b.WriteString(in + "  " + scalar(name, "") + ": " + scalar(c.Files[name], in+"  ") + "\n")
		}
	}
	b.WriteString(in + "checks:\n")
	for _, check := range c.Checks {
		b.WriteString(in + "  - " + string(check.Kind) + ": " + scalar(check.Text, in+"    ") + "\n")
	}
	return b.String()
}

// scalar writes a text as YAML: a block of lines where that reads well, else in the quotes of JSON, which YAML shares.
func scalar(s, indent string) string {
	if indent != "" && blocky(s) {
		mark := "|-"
		body := s
		if strings.HasSuffix(s, "\n") {
			mark, body = "|", strings.TrimSuffix(s, "\n")
		}
		lines := strings.Split(body, "\n")
		for i, l := range lines {
			if l != "" {
				lines[i] = indent + "  " + l
			}
		}
		return mark + "\n" + strings.Join(lines, "\n")
	}
	if simple(s) {
		return s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil { // a string always can be
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// blocky says whether a text of several lines can stand as a block that means exactly it.
func blocky(s string) bool {
	if !strings.Contains(strings.TrimSuffix(s, "\n"), "\n") || strings.HasSuffix(s, "\n\n") || s[0] == ' ' || s[0] == '\n' || s[0] == '\t' {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.TrimRight(line, " \t") != line {
			return false
		}
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) })
}

// simple says whether a text needs no quotes: words of letters and digits that YAML takes for nothing else.
func simple(s string) bool {
	for i, r := range s {
		letter := unicode.IsLetter(r)
		if !letter && (i == 0 || !unicode.IsDigit(r) && !strings.ContainsRune(" _-./,?!", r)) {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "", "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		return false
	}
	return strings.TrimSpace(s) == s
}
