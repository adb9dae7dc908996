package app

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/evaluations"
	"github.com/sutazai/sutazai/internal/nearest"
	"github.com/sutazai/sutazai/services/database"
)

// parallelTries is how many runs of evaluations work at the same time: they leave room for the work of people.
const parallelTries = 4

// newEvaluations makes what tests agents; holder names this process among replicas.
func (a *App) newEvaluations(folder *agentFolder, owners *projects, holder string) *evaluations.Service {
	return evaluations.New(evaluations.Options{
		Sets: evaluationSets(folder, a.tools.Specs), Dir: folder.dir,
		Runs: a.runs, Models: &runModels{a.models, owners}, Agents: a.agents, Workspaces: a.tools, Store: database.NewEvaluations(a.db),
		Holder: holder, Required: func() bool { return a.settings.Load().Agents.Evaluations == "required" },
		Parallel: parallelTries, Now: time.Now, Logger: a.opts.Logger,
	})
}

// evaluationSets are those that come with the program, and the user's own.
func evaluationSets(folder *agentFolder, specs func() []core.ToolSpec) evaluations.Sets {
	var sources []evaluations.Source
	for _, s := range folder.sources() {
		sources = append(sources, evaluations.Source{Name: s.Name, FS: s.FS})
	}
	return evaluations.Sets{Sources: sources, Known: func() evaluations.Known {
		k := evaluations.Known{Servers: folder.known.MCPServers, CheckModel: folder.known.CheckModel, Nearest: nearest.Nearest}
		for _, t := range specs() {
			k.Tools = append(k.Tools, t.Name)
		}
		for _, s := range folder.List() {
			k.Agents = append(k.Agents, s.Agent.Name)
		}
		return k
	}}
}

// ValidateEvaluations checks evaluation sets as the server would read them. paths are files and folders; none means the
// configured folder together with the sets that come with the program. It starts nothing.
func ValidateEvaluations(cfg *config.Config, paths []string) (problems []string, read int, err error) {
	log := slog.New(slog.DiscardHandler)
	specs, err := toolSpecs(cfg, log)
	if err != nil {
		return nil, 0, err
	}
	folder := newAgentFolder(cfg, specs, func(model string) error { return checkModel(cfg, model) }, log)
	folder.load()
	sets := evaluationSets(folder, func() []core.ToolSpec { return specs })
	if len(paths) == 0 {
		list, err := sets.List()
		for _, s := range list {
			problems = append(problems, append(s.Errors, withoutAgent(s.Set.Agent, folder)...)...)
		}
		return problems, len(list), err
	}
	files, err := setFiles(paths)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, 0, core.Errorf(core.CodeInvalid, "cannot read %s: %s", file, pathReason(err))
		}
		_, found := evaluations.Parse(file, content, sets.Known())
		for _, p := range found {
			problems = append(problems, p.String())
		}
	}
	return problems, len(files), err
}

// setFiles lists the files that paths mean.
func setFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, core.Errorf(core.CodeInvalid, "cannot read %s: %s", path, pathReason(err))
		case !info.IsDir() && !strings.HasSuffix(path, evaluations.Suffix):
			return nil, core.Errorf(core.CodeInvalid, "%s is not an evaluation set: its name must be that of an agent and end with %s", path, evaluations.Suffix)
		case !info.IsDir():
			files = append(files, path)
			continue
		}
		inside, err := fs.Glob(os.DirFS(path), "*"+evaluations.Suffix)
		if err != nil {
			return nil, core.Errorf(core.CodeInvalid, "cannot list %s", path)
		}
		for _, name := range inside {
			files = append(files, filepath.Join(path, name))
		}
	}
	return files, nil
}

// withoutAgent says that a set tests nothing.
func withoutAgent(name string, folder *agentFolder) []string {
	if _, err := folder.registry.Agent(name); err != nil {
		return []string{name + evaluations.Suffix + ": " + core.MessageOf(err)}
	}
	return nil
}
