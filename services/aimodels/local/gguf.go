package local

import (
	"bufio"
	"encoding/binary"
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

// pools says whether a model is made for embeddings: its file then says how the vectors of a text's tokens become one
// (<architecture>.pooling_type). A file that cannot be read so far is taken for a chat model's.
func pools(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	g := metadata{r: bufio.NewReader(io.LimitReader(f, 1<<20))} // what is looked for stands at the beginning
	var head struct {
		Magic   [4]byte
		Version uint32
		Tensors uint64
		Pairs   uint64
	}
	if !g.read(&head) || string(head.Magic[:]) != magic || head.Version < 2 {
		return false
	}
	for range head.Pairs {
		key := g.text()
		kind := g.number(4)
		if g.failed || strings.HasPrefix(key, "tokenizer.") { // the long lists begin
			return false
		}
		if strings.HasSuffix(key, ".pooling_type") {
			return g.number(4) > 0 && !g.failed // 0 = none
		}
		g.skip(kind)
	}
	return false
}

// metadata reads the pairs at the beginning of a GGUF file: little-endian, texts with their length before them. After the
// first failure it gives zeros.
type metadata struct {
	r      *bufio.Reader
	failed bool
}

func (g *metadata) read(into any) bool {
	if !g.failed {
		g.failed = binary.Read(g.r, binary.LittleEndian, into) != nil
	}
	return !g.failed
}

func (g *metadata) number(bytes int) uint64 {
	if bytes == 4 {
		var n uint32
		g.read(&n)
		return uint64(n)
	}
	var n uint64
	g.read(&n)
	return n
}

func (g *metadata) text() string {
	n := g.number(8)
	if n > 1<<16 {
		g.failed = true
	}
	if g.failed {
		return ""
	}
	b := make([]byte, n)
	g.read(b)
	return string(b)
}

// The types of values that are not numbers, and the sizes of those that are, in bytes.
const (
	typeText = 8
	typeList = 9
)

func (g *metadata) skip(kind uint64) {
	sizes := map[uint64]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
	switch size, plain := sizes[kind]; {
	case plain:
		g.discard(uint64(size))
	case kind == typeText:
		g.discard(g.number(8))
	case kind == typeList:
		inner, count := g.number(4), g.number(8)
		if size, plain := sizes[inner]; plain && count < 1<<20 {
			g.discard(uint64(size) * count)
			return
		}
		for i := uint64(0); i < count && !g.failed; i++ {
			g.skip(inner)
		}
	default:
		g.failed = true
	}
}

func (g *metadata) discard(n uint64) {
	if g.failed || n > 1<<20 {
		g.failed = true
		return
	}
	_, err := g.r.Discard(int(n))
	g.failed = err != nil
}
