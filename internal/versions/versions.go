// Package versions owns which version of an agent is in use: the file, until one is published; then the published one,
// while the file is the draft of the next. It must not know how files are read, how versions are stored or who may publish.
package versions

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Draft is what stands after the @ in the name of an agent's file.
const Draft = "draft"

// Files knows the agents' files.
type Files interface {
	Agent(name string) (core.Agent, error)
	List() []core.AgentStatus
}

// Store keeps published versions. The database implements it.
type Store interface {
	Publish(ctx context.Context, a core.Agent, note, actor string, now time.Time) (core.AgentVersion, error)
	Use(ctx context.Context, agent string, number int) error
	List(ctx context.Context, agent string) ([]core.AgentVersion, error)
	Current(ctx context.Context) ([]core.AgentVersion, error)
	Definition(ctx context.Context, agent, version string) (core.Agent, error)
}

// Options are what Agents work with.
type Options struct {
	Files Files
	Store Store
	// Ready says whether a draft may be published; nil = always.
	Ready func(ctx context.Context, a core.Agent) error
	// Text writes a definition as a file, to compare two.
	Text   func(core.Agent) string
	Now    func() time.Time
	Logger *slog.Logger
}

// Agents finds agents by name and version. It is safe for use by several goroutines.
type Agents struct {
	Options
	mu      sync.RWMutex
	current map[string]core.AgentVersion
}

// New reads which versions are in use.
func New(ctx context.Context, o Options) (*Agents, error) {
	a := &Agents{Options: o}
	return a, a.load(ctx)
}

// Watch takes up what other replicas publish, until ctx ends.
func (a *Agents) Watch(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := a.load(ctx); err != nil && ctx.Err() == nil {
				a.Logger.Warn("published versions of agents cannot be read", "error", err)
			}
		}
	}
}

func (a *Agents) load(ctx context.Context) error {
	list, err := a.Store.Current(ctx)
	if err != nil {
		return err
	}
	current := make(map[string]core.AgentVersion, len(list))
	for _, v := range list {
		current[v.Agent] = v
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current = current
	return nil
}

func (a *Agents) inUse(name string) (core.AgentVersion, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	v, ok := a.current[name]
	return v, ok
}

// lookup bounds a search in the database for a version that is not in use.
const lookup = 10 * time.Second

// Agent finds an agent: "name" is the published version in use, or the file where none is; "name@draft" the file, "name@3"
// the third published version, "name@0f3a…" what some run has used. Codes: CodeNotFound, CodeInvalid (a broken file).
func (a *Agents) Agent(name string) (core.Agent, error) {
	name, version, named := strings.Cut(name, "@")
	v, published := a.inUse(name)
	switch {
	case !named && published:
		return v.Definition, nil
	case !named || version == Draft:
		return a.Files.Agent(name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookup)
	defer cancel()
	number, err := strconv.Atoi(version)
	if err != nil || len(version) == 12 { // twelve digits may be a hash
		if d, err := a.Store.Definition(ctx, name, version); core.CodeOf(err) != core.CodeNotFound {
			return d, err
		}
		return core.Agent{}, core.Errorf(core.CodeNotFound, "agent %q has no version %q: write %s@%s for its file, %s@1 for its first published version, or the 12 characters that a run names", name, version, name, Draft, name)
	}
	p, err := a.published(ctx, name, number)
	return p.Definition, err
}

func (a *Agents) published(ctx context.Context, name string, number int) (core.AgentVersion, error) {
	list, err := a.Store.List(ctx, name)
	if err != nil {
		return core.AgentVersion{}, err
	}
	if i := slices.IndexFunc(list, func(v core.AgentVersion) bool { return v.Number == number }); i >= 0 {
		return list[i], nil
	}
	if len(list) == 0 {
		return core.AgentVersion{}, core.Errorf(core.CodeNotFound, "no version of agent %q has been published", name)
	}
	return core.AgentVersion{}, core.Errorf(core.CodeNotFound, "agent %q has no published version %d; the latest is %d", name, number, list[0].Number)
}

// List shows every agent as new runs use it, sorted by name; those without a file too, while a version of them is in use.
func (a *Agents) List() []core.AgentStatus {
	list := a.Files.List()
	a.mu.RLock()
	defer a.mu.RUnlock()
	seen := map[string]bool{}
	for i := range list {
		s := &list[i]
		seen[s.Agent.Name] = true
		if v, ok := a.current[s.Agent.Name]; ok {
			if s.Agent.Version != v.Version {
				s.Draft = s.Agent.Version
			}
			s.Agent, s.Published = v.Definition, v.Number
		}
	}
	for name, v := range a.current {
		if !seen[name] {
			list = append(list, core.AgentStatus{Agent: v.Definition, Published: v.Number, Errors: []string{}})
		}
	}
	slices.SortFunc(list, func(x, y core.AgentStatus) int { return strings.Compare(x.Agent.Name, y.Agent.Name) })
	return list
}

// Versions lists the published versions of an agent, newest first; CodeNotFound when there is no such agent.
func (a *Agents) Versions(ctx context.Context, name string) ([]core.AgentVersion, error) {
	list, err := a.Store.List(ctx, name)
	if err == nil && len(list) == 0 {
		if _, err := a.Files.Agent(name); core.CodeOf(err) == core.CodeNotFound {
			return nil, err
		}
	}
	return list, err
}

// Publish makes the agent's file the version that new runs use. CodeConflict: it is that already, or it may not be
// published yet.
func (a *Agents) Publish(ctx context.Context, name, note, actor string) (core.AgentVersion, error) {
	draft, err := a.Files.Agent(name)
	if err != nil {
		return core.AgentVersion{}, err
	}
	for _, s := range a.Files.List() {
		if s.Agent.Name == name && len(s.Errors) > 0 {
			return core.AgentVersion{}, core.Errorf(core.CodeInvalid, "the file of agent %q is broken: %s", name, s.Errors[0])
		}
	}
	if v, ok := a.inUse(name); ok && v.Version == draft.Version {
		return core.AgentVersion{}, core.Errorf(core.CodeConflict, "the file of agent %q has not changed since version %d was published", name, v.Number)
	}
	if a.Ready != nil {
		if err := a.Ready(ctx, draft); err != nil {
			return core.AgentVersion{}, err
		}
	}
	v, err := a.Store.Publish(ctx, draft, note, actor, a.Now())
	if err != nil {
		return core.AgentVersion{}, err
	}
	return v, a.load(ctx)
}

// Use makes an earlier published version the one that new runs use; with number 0 they use the file again.
func (a *Agents) Use(ctx context.Context, name string, number int) error {
	if number > 0 {
		if _, err := a.published(ctx, name, number); err != nil {
			return err
		}
	}
	if err := a.Store.Use(ctx, name, number); err != nil {
		return err
	}
	return a.load(ctx)
}
