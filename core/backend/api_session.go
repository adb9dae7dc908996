package backend

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
)

type meBody struct {
	Actor  string       `json:"actor"`
	Kind   auth.Kind    `json:"kind" enum:"key,user,socket,local"`
	Name   string       `json:"name"`
	Scopes []core.Scope `json:"scopes"`
}

type setupQuery struct {
	Token string `query:"token" maxLength:"200" doc:"The token of a set-up link, to be checked."`
}

type setupBody struct {
	Needed     bool `json:"needed" doc:"There is no administrator yet."`
	TokenValid bool `json:"token_valid"`
}

type setupInput struct {
	Body struct {
		Token    string `json:"token" minLength:"1" maxLength:"200" doc:"From the set-up link that the server prints at its start."`
		Username string `json:"username" minLength:"1" maxLength:"64"`
		Password string `json:"password" minLength:"1" maxLength:"1024" doc:"At least 15 characters; no rules about their kinds."`
	}
}

type loginInput struct {
	Body struct {
		Username string `json:"username" minLength:"1" maxLength:"64"`
		Password string `json:"password" minLength:"1" maxLength:"1024"`
	}
}

type sessionOutput struct {
	SetCookie    http.Cookie `header:"Set-Cookie"`
	CacheControl string      `header:"Cache-Control"`
	Body         meBody
}

type logoutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *server) sessionRoutes() {
	const tag = "Session"
	register(s, operation(get, "/me", "me", tag, "Who am I?"), func(ctx context.Context, _ *empty) (*output[meBody], error) {
		p, _ := auth.PrincipalOf(ctx)
		return &output[meBody]{meBody{p.Actor(), p.Kind, p.Name, p.Scopes}}, nil
	})
	register(s, operation(get, "/setup", "get-setup", tag, "Does the server need an administrator?"), s.setupState)
	op := operation(post, "/setup", "set-up", tag, "Make the first administrator and sign in")
	op.DefaultStatus = http.StatusCreated
	register(s, op, s.setup)
	op = operation(post, "/session", "sign-in", tag, "Sign in")
	op.DefaultStatus = http.StatusCreated
	register(s, op, s.login)
	register(s, operation(remove, "/session", "sign-out", tag, "Sign out"), s.logout)
}

func (s *server) setupState(ctx context.Context, in *setupQuery) (*output[setupBody], error) {
	needed, err := s.auth.NeedsSetup(ctx)
	if err != nil {
		return nil, err
	}
	if in.Token == "" {
		return &output[setupBody]{setupBody{Needed: needed}}, nil
	}
	if err := s.attempt(ctx, ""); err != nil {
		return nil, err
	}
	valid, err := s.auth.SetupTokenValid(ctx, in.Token)
	return &output[setupBody]{setupBody{needed, valid}}, err
}

// attempt takes one try of the caller's address, and of the named user.
func (s *server) attempt(ctx context.Context, user string) error {
	info := infoOf(ctx)
	if info.addr != "" {
		if v := s.limits.Login.Allow(limitKey(info.addr)); !v.OK {
			return s.tooMany(ctx, v.RetryAfter)
		}
	}
	if user != "" {
		if v := s.limits.User.Allow(user); !v.OK {
			return s.tooMany(ctx, v.RetryAfter)
		}
	}
	return nil
}

func (s *server) setup(ctx context.Context, in *setupInput) (*sessionOutput, error) {
	if err := s.attempt(ctx, ""); err != nil {
		return nil, err
	}
	token, session, err := s.auth.Setup(ctx, in.Body.Token, in.Body.Username, in.Body.Password)
	if err != nil {
		if core.CodeOf(err) == core.CodeUnauthorized {
			s.recordFrom(ctx, core.AuditEvent{Action: "setup", Target: in.Body.Username, Result: audit.Denied})
		}
		return nil, err
	}
	s.recordFrom(ctx, core.AuditEvent{Actor: "user:" + session.User.Name, Action: "setup", Target: session.User.Name})
	return s.signedIn(ctx, token, session), nil
}

func (s *server) login(ctx context.Context, in *loginInput) (*sessionOutput, error) {
	name := auth.UserName(in.Body.Username) // " Ada" is ada, and has no further tries
	if err := s.attempt(ctx, name); err != nil {
		return nil, err
	}
	token, session, err := s.auth.Login(ctx, name, in.Body.Password)
	if err != nil {
		if core.CodeOf(err) == core.CodeUnauthorized {
			s.recordFrom(ctx, core.AuditEvent{Action: "login", Target: name, Result: audit.Denied})
		}
		return nil, err
	}
	s.recordFrom(ctx, core.AuditEvent{Actor: "user:" + session.User.Name, Action: "login", Target: session.User.Name})
	return s.signedIn(ctx, token, session), nil
}

// signedIn answers with the new session's cookie; the session of the cookie that came along ends.
func (s *server) signedIn(ctx context.Context, token string, v core.Session) *sessionOutput {
	r := infoOf(ctx).request
	if err := s.auth.EndCookieSession(ctx, r); err != nil {
		s.log.Warn("older session not ended", "error", err)
	}
	p := auth.Principal{Kind: auth.KindUser, ID: v.User.ID, Name: v.User.Name, Scopes: v.User.Scopes}
	return &sessionOutput{
		SetCookie:    *auth.Cookie(token, v.ExpiresAt, s.shield.secure(r)),
		CacheControl: "no-store",
		Body:         meBody{p.Actor(), p.Kind, p.Name, p.Scopes},
	}
}

func (s *server) logout(ctx context.Context, _ *empty) (*logoutOutput, error) {
	p, _ := auth.PrincipalOf(ctx)
	if err := s.auth.Logout(ctx, p); err != nil {
		return nil, err
	}
	s.recordResult(ctx, "logout", p.Name, "", nil)
	return &logoutOutput{SetCookie: *auth.Cookie("", time.Time{}, s.shield.secure(infoOf(ctx).request))}, nil
}

// tooMany refuses an attempt to sign in, and says when the next one may be made.
func (s *server) tooMany(ctx context.Context, seconds int) error {
	infoOf(ctx).response.Set("Retry-After", strconv.Itoa(seconds))
	return core.Errorf(core.CodeRateLimited, "too many attempts to sign in; try again in %d s", seconds)
}
