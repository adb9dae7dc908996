package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/core/agents/shipped"
	"github.com/sutazai/sutazai/internal/nearest"
	"github.com/sutazai/sutazai/internal/skills"
)

const agentsPoll = 2 * time.Second

// agentFolder keeps the registry of agents up to date with the files.
type agentFolder struct {
	dir      string
	registry *agents.Registry
	known    agents.Known
	skills   *skills.Skills
	log      *slog.Logger

	mu   sync.Mutex
	seen string
}

// Agent finds a definition. An unknown name is looked for in the files once more: it may have just been written.
func (f *agentFolder) Agent(name string) (core.Agent, error) {
	a, err := f.registry.Agent(name)
	if core.CodeOf(err) == core.CodeNotFound {
		f.load()
		a, err = f.registry.Agent(name)
	}
	return a, err
}

// List shows every agent.
func (f *agentFolder) List() []core.AgentStatus { return f.registry.List() }

func newAgentFolder(cfg *config.Config, specs []core.ToolSpec, checkModel func(string) error, log *slog.Logger) *agentFolder {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	effects := map[string]core.Effect{}
	for name, p := range cfg.Peers {
		effects[name] = core.Effect(p.Effect)
	}
	return &agentFolder{
		dir: cfg.Agents.Dir, registry: agents.NewRegistry(), log: log, skills: newSkills(cfg),
		known: agents.Known{
			Tools: names, MCPServers: mcpNames(cfg), Peers: slices.Sorted(maps.Keys(cfg.Peers)), PeerEffects: effects, CheckModel: checkModel, Nearest: nearest.Nearest,
		},
	}
}

func (f *agentFolder) sources() []agents.Source {
	return []agents.Source{{Name: "shipped", FS: shipped.FS}, {Name: f.dir, FS: os.DirFS(f.dir)}}
}

// load reads the files if any of them has changed since the last time.
func (f *agentFolder) load() {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, problems := f.skills.List()
	now := f.stamp() + fmt.Sprint(list, problems)
	if f.seen == now {
		return
	}
	f.known.Skills = nil
	for _, s := range list {
		f.known.Skills = append(f.known.Skills, s.Name)
	}
	for _, p := range problems {
		f.log.Warn("a skill cannot be used", "problem", p)
	}
	first := f.seen == ""
	f.seen = now
	changes := f.registry.Load(f.sources(), f.known)
	for _, p := range f.registry.Problems() {
		if first || slices.Contains(changes.Broken, strings.TrimSuffix(filepath.Base(p.File), ".md")) {
			f.log.Warn("an agent file is broken", "problem", p.String())
		}
	}
	if !first && changes.Any() {
		f.log.Info("agents reloaded", "added", changes.Added, "updated", changes.Updated, "removed", changes.Removed, "broken", changes.Broken)
	}
}

// stamp tells one state of the folder from another without reading the files.
func (f *agentFolder) stamp() string {
	var b strings.Builder
	b.WriteString("read")
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return b.String()
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".md") {
			fmt.Fprintf(&b, "|%s %d %d", e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// watch reloads until ctx ends.
func (f *agentFolder) watch(ctx context.Context) {
	t := time.NewTicker(agentsPoll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f.load()
		}
	}
}

// validate checks files and folders as the server would load them. No path means the whole configured folder and the
// shipped agents. It returns the problems, one a line, and how many files were read.
func (f *agentFolder) validate(paths []string) (problems []string, read int, err error) {
	if len(paths) == 0 {
		f.load()
		for _, p := range f.registry.Problems() {
			problems = append(problems, p.String())
		}
		_, skills := f.skills.List()
		return append(problems, skills...), len(f.registry.List()), nil
	}
	f.load() // other agents are needed for references to them
	var known []string
	for _, a := range f.registry.List() {
		known = append(known, a.Agent.Name)
	}
	for _, path := range paths {
		files := []string{path}
		info, err := os.Stat(path)
		if err != nil {
			return nil, 0, core.Errorf(core.CodeInvalid, "cannot read %s: %s", path, pathReason(err))
		}
		if info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.md")); err != nil {
				return nil, 0, core.Errorf(core.CodeInvalid, "cannot list %s", path)
			}
		}
		for _, file := range files {
			known = append(known, strings.TrimSuffix(filepath.Base(file), ".md"))
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, 0, core.Errorf(core.CodeInvalid, "cannot read %s: %s", file, pathReason(err))
			}
			k := f.known
			k.Agents = known
			_, found := agents.Parse(file, content, k)
			for _, p := range found {
				problems = append(problems, p.String())
			}
			read++
		}
	}
	return problems, read, nil
}

func pathReason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
