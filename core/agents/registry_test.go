package agents

import (
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/sutazai/sutazai/core"
)

// agentFile is a good file.
func agentFile(name, body string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("---\nname: " + name + "\ndescription: D.\n---\n" + body)}
}

func TestALaterSourceReplacesAnAgent(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	shipped := fstest.MapFS{"a.md": agentFile("a", "shipped"), "b.md": agentFile("b", "shipped")}
	own := fstest.MapFS{"a.md": agentFile("a", "own"), "README.md": agentFile("x", ""), ".c.md": agentFile("c", ""), "_d.md": agentFile("d", ""), "notes.txt": agentFile("e", ""), "sub/f.md": agentFile("f", "x")}
	c := r.Load([]Source{{"shipped", shipped}, {"agents", own}}, known())
	if want := (Changes{Added: []string{"a", "b"}}); !reflect.DeepEqual(c, want) {
		t.Errorf("changes %+v, want %+v", c, want)
	}
	if a, err := r.Agent("a"); err != nil || a.Instructions != "own" {
		t.Errorf("%+v %v", a, err)
	}
	if len(r.List()) != 2 || r.List()[0].Agent.Name != "a" || r.List()[0].Errors == nil {
		t.Errorf("list %+v", r.List())
	}
	delete(own, "a.md")
	if c = r.Load([]Source{{"shipped", shipped}, {"agents", own}}, known()); !reflect.DeepEqual(c, Changes{Updated: []string{"a"}}) {
		t.Errorf("changes %+v", c)
	}
}

func TestALastGoodVersionGoesOnWhileItsFileIsBroken(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	files := fstest.MapFS{"a.md": agentFile("a", "one")}
	sources := []Source{{"agents", files}}
	r.Load(sources, known())
	files["a.md"] = &fstest.MapFile{Data: []byte("---\nname: a\ndescription: D.\ntools: [read_fil]\n---\ntwo")}
	if c := r.Load(sources, known()); !reflect.DeepEqual(c, Changes{Broken: []string{"a"}}) {
		t.Errorf("changes %+v", c)
	}
	if c := r.Load(sources, known()); c.Any() {
		t.Errorf("nothing changed, but %+v", c)
	}
	if a, err := r.Agent("a"); err != nil || a.Instructions != "one" {
		t.Errorf("%+v %v", a, err)
	}
	want := []string{`agents/a.md:4: unknown tool "read_fil" (did you mean "read_file"?)`}
	if got := r.List()[0].Errors; !reflect.DeepEqual(got, want) {
		t.Errorf("errors %v, want %v", got, want)
	}
	files["a.md"] = agentFile("a", "three")
	if c := r.Load(sources, known()); !reflect.DeepEqual(c, Changes{Updated: []string{"a"}}) || len(r.Problems()) != 0 {
		t.Errorf("changes %+v, problems %v", c, r.Problems())
	}
	delete(files, "a.md")
	if c := r.Load(sources, known()); !reflect.DeepEqual(c, Changes{Removed: []string{"a"}}) {
		t.Errorf("changes %+v", c)
	}
}

func TestABrokenFileDoesNotUncoverTheOneItReplaces(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	shipped := fstest.MapFS{"a.md": agentFile("a", "shipped")}
	own := fstest.MapFS{"a.md": &fstest.MapFile{Data: []byte("broken")}}
	r.Load([]Source{{"shipped", shipped}, {"agents", own}}, known())
	_, err := r.Agent("a")
	if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), "agents/a.md:1: an agent file starts") {
		t.Errorf("got %v", err)
	}
	if l := r.List(); len(l) != 1 || l[0].Agent.Name != "a" || len(l[0].Errors) != 1 {
		t.Errorf("list %+v", l)
	}
}

func TestAnUnknownAgentIsAnsweredWithTheNearest(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	r.Load([]Source{{"agents", fstest.MapFS{"writer.md": agentFile("writer", "x"), "coder.md": agentFile("coder", "x")}}}, known())
	for name, want := range map[string]string{
		"wrter": `there is no agent "wrter" (did you mean "writer"?)`,
		"zzz":   `there is no agent "zzz"; there is: coder, writer`,
	} {
		_, err := r.Agent(name)
		if core.CodeOf(err) != core.CodeNotFound || core.MessageOf(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func TestAgentsMayReferToEachOther(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	with := func(name, other string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("---\nname: " + name + "\ndescription: D.\nagents: [" + other + "]\n---\nx")}
	}
	r.Load([]Source{{"agents", fstest.MapFS{"one.md": with("one", "two"), "two.md": with("two", "one"), "three.md": with("three", "four")}}}, known())
	if _, err := r.Agent("one"); err != nil {
		t.Error(err)
	}
	if p := r.Problems(); len(p) != 1 || p[0].Line != 4 || p[0].File != "agents/three.md" {
		t.Errorf("problems %v", p)
	}
}

func TestWhatIsNoAgentFileIsAProblemOfItsName(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	r.Load([]Source{{"agents", fstest.MapFS{
		"Bad Name.md": agentFile("x", "x"),
		"pipe.md":     &fstest.MapFile{Mode: fs.ModeNamedPipe},
		"huge.md":     &fstest.MapFile{Data: make([]byte, 2<<20)},
	}}}, known())
	got := make([]string, 0, 3)
	for _, p := range r.Problems() {
		got = append(got, p.String())
	}
	for i, want := range []string{"agents/Bad Name.md: the file's name is the agent's name, and", "agents/huge.md: the file is larger than 1 MB", "agents/pipe.md: is not a regular file"} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("problems %q, want %q", got, want)
		}
	}
}

// brokenFS fails to list itself.
type brokenFS struct{ fs.FS }

func (brokenFS) ReadDir(string) ([]fs.DirEntry, error) { return nil, errors.New("input/output error") }

func TestAgentsOutliveAFolderThatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	files := fstest.MapFS{"a.md": agentFile("a", "one")}
	r.Load([]Source{{"agents", files}}, known())
	if c := r.Load([]Source{{"agents", brokenFS{files}}}, known()); !reflect.DeepEqual(c, Changes{Broken: []string{"agents"}}) {
		t.Errorf("changes %+v", c)
	}
	if _, err := r.Agent("a"); err != nil {
		t.Error(err)
	}
	if p := r.Problems(); len(p) != 1 || p[0].String() != "agents: the folder of agents cannot be read: input/output error" {
		t.Errorf("problems %v", p)
	}
}

func TestARegistryIsReadWhileItIsLoaded(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	files := []Source{{"agents", fstest.MapFS{"a.md": agentFile("a", "one")}}}
	r.Load(files, known())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				r.Load(files, known())
				if _, err := r.Agent("a"); err != nil {
					t.Error(err)
				}
				r.List()
				r.Problems()
			}
		})
	}
	wg.Wait()
}
