package mcp

import (
	"context"
	"errors"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// maxWatches is how many resources one session may subscribe to.
const maxWatches = 100

// quietTime is how long changes are gathered before subscribers are told of them once.
const quietTime = 200 * time.Millisecond

var errTooMany = errors.New("too many subscriptions")

// watches follows the runs that clients have subscribed to, each resource once however many ask for it.
type watches struct {
	runs   backend.Runs
	tell   func(ctx context.Context, uri string)
	life   context.Context //nolint:containedctx // of the goroutines, until close
	end    context.CancelFunc
	follow sync.WaitGroup

	mu        sync.Mutex
	resources map[string]*watch
	sessions  map[*sdk.ServerSession]map[string]bool
}

type watch struct {
	users int
	stop  context.CancelFunc
}

func newWatches(runs backend.Runs, tell func(context.Context, string)) *watches {
	w := &watches{runs: runs, tell: tell, resources: map[string]*watch{}, sessions: map[*sdk.ServerSession]map[string]bool{}}
	w.life, w.end = context.WithCancel(context.Background())
	return w
}

func (w *watches) add(ss *sdk.ServerSession, uri string, run core.Run) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	mine := w.sessions[ss]
	switch {
	case mine[uri] || w.life.Err() != nil:
		return nil
	case len(mine) >= maxWatches:
		return errTooMany
	case mine == nil:
		mine = map[string]bool{}
		w.sessions[ss] = mine
	}
	mine[uri] = true
	one := w.resources[uri]
	if one == nil {
		ctx, stop := context.WithCancel(w.life)
		one = &watch{stop: stop}
		w.resources[uri] = one
		since := time.Now()
		w.follow.Go(func() { w.run(ctx, uri, run.ID, since) })
	}
	one.users++
	return nil
}

func (w *watches) remove(ss *sdk.ServerSession, uri string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(ss, uri)
}

// forget ends the subscriptions of a session that is over.
func (w *watches) forget(ss *sdk.ServerSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for uri := range w.sessions[ss] {
		w.drop(ss, uri)
	}
}

// drop needs the lock.
func (w *watches) drop(ss *sdk.ServerSession, uri string) {
	if !w.sessions[ss][uri] {
		return
	}
	delete(w.sessions[ss], uri)
	if len(w.sessions[ss]) == 0 {
		delete(w.sessions, ss)
	}
	one := w.resources[uri]
	if one.users--; one.users == 0 {
		one.stop()
		delete(w.resources, uri)
	}
}

// run tells of changes of a run until it has ended or nobody wants to hear of it.
func (w *watches) run(ctx context.Context, uri, run string, since time.Time) {
	changed := make(chan struct{}, 1)
	var telling sync.WaitGroup
	telling.Go(func() {
		for range changed {
			select {
			case <-time.After(quietTime):
			case <-ctx.Done():
			}
			w.tell(ctx, uri)
		}
	})
	defer telling.Wait()
	defer close(changed)
	for e, err := range w.runs.Events(ctx, run, 0) {
		if err != nil {
			return
		}
		if e.Type == core.EventMessageDelta || e.At.Before(since) {
			continue
		}
		select {
		case changed <- struct{}{}:
		default: // it is known already
		}
	}
}

func (w *watches) close() {
	w.end()
	w.follow.Wait()
}
