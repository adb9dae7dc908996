package tools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sutazai/sutazai/core"
)

// Attach puts a user's files into a workspace, all of them or, when one cannot be, none that is new. A file of
// the same name is replaced, so that a repeated Attach changes nothing. CodeInvalid names the wrong file in its
// Fields; CodeStorageFull: the files do not fit.
func (r *Registry) Attach(workspace string, files []core.File) error {
	names := make([]string, len(files))
	sizes := map[string]int64{}
	for i, f := range files {
		name, err := cleanPath(f.Name)
		if err == nil && name == "." {
			err = core.Errorf(core.CodeInvalid, "%q is not the name of a file", f.Name)
		}
		if _, twice := sizes[name]; err == nil && twice {
			err = core.Errorf(core.CodeInvalid, "the file %q is given twice", name)
		}
		if err != nil {
			return &core.Error{
				Code: core.CodeInvalid, Message: core.MessageOf(err),
				Fields: []core.FieldError{{Field: fmt.Sprintf("files[%d].name", i), Message: core.MessageOf(err)}},
			}
		}
		names[i], sizes[name] = name, int64(len(f.Content))
	}
	if len(files) == 0 {
		return nil
	}
	root, err := r.spaces.open(workspace)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing is written through it
	defer r.spaces.lock(workspace)()
	if err := r.spaces.room(context.Background(), root, sizes); err != nil {
		return err
	}
	var added []string
	for i, f := range files {
		_, before := root.Lstat(names[i])
		if err := put(root, names[i], f.Content); err != nil {
			for _, name := range added {
				_ = root.Remove(name) // the first error is the one to tell
			}
			return err
		}
		if errors.Is(before, fs.ErrNotExist) {
			added = append(added, names[i])
		}
	}
	return nil
}

// Remove deletes a workspace with all its files. It is no error if there is none.
func (r *Registry) Remove(workspace string) error {
	root, err := r.spaces.existing(workspace)
	if err != nil || root == nil {
		return err
	}
	root.Close() //nolint:errcheck,gosec // nothing was written through it
	defer r.spaces.lock(workspace)()
	if err := r.spaces.base.RemoveAll(workspace); err != nil {
		return storageError(err, "the workspace cannot be deleted")
	}
	return nil
}
