package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// finding is one thing wrong with the settings.
type finding struct {
	at   place
	key  string // "" when it concerns the whole file or flag
	what string
}

func (f finding) String() string {
	if f.key == "" {
		return f.at.String() + ": " + f.what
	}
	return f.at.String() + ": " + f.key + ": " + f.what
}

// findings collects everything that is wrong, so that one error can tell all of it.
type findings struct{ list []finding }

func (f *findings) add(at place, key, format string, args ...any) {
	f.list = append(f.list, finding{at, key, fmt.Sprintf(format, args...)})
}

// about reports whether something is already said about a key or what is below it.
func (f *findings) about(key string) bool {
	return slices.ContainsFunc(f.list, func(x finding) bool {
		return x.key == key || strings.HasPrefix(x.key, key+".") || strings.HasPrefix(x.key, key+"[")
	})
}

// err returns nil when nothing is wrong, else one CodeInvalid error: one line a finding.
func (f *findings) err() error {
	if len(f.list) == 0 {
		return nil
	}
	lines := make([]string, len(f.list))
	e := &core.Error{Code: core.CodeInvalid}
	for i, x := range f.list {
		lines[i] = x.String()
		field := x.key
		if field == "" {
			field = x.at.source
		}
		e.Fields = append(e.Fields, core.FieldError{Field: field, Message: x.at.String() + ": " + x.what})
	}
	e.Message = lines[0]
	if len(lines) > 1 {
		e.Message = fmt.Sprintf("%d settings are wrong:\n  %s", len(lines), strings.Join(lines, "\n  "))
	}
	return e
}

// didYouMean returns the end of a message, empty when nothing is near.
func didYouMean(suggestion string) string {
	if suggestion == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", suggestion)
}
