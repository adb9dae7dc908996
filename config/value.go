package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/sutazai/sutazai/internal/nearest"
)

// Patterns of durations and sizes: what the JSON Schema says and what is read are the same.
const (
	durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	sizePattern     = `^[0-9]+(\.[0-9]+)? ?([kKMGTmgt]i?)?[bB]$`
)

var (
	durationForm = regexp.MustCompile(durationPattern)
	sizeForm     = regexp.MustCompile(sizePattern)
)

// value converts one value to what the setting holds: string, int64, float64, bool or time.Duration (sizes are int64,
// secrets their text). problem says what is wrong and what was expected; "" = nothing. A secret's text is never in it.
func (s *spec) value(n *node) (v any, problem string) {
	switch n.shape {
	case shapeNull:
		return nil, fmt.Sprintf("has no value; expected %s; remove the line to keep the value of the layer below", s.expected())
	case shapeMapping, shapeList:
		return nil, fmt.Sprintf("is %s; expected %s", n.say(s), s.expected())
	}
	wrong := func() (any, string) { return nil, fmt.Sprintf("is %s; expected %s", n.say(s), s.expected()) }
	switch s.kind {
	case kindText, kindSecret:
		if n.shape != shapeText && n.shape != shapeRaw {
			return nil, fmt.Sprintf("is %s; expected %s: put it in quotes", n.say(s), s.expected())
		}
		return s.textValue(n)
	case kindBool:
		if n.shape == shapeBool || n.shape == shapeRaw {
			if b, err := strconv.ParseBool(n.text); err == nil {
				return b, ""
			}
		}
		return wrong()
	case kindInteger:
		i, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 10, 64)
		if (n.shape != shapeNumber && n.shape != shapeRaw) || err != nil || !s.within(float64(i)) {
			return wrong()
		}
		return i, ""
	case kindNumber:
		f, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
		if (n.shape != shapeNumber && n.shape != shapeRaw) || err != nil || math.IsNaN(f) || math.IsInf(f, 0) || !s.within(f) {
			return wrong()
		}
		return f, ""
	case kindDuration:
		d, ok := parseDuration(n.text)
		if (n.shape != shapeText && n.shape != shapeRaw) || !ok || !s.within(float64(d)) {
			return wrong()
		}
		return d, ""
	case kindSize:
		size, ok := parseSize(n.text, n.shape != shapeText)
		if n.shape == shapeBool || !ok || !s.within(float64(size)) {
			return wrong()
		}
		return size, ""
	}
	return wrong()
}

func (s *spec) textValue(n *node) (any, string) {
	if len(s.enum) > 0 {
		for _, word := range s.enum {
			if n.text == word {
				return n.text, ""
			}
		}
		return nil, fmt.Sprintf("is %s; expected %s%s", n.say(s), s.expected(), didYouMean(nearest.Nearest(n.text, s.enum)))
	}
	if strings.ContainsFunc(n.text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, fmt.Sprintf("holds a line break or control character; expected %s", s.expected())
	}
	if problem := checkFormat(s.format, n.text); problem != "" {
		return nil, problem
	}
	return n.text, ""
}

// parseDuration reads what the schema's pattern allows: no sign, always a unit.
func parseDuration(text string) (time.Duration, bool) {
	if !durationForm.MatchString(text) {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// parseSize reads a size such as 10MB, in bytes; a bare number of bytes where that is allowed.
func parseSize(text string, bare bool) (int64, bool) {
	if bare {
		if n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64); err == nil {
			return n, n >= 0
		}
	}
	if !sizeForm.MatchString(text) {
		return 0, false
	}
	size, err := humanize.ParseBytes(text)
	return int64(size), err == nil && size <= math.MaxInt64
}

// bound converts a min or max tag to the scale in which values are compared.
func (s *spec) bound(text string) float64 {
	switch s.kind {
	case kindDuration:
		d, _ := parseDuration(text)
		return float64(d)
	case kindSize:
		n, _ := parseSize(text, true)
		return float64(n)
	}
	f, _ := strconv.ParseFloat(text, 64)
	return f
}

func (s *spec) within(v float64) bool {
	return (s.min == "" || v >= s.bound(s.min)) && (s.max == "" || v <= s.bound(s.max))
}

// expected says in words what a setting may hold.
func (s *spec) expected() string {
	bounds := ""
	switch {
	case s.min != "" && s.max != "":
		bounds = fmt.Sprintf(" from %s to %s", s.min, s.max)
	case s.min != "":
		bounds = " of at least " + s.min
	}
	switch s.kind {
	case kindSection:
		mapping := "a mapping with some of " + strings.Join(s.names(), ", ")
		if s.short != nil {
			return s.short.expected() + ", or " + mapping
		}
		return mapping
	case kindMap:
		return "a mapping of names to " + s.elem.expectedMany()
	case kindList:
		return "a list of " + s.elem.expectedMany() + ", such as " + s.exampleList()
	case kindInteger:
		return "a whole number" + bounds
	case kindNumber:
		return "a number" + bounds
	case kindBool:
		return "true or false"
	case kindDuration:
		return "a duration such as 500ms, 30s or 15m" + strings.Replace(bounds, " from", ", from", 1)
	case kindSize:
		return "a size such as 64KB or 10MB" + strings.Replace(bounds, " from", ", from", 1)
	case kindSecret:
		return "text such as env:NAME or file:/path"
	}
	if len(s.enum) > 0 {
		return "one of " + strings.Join(s.enum, ", ")
	}
	return "text"
}

func (s *spec) expectedMany() string {
	switch s.kind {
	case kindSection:
		if s.short != nil {
			return "lists of " + s.short.elem.expectedMany() + ", or mappings with " + strings.Join(s.names(), ", ")
		}
		return "mappings with " + strings.Join(s.names(), ", ")
	case kindList:
		return "lists of " + s.elem.expectedMany()
	}
	return "texts"
}

func (s *spec) exampleList() string {
	switch {
	case s.elem.kind == kindSection:
		var fields []string
		for _, f := range s.elem.fields {
			if f.example != "" {
				fields = append(fields, f.key+": "+f.example)
			}
		}
		return "[{" + strings.Join(fields, ", ") + "}]"
	case s.elem.kind == kindSecret:
		return "[env:NAME, file:/path]"
	case len(s.elem.enum) > 0:
		return "[" + strings.Join(s.elem.enum, ", ") + "]"
	}
	return "[one, two]"
}

// say names a value in a message; what stands in a secret's place is described, not shown.
func (n *node) say(s *spec) string {
	switch {
	case s.kind == kindSecret:
		return n.sort()
	case n.shape == shapeNumber:
		return "the number " + n.text
	case n.shape == shapeBool:
		return n.text
	case n.shape == shapeText || n.shape == shapeRaw:
		return fmt.Sprintf("%q", brief(n.text))
	}
	return n.sort()
}

// sort names what kind of value it is, without the value.
func (n *node) sort() string {
	switch n.shape {
	case shapeNull:
		return "empty"
	case shapeMapping:
		return "a mapping"
	case shapeList:
		return "a list"
	case shapeNumber:
		return "a number"
	case shapeBool:
		return n.text
	}
	return "a text"
}

// brief shortens a text for a message and hides what looks like a URL's credentials.
func brief(text string) string {
	if strings.Contains(text, "://") && strings.Contains(text, "@") {
		return redactURL(text)
	}
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:57]) + "..."
	}
	return text
}
