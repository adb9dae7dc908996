package cache_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

// faultyStore is a table that fails, hangs and gives damaged rows on demand.
type faultyStore struct {
	mu    sync.Mutex
	rows  map[[32]byte]core.CacheRow
	err   error
	hang  bool
	calls int
	puts  int // batches that were written
}

func newFaultyStore() *faultyStore { return &faultyStore{rows: map[[32]byte]core.CacheRow{}} }

// enter counts a call and makes it fail or hang where the test wants that.
func (s *faultyStore) enter(ctx context.Context) error {
	s.mu.Lock()
	s.calls++
	err, hang := s.err, s.hang
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (s *faultyStore) set(err error, hang bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.hang = err, hang
}

func (s *faultyStore) count() (calls, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, len(s.rows)
}

func (s *faultyStore) Get(ctx context.Context, ids [][32]byte) ([]core.CacheRow, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []core.CacheRow
	for _, id := range ids {
		if r, ok := s.rows[id]; ok {
			out = append(out, r)
		}
	}
	return out, nil
}

func (s *faultyStore) List(ctx context.Context, space core.CacheSpace, after time.Time, limit int) ([]core.CacheRow, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []core.CacheRow
	for _, r := range s.rows {
		if r.Space == space && r.CreatedAt.After(after) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b core.CacheRow) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out[max(0, len(out)-limit):], nil
}

func (s *faultyStore) Put(ctx context.Context, rows []core.CacheRow) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	for _, r := range rows {
		s.rows[r.ID] = r
	}
	return nil
}

func (s *faultyStore) Remove(ctx context.Context, ids [][32]byte) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.rows, id)
	}
	return nil
}

func (s *faultyStore) Delete(ctx context.Context, within core.CacheSpace) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.rows {
		if within.Holds(r.Space) && r.Space.Kind != core.CachePurge {
			delete(s.rows, id)
		}
	}
	return nil
}

func (s *faultyStore) Expire(ctx context.Context, now time.Time, limit int) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.rows {
		if n < limit && !r.ExpiresAt.After(now) {
			delete(s.rows, id)
			n++
		}
	}
	return n, nil
}

func (s *faultyStore) Shrink(ctx context.Context, limit int) (freed int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.rows {
		if limit--; limit >= 0 {
			freed += int64(len(r.Value))
			delete(s.rows, id)
		}
	}
	return freed, nil
}

func (s *faultyStore) Size(ctx context.Context) (n int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		n += int64(len(r.Value))
	}
	return n, nil
}

var errStore = errors.New("the table is broken")
