package tools

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// Bounds of a search.
const (
	maxPattern     = 1000
	maxMatches     = 500
	maxLineShown   = 300     // characters
	maxLineMatched = 1 << 20 // bytes; of a longer line the beginning is searched
)

// searchFiles finds lines by a regular expression. RE2 takes time linear in the text, whatever the pattern.
func searchFiles(spaces *workspaces, outputMax func() int) Tool {
	type args struct {
		Pattern    string `json:"pattern"`
		Path       string `json:"path"`
		IgnoreCase bool   `json:"ignore_case"`
	}
	return builtin[args]{
		spec: core.ToolSpec{
			Name:        "search_files",
			Description: "Find the lines of text files in the workspace that match a regular expression (RE2). Answers path:line: text.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"pattern":{"type":"string","minLength":1,"maxLength":1000,"description":"Regular expression, such as total|sum. A plain word works too."},` +
				`"path":{"type":"string","maxLength":1024,"description":"A folder or file to search; left out, the whole workspace."},` +
				`"ignore_case":{"type":"boolean","description":"Take upper and lower case as the same."}},` +
				`"required":["pattern"],"additionalProperties":false}`),
			Effect: core.EffectReadOnly,
			Flow:   core.FlowPrivate,
		},
		call: func(ctx context.Context, inv core.ToolInvocation, a args) (string, error) {
			expression, err := compilePattern(a.Pattern, a.IgnoreCase)
			if err != nil {
				return "", err
			}
			dir, err := folder(a.Path)
			if err != nil {
				return "", err
			}
			root, err := spaces.open(inv.Workspace)
			if err != nil {
				return "", err
			}
			defer root.Close() //nolint:errcheck // nothing is written through it
			s := &search{expression: expression, limit: max(1, outputMax()-noteBytes)}
			err = walk(ctx, root, dir, func(e entry) error { return s.file(ctx, root, e) })
			if err != nil {
				return "", err
			}
			return s.text(), nil
		},
	}
}

// compilePattern reads a pattern. A model that meant plain text with special characters is told how to write it.
func compilePattern(pattern string, ignoreCase bool) (*regexp.Regexp, error) {
	text := pattern
	if ignoreCase {
		text = "(?i)" + text
	}
	expression, err := regexp.Compile(text)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "the pattern is not a valid regular expression: %s; to find exactly this text, write %q",
			strings.TrimPrefix(err.Error(), "error parsing regexp: "), regexp.QuoteMeta(pattern))
	}
	return expression, nil
}

// search collects matches.
type search struct {
	expression *regexp.Regexp
	limit      int
	out        strings.Builder
	matches    int
	files      int
	skipped    int // files that are no text
	full       bool
}

// file searches one file; fs.SkipAll when enough was found.
func (s *search) file(ctx context.Context, root *os.Root, e entry) error {
	f, err := openRegular(root, e.path)
	if err != nil {
		if core.CodeOf(err) == core.CodeNotFound {
			return nil // removed meanwhile
		}
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	r := bufio.NewReaderSize(f, 64<<10)
	start, err := r.Peek(8 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return fileError(err, e.path)
	}
	if binaryKind(start, int64(len(start)) < e.size) != "" {
		s.skipped++
		return nil
	}
	s.files++
	for number := 1; ; number++ {
		line, err := readLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return fileError(err, e.path)
		}
		if len(line) == 0 && err != nil {
			return nil
		}
		if number%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if s.expression.Match(line) && !s.add(e.path, number, line) {
			return fs.SkipAll
		}
		if err != nil {
			return nil
		}
	}
}

// readLine returns the next line without its end; of a line longer than maxLineMatched the rest is skipped.
// The error io.EOF comes with the last line.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if room := maxLineMatched - len(line); room > 0 {
			line = append(line, part[:min(room, len(part))]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if n := len(line); n > 0 && line[n-1] == '\n' {
			line = line[:n-1]
			if n > 1 && line[n-2] == '\r' {
				line = line[:n-2]
			}
			return line, nil
		}
		return line, err
	}
}

// add writes a match and says whether there is room for another.
func (s *search) add(path string, number int, line []byte) bool {
	text := fmt.Sprintf("%s:%d: %s\n", path, number, clip(strings.TrimSpace(clean(string(line))), maxLineShown))
	if s.matches >= maxMatches || (s.matches > 0 && s.out.Len()+len(text) > s.limit) {
		s.full = true
		return false
	}
	s.matches++
	s.out.WriteString(text)
	return true
}

func (s *search) text() string {
	switch {
	case s.full:
		fmt.Fprintf(&s.out, "[the first %d matches; there are more: make the pattern narrower or name a path]", s.matches)
	case s.matches == 0 && s.skipped > 0:
		return fmt.Sprintf("[nothing found in %d text files; %d other files were not searched]", s.files, s.skipped)
	case s.matches == 0:
		return fmt.Sprintf("[nothing found in %d files]", s.files)
	}
	return strings.TrimSuffix(s.out.String(), "\n")
}
