package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// noteBytes is kept free of a result for the note that says how to read on.
const noteBytes = 200

// readFile shows a part of a text file.
func readFile(spaces *workspaces, outputMax func() int) Tool {
	type args struct {
		Path   string `json:"path"`
		Offset int64  `json:"offset"`
		Limit  int    `json:"limit"`
	}
	return builtin[args]{
		spec: core.ToolSpec{
			Name:        "read_file",
			Description: "Read a text file of the workspace. A long file comes in parts: the note at the end says with which offset to read on.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"path":{"type":"string","maxLength":1024,"description":"Path inside the workspace, such as notes/plan.md."},` +
				`"offset":{"type":"integer","minimum":0,"description":"Byte to start at; 0 is the beginning."},` +
				`"limit":{"type":"integer","minimum":1,"description":"How many bytes to read at most."}},` +
				`"required":["path"],"additionalProperties":false}`),
			Effect: core.EffectReadOnly,
			Flow:   core.FlowPrivate,
		},
		call: func(_ context.Context, inv core.ToolInvocation, a args) (string, error) {
			name, err := cleanPath(a.Path)
			if err != nil {
				return "", err
			}
			root, err := spaces.open(inv.Workspace)
			if err != nil {
				return "", err
			}
			defer root.Close() //nolint:errcheck // nothing is written through it
			f, err := openRegular(root, name)
			if err != nil {
				return "", err
			}
			defer f.Close() //nolint:errcheck // read only
			limit := max(1, outputMax()-noteBytes)
			if a.Limit > 0 {
				limit = min(limit, a.Limit)
			}
			return readPart(f, name, a.Offset, limit)
		},
	}
}

// readPart returns at most limit bytes of a text file from offset, whole characters and, where more follows,
// whole lines if there is one.
func readPart(f interface {
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}, name string, offset int64, limit int,
) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", fileError(err, name)
	}
	size := info.Size()
	if size == 0 {
		return fmt.Sprintf("[%s is empty]", name), nil
	}
	if offset >= size {
		return "", core.Errorf(core.CodeInvalid, "offset %d is at or behind the end of %s, which has %d bytes", offset, name, size)
	}
	start := make([]byte, min(size, 8<<10))
	if _, err := f.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", fileError(err, name)
	}
	if kind := binaryKind(start, int64(len(start)) < size); kind != "" {
		return fmt.Sprintf("[%s is not text: %s, %s. It cannot be shown]", name, kind, bytesText(size)), nil
	}
	part := make([]byte, min(int64(limit)+utf8.UTFMax, size-offset))
	n, err := f.ReadAt(part, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fileError(err, name)
	}
	part = part[:n]
	skipped := 0
	for offset > 0 && skipped < len(part) && skipped < utf8.UTFMax && !utf8.RuneStart(part[skipped]) {
		skipped++ // the middle of a character: start with the next one
	}
	part = part[skipped:]
	offset += int64(skipped)
	if len(part) > limit {
		part = part[:wholeCharacters(part, limit)]
	}
	end := offset + int64(len(part))
	if end < size {
		if i := bytes.LastIndexByte(part, '\n'); i > len(part)/2 {
			part = part[:i+1]
			end = offset + int64(i) + 1
		}
	}
	text := string(part)
	if end < size {
		text += fmt.Sprintf("\n[bytes %d to %d of %d; to read on, call read_file with offset %d]", offset, end, size, end)
	}
	return text, nil
}

// wholeCharacters is the largest length up to n that breaks no character, at least one character.
func wholeCharacters(b []byte, n int) int {
	i := n
	for i > 0 && i > n-utf8.UTFMax && !utf8.RuneStart(b[i]) {
		i--
	}
	if i == 0 {
		_, i = utf8.DecodeRune(b)
	}
	return i
}

// binaryKind names the type of content that is no text, or "". cut says that start is not the whole file, so its
// last character may be broken.
func binaryKind(start []byte, cut bool) string {
	if bytes.HasPrefix(start, []byte("SQLite format 3\x00")) {
		return "an SQLite database (sql_query reads it)"
	}
	bad := 0
	for rest := start; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == 0:
			return http.DetectContentType(start)
		case r == utf8.RuneError && size == 1 && (!cut || len(rest) >= utf8.UTFMax):
			bad++
		}
		rest = rest[size:]
	}
	// Some wrong bytes are text in an older encoding; many are no text.
	if bad > len(start)/10 {
		return http.DetectContentType(start)
	}
	return ""
}

// writeFile replaces a file.
func writeFile(spaces *workspaces) Tool {
	type args struct {
		Path    string `json:"path"`
		Content string `json:"content"`
	}
	return builtin[args]{
		spec: core.ToolSpec{
			Name:        "write_file",
			Description: "Write a text file of the workspace. It replaces the whole file; folders are made as needed.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"path":{"type":"string","maxLength":1024,"description":"Path inside the workspace, such as notes/plan.md."},` +
				`"content":{"type":"string","description":"The complete new content."}},` +
				`"required":["path","content"],"additionalProperties":false}`),
			Effect: core.EffectIdempotent,
		},
		call: func(ctx context.Context, inv core.ToolInvocation, a args) (string, error) {
			name, err := cleanPath(a.Path)
			if err != nil {
				return "", err
			}
			root, err := spaces.open(inv.Workspace)
			if err != nil {
				return "", err
			}
			defer root.Close() //nolint:errcheck // nothing is written through it
			defer spaces.lock(inv.Workspace)()
			if err := spaces.room(ctx, root, map[string]int64{name: int64(len(a.Content))}); err != nil {
				return "", err
			}
			if err := put(root, name, []byte(a.Content)); err != nil {
				return "", err
			}
			return fmt.Sprintf("wrote %s (%s)", name, bytesText(int64(len(a.Content)))), nil
		},
	}
}

// listFiles shows what is in the workspace.
func listFiles(spaces *workspaces, outputMax func() int) Tool {
	type args struct {
		Path   string `json:"path"`
		Offset int    `json:"offset"`
	}
	return builtin[args]{
		spec: core.ToolSpec{
			Name:        "list_files",
			Description: "List the files of the workspace with their sizes, those in folders included.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"path":{"type":"string","maxLength":1024,"description":"A folder; left out, the whole workspace."},` +
				`"offset":{"type":"integer","minimum":0,"description":"How many files to skip, to see the rest of a long list."}},` +
				`"additionalProperties":false}`),
			Effect: core.EffectReadOnly,
		},
		call: func(ctx context.Context, inv core.ToolInvocation, a args) (string, error) {
			dir, err := folder(a.Path)
			if err != nil {
				return "", err
			}
			root, err := spaces.open(inv.Workspace)
			if err != nil {
				return "", err
			}
			defer root.Close() //nolint:errcheck // nothing is written through it
			return list(ctx, root, dir, a.Offset, max(1, outputMax()-noteBytes))
		},
	}
}

// list writes the files of a folder, as many as fit.
func list(ctx context.Context, root *os.Root, dir string, offset, limit int) (string, error) {
	if info, err := root.Stat(dir); err != nil {
		return "", fileError(err, dir)
	} else if !info.IsDir() {
		return fmt.Sprintf("%s (%s)", dir, bytesText(info.Size())), nil
	}
	var b strings.Builder
	total, shown := 0, 0
	err := walk(ctx, root, dir, func(e entry) error {
		total++
		line := fmt.Sprintf("%s (%s)\n", e.path, bytesText(e.size))
		if total > offset && shown == total-1-offset && (b.Len()+len(line) <= limit || shown == 0) {
			b.WriteString(line)
			shown++
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case total == 0 && dir == ".":
		return "[the workspace is empty]", nil
	case total == 0:
		return fmt.Sprintf("[%s is empty]", dir), nil
	case offset >= total:
		return "", core.Errorf(core.CodeInvalid, "offset %d is behind the end of the list, which has %d files", offset, total)
	case offset+shown < total:
		fmt.Fprintf(&b, "[%d of %d files; to see more, call list_files with offset %d]", shown, total, offset+shown)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// folder checks the path of a folder; models write the workspace itself in several ways.
func folder(p string) (string, error) {
	switch p {
	case "", ".", "/", "./", "*":
		return ".", nil
	}
	c, err := cleanPath(p)
	if err != nil {
		return "", err
	}
	return path.Clean(c), nil
}
