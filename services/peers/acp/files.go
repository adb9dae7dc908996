package acp

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
)

// maxFile is how large a file may be that an agent reads through us, in bytes.
const maxFile = 10 << 20

// inside returns the path of a file below the workspace. The protocol's paths are absolute.
func inside(dir, path string) (string, error) {
	switch {
	case path == "":
		return "", jsonrpc.Wrong("params.path", "is missing")
	case strings.ContainsRune(path, 0):
		return "", jsonrpc.Wrong("params.path", "holds a zero byte")
	case !filepath.IsAbs(path):
		return "", jsonrpc.Wrong("params.path", "must be absolute")
	}
	rel, err := filepath.Rel(dir, filepath.Clean(path))
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return "", jsonrpc.Wrong("params.path", "is not a file of the workspace")
	}
	return rel, nil
}

// readFile reads a text file of the workspace, or some lines of it. No name and no link leads out of the workspace.
func readFile(dir string, r acp.ReadRequest) (any, error) {
	name, err := inside(dir, r.Path)
	if err != nil {
		return nil, err
	}
	if r.Line != nil && *r.Line < 1 {
		return nil, jsonrpc.Wrong("params.line", "must be 1 or more")
	}
	if r.Limit != nil && *r.Limit < 0 {
		return nil, jsonrpc.Wrong("params.limit", "must be 0 or more")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fileError(err)
	}
	defer root.Close() //nolint:errcheck // read only
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fileError(err)
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fileError(err)
	case !info.Mode().IsRegular():
		return nil, jsonrpc.Wrong("params.path", "is not an ordinary file")
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fileError(err)
	case len(content) > maxFile:
		return nil, &core.Error{Code: core.CodeTooLarge, Message: "params.path is a file of more than 10 MB", Fields: []core.FieldError{{Field: "params.path", Message: "is a file of more than 10 MB"}}}
	case !utf8.Valid(content):
		return nil, jsonrpc.Wrong("params.path", "is not a text file")
	}
	return acp.ReadResponse{Content: lines(string(content), r.Line, r.Limit)}, nil
}

// lines cuts some lines out of a text; from counts from 1.
func lines(text string, from, most *int) string {
	if from == nil && most == nil {
		return text
	}
	all := strings.SplitAfter(text, "\n")
	if from != nil {
		all = all[min(*from-1, len(all)):]
	}
	if most != nil {
		all = all[:min(*most, len(all))]
	}
	return strings.Join(all, "")
}

// writeFile writes a text file of the workspace, whole or not at all.
func writeFile(dir string, r acp.WriteRequest) error {
	name, err := inside(dir, r.Path)
	if err != nil {
		return err
	}
	if r.Content == nil {
		return jsonrpc.Wrong("params.content", "is missing")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fileError(err)
	}
	defer root.Close() //nolint:errcheck // what was written is closed below
	if folder := filepath.Dir(name); folder != "." {
		if err := root.MkdirAll(folder, 0o700); err != nil {
			return fileError(err)
		}
	}
	if info, err := root.Stat(name); err == nil && !info.Mode().IsRegular() {
		return jsonrpc.Wrong("params.path", "is not an ordinary file")
	}
	temp := filepath.Join(filepath.Dir(name), "."+rand.Text()+".sutazai-part")
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fileError(err)
	}
	_, err = f.WriteString(*r.Content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		_ = root.Remove(temp) // the first error is the one to tell
		return fileError(err)
	}
	return nil
}

// fileError says what went wrong without saying where the workspace is.
func fileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &jsonrpc.Error{Code: acp.NotFound, Message: "Resource not found: params.path"} // in the protocol's own words: agents look for them
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENAMETOOLONG):
		return jsonrpc.Wrong("params.path", "cannot be a file: a part of it is something else, or it is too long")
	case strings.Contains(err.Error(), "escapes"):
		return jsonrpc.Wrong("params.path", "leads out of the workspace")
	case errors.Is(err, fs.ErrPermission):
		return jsonrpc.Wrong("params.path", "must not be touched")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return core.Wrap(core.CodeStorageFull, err, "the server's disk is full")
	}
	return core.Wrap(core.CodeInternal, err, "the file cannot be used; the server's log has the details")
}
