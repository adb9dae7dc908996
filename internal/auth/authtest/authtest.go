// Package authtest holds stores in memory for tests of what stands on internal/auth, and the behaviour that every
// store must have. It knows no database.
package authtest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
)

// Memory is all stores of internal/auth in memory; Keys, Users and Sessions give each of them.
type Memory struct {
	mu       sync.Mutex
	keys     []keyRow
	users    []userRow
	sessions map[string]core.Session
	links    map[string]time.Time // when each set-up link expires
}

type keyRow struct {
	key  core.APIKey
	hash string
}

type userRow struct {
	user core.User
	hash string
}

// NewMemory returns empty stores.
func NewMemory() *Memory {
	return &Memory{sessions: map[string]core.Session{}, links: map[string]time.Time{}}
}

// Keys returns the store of keys.
func (m *Memory) Keys() auth.Keys { return memoryKeys{m} }

// Users returns the store of users.
func (m *Memory) Users() auth.Users { return memoryUsers{m} }

// Sessions returns the store of sessions.
func (m *Memory) Sessions() auth.Sessions { return memorySessions{m} }

func missing() error { return core.Errorf(core.CodeNotFound, "there is none") }

type memoryKeys struct{ m *Memory }

func (s memoryKeys) Create(_ context.Context, k core.APIKey, hash string) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if slices.ContainsFunc(s.m.keys, func(r keyRow) bool { return r.key.Prefix == k.Prefix }) {
		return core.Errorf(core.CodeConflict, "taken")
	}
	s.m.keys = append(s.m.keys, keyRow{k, hash})
	return nil
}

func (s memoryKeys) find(match func(core.APIKey) bool) (*keyRow, error) {
	if i := slices.IndexFunc(s.m.keys, func(r keyRow) bool { return match(r.key) }); i >= 0 {
		return &s.m.keys[i], nil
	}
	return nil, missing()
}

func (s memoryKeys) ByPrefix(_ context.Context, prefix string) (core.APIKey, string, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.find(func(k core.APIKey) bool { return k.Prefix == prefix })
	if err != nil {
		return core.APIKey{}, "", err
	}
	return r.key, r.hash, nil
}

func (s memoryKeys) Get(_ context.Context, id string) (core.APIKey, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.find(func(k core.APIKey) bool { return k.ID == id })
	if err != nil {
		return core.APIKey{}, err
	}
	return r.key, nil
}

func (s memoryKeys) List(context.Context) ([]core.APIKey, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	out := []core.APIKey{}
	for _, r := range slices.Backward(s.m.keys) {
		out = append(out, r.key)
	}
	return out, nil
}

func (s memoryKeys) Revoke(_ context.Context, id string, at time.Time) (core.APIKey, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.find(func(k core.APIKey) bool { return k.ID == id })
	if err != nil {
		return core.APIKey{}, err
	}
	if r.key.RevokedAt == nil {
		r.key.RevokedAt = &at
	}
	return r.key, nil
}

func (s memoryKeys) Touch(_ context.Context, id string, at time.Time) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if r, err := s.find(func(k core.APIKey) bool { return k.ID == id }); err == nil {
		r.key.LastUsedAt = &at
	}
	return nil
}

type memoryUsers struct{ m *Memory }

func (s memoryUsers) Count(context.Context) (int, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return len(s.m.users), nil
}

func (s memoryUsers) ByName(_ context.Context, name string) (core.User, string, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for _, r := range s.m.users {
		if r.user.Name == name {
			return r.user, r.hash, nil
		}
	}
	return core.User{}, "", missing()
}

func (s memoryUsers) AddSetupLink(_ context.Context, hash string, expires, now time.Time) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	maps.DeleteFunc(s.m.links, func(_ string, ends time.Time) bool { return !now.Before(ends) })
	s.m.links[hash] = expires
	return nil
}

func (s memoryUsers) SetupLinkValid(_ context.Context, hash string, now time.Time) (bool, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return now.Before(s.m.links[hash]), nil
}

func (s memoryUsers) CreateFirst(_ context.Context, u core.User, passwordHash, linkHash string) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !u.CreatedAt.Before(s.m.links[linkHash]) {
		return core.Errorf(core.CodeUnauthorized, "not valid")
	}
	if len(s.m.users) > 0 {
		return core.Errorf(core.CodeConflict, "set up already")
	}
	clear(s.m.links)
	s.m.users = append(s.m.users, userRow{u, passwordHash})
	return nil
}

type memorySessions struct{ m *Memory }

func (s memorySessions) Create(_ context.Context, hash string, v core.Session) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.sessions[hash] = v
	return nil
}

func (s memorySessions) Get(_ context.Context, hash string) (core.Session, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	v, ok := s.m.sessions[hash]
	if !ok {
		return v, missing()
	}
	return v, nil
}

func (s memorySessions) Touch(_ context.Context, hash string, at time.Time) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if v, ok := s.m.sessions[hash]; ok {
		v.SeenAt = at
		s.m.sessions[hash] = v
	}
	return nil
}

func (s memorySessions) Delete(_ context.Context, hash string) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	delete(s.m.sessions, hash)
	return nil
}

// Stores checks that empty stores behave as internal/auth needs.
func Stores(t *testing.T, keys auth.Keys, users auth.Users, sessions auth.Sessions) {
	t.Helper()
	ctx := t.Context()
	now := time.UnixMilli(1_700_000_000_000).UTC()
	no := func(step string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	code := func(step string, err error, want core.Code) {
		t.Helper()
		if got := core.CodeOf(err); got != want {
			t.Errorf("%s: code %q, want %q (%v)", step, got, want, err)
		}
	}

	expires := now.Add(time.Hour)
	k1 := core.APIKey{ID: "01", Name: "one", Prefix: "sk-sutazai-aaaa", Scopes: []core.Scope{core.ScopeRead}, Project: "team-a", CreatedAt: now, ExpiresAt: &expires}
	k2 := core.APIKey{ID: "02", Name: "two", Prefix: "sk-sutazai-bbbb", Scopes: []core.Scope{core.ScopeAdmin, core.ScopeRun}, CreatedAt: now}
	no("create", keys.Create(ctx, k1, "hash1"))
	no("create", keys.Create(ctx, k2, "hash2"))
	taken := k2
	taken.ID = "03"
	code("create with a taken prefix", keys.Create(ctx, taken, "x"), core.CodeConflict)
	got, hash, err := keys.ByPrefix(ctx, k1.Prefix)
	no("by prefix", err)
	if hash != "hash1" || got.ID != "01" || !got.ExpiresAt.Equal(expires) || got.LastUsedAt != nil || got.RevokedAt != nil || !slices.Equal(got.Scopes, k1.Scopes) {
		t.Errorf("by prefix: %+v %q", got, hash)
	}
	_, _, err = keys.ByPrefix(ctx, "' OR 1=1 --")
	code("unknown prefix", err, core.CodeNotFound)
	no("touch", keys.Touch(ctx, "01", now.Add(time.Second)))
	got, err = keys.Revoke(ctx, "01", now.Add(2*time.Second))
	no("revoke", err)
	if got.LastUsedAt == nil || !got.LastUsedAt.Equal(now.Add(time.Second)) || got.RevokedAt == nil {
		t.Errorf("revoked: %+v", got)
	}
	again, err := keys.Revoke(ctx, "01", now.Add(time.Hour))
	no("revoke again", err)
	if !again.RevokedAt.Equal(*got.RevokedAt) {
		t.Errorf("revoking again moved the time to %v", again.RevokedAt)
	}
	_, err = keys.Revoke(ctx, "99", now)
	code("revoke an unknown key", err, core.CodeNotFound)
	list, err := keys.List(ctx)
	no("list", err)
	if len(list) != 2 || list[0].ID != "02" {
		t.Errorf("list: %+v", list)
	}

	u := core.User{ID: "u1", Name: "ada", Scopes: []core.Scope{core.ScopeAdmin}, CreatedAt: now}
	code("first user without a link", users.CreateFirst(ctx, u, "pw", "link"), core.CodeUnauthorized)
	no("link", users.AddSetupLink(ctx, "older", now.Add(time.Hour), now))
	no("link", users.AddSetupLink(ctx, "expired", now, now.Add(-time.Hour)))
	no("link", users.AddSetupLink(ctx, "link", now.Add(time.Hour), now))
	for h, want := range map[string]bool{"older": true, "link": true, "expired": false, "other": false, "": false} {
		ok, err := users.SetupLinkValid(ctx, h, now)
		no("link valid", err)
		if ok != want {
			t.Errorf("link %q valid: %v", h, ok)
		}
	}
	if ok, err := users.SetupLinkValid(ctx, "link", now.Add(2*time.Hour)); ok || err != nil {
		t.Errorf("an expired link is valid (%v)", err)
	}
	no("first user", users.CreateFirst(ctx, u, "pw", "link"))
	code("the link again", users.CreateFirst(ctx, core.User{ID: "u2", Name: "eve", CreatedAt: now}, "pw", "link"), core.CodeUnauthorized)
	for _, h := range []string{"older", "link"} {
		if ok, err := users.SetupLinkValid(ctx, h, now); ok || err != nil {
			t.Errorf("link %q is valid although there is a user (%v)", h, err)
		}
	}
	no("link", users.AddSetupLink(ctx, "link2", now.Add(time.Hour), now))
	code("a second first user", users.CreateFirst(ctx, core.User{ID: "u2", Name: "eve", CreatedAt: now}, "pw", "link2"), core.CodeConflict)
	if n, err := users.Count(ctx); n != 1 || err != nil {
		t.Errorf("%d users (%v)", n, err)
	}
	found, pw, err := users.ByName(ctx, "ada")
	no("by name", err)
	if pw != "pw" || found.ID != "u1" || !found.CreatedAt.Equal(now) || !slices.Equal(found.Scopes, u.Scopes) {
		t.Errorf("by name: %+v", found)
	}
	_, _, err = users.ByName(ctx, "eve")
	code("unknown user", err, core.CodeNotFound)

	v := core.Session{User: u, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour)}
	no("session", sessions.Create(ctx, "s1", v))
	no("touch", sessions.Touch(ctx, "s1", now.Add(time.Minute)))
	sess, err := sessions.Get(ctx, "s1")
	no("get session", err)
	if sess.User.Name != "ada" || !sess.SeenAt.Equal(now.Add(time.Minute)) || !sess.ExpiresAt.Equal(v.ExpiresAt) || !slices.Equal(sess.User.Scopes, u.Scopes) {
		t.Errorf("session: %+v", sess)
	}
	no("delete", sessions.Delete(ctx, "s1"))
	no("delete again", sessions.Delete(ctx, "s1"))
	_, err = sessions.Get(ctx, "s1")
	code("deleted session", err, core.CodeNotFound)
}
