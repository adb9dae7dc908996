package supervisor

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
)

func TestMain(m *testing.M) {
	if helper() || pipedHelper() {
		return
	}
	goleak.VerifyTestMain(m)
}

// fake is a program without a process.
type fake struct {
	mu     sync.Mutex
	live   *fakeProcess
	starts []time.Time
	deaf   bool // does not end on Terminate
	fail   error
}

type fakeProcess struct {
	end                chan error
	once               sync.Once
	mu                 sync.Mutex
	deaf               bool
	terminated, killed time.Time
}

func (f *fake) start(Command, io.Writer) (Process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts = append(f.starts, time.Now())
	if f.fail != nil {
		return nil, f.fail
	}
	f.live = &fakeProcess{end: make(chan error, 1), deaf: f.deaf}
	return f.live, nil
}

// started returns when the program was started, one time for each.
func (f *fake) started() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.starts...)
}

func (f *fake) current() *fakeProcess {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live
}

func (p *fakeProcess) finish(err error) { p.once.Do(func() { p.end <- err }) }
func (p *fakeProcess) mark(t *time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*t = time.Now()
}

func (p *fakeProcess) PID() int    { return 1 }
func (p *fakeProcess) Wait() error { return <-p.end }
func (p *fakeProcess) Close()      {}
func (p *fakeProcess) Terminate() {
	p.mark(&p.terminated)
	if !p.deaf {
		p.finish(nil)
	}
}
func (p *fakeProcess) Kill() { p.mark(&p.killed); p.finish(errors.New("killed")) }

// bundle is a supervisor over a fake program whose health the test decides.
type bundle struct {
	*Supervisor
	fake *fake
	mu   sync.Mutex
	sick error
}

func (b *bundle) setSick(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sick = err
}

// setup starts a supervisor; its goroutine ends with the test, inside the bubble.
func setup(t *testing.T, change func(*Spec, *bundle)) (b *bundle, stop func()) {
	b = &bundle{fake: &fake{}}
	spec := Spec{
		Name:    "model",
		Command: func(context.Context) (Command, error) { return Command{Path: "x"}, nil },
		Check: func(context.Context) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.sick
		},
		Start: b.fake.start,
	}
	if change != nil {
		change(&spec, b)
	}
	b.Supervisor = New(spec)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return b, func() { cancel(); <-done }
}

func TestItBecomesHealthyWithTheFirstGoodCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, stop := setup(t, func(_ *Spec, b *bundle) { b.sick = errors.New("loading") })
		defer stop()
		time.Sleep(10 * time.Second)
		if s := b.Status(); s.State != core.ServiceStarting || s.Restarts != 0 {
			t.Fatalf("got %+v", s)
		}
		b.setSick(nil)
		start := time.Now()
		if err := b.WaitReady(t.Context()); err != nil || time.Since(start) > 200*time.Millisecond {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
		if s := b.Status(); s.State != core.ServiceHealthy || s.Name != "model" || s.Kind != "process" {
			t.Errorf("got %+v", s)
		}
	})
}

func TestACrashIsRestartedAndTheWaitsGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, stop := setup(t, func(s *Spec, b *bundle) { b.sick = errors.New("never ready") })
		defer stop()
		for range 8 {
			synctest.Wait()
			if p := b.fake.current(); p != nil {
				p.finish(errors.New("exit status 1"))
			}
			time.Sleep(70 * time.Second)
		}
		if len(b.fake.started()) < 8 {
			t.Fatalf("%d starts", len(b.fake.started()))
		}
		if s := b.Status(); s.State != core.ServiceDown || s.Restarts < 7 {
			t.Errorf("got %+v", s)
		}
		err := b.WaitReady(t.Context())
		if core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheWaitsDoubleUpToTheBoundAndAreShortAgainAfterAHealthyTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, stop := setup(t, func(_ *Spec, b *bundle) { b.fake.fail = errors.New("no such program") })
		defer stop()
		time.Sleep(5 * time.Minute)
		starts := b.fake.started()
		for i := 1; i < len(starts); i++ {
			bound := min(time.Second<<(i-1), time.Minute)
			if gap := starts[i].Sub(starts[i-1]); gap < bound/2 || gap > bound {
				t.Errorf("wait %d is %s, want between %s and %s", i, gap, bound/2, bound)
			}
		}
		b.fake.mu.Lock()
		b.fake.fail = nil
		b.fake.mu.Unlock()
		time.Sleep(4 * time.Minute)
		if b.Status().State != core.ServiceHealthy {
			t.Fatalf("got %+v", b.Status())
		}
		n := len(b.fake.started())
		died := time.Now()
		b.fake.current().finish(nil)
		time.Sleep(time.Minute)
		if gap := b.fake.started()[n].Sub(died); gap > time.Second {
			t.Errorf("after a healthy time the wait is %s, want at most 1s", gap)
		}
	})
}

func TestFewBadChecksDoNotFlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, stop := setup(t, nil)
		defer stop()
		time.Sleep(time.Second)
		since := b.Status().Since
		for range 5 { // bad, bad, good, bad, bad, good …
			b.setSick(errors.New("slow"))
			time.Sleep(20 * time.Second)
			b.setSick(nil)
			time.Sleep(10 * time.Second)
		}
		if s := b.Status(); s.State != core.ServiceHealthy || s.Restarts != 0 || !s.Since.Equal(since) {
			t.Errorf("got %+v", s)
		}
		b.setSick(errors.New("dead"))
		time.Sleep(40 * time.Second)
		if s := b.Status(); s.Restarts != 1 || len(b.fake.started()) != 2 {
			t.Errorf("three bad checks in a row restart it: got %+v, %d starts", s, len(b.fake.started()))
		}
	})
}

func TestAProcessThatIsNotReadyInTimeIsRestarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, stop := setup(t, func(s *Spec, b *bundle) {
			s.ReadyTimeout = 10 * time.Second
			b.sick = errors.New("loading for ever")
		})
		defer stop()
		time.Sleep(15 * time.Second)
		if len(b.fake.started()) != 2 || b.Status().State != core.ServiceStarting {
			t.Errorf("got %+v, %d starts", b.Status(), len(b.fake.started()))
		}
	})
}

func TestStoppingIsPoliteThenHard(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"a program that obeys": false, "a program that does not": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, stop := setup(t, func(_ *Spec, b *bundle) { b.fake.deaf = deaf })
				time.Sleep(time.Second)
				p := b.fake.current()
				start := time.Now()
				stop()
				want := time.Duration(0)
				if deaf {
					want = 5 * time.Second
				}
				if p.terminated.IsZero() || p.killed.Sub(p.terminated) != want || time.Since(start) != want {
					t.Errorf("terminated %s, killed %s after it", p.terminated, p.killed.Sub(p.terminated))
				}
				if s := b.Status(); s.State != core.ServiceDown || s.Detail != "stopped" {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

func TestWaitReadyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, stop := setup(t, func(_ *Spec, b *bundle) { b.sick = errors.New("loading") })
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestACommandThatCannotBeMadeShowsItsReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, stop := setup(t, func(s *Spec, _ *bundle) {
			s.Command = func(context.Context) (Command, error) {
				return Command{}, core.Errorf(core.CodeUnavailable, "there is no model file")
			}
		})
		defer stop()
		time.Sleep(time.Minute)
		if s := b.Status(); s.State != core.ServiceDown || s.Detail != "there is no model file" {
			t.Errorf("got %+v", s)
		}
	})
}
