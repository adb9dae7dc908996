package app

import (
	"os"
	"path/filepath"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/internal/skills"
)

// newSkills are the skills in the agents' folder.
func newSkills(cfg *config.Config) *skills.Skills {
	dir := filepath.Join(cfg.Agents.Dir, "skills")
	return skills.New(skills.Source{Name: dir, FS: os.DirFS(dir)})
}
