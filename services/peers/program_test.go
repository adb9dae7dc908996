package peers

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/core"
)

// played is a program without a process.
type played struct {
	dir    string
	exited chan struct{}
	once   sync.Once
}

func (p *played) Read([]byte) (int, error)    { <-p.exited; return 0, io.EOF }
func (p *played) Write(b []byte) (int, error) { return len(b), nil }
func (p *played) Exited() <-chan struct{}     { return p.exited }
func (p *played) Err() error                  { return errors.New("exit status 1") }
func (p *played) Close() error                { p.once.Do(func() { close(p.exited) }); return nil }

// Done makes it its own connection.
func (p *played) Done() <-chan struct{} { return p.exited }

// programs is a keeper of programs without processes, with every program that it started.
type programs struct {
	*Programs[*played]
	mu   sync.Mutex
	all  []*played
	fail error // of the next starts
}

func setup(t *testing.T, change func(*ProgramSpec)) *programs {
	t.Helper()
	p := &programs{}
	spec := ProgramSpec{Name: "clerk", Protocol: "its protocol", Command: []string{"clerk"}, Launch: func(dir string) (Process, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.fail != nil {
			return nil, p.fail
		}
		one := &played{dir: dir, exited: make(chan struct{})}
		p.all = append(p.all, one)
		return one, nil
	}}
	if change != nil {
		change(&spec)
	}
	var err error
	p.Programs, err = NewPrograms(spec, func(_ context.Context, program io.ReadWriter) (*played, error) {
		return program.(*played), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// take makes a turn that does nothing but note where it was made.
func (p *programs) take(t *testing.T, run string) (on *played, err error) {
	t.Helper()
	err = p.Take(t.Context(), &Turn{}, run, "/"+run, func(_ context.Context, c *played) error {
		on = c
		return nil
	})
	return on, err
}

func (p *programs) started() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

func TestARunKeepsItsProcessForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setup(t, nil)
		first, err := p.take(t, "a")
		if err != nil || first.dir != "/a" {
			t.Fatalf("got %+v, %v", first, err)
		}
		time.Sleep(50 * time.Second)
		if again, err := p.take(t, "a"); err != nil || again != first {
			t.Errorf("after 50 s it is another process, %v", err)
		}
		if other, err := p.take(t, "b"); err != nil || other == first || other.dir != "/b" {
			t.Errorf("another run has the same process, %v", err)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		select {
		case <-first.exited:
		default:
			t.Error("it is not ended after a minute")
		}
		if next, err := p.take(t, "a"); err != nil || next == first || p.started() != 3 {
			t.Errorf("the next turn has no new process: %d started, %v", p.started(), err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if _, err := p.take(t, "a"); core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestASharedProcessStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setup(t, func(s *ProgramSpec) { s.Shared, s.Dir = true, "/home" })
		first, err := p.take(t, "a")
		if err != nil || first.dir != "/home" {
			t.Fatalf("got %+v, %v", first, err)
		}
		time.Sleep(time.Hour)
		if again, err := p.take(t, "b"); err != nil || again != first {
			t.Errorf("it is another process, %v", err)
		}
		_ = first.Close() // it ends by itself
		if next, err := p.take(t, "b"); err != nil || next == first {
			t.Errorf("it is not started again, %v", err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFailuresInARowAreWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setup(t, nil)
		p.fail = errors.New("no such thing")
		for i, want := range []time.Duration{0, 0, time.Second, 2 * time.Second, 4 * time.Second} {
			_, err := p.take(t, "a")
			if core.CodeOf(err) != core.CodeUnavailable {
				t.Fatalf("got %v", err)
			}
			if i < 2 {
				continue // twice at once
			}
			if wait := core.RetryAfterOf(err); wait != want {
				t.Errorf("failure %d: wait %s, want %s", i, wait, want)
			}
			time.Sleep(core.RetryAfterOf(err))
			if _, err = p.take(t, "a"); core.RetryAfterOf(err) != 0 {
				t.Errorf("it is not tried again after the wait: %v", err)
			}
		}
		time.Sleep(time.Minute)
		p.fail = nil
		if _, err := p.take(t, "a"); err != nil {
			t.Fatal(err)
		}
		p.fail = errors.New("no such thing")
		if _, err := p.take(t, "b"); core.RetryAfterOf(err) != 0 {
			t.Errorf("a good turn does not end the row: %v", err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestATurnIsTriedAgainOnlyAsFarAsItIsSafe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begun bool // by the first try
		code  core.Code
		tries int
	}{
		"nothing was begun": {false, core.CodeUnavailable, 2},
		"it was begun":      {true, core.CodeConflict, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := setup(t, nil)
			tries, turn := 0, &Turn{}
			err := p.Take(t.Context(), turn, "a", "/a", func(_ context.Context, on *played) error {
				tries++
				turn.Begun = c.begun
				_ = on.Close()
				time.Sleep(time.Second)
				return io.EOF
			})
			if core.CodeOf(err) != c.code || tries != c.tries {
				t.Errorf("%s: %d tries, %v", name, tries, err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnAddressOfAFile(t *testing.T) {
	t.Parallel()
	if got := FileURL("/w/run", "a b/ü#?.txt"); got != "file:///w/run/a%20b/%C3%BC%23%3F.txt" {
		t.Errorf("got %s", got)
	}
}
