package secrets

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// FileName is the file of the master keys in the data folder.
const FileName = "secret.key"

// maxKeyFile bounds what is read of it, in bytes.
const maxKeyFile = 64 << 10

const keyFileHead = `# The master keys of SutazAI: the credentials in its database are encrypted under the first one.
# Keep a copy apart from the database's backups; without it those credentials are lost.
`

// openFile reads the key file, or makes one. sealed says that something is encrypted already: then a file that is not
// there is an error, because a new key would open nothing.
func openFile(path string, sealed bool) (*Box, error) {
	keys, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if sealed {
			return nil, core.Errorf(core.CodeInvalid,
				"the master key %s is missing, and the database holds credentials that are encrypted under it; put the file back from a backup, give its content as server.secret_key, or remove those credentials from the table credentials", path)
		}
		box, err := newBox([]string{NewMasterKey()})
		if err != nil {
			return nil, err
		}
		return box, writeFile(path, box.keys)
	}
	if err != nil {
		return nil, err
	}
	return newBox(keys)
}

func readFile(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "the master key %s cannot be read; make it readable to this user alone (chmod 600)", path)
	}
	defer func() { _ = f.Close() }() // only read from
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, core.Wrap(core.CodeInvalid, err, "the master key %s is not a file; put it back from a backup", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, core.Errorf(core.CodeInvalid,
			"others may read or change the master key %s (mode %04o), so that it protects nothing; chmod 600 it, and if others could reach it, run `sutazai credentials rotate-master` and replace the providers' keys", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "the master key %s cannot be read", path)
	}
	keys, err := parseKeys(string(text))
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "the master key %s is damaged: %s; put it back from a backup", path, err)
	}
	return keys, nil
}

// writeFile puts the keys into the file, wholly or not at all, also when the machine loses power.
func writeFile(path string, keys []string) error {
	if err := replaceFile(path, keyFileHead+strings.Join(keys, "\n")+"\n"); err != nil {
		return core.Wrap(core.CodeInvalid, err, "the master key %s cannot be written; check the permissions of its folder and its free space", path)
	}
	return nil
}

func replaceFile(path, content string) (err error) {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, FileName+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
