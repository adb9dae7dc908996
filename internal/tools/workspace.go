package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// Bounds of a workspace beside its size.
const (
	maxFiles     = 10_000
	maxPathBytes = 1024
	maxNameBytes = 200
	maxDepth     = 32
)

// tempSuffix marks files that are being written. They are never shown and cannot be asked for.
const tempSuffix = ".sutazai-part"

// workspaces holds a folder for each run's files. Every access goes through os.Root, so no name and no link
// leads out of a workspace, even if one is put in place in the middle of a call.
type workspaces struct {
	base  *os.Root
	dir   string       // of base, from the root on: for the sandbox, which lets nothing else of it be seen
	max   atomic.Int64 // bytes of one workspace
	valid *regexp.Regexp
	mu    sync.Mutex
	locks map[string]*spaceLock
}

// spaceLock makes writers of one workspace take turns, so that its size is counted right.
type spaceLock struct {
	sync.Mutex
	users int
}

func openWorkspaces(dir string) (*workspaces, error) {
	if dir == "" {
		return nil, core.Errorf(core.CodeInvalid, "the folder of workspaces is not set")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, core.Wrap(storageCode(err), err, "the folder of workspaces %s cannot be made", dir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the folder of workspaces %s cannot be found", dir)
	}
	base, err := os.OpenRoot(dir)
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the folder of workspaces %s cannot be opened", dir)
	}
	return &workspaces{base: base, dir: dir, valid: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`), locks: map[string]*spaceLock{}}, nil
}

func (w *workspaces) close() error { return w.base.Close() }

// lock waits for the other writers of the workspace; the caller calls the returned function when done.
func (w *workspaces) lock(name string) func() {
	w.mu.Lock()
	l := w.locks[name]
	if l == nil {
		l = &spaceLock{}
		w.locks[name] = l
	}
	l.users++
	w.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		w.mu.Lock()
		if l.users--; l.users == 0 {
			delete(w.locks, name)
		}
		w.mu.Unlock()
	}
}

// open returns the workspace's folder, made if need be. The caller closes it.
func (w *workspaces) open(name string) (*os.Root, error) {
	root, err := w.existing(name)
	if err != nil || root != nil {
		return root, err
	}
	if err := w.base.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, storageError(err, "the workspace cannot be made")
	}
	return w.existing(name)
}

// existing returns the workspace's folder, nil if it was never made. The caller closes it.
func (w *workspaces) existing(name string) (*os.Root, error) {
	if !w.valid.MatchString(name) {
		return nil, core.Errorf(core.CodeInvalid, "%q is not the name of a workspace", clip(name, 60))
	}
	info, err := w.base.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // "none" is an ordinary answer here
	}
	if err != nil {
		return nil, storageError(err, "the workspace cannot be opened")
	}
	if !info.IsDir() {
		return nil, core.Errorf(core.CodeInvalid, "%q is not a workspace", name)
	}
	root, err := w.base.OpenRoot(name)
	if err != nil {
		return nil, storageError(err, "the workspace cannot be opened")
	}
	return root, nil
}

// cleanPath checks the path of a file and returns it in its shortest form.
func cleanPath(p string) (string, error) {
	bad := func(why string) (string, error) {
		return "", core.Errorf(core.CodeInvalid, "%q is not a usable path: %s", clip(p, 80), why)
	}
	switch {
	case p == "":
		return bad("it is empty; write a path inside the workspace, such as notes/plan.md")
	case len(p) > maxPathBytes:
		return bad("it is too long")
	case !utf8.ValidString(p):
		return bad("it is not UTF-8")
	case strings.HasPrefix(p, "/"):
		return bad("it starts with \"/\"; write a path inside the workspace, such as notes/plan.md")
	case strings.ContainsAny(p, `\:*?"<>|`):
		return bad(`it holds one of \ : * ? " < > |; folders are separated by "/"`)
	}
	for _, r := range p {
		if !unicode.IsGraphic(r) {
			return bad("it holds an invisible or control character")
		}
	}
	c := path.Clean(p)
	parts := strings.Split(c, "/")
	if len(parts) > maxDepth {
		return bad("its folders are nested too deep")
	}
	for _, part := range parts {
		if part == ".." {
			return bad("it leads out of the workspace")
		}
		if len(part) > maxNameBytes {
			return bad("a name in it is too long")
		}
	}
	if strings.HasSuffix(c, tempSuffix) {
		return bad("names that end in " + tempSuffix + " are taken")
	}
	return c, nil
}

// openRegular opens a file for reading. Links and special files are refused; a named pipe must not make us wait.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, fileError(err, name)
	}
	if err := mustBeRegular(info, name); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fileError(err, name)
	}
	if info, err = f.Stat(); err == nil {
		err = mustBeRegular(info, name)
	}
	if err != nil {
		f.Close() //nolint:errcheck,gosec // read only
		return nil, err
	}
	return f, nil
}

func mustBeRegular(info fs.FileInfo, name string) error {
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.IsDir():
		return core.Errorf(core.CodeInvalid, "%q is a folder; list_files shows what is in it", name)
	}
	return core.Errorf(core.CodeInvalid, "%q is a link or a special file, which tools do not touch", name)
}

// entry is one file of a workspace.
type entry struct {
	path string
	size int64
}

// walk calls fn for every regular file below dir in the order of paths. fn may return fs.SkipAll.
func walk(ctx context.Context, root *os.Root, dir string, fn func(entry) error) error {
	return fs.WalkDir(root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && p != dir:
			return nil // removed meanwhile
		case err != nil:
			return fileError(err, p)
		case !d.Type().IsRegular() || strings.HasSuffix(p, tempSuffix):
			return nil
		}
		info, err := d.Info()
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return fileError(err, p)
		}
		return fn(entry{p, info.Size()})
	})
}

// usage is how many files a workspace has and how many bytes they hold.
func usage(ctx context.Context, root *os.Root) (files int, size int64, err error) {
	err = walk(ctx, root, ".", func(e entry) error {
		files++
		size += e.size
		return nil
	})
	return files, size, err
}

// room checks that the files fit beside what is there; they replace files of the same name. The caller holds
// the workspace's lock.
func (w *workspaces) room(ctx context.Context, root *os.Root, files map[string]int64) error {
	count, used, err := usage(ctx, root)
	if err != nil {
		return err
	}
	var need int64
	for name, size := range files {
		need += size
		info, err := root.Lstat(name)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return mustBeRegular(info, name)
		case err == nil:
			used -= info.Size()
		case errors.Is(err, fs.ErrNotExist):
			count++
		default:
			return fileError(err, name)
		}
	}
	if limit := w.max.Load(); used+need > limit {
		return core.Errorf(core.CodeStorageFull,
			"the workspace is full (%s): %s are used and %s more are needed; delete or shorten files that are no longer needed",
			bytesText(limit), bytesText(used), bytesText(need))
	}
	if count > maxFiles {
		return core.Errorf(core.CodeStorageFull, "the workspace is full (%d files); put several things into one file", maxFiles)
	}
	return nil
}

// put writes a file whole or not at all: into a file beside it, to the disk, then renamed. A repeated put of the
// same content gives the same file. The caller holds the workspace's lock.
func put(root *os.Root, name string, content []byte) (err error) {
	dir := path.Dir(name)
	if dir != "." {
		if err := root.MkdirAll(dir, 0o700); errors.Is(err, fs.ErrExist) {
			return fileError(syscall.ENOTDIR, name)
		} else if err != nil {
			return fileError(err, name)
		}
	}
	sum := sha256.Sum256([]byte(name))
	temp := path.Join(dir, "."+hex.EncodeToString(sum[:8])+tempSuffix)
	// What a crash left is removed first; O_EXCL then never follows a link.
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError(err, name)
	}
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fileError(err, name)
	}
	defer func() {
		if err != nil {
			_ = root.Remove(temp) // the first error is the one to tell
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return fileError(err, name)
	}
	return syncDir(root, dir)
}

// syncDir makes a rename survive a power cut. Windows cannot and need not do it.
func syncDir(root *os.Root, dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := root.Open(dir)
	if err != nil {
		return fileError(err, dir)
	}
	defer d.Close() //nolint:errcheck // read only
	if err := d.Sync(); err != nil {
		return fileError(err, dir)
	}
	return nil
}

// fileError says what went wrong with a file of a workspace.
func fileError(err error, name string) error {
	if ce, ok := errors.AsType[*core.Error](err); ok {
		return ce
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return core.Errorf(core.CodeNotFound, "there is no file %q in the workspace; list_files shows what there is", name)
	case errors.Is(err, syscall.ENOTDIR):
		return core.Errorf(core.CodeInvalid, "%q cannot be: a part of that path is a file, not a folder", name)
	case errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist):
		return core.Errorf(core.CodeInvalid, "%q is a folder; choose another name", name)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return core.Errorf(core.CodeInvalid, "the name %q is too long", clip(name, 80))
	case strings.Contains(err.Error(), "path escapes from parent"):
		return core.Errorf(core.CodeInvalid, "%q leads out of the workspace", name)
	}
	return storageError(err, "the file cannot be used")
}

// storageError is a failure of the disk itself.
func storageError(err error, what string) error {
	if storageCode(err) == core.CodeStorageFull {
		return core.Wrap(core.CodeStorageFull, err, "the server's disk is full; nothing was changed. Tell the user, who can free space and try again")
	}
	return core.Wrap(core.CodeInternal, err, "%s; the server's log has the details", what)
}

func storageCode(err error) core.Code {
	if slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT}, func(e error) bool { return errors.Is(err, e) }) {
		return core.CodeStorageFull
	}
	return core.CodeInternal
}
