package mcp

import (
	"context"
	"errors"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxSessions is how many sessions of one caller live at one time: many clients never end theirs.
const maxSessions = 100

// errOver is why the calls of a session end that is deleted or closed. Runs that they started go on.
var errOver = errors.New("the session is over")

// sessions knows who opened which session and what it is doing, so that ending one need not wait for an agent's work.
type sessions struct {
	mu     sync.Mutex
	byID   map[string]*session
	byWho  map[string][]*session // of one caller, oldest first
	closed bool
	ends   sync.WaitGroup // goroutines that wait for the end of a session
}

type session struct {
	who   string
	sdk   *sdk.ServerSession
	calls map[*call]struct{}
}

type call struct{ cancel context.CancelCauseFunc }

func newSessions() *sessions {
	return &sessions{byID: map[string]*session{}, byWho: map[string][]*session{}}
}

// add takes note of a session that was opened. Its caller's oldest one ends where there are too many.
func (s *sessions) add(who string, ss *sdk.ServerSession, ended func()) {
	one := &session{who: who, sdk: ss, calls: map[*call]struct{}{}}
	s.mu.Lock()
	_, known := s.byID[ss.ID()]
	if known || s.closed {
		s.mu.Unlock()
		return
	}
	var old *session
	if mine := s.byWho[who]; len(mine) >= maxSessions {
		old = mine[0]
		s.forget(old)
	}
	s.byID[ss.ID()] = one
	s.byWho[who] = append(s.byWho[who], one)
	s.ends.Go(func() {
		_ = ss.Wait() // why it ended is the client's affair
		ended()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget(one)
	})
	if old != nil {
		s.ends.Go(func() { s.end(old) })
	}
	s.mu.Unlock()
}

// has says whether there is such a session of this caller.
func (s *sessions) has(who, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[id]
	return one != nil && one.who == who
}

// forget needs the lock.
func (s *sessions) forget(one *session) {
	if s.byID[one.sdk.ID()] != one {
		return
	}
	delete(s.byID, one.sdk.ID())
	mine := s.byWho[one.who]
	for i := range mine {
		if mine[i] == one {
			mine = append(mine[:i:i], mine[i+1:]...)
			break
		}
	}
	if len(mine) == 0 {
		delete(s.byWho, one.who)
	} else {
		s.byWho[one.who] = mine
	}
}

// begin returns a context that ends with the session, and what to call when the work is done.
func (s *sessions) begin(ctx context.Context, id string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[id]
	if one == nil {
		if s.closed {
			cancel(errOver)
		}
		return ctx, func() { cancel(nil) }
	}
	c := &call{cancel}
	one.calls[c] = struct{}{}
	return ctx, func() {
		cancel(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(one.calls, c)
	}
}

// stop ends the calls of a session of this caller, so that the session can end at once.
func (s *sessions) stop(who, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.byID[id]; one != nil && one.who == who {
		one.stop()
	}
}

// stop needs the lock.
func (one *session) stop() {
	for c := range one.calls {
		c.cancel(errOver)
	}
}

func (s *sessions) end(one *session) {
	s.mu.Lock()
	one.stop()
	s.mu.Unlock()
	_ = one.sdk.Close() // the connection is in memory: there is nothing that could fail for the caller
}

func (s *sessions) close() {
	s.mu.Lock()
	s.closed = true
	for _, one := range s.byID {
		s.ends.Go(func() { s.end(one) })
	}
	s.mu.Unlock()
	s.ends.Wait()
}
