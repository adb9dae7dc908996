package wasm

import (
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
)

// maxOpen is how many files one call may have open: they are the server's.
const maxOpen = 64

// folder is a workspace for reading. Links that lead out, and what is no file or folder, are not opened; a named pipe would make
// us wait.
type folder struct {
	root *os.Root
	open atomic.Int32
}

// Open implements fs.FS.
func (f *folder) Open(name string) (fs.File, error) {
	bad := func(err error) (fs.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return bad(fs.ErrInvalid)
	}
	if f.open.Add(1) > maxOpen {
		f.open.Add(-1)
		return bad(syscall.EMFILE)
	}
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		var info fs.FileInfo
		if info, err = file.Stat(); err == nil && (info.Mode().IsRegular() || info.IsDir()) {
			return &counted{File: file, open: &f.open}, nil
		}
		file.Close() //nolint:errcheck,gosec // read only
		if err == nil {
			err = fs.ErrPermission
		}
	}
	f.open.Add(-1)
	return bad(err)
}

// counted is an open file that says when it is closed.
type counted struct {
	*os.File
	open *atomic.Int32
	once atomic.Bool
}

func (c *counted) Close() error {
	if c.once.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.File.Close()
}
