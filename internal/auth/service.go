package auth

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
)

// touchEvery is how exact "last used" is: writing it on every request would cost a commit each.
const touchEvery = time.Minute

// Options are the settings of a Service.
type Options struct {
	NoAuth     bool             // every request is the local administrator's; only for loopback
	SessionTTL time.Duration    // how long a session may be idle; 0 = a day
	OAuth      *OAuth           // nil = no access tokens are taken
	Now        func() time.Time // the clock; nil = time.Now
	Logger     *slog.Logger
}

// Service authenticates callers and manages their credentials. It is safe for concurrent use.
type Service struct {
	keys     Keys
	users    Users
	sessions Sessions
	noAuth   bool
	idle     time.Duration
	oauth    *OAuth
	now      func() time.Time
	log      *slog.Logger
	hasher   hasher

	mu      sync.Mutex
	touched map[string]time.Time // key id -> when its use was last written
	known   map[string]knownKey  // hash of a secret -> the key that it proved to be
}

// A key that was found stays good for knownFor without another look into the database: a revocation on this server counts
// at once, one on another replica after that time.
const (
	knownFor = 2 * time.Second
	maxKnown = 10_000
)

type knownKey struct {
	key core.APIKey
	at  time.Time
}

// New returns a Service over the stores.
func New(k Keys, u Users, s Sessions, o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SessionTTL <= 0 {
		o.SessionTTL = sessionIdle
	}
	return &Service{keys: k, users: u, sessions: s, noAuth: o.NoAuth, idle: o.SessionTTL, oauth: o.OAuth, now: o.Now, log: o.Logger, hasher: newHasher(), touched: map[string]time.Time{}, known: map[string]knownKey{}}
}

// Authenticate returns the caller of r: the owner's socket, a bearer token or x-api-key, or a session's cookie.
// presented says whether r carried a credential at all. core.CodeUnauthorized when it proves nothing.
func (s *Service) Authenticate(r *http.Request) (p Principal, presented bool, err error) {
	if FromSocket(r.Context()) {
		return Principal{Kind: KindSocket, Name: "socket", Scopes: []core.Scope{core.ScopeAdmin}}, true, nil
	}
	if s.noAuth {
		return Principal{Kind: KindLocal, Name: "local", Scopes: []core.Scope{core.ScopeAdmin}}, true, nil
	}
	token, presented, err := headerToken(r.Header)
	if err != nil {
		return Principal{}, presented, err
	}
	if presented {
		if s.oauth != nil && !strings.HasPrefix(token, KeyPrefix) {
			p, err = s.oauth.verify(r.Context(), token)
			return p, true, err
		}
		p, err = s.key(r.Context(), token)
		return p, true, err
	}
	if c := cookieToken(r); c != "" {
		p, err = s.session(r.Context(), c)
		return p, true, err
	}
	return Principal{}, false, core.Errorf(core.CodeUnauthorized, "sign in, or send an API key as a bearer token; make one with: sutazai keys create NAME")
}

// headerToken reads the credential of Authorization or x-api-key. One that is there but empty, doubled or of another
// kind is an error, never a reason to look elsewhere.
func headerToken(h http.Header) (token string, presented bool, err error) {
	authorization, apiKey := h.Values("Authorization"), h.Values("X-Api-Key")
	if len(authorization)+len(apiKey) == 0 {
		return "", false, nil
	}
	if len(authorization)+len(apiKey) > 1 && !(len(authorization) == 1 && len(apiKey) == 1) {
		return "", true, errHeader()
	}
	if len(authorization) == 1 {
		scheme, t, _ := strings.Cut(authorization[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", true, errHeader()
		}
		token = strings.TrimSpace(t)
	}
	if len(apiKey) == 1 {
		k := strings.TrimSpace(apiKey[0])
		if len(authorization) == 1 && k != token {
			return "", true, errHeader()
		}
		token = k
	}
	if token == "" {
		return "", true, errHeader()
	}
	return token, true, nil
}

func errHeader() error {
	return core.Errorf(core.CodeUnauthorized, "send one API key, as \"Authorization: Bearer KEY\" or \"x-api-key: KEY\"")
}

func (s *Service) key(ctx context.Context, secret string) (Principal, error) {
	prefix, ok := keyPrefix(secret)
	if !ok {
		return Principal{}, errKey()
	}
	hashed := hashSecret(secret)
	if k, ok := s.knownKey(hashed); ok && s.usable(k) {
		return principalOf(k), nil
	}
	k, hash, err := s.keys.ByPrefix(ctx, prefix)
	if core.CodeOf(err) == core.CodeNotFound {
		return Principal{}, errKey()
	}
	if err != nil {
		return Principal{}, err
	}
	if !equal(hashed, hash) || !s.usable(k) {
		return Principal{}, errKey()
	}
	s.touchKey(ctx, k.ID)
	s.remember(hashed, k)
	return principalOf(k), nil
}

func errKey() error {
	return core.Errorf(core.CodeUnauthorized, "this API key is not valid: unknown, revoked or expired")
}

func principalOf(k core.APIKey) Principal {
	return Principal{Kind: KindKey, ID: k.ID, Name: k.Name, Scopes: k.Scopes, project: k.Project}
}

func (s *Service) knownKey(hash string) (core.APIKey, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[hash]
	return k.key, ok && s.now().Sub(k.at) < knownFor
}

func (s *Service) remember(hash string, k core.APIKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[hash] = knownKey{k, s.now()}
}

func (s *Service) usable(k core.APIKey) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || s.now().Before(*k.ExpiresAt))
}

// touchKey writes the use of a key at most once in touchEvery.
func (s *Service) touchKey(ctx context.Context, id string) {
	now := s.now()
	s.mu.Lock()
	last, ok := s.touched[id]
	due := !ok || now.Sub(last) >= touchEvery
	if due {
		s.touched[id] = now
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if err := s.keys.Touch(ctx, id, now); err != nil {
		s.log.Warn("last use of an API key not recorded", "key", id, "error", err)
	}
}

// StillValid says whether the caller's credential has not been revoked, ended or expired since. Long streams ask it.
func (s *Service) StillValid(ctx context.Context, p Principal) bool {
	switch p.Kind {
	case KindKey:
		k, err := s.keys.Get(ctx, p.ID)
		// A database that cannot answer for a moment does not end streams that were allowed.
		return err == nil && s.usable(k) || err != nil && core.CodeOf(err) != core.CodeNotFound
	case KindUser:
		v, err := s.sessions.Get(ctx, p.session)
		return err == nil && s.alive(v) || err != nil && core.CodeOf(err) != core.CodeNotFound
	case KindToken:
		return s.now().Before(p.expires)
	default:
		return true
	}
}

// NewKey is the wish for a key.
type NewKey struct {
	Name      string
	Scopes    []core.Scope // none = read and run
	Project   string       // "" = core.DefaultProject
	ExpiresAt *time.Time   // nil = never
}

// CreateKey makes a key and returns its secret, which is stored nowhere.
func (s *Service) CreateKey(ctx context.Context, w NewKey) (core.APIKey, string, error) {
	name, scopes, expires := strings.TrimSpace(w.Name), w.Scopes, w.ExpiresAt
	if name == "" || utf8.RuneCountInString(name) > 100 || name != core.CleanText(name) {
		return core.APIKey{}, "", fieldError("name", "a key needs a name of 1 to 100 printable characters")
	}
	if len(scopes) == 0 {
		scopes = []core.Scope{core.ScopeRead, core.ScopeRun}
	}
	project := cmp.Or(w.Project, core.DefaultProject)
	if !core.ValidName(project) {
		return core.APIKey{}, "", fieldError("project", "a project's name has 1 to 64 lower-case letters, digits, hyphens, dots and underscores")
	}
	known := []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove, core.ScopeAdmin}
	for _, sc := range scopes {
		if !slices.Contains(known, sc) {
			return core.APIKey{}, "", fieldError("scopes", "there is no such scope; the scopes are read, run, approve and admin")
		}
	}
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	now := s.now().UTC().Truncate(time.Millisecond)
	if expires != nil && !expires.After(now) {
		return core.APIKey{}, "", fieldError("expires_at", "the key would have expired already; give a time in the future")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return core.APIKey{}, "", err
	}
	secret, prefix := newKey()
	k := core.APIKey{ID: id.String(), Name: name, Prefix: prefix, Scopes: scopes, Project: project, CreatedAt: now, ExpiresAt: expires}
	if err := s.keys.Create(ctx, k, hashSecret(secret)); err != nil {
		return core.APIKey{}, "", err
	}
	return k, secret, nil
}

// Keys lists every key, newest first.
func (s *Service) Keys(ctx context.Context) ([]core.APIKey, error) { return s.keys.List(ctx) }

// Key returns one key.
func (s *Service) Key(ctx context.Context, id string) (core.APIKey, error) {
	return s.keys.Get(ctx, id)
}

// RevokeKey ends a key at once.
func (s *Service) RevokeKey(ctx context.Context, id string) (core.APIKey, error) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		clear(s.known)
	}()
	return s.keys.Revoke(ctx, id, s.now())
}

func fieldError(field, message string) error {
	return &core.Error{Code: core.CodeInvalid, Message: message, Fields: []core.FieldError{{Field: field, Message: message}}}
}
