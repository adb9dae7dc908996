package skills_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/skills"
)

func md(name, description, body string) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, "---\nname: %s\ndescription: %s\nlicense: MIT\nmetadata: {version: '1'}\n---\n%s\n", name, description, body)}
}

func TestSkillsAreListedAndLoadedWithTheirFiles(t *testing.T) {
	t.Parallel()
	shipped := fstest.MapFS{"pdf/SKILL.md": md("pdf", "Old.", "old"), "csv/SKILL.md": md("csv", "Tables.", "Read the header.")}
	own := fstest.MapFS{
		"pdf/SKILL.md": md("pdf", "Reads PDF files.", "Run scripts/read.py."), "pdf/scripts/read.py": {Data: []byte("print(1)")},
		"pdf/.git/config": {Data: []byte("no")}, "README.md": {Data: []byte("no skill")},
	}
	s := skills.New(skills.Source{Name: "shipped", FS: shipped}, skills.Source{Name: "skills", FS: own})
	list, problems := s.List()
	if len(problems) > 0 || len(list) != 2 || list[0].Name != "csv" || list[1].Description != "Reads PDF files." {
		t.Fatalf("%+v %v", list, problems)
	}
	text, files, err := s.Load("pdf")
	if err != nil || text != "Run scripts/read.py." || len(files) != 1 || files[0].Name != "scripts/read.py" {
		t.Errorf("%q %v %v", text, files, err)
	}
	if _, _, err := s.Load("../pdf"); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("a path as a name: %v", err)
	}
}

func TestWhatIsWrongWithASkillIsSaid(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]fstest.MapFS{
		"the file is missing":                   {"x/other.md": {Data: []byte("x")}},
		`begins with a line "---"`:              {"x/SKILL.md": {Data: []byte("# x")}},
		`its name "y" is not its folder's, "x"`: {"x/SKILL.md": md("y", "d", "b")},
		"must be lower-case letters":            {"X_/SKILL.md": md("X_", "d", "b")},
		"its description must say":              {"x/SKILL.md": md("x", strings.Repeat("d", 1025), "b")},
		"it has no instructions":                {"x/SKILL.md": md("x", "d", "")},
		"not valid YAML":                        {"x/SKILL.md": {Data: []byte("---\nname: [\n---\nb")}},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			list, problems := skills.New(skills.Source{Name: "skills", FS: f}).List()
			if len(list) > 0 || len(problems) != 1 || !strings.Contains(problems[0], want) || !strings.HasPrefix(problems[0], "skills/") {
				t.Errorf("%v %q", list, problems)
			}
		})
	}
}
