package versions_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/versions"
)

// files are agents' files that a test changes.
type files map[string]core.Agent

func (f files) Agent(name string) (core.Agent, error) {
	a, ok := f[name]
	if !ok {
		return a, core.Errorf(core.CodeNotFound, "there is no agent %q", name)
	}
	return a, nil
}

func (f files) List() []core.AgentStatus {
	var out []core.AgentStatus
	for _, a := range f {
		out = append(out, core.AgentStatus{Agent: a})
	}
	return out
}

// store keeps publications in memory.
type store struct{ all []core.AgentVersion }

func (s *store) Publish(_ context.Context, a core.Agent, note, actor string, _ time.Time) (core.AgentVersion, error) {
	v := core.AgentVersion{Agent: a.Name, Number: len(s.all) + 1, Version: a.Version, Note: note, PublishedBy: actor, Definition: a}
	s.all = append(s.all, v)
	return v, s.Use(context.Background(), a.Name, v.Number)
}

func (s *store) Use(_ context.Context, _ string, number int) error {
	for i := range s.all {
		s.all[i].Current = s.all[i].Number == number
	}
	return nil
}

func (s *store) List(_ context.Context, agent string) ([]core.AgentVersion, error) {
	var out []core.AgentVersion
	for i := len(s.all) - 1; i >= 0; i-- {
		if s.all[i].Agent == agent {
			out = append(out, s.all[i])
		}
	}
	return out, nil
}

func (s *store) Current(context.Context) ([]core.AgentVersion, error) {
	var out []core.AgentVersion
	for _, v := range s.all {
		if v.Current {
			out = append(out, v)
		}
	}
	return out, nil
}

func (s *store) Definition(_ context.Context, _, version string) (core.Agent, error) {
	for _, v := range s.all {
		if v.Version == version {
			return v.Definition, nil
		}
	}
	return core.Agent{}, core.Errorf(core.CodeNotFound, "none")
}

func file(version string) core.Agent {
	return core.Agent{Name: "a", Version: version, Instructions: "is " + version}
}

func open(t *testing.T, f files, ready func(context.Context, core.Agent) error) *versions.Agents {
	t.Helper()
	a, err := versions.New(t.Context(), versions.Options{
		Files: f, Store: &store{}, Ready: ready, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Text: func(a core.Agent) string { return a.Instructions + "\n" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func want(t *testing.T, a *versions.Agents, name, version string) {
	t.Helper()
	got, err := a.Agent(name)
	if err != nil || got.Version != version {
		t.Errorf("%s is %q (%v), want %q", name, got.Version, err, version)
	}
}

func TestAPublishedVersionIsUsedAndTheFileIsTheDraft(t *testing.T) {
	t.Parallel()
	f := files{"a": file("v1")}
	a := open(t, f, nil)
	want(t, a, "a", "v1")
	if _, err := a.Publish(t.Context(), "a", "first", "user:ann"); err != nil {
		t.Fatal(err)
	}
	f["a"] = file("v2")
	want(t, a, "a", "v1")
	want(t, a, "a@draft", "v2")
	if s := a.List()[0]; s.Published != 1 || s.Draft != "v2" || s.Agent.Version != "v1" {
		t.Errorf("listed as %+v", s)
	}
	if _, _, diff, err := a.Diff(t.Context(), "a", "", ""); err != nil || !strings.Contains(diff, "-is v1\n+is v2") {
		t.Errorf("diff %q %v", diff, err)
	}
	if _, err := a.Publish(t.Context(), "a", "", "user:ann"); err != nil {
		t.Fatal(err)
	}
	want(t, a, "a", "v2")
	want(t, a, "a@1", "v1")
	want(t, a, "a@v1", "v1")
	if _, err := a.Publish(t.Context(), "a", "", "user:ann"); core.CodeOf(err) != core.CodeConflict {
		t.Errorf("published twice: %v", err)
	}
	if err := a.Use(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	want(t, a, "a", "v1")
	delete(f, "a")
	want(t, a, "a", "v1") // what is published does not need the file
	if len(a.List()) != 1 {
		t.Errorf("listed %+v", a.List())
	}
	if err := a.Use(t.Context(), "a", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Agent("a"); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("neither file nor version: %v", err)
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	a := open(t, files{"a": file("v1")}, func(context.Context, core.Agent) error { return core.Errorf(core.CodeConflict, "not tested") })
	for name, part := range map[string]string{"b": "no agent", "a@7": "no version", "a@x": "has no version"} {
		if _, err := a.Agent(name); core.CodeOf(err) != core.CodeNotFound || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.Use(t.Context(), "a", 3); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("use: %v", err)
	}
	if _, err := a.Publish(t.Context(), "a", "", ""); core.CodeOf(err) != core.CodeConflict {
		t.Errorf("published though it is not ready: %v", err)
	}
}
