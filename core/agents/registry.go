package agents

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/sutazai/sutazai/core"
)

// Source is a folder of agent files. Name stands before the file's name in problems.
type Source struct {
	Name string
	FS   fs.FS
}

// Changes is what a Load has changed, by agent name, each list sorted.
type Changes struct {
	Added   []string
	Updated []string
	Removed []string
	Broken  []string // its file has problems that it did not have before; a last good version goes on
}

// Any says whether anything changed.
func (c Changes) Any() bool {
	return len(c.Added)+len(c.Updated)+len(c.Removed)+len(c.Broken) > 0
}

// Registry holds the last good version of each agent and the problems of broken files. It is safe for use by
// several goroutines.
type Registry struct {
	mu       sync.RWMutex
	good     map[string]core.Agent
	origin   map[string]string // source of each good agent
	problems map[string][]Problem
	nearest  func(string, []string) string
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{good: map[string]core.Agent{}, origin: map[string]string{}, problems: map[string][]Problem{}}
}

// candidate is the file that decides about one agent name.
type candidate struct {
	source Source
	entry  string
}

// Load reads every "*.md" at the top of the sources; of one name the last source wins, even when its file is
// broken: a person who overrides an agent must not silently get the one they meant to replace. Hidden files,
// files that start with "_" and README.md are no agents. A source that does not exist has none.
func (r *Registry) Load(sources []Source, known Known) Changes {
	files := map[string]candidate{}
	unreadable := map[string]bool{}
	problems := map[string][]Problem{}
	for _, s := range sources {
		entries, err := fs.ReadDir(s.FS, ".")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			unreadable[s.Name] = true
			problems[s.Name] = []Problem{{File: s.Name, Message: "the folder of agents cannot be read: " + reason(err)}}
		}
		for _, e := range entries {
			if isAgentFile(e.Name()) && !e.IsDir() {
				files[nameOf(e.Name())] = candidate{s, e.Name()}
			}
		}
	}
	known.Agents = slices.Clone(known.Agents)
	for name := range files {
		known.Agents = append(known.Agents, name)
	}
	parsed := map[string]core.Agent{}
	for name, c := range files {
		agent, found := read(c, known)
		if len(found) > 0 {
			problems[name] = found
			continue
		}
		parsed[name] = agent
	}
	return r.replace(files, parsed, problems, unreadable, known.Nearest)
}

// replace puts the result of a Load in place and says what changed.
func (r *Registry) replace(files map[string]candidate, parsed map[string]core.Agent, problems map[string][]Problem,
	unreadable map[string]bool, nearest func(string, []string) string,
) Changes {
	r.mu.Lock()
	defer r.mu.Unlock()
	var c Changes
	for name, agent := range parsed {
		old, had := r.good[name]
		switch {
		case !had:
			c.Added = append(c.Added, name)
		case old.Version != agent.Version:
			c.Updated = append(c.Updated, name)
		}
		r.good[name], r.origin[name] = agent, files[name].source.Name
	}
	for name := range r.good {
		if _, still := files[name]; !still && !unreadable[r.origin[name]] {
			c.Removed = append(c.Removed, name)
			delete(r.good, name)
			delete(r.origin, name)
		}
	}
	for name, found := range problems {
		if !reflect.DeepEqual(r.problems[name], found) {
			c.Broken = append(c.Broken, name)
		}
	}
	r.problems, r.nearest = problems, nearest
	for _, list := range []([]string){c.Added, c.Updated, c.Removed, c.Broken} {
		slices.Sort(list)
	}
	return c
}

// isAgentFile says whether a file of a source is meant to be an agent.
func isAgentFile(name string) bool {
	return strings.HasSuffix(name, ".md") && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "_") &&
		!strings.EqualFold(name, "README.md")
}

// read parses one file; a file that cannot be read is a problem too.
func read(c candidate, known Known) (core.Agent, []Problem) {
	file := path.Join(c.source.Name, c.entry)
	fail := func(msg string) (core.Agent, []Problem) {
		return core.Agent{}, []Problem{{File: file, Message: msg}}
	}
	if msg := checkName(nameOf(c.entry)); msg != "" {
		return fail("the file's name is the agent's name, and " + msg)
	}
	// Stat before Open: opening a named pipe would wait for its other end.
	info, err := fs.Stat(c.source.FS, c.entry)
	if err != nil {
		return fail("cannot be read: " + reason(err))
	}
	if !info.Mode().IsRegular() {
		return fail("is not a regular file")
	}
	f, err := c.source.FS.Open(c.entry)
	if err != nil {
		return fail("cannot be read: " + reason(err))
	}
	defer f.Close() //nolint:errcheck // read only
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return fail("cannot be read: " + reason(err))
	}
	return Parse(file, content, known)
}

// reason is why a file cannot be read, without the path that the message already names.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// Agent returns the last good version of an agent. CodeNotFound names the nearest agent; CodeInvalid lists the
// problems of a file that never had a good version.
func (r *Registry) Agent(name string) (core.Agent, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if a, ok := r.good[name]; ok {
		return a, nil
	}
	if found, ok := r.problems[name]; ok {
		return core.Agent{}, core.Errorf(core.CodeInvalid, "agent %q cannot be used until its file is mended: %s", name, join(found))
	}
	names := make([]string, 0, len(r.good))
	for n := range r.good {
		names = append(names, n)
	}
	slices.Sort(names)
	msg := fmt.Sprintf("there is no agent %q", name)
	near := ""
	if r.nearest != nil {
		near = r.nearest(name, names)
	}
	switch {
	case near != "":
		msg += fmt.Sprintf(" (did you mean %q?)", near)
	case len(names) > 0:
		msg += "; there is: " + strings.Join(names, ", ")
	}
	return core.Agent{}, core.Errorf(core.CodeNotFound, "%s", msg)
}

// List returns every agent sorted by name, broken ones included; Active is the caller's to fill in.
func (r *Registry) List() []core.AgentStatus {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]core.AgentStatus, 0, len(r.good))
	for name, a := range r.good {
		list = append(list, core.AgentStatus{Agent: a, Errors: texts(r.problems[name])})
	}
	for name, found := range r.problems {
		if _, ok := r.good[name]; !ok {
			broken := core.Agent{Name: name, Tools: []core.ToolGrant{}, Agents: []string{}}
			list = append(list, core.AgentStatus{Agent: broken, Errors: texts(found)})
		}
	}
	slices.SortFunc(list, func(a, b core.AgentStatus) int { return strings.Compare(a.Agent.Name, b.Agent.Name) })
	return list
}

// Problems returns the problems of every broken file, sorted by file and line.
func (r *Registry) Problems() []Problem {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []Problem
	for _, found := range r.problems {
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return all
}

// texts writes problems one by one; never nil, so that lists in JSON are not null.
func texts(found []Problem) []string {
	out := make([]string, 0, len(found))
	for _, p := range found {
		out = append(out, p.String())
	}
	return out
}

func join(found []Problem) string { return strings.Join(texts(found), "; ") }
