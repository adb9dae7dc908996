package backend

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
)

type createKeyInput struct {
	Body struct {
		Name      string       `json:"name" minLength:"1" maxLength:"100"`
		Scopes    []core.Scope `json:"scopes,omitempty" enum:"read,run,approve,admin" doc:"read and run when left out."`
		Project   string       `json:"project,omitempty" maxLength:"64" doc:"Whose budgets and usage its calls count for; default when left out."`
		ExpiresAt *time.Time   `json:"expires_at,omitempty" doc:"Never when left out."`
	}
}

type createdKey struct {
	Key    core.APIKey `json:"key"`
	Secret string      `json:"secret" doc:"The key itself. It is shown this once and stored nowhere."`
}

func (s *server) keyRoutes() {
	const tag = "Keys"
	register(s, operation(get, "/keys", "list-keys", tag, "List API keys"), func(ctx context.Context, _ *empty) (*output[page[core.APIKey]], error) {
		keys, err := s.auth.Keys(ctx)
		if err != nil {
			return nil, err
		}
		return listOf(keys, ""), nil
	})
	register(s, operation(get, "/keys/{id}", "get-key", tag, "Show an API key without its secret"), func(ctx context.Context, in *byID) (*output[core.APIKey], error) {
		k, err := s.auth.Key(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &output[core.APIKey]{k}, nil
	})
	op := operation(post, "/keys", "create-key", tag, "Make an API key")
	op.DefaultStatus = http.StatusCreated
	register(s, op, func(ctx context.Context, in *createKeyInput) (*output[createdKey], error) {
		k, secret, err := s.auth.CreateKey(ctx, auth.NewKey{
			Name: in.Body.Name, Scopes: in.Body.Scopes, Project: in.Body.Project, ExpiresAt: in.Body.ExpiresAt,
		})
		if err != nil {
			return nil, err
		}
		var scopes []string
		for _, sc := range k.Scopes {
			scopes = append(scopes, string(sc))
		}
		s.recordResult(ctx, "key.create", k.ID, k.Name+" ("+strings.Join(scopes, ", ")+")", nil)
		return &output[createdKey]{createdKey{k, secret}}, nil
	})
	register(s, operation(remove, "/keys/{id}", "revoke-key", tag, "Revoke an API key"), func(ctx context.Context, in *byID) (*output[core.APIKey], error) {
		k, err := s.auth.RevokeKey(ctx, in.ID)
		s.recordResult(ctx, "key.revoke", in.ID, k.Name, err)
		if err != nil {
			return nil, err
		}
		return &output[core.APIKey]{k}, nil
	})
}
