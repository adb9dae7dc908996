package auth

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
)

// Lifetimes.
const (
	sessionIdle     = 24 * time.Hour
	sessionAbsolute = 7 * 24 * time.Hour
	setupLife       = 24 * time.Hour
)

// The cookies' names. A __Host- cookie cannot be set by a neighbouring host or path, but browsers take it over TLS only.
const (
	secureCookie = "__Host-sutazai"
	plainCookie  = "sutazai_session"
)

// NeedsSetup says whether there is no administrator yet.
func (s *Service) NeedsSetup(ctx context.Context) (bool, error) {
	if s.noAuth {
		return false, nil
	}
	n, err := s.users.Count(ctx)
	return n == 0, err
}

// NewSetupToken makes the secret of a set-up link, valid for 24 hours or until there is an administrator. Links made before
// stay valid: replicas that share a database each print their own. It returns "" when there is an administrator already.
func (s *Service) NewSetupToken(ctx context.Context) (string, error) {
	needed, err := s.NeedsSetup(ctx)
	if err != nil || !needed {
		return "", err
	}
	token, now := newToken(), s.now()
	return token, s.users.AddSetupLink(ctx, hashSecret(token), now.Add(setupLife), now)
}

// SetupTokenValid says whether token can be used now.
func (s *Service) SetupTokenValid(ctx context.Context, token string) (bool, error) {
	if token == "" {
		return false, nil
	}
	needed, err := s.NeedsSetup(ctx)
	if err != nil || !needed {
		return false, err
	}
	return s.users.SetupLinkValid(ctx, hashSecret(token), s.now())
}

var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

// UserName returns a name as it is stored, however it was typed: whoever counts or compares names does it with this form.
func UserName(typed string) string { return strings.ToLower(strings.TrimSpace(typed)) }

// Setup uses up the link's token, makes the first administrator and signs it in. It returns the cookie's secret.
func (s *Service) Setup(ctx context.Context, token, name, password string) (string, core.Session, error) {
	// Strangers must not make the server hash passwords: the token is looked at first, and again when it is used up.
	valid, err := s.SetupTokenValid(ctx, token)
	if err != nil {
		return "", core.Session{}, err
	}
	if !valid {
		return "", core.Session{}, core.Errorf(core.CodeUnauthorized, "this set-up link is not valid; restart the server for a new one, or sign in if it is set up already")
	}
	name = UserName(name)
	if !userName.MatchString(name) {
		return "", core.Session{}, fieldError("username", "a user name has 1 to 64 letters, digits, dots, hyphens, underscores or @, and starts with a letter or digit")
	}
	if err := CheckPassword(password, name); err != nil {
		return "", core.Session{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", core.Session{}, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", core.Session{}, err
	}
	u := core.User{ID: id.String(), Name: name, Scopes: []core.Scope{core.ScopeAdmin}, CreatedAt: s.now().UTC().Truncate(time.Millisecond)}
	if err := s.users.CreateFirst(ctx, u, hash, hashSecret(token)); err != nil {
		return "", core.Session{}, err
	}
	return s.startSession(ctx, u)
}

// Login signs a user in and returns the cookie's secret. core.CodeUnauthorized for a wrong name or password alike.
func (s *Service) Login(ctx context.Context, name, password string) (string, core.Session, error) {
	u, hash, err := s.users.ByName(ctx, UserName(name))
	if err != nil && core.CodeOf(err) != core.CodeNotFound {
		return "", core.Session{}, err
	}
	if len(password) > maxPassword {
		password, hash = "", ""
	}
	ok, err := s.hasher.verify(ctx, password, hash)
	if err != nil {
		return "", core.Session{}, err
	}
	if !ok {
		return "", core.Session{}, core.Errorf(core.CodeUnauthorized, "the user name or the password is wrong")
	}
	return s.startSession(ctx, u)
}

func (s *Service) startSession(ctx context.Context, u core.User) (string, core.Session, error) {
	token := newToken()
	now := s.now().UTC().Truncate(time.Millisecond)
	v := core.Session{User: u, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(sessionAbsolute)}
	return token, v, s.sessions.Create(ctx, hashSecret(token), v)
}

// Logout ends the caller's session; callers without one have nothing to end.
func (s *Service) Logout(ctx context.Context, p Principal) error {
	if p.session == "" {
		return nil
	}
	return s.sessions.Delete(ctx, p.session)
}

// EndCookieSession ends the session whose cookie r carries, so that signing in again leaves no older one behind.
func (s *Service) EndCookieSession(ctx context.Context, r *http.Request) error {
	t := cookieToken(r)
	if t == "" {
		return nil
	}
	return s.sessions.Delete(ctx, hashSecret(t))
}

func (s *Service) session(ctx context.Context, token string) (Principal, error) {
	ended := core.Errorf(core.CodeUnauthorized, "the session has ended; sign in again")
	hash := hashSecret(token)
	v, err := s.sessions.Get(ctx, hash)
	if core.CodeOf(err) == core.CodeNotFound {
		return Principal{}, ended
	}
	if err != nil {
		return Principal{}, err
	}
	if !s.alive(v) {
		if err := s.sessions.Delete(ctx, hash); err != nil {
			s.log.Warn("expired session not deleted", "error", err)
		}
		return Principal{}, ended
	}
	if now := s.now(); now.Sub(v.SeenAt) >= touchEvery {
		if err := s.sessions.Touch(ctx, hash, now); err != nil {
			s.log.Warn("use of a session not recorded", "error", err)
		}
	}
	return Principal{Kind: KindUser, ID: v.User.ID, Name: v.User.Name, Scopes: v.User.Scopes, session: hash}, nil
}

func (s *Service) alive(v core.Session) bool {
	now := s.now()
	return now.Before(v.ExpiresAt) && now.Sub(v.SeenAt) < s.idle
}

// Cookie returns the cookie that carries token, or with an empty token the one that removes it.
func Cookie(token string, expires time.Time, secure bool) *http.Cookie {
	c := &http.Cookie{Name: plainCookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Expires: expires}
	if secure {
		c.Name, c.Secure = secureCookie, true
	}
	if token == "" {
		c.MaxAge, c.Expires = -1, time.Time{}
	}
	return c
}

// cookieToken returns the session's secret of r, the __Host- cookie first.
func cookieToken(r *http.Request) string {
	for _, name := range []string{secureCookie, plainCookie} {
		if c, err := r.Cookie(name); err == nil && c.Value != "" {
			return c.Value
		}
	}
	return ""
}
