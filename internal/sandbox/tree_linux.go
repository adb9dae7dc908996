//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxDepth is how deep folders of a workspace may be nested: more would be a burden to whoever walks through them.
const maxDepth = 64

// tree is a folder that a command changes. Nothing in it is trusted: names are never joined to paths, links never followed.
type tree struct{ root *os.File }

// usage is what a tree holds.
type usage struct {
	entries int // files and folders
	size    int64
	deep    bool // there are folders that are nested too deep; they are not counted
}

// stamp tells one state of a file from another. A command can set the other times, this one it cannot.
type stamp struct {
	size, changed int64
	inode         uint64
}

// state is a tree at one time.
type state struct {
	usage
	files map[string]stamp
}

func openTree(dir string) (*tree, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &tree{os.NewFile(uintptr(fd), dir)}, nil
}

func (t *tree) close() { t.root.Close() } //nolint:errcheck,gosec // opened for reading

func (t *tree) fd() int { return int(t.root.Fd()) }

// space is what is left on the disk and what must stay free.
func (t *tree) space() (free, reserve int64) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(t.fd(), &st); err != nil {
		return 1, 0
	}
	total := int64(st.Blocks) * st.Bsize
	return int64(st.Bavail) * st.Bsize, min(512<<20, total/50)
}

// errEnough ends a walk early.
var errEnough = errors.New("enough")

// visit is called for each entry of a walk. It may return errEnough.
type visit func(dir int, rel, name string, depth int, st *unix.Stat_t) error

// walk visits all below a folder, folders before what is in them. Folders that are nested too deep are visited and not entered. What
// vanishes meanwhile is left out.
func (t *tree) walk(fn visit) error {
	err := walk(t.fd(), "", 0, fn)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func walk(parent int, rel string, depth int, fn visit) error {
	fd, err := unix.Openat(parent, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ignoreGone(err)
	}
	dir := os.NewFile(uintptr(fd), "folder")
	defer dir.Close() //nolint:errcheck // read only
	for {
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if err := walkEntry(int(dir.Fd()), rel, name, depth, fn); err != nil {
				return err
			}
		}
		if err != nil || len(names) == 0 {
			return nil // the end
		}
	}
}

func walkEntry(dir int, rel, name string, depth int, fn visit) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return ignoreGone(err)
	}
	if err := fn(dir, rel, name, depth, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || depth >= maxDepth {
		return nil
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return ignoreGone(err)
	}
	defer unix.Close(fd) //nolint:errcheck // read only
	return walk(fd, path.Join(rel, name), depth+1, fn)
}

// ignoreGone is nil for what is no longer there, no longer what it was, or closed to us.
func ignoreGone(err error) error {
	for _, e := range []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EACCES} {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// count adds an entry.
func (u *usage) count(depth int, st *unix.Stat_t) {
	u.entries++
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		u.deep = u.deep || depth >= maxDepth
	case unix.S_IFREG:
		u.size += st.Size
	}
}

// usage measures a tree; it stops once a bound is passed.
func (t *tree) usage(entries int, size int64) (usage, error) {
	var u usage
	err := t.walk(func(_ int, _, _ string, depth int, st *unix.Stat_t) error {
		u.count(depth, st)
		if u.entries > entries || u.size > size || u.deep {
			return errEnough
		}
		return nil
	})
	return u, err
}

// snapshot notes the state of every file.
func (t *tree) snapshot() (state, error) {
	s := state{files: map[string]stamp{}}
	err := t.walk(func(_ int, rel, name string, depth int, st *unix.Stat_t) error {
		s.note(rel, name, depth, st)
		return nil
	})
	return s, err
}

func (s *state) note(rel, name string, depth int, st *unix.Stat_t) {
	s.count(depth, st)
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		s.files[path.Join(rel, name)] = stamp{st.Size, st.Ctim.Nano(), st.Ino}
	}
}

// tidy makes what a command left usable: we may read it, nothing is nested too deep, no file has special rights, and what does
// not fit is removed. Then it notes what has changed.
func (t *tree) tidy(before state, limits Limits, res *Result) error {
	after := state{files: map[string]stamp{}}
	err := t.walk(func(dir int, rel, name string, depth int, st *unix.Stat_t) error {
		kind := st.Mode & unix.S_IFMT
		if kind == unix.S_IFDIR && depth >= maxDepth {
			res.Removed = append(res.Removed, path.Join(rel, name)+"/")
			return removeAt(dir, name)
		}
		want := uint32(0o600)
		if kind == unix.S_IFDIR {
			want = 0o700
		}
		if (kind == unix.S_IFDIR || kind == unix.S_IFREG) && (st.Mode&want != want || st.Mode&0o7000 != 0) {
			if err := chmodAt(dir, name, st.Mode&0o777|want); err != nil {
				return err
			}
			if err := unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return ignoreGone(err)
			}
		}
		after.note(rel, name, depth, st)
		return nil
	})
	if err != nil {
		return err
	}
	t.fit(before, &after, limits, res)
	for name, now := range after.files {
		was, old := before.files[name]
		switch {
		case !old:
			res.Changed = append(res.Changed, Change{name, Added, now.size})
		case was != now:
			res.Changed = append(res.Changed, Change{name, Changed, now.size})
		}
	}
	for name := range before.files {
		if _, still := after.files[name]; !still {
			res.Changed = append(res.Changed, Change{name, Gone, 0})
		}
	}
	slices.SortFunc(res.Changed, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(res.Removed)
	return nil
}

// fit removes new files, the largest first, until the workspace is within its bounds, or as it was before if it was not.
func (t *tree) fit(before state, after *state, limits Limits, res *Result) {
	size, entries := max(limits.Workspace, before.size), max(limits.Files, before.entries)
	if after.size <= size && after.entries <= entries {
		return
	}
	var added []string
	for name := range after.files {
		if _, old := before.files[name]; !old {
			added = append(added, name)
		}
	}
	slices.SortFunc(added, func(a, b string) int { return int(min(max(after.files[b].size-after.files[a].size, -1), 1)) })
	for _, name := range added {
		if after.size <= size && after.entries <= entries {
			return
		}
		if t.remove(name) == nil {
			after.size -= after.files[name].size
			after.entries--
			delete(after.files, name)
			res.Removed = append(res.Removed, name)
		}
	}
}

// remove deletes one file without following a link on the way to it.
func (t *tree) remove(name string) error {
	dir := t.fd()
	parts := strings.Split(name, "/")
	for _, part := range parts[:len(parts)-1] {
		fd, err := unix.Openat(dir, part, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd) //nolint:errcheck // at most maxDepth of them
		dir = fd
	}
	return unix.Unlinkat(dir, parts[len(parts)-1], 0)
}

// chmodAt changes the rights of a file or folder, never those of what a link points to.
func chmodAt(dir int, name string, mode uint32) error {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return ignoreGone(err)
	}
	defer unix.Close(fd) //nolint:errcheck // opened for its place alone
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFDIR && kind != unix.S_IFREG {
		return nil
	}
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
}

// removeTree deletes a folder with all that is in it, whatever its rights and however deep it is.
func removeTree(dir string) error {
	parent, err := unix.Open(filepath.Dir(dir), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(parent) //nolint:errcheck // read only
	return removeAt(parent, filepath.Base(dir))
}

// removeAt deletes name in dir. What is nested too deep is first moved up beside it, so that few folders are open at a time.
func removeAt(dir int, name string) error {
	waiting := []string{name}
	for n := 0; len(waiting) > 0; {
		next := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		err := removeBelow(dir, next, 0, func(fd int, child string) error {
			n++
			moved := fmt.Sprintf("%s.%d", name, n)
			if err := chmodAt(fd, child, 0o700); err != nil {
				return err
			}
			waiting = append(waiting, moved)
			return unix.Renameat(fd, child, dir, moved)
		})
		if err != nil {
			return fmt.Errorf("remove %q: %w", next, err)
		}
	}
	return nil
}

func removeBelow(dir int, name string, depth int, move func(fd int, child string) error) error {
	err := unix.Unlinkat(dir, name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	if depth > 32 {
		return move(dir, name)
	}
	if err := chmodAt(dir, name, 0o700); err != nil {
		return err
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	folder := os.NewFile(uintptr(fd), "folder")
	defer folder.Close() //nolint:errcheck // read only
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, child := range names {
		if err := removeBelow(fd, child, depth+1, move); err != nil {
			return err
		}
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}
