// Package skills reads folders of know-how in the form of Agent Skills: skills/<name>/SKILL.md with a name and a
// description, instructions below, and whatever files belong to them. It must not know who may use which.
package skills

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"github.com/sutazai/sutazai/core"
)

// Bounds of a skill; those of names and descriptions are the format's own.
const (
	file           = "SKILL.md"
	maxName        = 64
	maxDescription = 1024
	maxFile        = 1 << 20 // bytes
	maxBytes       = 8 << 20 // of all files together
	maxFiles       = 500
)

// Source is a folder of skills. Name stands before the path in problems.
type Source struct {
	Name string
	FS   fs.FS
}

// Skills are those of some folders; of one name the last folder's is used. They are read anew at every call, so that a
// change is seen at once.
type Skills struct {
	sources []Source
	name    *regexp.Regexp
}

// New returns the skills of the folders; a folder that does not exist has none.
func New(sources ...Source) *Skills {
	return &Skills{sources: sources, name: regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)}
}

// List returns the skills that can be used, sorted by name, and what is wrong with the others.
func (s *Skills) List() (list []core.Skill, problems []string) {
	found := map[string]core.Skill{}
	for _, src := range s.sources {
		entries, err := fs.ReadDir(src.FS, ".")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Sprintf("%s: the folder of skills cannot be read", src.Name))
		}
		for _, e := range entries {
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			skill, _, err := s.read(src, e.Name())
			delete(found, e.Name()) // a person who overrides a skill must not silently get the one they meant to replace
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: %s", path.Join(src.Name, e.Name(), file), core.MessageOf(err)))
				continue
			}
			found[skill.Name] = skill
		}
	}
	for _, skill := range found {
		list = append(list, skill)
	}
	slices.SortFunc(list, func(a, b core.Skill) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(problems)
	return list, problems
}

// Skill returns a skill by name; false where there is none that can be used.
func (s *Skills) Skill(name string) (core.Skill, bool) {
	src, ok := s.of(name)
	if !ok {
		return core.Skill{}, false
	}
	skill, _, err := s.read(src, name)
	return skill, err == nil
}

// Load returns the instructions of a skill and the files that belong to it, with paths inside its folder. Codes:
// CodeNotFound, CodeInvalid, CodeTooLarge.
func (s *Skills) Load(name string) (instructions string, files []core.File, err error) {
	src, ok := s.of(name)
	if !ok {
		return "", nil, core.Errorf(core.CodeNotFound, "there is no skill %q", name)
	}
	if _, instructions, err = s.read(src, name); err != nil {
		return "", nil, err
	}
	total := 0
	err = fs.WalkDir(src.FS, name, func(p string, d fs.DirEntry, err error) error {
		inside := strings.TrimPrefix(p, name+"/")
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.Type().IsRegular() || inside == file || strings.HasPrefix(d.Name(), "."):
			return nil
		}
		content, err := s.content(src.FS, p)
		if err != nil {
			return err
		}
		if total += len(content); total > maxBytes || len(files) == maxFiles {
			return core.Errorf(core.CodeTooLarge, "the skill %q holds more than %d files or %d MB", name, maxFiles, maxBytes>>20)
		}
		files = append(files, core.File{Name: inside, Content: content})
		return nil
	})
	if err != nil && core.CodeOf(err) == core.CodeInternal {
		err = core.Wrap(core.CodeInvalid, err, "the files of skill %q cannot be read", name)
	}
	return instructions, files, err
}

// of is the last folder that has the skill.
func (s *Skills) of(name string) (Source, bool) {
	if !s.name.MatchString(name) || len(name) > maxName {
		return Source{}, false
	}
	for _, src := range slices.Backward(s.sources) {
		if info, err := fs.Stat(src.FS, name); err == nil && info.IsDir() {
			return src, true
		}
	}
	return Source{}, false
}

func (s *Skills) content(fsys fs.FS, p string) ([]byte, error) {
	info, err := fs.Stat(fsys, p)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, core.Errorf(core.CodeTooLarge, "%s is larger than %d MB, or no file", p, maxFile>>20)
	}
	return fs.ReadFile(fsys, p)
}

// read reads and checks SKILL.md.
func (s *Skills) read(src Source, folder string) (skill core.Skill, instructions string, err error) {
	content, err := s.content(src.FS, path.Join(folder, file))
	if errors.Is(err, fs.ErrNotExist) {
		return skill, "", core.Errorf(core.CodeInvalid, "the file is missing; it holds the skill's name, description and instructions")
	}
	if err != nil {
		return skill, "", core.Wrap(core.CodeInvalid, err, "it cannot be read: %s", core.MessageOf(err))
	}
	content = bytes.ReplaceAll(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), []byte("\r\n"), []byte("\n"))
	rest, opened := bytes.CutPrefix(content, []byte("---\n"))
	settings, body, closed := bytes.Cut(rest, []byte("\n---\n"))
	if !utf8.Valid(content) || !opened || !closed {
		return skill, "", core.Errorf(core.CodeInvalid, `it begins with a line "---", then name and description, then a line "---", then the instructions, all in UTF-8`)
	}
	var front struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
	}
	if err := yaml.Unmarshal(settings, &front); err != nil {
		return skill, "", core.Wrap(core.CodeInvalid, err, "its settings are not valid YAML: %s", strings.Join(strings.Fields(yaml.FormatError(err, false, false)), " "))
	}
	skill = core.Skill{Name: front.Name, Description: strings.TrimSpace(front.Description)}
	switch instructions = strings.TrimSpace(string(body)); {
	case skill.Name != folder:
		err = core.Errorf(core.CodeInvalid, "its name %q is not its folder's, %q", skill.Name, folder)
	case len(skill.Name) > maxName || !s.name.MatchString(skill.Name):
		err = core.Errorf(core.CodeInvalid, "the name %q must be lower-case letters, digits and single hyphens, at most %d", skill.Name, maxName)
	case skill.Description == "" || utf8.RuneCountInString(skill.Description) > maxDescription:
		err = core.Errorf(core.CodeInvalid, "its description must say in 1 to %d characters what it is for and when to use it", maxDescription)
	case instructions == "":
		err = core.Errorf(core.CodeInvalid, "it has no instructions below the settings")
	}
	return skill, instructions, err
}
