package peers

import (
	"net/url"
	"path"
	"path/filepath"

	"github.com/sutazai/sutazai/core"
)

// Folder returns the real path of a workspace's folder: programs compare paths as text.
func Folder(workspace func(name string) (string, error), name string) (string, error) {
	dir, err := workspace(name)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return "", core.Wrap(core.CodeInternal, err, "the workspace cannot be opened; the server's log has the details")
	}
	return dir, nil
}

// FileURL is the address of a file in a folder.
func FileURL(dir, name string) string {
	u := url.URL{Scheme: "file", Path: path.Join(filepath.ToSlash(dir), name)}
	return u.String()
}
