package a2a

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
)

// Bounds of push notification configs.
const (
	maxPushes = 10 // of a task
	maxSecret = 4096
)

// pushSecrets are what a client gives so that it recognises us. They are stored encrypted.
type pushSecrets struct {
	Token       string `json:"token,omitempty"`
	Scheme      string `json:"scheme,omitempty"`
	Credentials string `json:"credentials,omitempty"`
}

// webhookScheme is the authentication scheme by which a client asks for signatures as Standard Webhooks has them. Its
// credentials are the secret that both share: whsec_ and base64.
const webhookScheme = "standardwebhooks"

// CreateTaskPushConfig implements a2asrv.RequestHandler.
func (s *Server) CreateTaskPushConfig(ctx context.Context, req *a2a.PushConfig) (*a2a.PushConfig, error) {
	if err := s.checkPush(req, ""); err != nil {
		return nil, s.fail(ctx, err)
	}
	run, err := s.own(ctx, req.Tenant, req.TaskID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out, err := s.putPush(ctx, run, req)
	return out, s.fail(ctx, err)
}

// checkPush holds a config to what can be used. The address is checked again, after its name is resolved, for each message.
func (s *Server) checkPush(c *a2a.PushConfig, field string) error {
	if !s.d.Settings.Push {
		return refuse(a2a.ErrPushNotificationNotSupported, "this server sends no push notifications; follow the task, or look at it from time to time")
	}
	at := func(name string) string { return strings.TrimPrefix(field+"."+name, ".") }
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || len(c.URL) > 2048 || c.URL != core.CleanText(c.URL):
		return wrong(at("url"), "expected an address such as https://client.example.com/a2a")
	case u.User != nil:
		return wrong(at("url"), "it must not carry a user name or password; use authentication")
	case len(c.ID) > 200 || c.ID != core.CleanText(c.ID):
		return wrong(at("id"), "expected at most 200 characters")
	case !headerText(c.Token):
		return wrong(at("token"), "expected at most 4096 printable characters")
	}
	if c.Auth == nil {
		return nil
	}
	if !token(c.Auth.Scheme) {
		return wrong(at("authentication.scheme"), "expected a scheme such as Bearer")
	}
	if !headerText(c.Auth.Credentials) {
		return wrong(at("authentication.credentials"), "expected at most 4096 printable characters")
	}
	if strings.EqualFold(c.Auth.Scheme, webhookScheme) {
		if _, err := webhookSecret(c.Auth.Credentials); err != nil {
			return wrong(at("authentication.credentials"), "expected whsec_ followed by 24 to 64 bytes in base64")
		}
	}
	return nil
}

// headerText says whether a text can be the value of a header.
func headerText(text string) bool {
	return len(text) <= maxSecret && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// token says whether a text is one word, as names of schemes are.
func token(text string) bool {
	return text != "" && len(text) <= 64 && strings.IndexFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

func webhookSecret(text string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, "whsec_")
	b, err := base64.StdEncoding.DecodeString(rest)
	if err != nil || !ok || len(b) < 24 || len(b) > 64 {
		return nil, fmt.Errorf("it is no secret of Standard Webhooks")
	}
	return b, nil
}

// putPush stores a config.
func (s *Server) putPush(ctx context.Context, run core.Run, c *a2a.PushConfig) (*a2a.PushConfig, error) {
	p := core.TaskPush{Run: run.ID, ID: c.ID, Owner: actor(ctx), URL: c.URL, CreatedAt: s.d.Now().UTC(), NextAt: s.d.Now().UTC(), State: string(core.TaskOf(run))}
	if p.ID == "" {
		p.ID = uuid.NewString()
	}
	if core.TaskOf(run) == core.TaskInputRequired {
		p.State = "" // it is told at once what the task waits for
	}
	secrets := pushSecrets{Token: c.Token}
	if c.Auth != nil {
		secrets.Scheme, secrets.Credentials = c.Auth.Scheme, c.Auth.Credentials
	}
	if secrets != (pushSecrets{}) {
		b, err := json.Marshal(secrets)
		if err != nil {
			return nil, err
		}
		if p.Sealed, err = s.d.Vault.Seal(string(b), p.Place()); err != nil {
			return nil, err
		}
	}
	if err := s.d.Store.PutPush(ctx, p, maxPushes); err != nil {
		return nil, err
	}
	s.nudge()
	return s.shownPush(p)
}

// nudge lets the teller look at once.
func (s *Server) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// shownPush is a config as its owner sees it: without the credentials.
func (s *Server) shownPush(p core.TaskPush) (*a2a.PushConfig, error) {
	secrets, err := s.openPush(p)
	if err != nil {
		return nil, err
	}
	out := &a2a.PushConfig{TaskID: a2a.TaskID(p.Run), ID: p.ID, URL: p.URL, Token: secrets.Token}
	if secrets.Scheme != "" {
		out.Auth = &a2a.PushAuthInfo{Scheme: secrets.Scheme}
	}
	return out, nil
}

func (s *Server) openPush(p core.TaskPush) (pushSecrets, error) {
	var out pushSecrets
	if p.Sealed == "" {
		return out, nil
	}
	text, err := s.d.Vault.Unseal(p.Sealed, p.Place())
	if err != nil {
		return out, core.Wrap(core.CodeInternal, err, "the secrets of a push notification config cannot be decrypted")
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &out); err != nil {
		return out, core.Wrap(core.CodeInternal, err, "the secrets of a push notification config are damaged")
	}
	return out, nil
}

// GetTaskPushConfig implements a2asrv.RequestHandler.
func (s *Server) GetTaskPushConfig(ctx context.Context, req *a2a.GetTaskPushConfigRequest) (*a2a.PushConfig, error) {
	list, err := s.pushes(ctx, req.Tenant, req.TaskID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	i := slices.IndexFunc(list, func(p core.TaskPush) bool { return p.ID == req.ID || req.ID == "" })
	if i < 0 {
		return nil, refuse(a2a.ErrTaskNotFound, "the task has no push notification config "+quote(req.ID))
	}
	out, err := s.shownPush(list[i])
	return out, s.fail(ctx, err)
}

// ListTaskPushConfigs implements a2asrv.RequestHandler. There are so few that one page holds them.
func (s *Server) ListTaskPushConfigs(ctx context.Context, req *a2a.ListTaskPushConfigRequest) (*a2a.ListTaskPushConfigResponse, error) {
	list, err := s.pushes(ctx, req.Tenant, req.TaskID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := &a2a.ListTaskPushConfigResponse{Configs: []*a2a.PushConfig{}}
	for _, p := range list {
		c, err := s.shownPush(p)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		out.Configs = append(out.Configs, c)
	}
	return out, nil
}

// DeleteTaskPushConfig implements a2asrv.RequestHandler.
func (s *Server) DeleteTaskPushConfig(ctx context.Context, req *a2a.DeleteTaskPushConfigRequest) error {
	if _, err := s.pushes(ctx, req.Tenant, req.TaskID); err != nil {
		return s.fail(ctx, err)
	}
	return s.fail(ctx, s.d.Store.RemovePush(ctx, string(req.TaskID), req.ID))
}

func (s *Server) pushes(ctx context.Context, tenant string, id a2a.TaskID) ([]core.TaskPush, error) {
	if !s.d.Settings.Push {
		return nil, refuse(a2a.ErrPushNotificationNotSupported, "this server sends no push notifications")
	}
	run, err := s.own(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return s.d.Store.Pushes(ctx, run.ID)
}
