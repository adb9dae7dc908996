package tools

import (
	"context"
	"io"

	"github.com/sutazai/sutazai/core"
)

// Files lists the files of a workspace with their sizes in bytes; none if there is no such workspace.
func (r *Registry) Files(ctx context.Context, workspace string) (map[string]int64, error) {
	sizes := map[string]int64{}
	root, err := r.spaces.existing(workspace)
	if err != nil || root == nil {
		return sizes, err
	}
	defer root.Close() //nolint:errcheck // read only
	err = walk(ctx, root, ".", func(e entry) error {
		sizes[e.path] = e.size
		return nil
	})
	return sizes, err
}

// Read returns a file of a workspace. CodeNotFound: there is none; CodeTooLarge: it holds more than limit bytes.
func (r *Registry) Read(_ context.Context, workspace, name string, limit int64) (core.File, error) {
	path, err := cleanPath(name)
	if err != nil {
		return core.File{}, err
	}
	root, err := r.spaces.existing(workspace)
	if err != nil {
		return core.File{}, err
	}
	if root == nil {
		return core.File{}, core.Errorf(core.CodeNotFound, "there is no file %q in the workspace", name)
	}
	defer root.Close() //nolint:errcheck // read only
	f, err := openRegular(root, path)
	if err != nil {
		return core.File{}, err
	}
	defer f.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return core.File{}, fileError(err, name)
	}
	if int64(len(b)) > limit {
		return core.File{}, core.Errorf(core.CodeTooLarge, "the file %q holds more than %d bytes", name, limit)
	}
	return core.File{Name: path, Content: b}, nil
}
