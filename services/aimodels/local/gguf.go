package local

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// magic is how every GGUF file begins.
const magic = "GGUF"

// checkGGUF says whether a file is a GGUF model.
func checkGGUF(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return core.Wrap(core.CodeUnavailable, err, "the model file %s cannot be read", path)
	}
	defer f.Close()
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != magic {
		return core.Errorf(core.CodeUnavailable, "%s is not a GGUF model file; delete it or set models.local.model to another", path)
	}
	return nil
}

// modelFile returns the GGUF file to serve: the configured one, or the first in the models folder.
func (c Config) modelFile() (string, error) {
	dir := ModelsDir(c.DataDir)
	if c.Model != "" {
		for _, path := range []string{c.Model, filepath.Join(dir, c.Model), filepath.Join(dir, c.Model+".gguf")} {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, checkGGUF(path)
			}
		}
		return "", core.Errorf(core.CodeUnavailable, "models.local.model: there is no file %q, neither as a path nor in %s", c.Model, dir)
	}
	files, err := filepath.Glob(filepath.Join(globEscape(dir), "*.gguf"))
	if err != nil {
		return "", core.Wrap(core.CodeInternal, err, "the folder %s cannot be searched for models", dir)
	}
	var refused error
	for _, path := range files {
		if err := checkGGUF(path); err != nil {
			refused = err
			continue
		}
		return path, nil
	}
	if refused != nil {
		return "", refused
	}
	return "", core.Errorf(core.CodeUnavailable, "there is no model file (*.gguf) in %s", dir)
}

// globEscape takes the meaning from the characters of a folder's name that a pattern would read.
func globEscape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
