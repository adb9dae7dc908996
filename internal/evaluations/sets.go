package evaluations

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// Source is a folder of sets. Name stands before the file's name in problems.
type Source struct {
	Name string
	FS   fs.FS
}

// Sets finds the evaluation sets in folders; of one name the last folder's wins. The files are read whenever they are asked
// for, so that a set is always as its file says.
type Sets struct {
	Sources []Source
	Known   func() Known
}

// Of returns the set of an agent. CodeNotFound: there is none; CodeInvalid: its file is broken.
func (s Sets) Of(agent string) (core.EvaluationSet, error) {
	st, _, err := s.read(agent)
	if err != nil {
		return core.EvaluationSet{}, err
	}
	if len(st.Errors) > 0 {
		return core.EvaluationSet{}, core.Errorf(core.CodeInvalid, "the evaluation set of %q is broken: %s", agent, strings.Join(st.Errors, "; "))
	}
	return st.Set, nil
}

// List shows every set, sorted by agent, broken ones included.
func (s Sets) List() ([]core.EvaluationSetStatus, error) {
	var names []string
	for _, src := range s.Sources {
		entries, err := fs.ReadDir(src.FS, ".")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, core.Wrap(core.CodeUnavailable, err, "the folder %s cannot be read: %s", src.Name, reason(err))
		}
		for _, e := range entries {
			if isSet(e.Name()) && !e.IsDir() {
				names = append(names, agentOf(e.Name()))
			}
		}
	}
	slices.Sort(names)
	list := []core.EvaluationSetStatus{}
	for _, name := range slices.Compact(names) {
		st, _, err := s.read(name)
		if core.CodeOf(err) == core.CodeNotFound { // deleted meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, st)
	}
	return list, nil
}

// isSet says whether a file of a folder is meant to be a set.
func isSet(name string) bool {
	return strings.HasSuffix(name, Suffix) && len(name) > len(Suffix) && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "_")
}

// read returns a set as its file says, and the file.
func (s Sets) read(agent string) (core.EvaluationSetStatus, []byte, error) {
	entry := agent + Suffix
	if !isSet(entry) || !fs.ValidPath(entry) || path.Base(entry) != entry {
		return core.EvaluationSetStatus{}, nil, core.Errorf(core.CodeNotFound, "there is no agent %q", agent)
	}
	for _, src := range slices.Backward(s.Sources) {
		content, err := readFile(src.FS, entry)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		st := core.EvaluationSetStatus{Source: src.Name, Errors: []string{}}
		file := path.Join(src.Name, entry)
		if err != nil {
			st.Set = core.EvaluationSet{Agent: agent, Cases: []core.EvaluationCase{}}
			st.Errors = append(st.Errors, Problem{File: file, Message: "cannot be read: " + reason(err)}.String())
			return st, nil, nil
		}
		set, problems := Parse(file, content, s.Known())
		st.Set = set
		for _, p := range problems {
			st.Errors = append(st.Errors, p.String())
		}
		return st, content, nil
	}
	return core.EvaluationSetStatus{}, nil, core.Errorf(core.CodeNotFound, "there is no evaluation set for the agent %q; write %s beside its file, or make one of a run with `sutazai evals add RUN`", agent, entry)
}

// readFile reads a regular file, at most a byte more than a set may have.
func readFile(folder fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(folder, name) // before Open: opening a named pipe would wait for its other end
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}

// reason is why a file cannot be read, without the path that the message already names.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
