package app

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sutazai/sutazai/core"
)

// lockDataDir makes sure that one process uses a data folder. The lock ends with the process, however it ends.
func lockDataDir(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "cannot make the data folder %s; set server.data_dir to a folder that can be written", dir)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "cannot write to the data folder %s; check its permissions, or set server.data_dir to another folder", dir)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(core.Wrap(core.CodeConflict, err, "another sutazai uses the data folder %s; stop it, or set server.data_dir to another folder", dir), f.Close())
	}
	return f.Close, nil
}
