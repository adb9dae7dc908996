package tools

import "path/filepath"

// Folder returns where the named workspace is, made if need be: for programs that work in it themselves. What they write is
// not counted against its size before the next write of a tool.
func (r *Registry) Folder(workspace string) (string, error) {
	root, err := r.spaces.open(workspace)
	if err != nil {
		return "", err
	}
	return filepath.Join(r.spaces.dir, workspace), root.Close()
}
