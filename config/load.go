package config

import (
	"embed"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// The defaults and the environments' overlays.
//
//go:embed shared/sutazai.yaml development/sutazai.yaml production/sutazai.yaml
var layerFiles embed.FS

const (
	originDefault = "default"
	sharedFile    = "shared/sutazai.yaml"
	fileName      = "sutazai.yaml"
	// maxFile bounds a settings file, in bytes.
	maxFile = 1 << 20
)

// Options says which layers to read. The zero value is what the command line uses without flags.
type Options struct {
	Environment string   // development or production; "" = SUTAZAI_ENV, else production
	File        string   // the user's file (--config); "" = SUTAZAI_CONFIG, else ./sutazai.yaml, else the one in the user's configuration folder
	NoFile      bool     // read no file but an explicit one
	Set         []string // --set key=value, in order
	Env         []string // "NAME=value"; nil = the process's own environment. A test gives []string{}
	Dir         string   // the folder that relative paths are relative to; "" = the working folder
}

// layered is where a Config came from.
type layered struct {
	root        *spec
	tree        *node // every layer merged
	environment string
	files       []string // the user's files that were read
	env         *environ // nil = the process's own
}

// Load reads, merges and checks every layer: config/shared, the environment's overlay, the user's file, SUTAZAI_*
// variables and --set. Whatever is wrong with any of them comes back as one CodeInvalid error that names place, key,
// what is wrong and what was expected, one line each. No secret is resolved and nothing is written.
func Load(o Options) (*Config, error) {
	env, given := environ(os.Environ()), (*environ)(nil)
	if o.Env != nil {
		env = o.Env
		given = &env
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the working folder cannot be found")
	}
	l := loader{root: describe(), found: &findings{}, env: env, dir: dir}
	environment := l.environment(o.Environment)

	tree := newMapping(place{source: originDefault})
	tree.merge(l.embedded(sharedFile, place{source: originDefault}))
	if environment != "" {
		overlay := environment + "/" + fileName
		tree.merge(l.embedded(overlay, place{source: "config/" + overlay, line: 1}))
	}
	user, files := l.userFile(o)
	tree.merge(user)
	tree.merge(l.vet(assigner{l.root, tree, l.found}.variables(env)))
	for _, assignment := range o.Set { // one by one, so that a later one builds on an earlier one
		tree.merge(l.vet(assigner{l.root, tree, l.found}.flag(assignment)))
	}

	vetter{l.root, l.found}.complete(tree, l.root, "")
	l.expand(tree)
	c := &Config{}
	decoder{given}.decode(tree, l.root, reflect.ValueOf(c).Elem(), "")
	checkTogether(c, tree, l.found)
	if err := l.found.err(); err != nil {
		return nil, err
	}
	c.origin = &layered{root: l.root, tree: tree, environment: environment, files: files, env: given}
	return c, nil
}

// Environment returns the chosen environment: development or production.
func (c *Config) Environment() string {
	if c.origin == nil {
		return ""
	}
	return c.origin.environment
}

// Files returns the user's settings files that were read: none or one.
func (c *Config) Files() []string {
	if c.origin == nil {
		return nil
	}
	return slices.Clone(c.origin.files)
}

// environ is a list of "NAME=value", the last one winning as in a process's environment.
type environ []string

func (e environ) get(name string) string {
	for _, pair := range slices.Backward(e) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// loader holds what reading the layers needs.
type loader struct {
	root  *spec
	found *findings
	env   environ
	dir   string
}

func (l loader) vet(n *node) *node {
	if right := (vetter{l.root, l.found}).vet(n, l.root, ""); right != nil {
		return right
	}
	return newMapping(n.at)
}

func (l loader) environment(option string) string {
	at, name := place{source: "--env"}, option
	if name == "" {
		at, name = place{source: "env SUTAZAI_ENV"}, l.env.get("SUTAZAI_ENV")
	}
	if name == "" {
		name = "production"
	}
	choice := &spec{kind: kindText, enum: []string{"development", "production"}}
	if _, problem := choice.value(&node{shape: shapeRaw, text: name}); problem != "" {
		l.found.add(at, "", "%s", problem)
		return ""
	}
	return name
}

// embedded reads a layer of our own. A mistake in one is found by the tests, and told here all the same.
func (l loader) embedded(name string, at place) *node {
	content, err := layerFiles.ReadFile(name)
	if err != nil {
		l.found.add(at, "", "the built-in settings %s cannot be read", name)
		return newMapping(at)
	}
	return l.layer(content, at)
}

func (l loader) layer(content []byte, at place) *node {
	n := parseYAML(content, at, "", l.found)
	if n == nil {
		return newMapping(at)
	}
	return l.vet(n)
}

// userFile reads the user's file: an explicit one must be there, otherwise the first that is.
func (l loader) userFile(o Options) (*node, []string) {
	explicit, asked := o.File, "--config"
	if explicit == "" {
		explicit, asked = l.env.get("SUTAZAI_CONFIG"), "env SUTAZAI_CONFIG"
	}
	candidates := []string{explicit}
	if explicit == "" {
		candidates = nil
		if !o.NoFile {
			candidates = l.usualFiles()
		}
	}
	for _, shown := range candidates {
		path := l.absolute(shown)
		at := place{source: shown, line: 1, dir: filepath.Dir(path)}
		content, err := readSettings(path)
		switch {
		case err == nil:
			return l.layer(content, at), []string{path}
		case !errors.Is(err, fs.ErrNotExist):
			l.found.add(place{source: shown}, "", "the settings file cannot be read: %s", reason(err))
		case explicit != "":
			l.found.add(place{source: asked}, "", "the settings file %s does not exist; create it or name another one", shown)
		}
	}
	return newMapping(place{}), nil
}

// usualFiles lists where a file is looked for when none was named, as they are shown.
func (l loader) usualFiles() []string {
	files := []string{fileName}
	if folder := l.env.get("XDG_CONFIG_HOME"); filepath.IsAbs(folder) {
		return append(files, filepath.Join(folder, "sutazai", fileName))
	}
	if home := l.env.get("HOME"); home != "" {
		return append(files, filepath.Join(home, ".config", "sutazai", fileName))
	}
	return files
}

func readSettings(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = errors.New("it is larger than 1 MiB")
	}
	return content, err
}

// reason returns the operating system's words without the path, which the message already names.
func reason(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}

func (l loader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.dir, path)
}

// expand makes the folders absolute: ~ is the home folder, the default of data_dir follows XDG_DATA_HOME, and an empty
// agents.dir is the one that is there.
func (l loader) expand(tree *node) {
	data := tree.lookup("server", "data_dir")
	if data != nil {
		if folder := l.env.get("XDG_DATA_HOME"); data.at.source == originDefault && filepath.IsAbs(folder) {
			data.text = filepath.Join(folder, "sutazai")
		}
		if !l.expandPath(data, "server.data_dir") {
			return
		}
	}
	agents := tree.lookup("agents", "dir")
	if agents == nil || data == nil {
		return
	}
	if agents.text == "" {
		agents.text = filepath.Join(data.text, "agents")
		if info, err := os.Stat(filepath.Join(l.dir, "agents")); err == nil && info.IsDir() {
			agents.text = "agents"
		}
	}
	l.expandPath(agents, "agents.dir")
}

// expandPath makes one path absolute, or reports why it cannot.
func (l loader) expandPath(n *node, key string) bool {
	if n.text == "" {
		l.found.add(n.at, key, "is empty; expected the path of a folder")
		return false
	}
	if rest, ok := strings.CutPrefix(n.text, "~"); ok && (rest == "" || rest[0] == '/') {
		home := l.env.get("HOME")
		if home == "" {
			l.found.add(n.at, key, "begins with ~, but HOME is not set; expected the whole path of a folder, such as /var/lib/sutazai")
			return false
		}
		n.text = home + rest
	}
	n.text = l.absolute(filepath.Clean(n.text))
	return true
}
