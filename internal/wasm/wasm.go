// Package wasm owns tools that are WebAssembly programs: it reads them and their descriptions from a folder and runs each call in a
// fresh instance without network, environment or files, except the workspace of the call for reading where the
// description says so. It must not know about agents, runs or how tools are chosen.
package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Bounds of the files. A description may ask for less or more memory and time than the defaults.
const (
	maxModule      = 64 << 20 // bytes
	maxManifest    = 256 << 10
	defaultMemory  = 64 << 20
	maxMemory      = 1 << 30
	defaultTimeout = 10 * time.Second
	maxTimeout     = 10 * time.Minute
)

// manifest describes a program; it is the JSON file beside it.
type manifest struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Effect      core.Effect     `json:"effect"`
	Workspace   bool            `json:"workspace"`       // whether it may read the workspace, at /workspace
	MemoryMB    int             `json:"memory_mb"`       // 0 = the default
	Timeout     int             `json:"timeout_seconds"` // 0 = the default
}

// Deps are what the tools need of others.
type Deps struct {
	// Workspace opens the folder of a workspace; the tool closes it.
	Workspace func(name string) (*os.Root, error)
	OutputMax func() int // bytes of a result
}

// Load reads the programs of a folder and returns a tool for each. A folder that is not there holds none. What cannot be used is
// left out and named in the problems. Nothing is compiled before the first call.
func Load(dir string, d Deps) (tools []*Tool, problems []error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, []error{fmt.Errorf("read the folder of tools: %w", err)}
	}
	names := map[string]string{}
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".wasm")
		if !ok {
			continue
		}
		file := filepath.Join(dir, e.Name())
		t, err := load(file, filepath.Join(dir, base+".json"), d)
		if err == nil && names[t.manifest.Name] != "" {
			err = core.Errorf(core.CodeConflict, "%s describes the tool %q, which %s does already", base+".json", t.manifest.Name, names[t.manifest.Name])
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		names[t.manifest.Name] = base + ".json"
		tools = append(tools, t)
	}
	return tools, problems
}

func load(file, description string, d Deps) (*Tool, error) {
	raw, err := read(description, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, core.Errorf(core.CodeInvalid, "%s has no description: write %s with name, description, parameters and effect", file, description)
	}
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "%s cannot be read", description)
	}
	var m manifest
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return nil, core.Errorf(core.CodeInvalid, "%s is not a description: %s", description, strings.TrimPrefix(err.Error(), "json: "))
	}
	if problem := m.problem(); problem != "" {
		return nil, core.Errorf(core.CodeInvalid, "%s: %s", description, problem)
	}
	code, err := read(file, maxModule)
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "%s cannot be read", file)
	}
	if code, err = boundTables(code); err != nil {
		return nil, core.Errorf(core.CodeInvalid, "%s is not a WebAssembly program: %s", file, err)
	}
	return &Tool{manifest: m, code: code, deps: d}, nil
}

// problem says what is wrong with a description, "" = nothing. The schema of the parameters is for who registers the tool.
func (m manifest) problem() string {
	switch {
	case !regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`).MatchString(m.Name):
		return fmt.Sprintf("name is %q; expected lower-case letters, digits and _, beginning with a letter", m.Name)
	case m.Description == "":
		return "description is missing; it tells models what the tool is for"
	case len(m.Parameters) == 0:
		return `parameters is missing; expected a JSON Schema of type object`
	case !slices.Contains([]core.Effect{core.EffectReadOnly, core.EffectIdempotent, core.EffectUnsafe}, m.Effect):
		return fmt.Sprintf("effect is %q; expected read_only, idempotent or unsafe", m.Effect)
	case m.MemoryMB < 0 || m.MemoryMB > maxMemory>>20:
		return fmt.Sprintf("memory_mb is %d; expected 1 to %d", m.MemoryMB, maxMemory>>20)
	case m.Timeout < 0 || m.Timeout > int(maxTimeout/time.Second):
		return fmt.Sprintf("timeout_seconds is %d; expected 1 to %d", m.Timeout, int(maxTimeout/time.Second))
	}
	return ""
}

// read reads a file of at most limit bytes.
func read(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("it is no file of at most %d MB", max(limit>>20, 1))
	}
	return os.ReadFile(file)
}

// Spec describes the tool.
func (t *Tool) Spec() core.ToolSpec {
	m := t.manifest
	spec := core.ToolSpec{Name: m.Name, Description: m.Description, Parameters: m.Parameters, Effect: m.Effect}
	if m.Workspace {
		spec.Flow = core.FlowPrivate
	}
	return spec
}

// TimeLimit is the tool's own time and some for its first call, which compiles it.
func (t *Tool) TimeLimit() time.Duration { return t.timeout() + time.Minute }

func (t *Tool) timeout() time.Duration {
	if t.manifest.Timeout > 0 {
		return time.Duration(t.manifest.Timeout) * time.Second
	}
	return defaultTimeout
}

func (t *Tool) memory() int64 {
	if t.manifest.MemoryMB > 0 {
		return int64(t.manifest.MemoryMB) << 20
	}
	return defaultMemory
}

var _ interface {
	Spec() core.ToolSpec
	Call(ctx context.Context, inv core.ToolInvocation) (string, error)
} = (*Tool)(nil)
