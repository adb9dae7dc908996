package backend

import (
	"context"
	"net/http"

	"github.com/sutazai/sutazai/core"
)

type addCredentialInput struct {
	Body struct {
		Provider string `json:"provider" minLength:"1" maxLength:"63" doc:"A provider of the settings (models.providers). Where the key is sent to stands there, and nowhere else."`
		Name     string `json:"name,omitempty" maxLength:"100" doc:"To recognise it by."`
		Secret   string `json:"secret" minLength:"1" maxLength:"16384" writeOnly:"true" format:"password" doc:"The provider's key. It is stored encrypted and never given out again."`
	}
}

type rotated struct {
	Credentials int `json:"credentials" doc:"How many were encrypted anew."`
}

func (s *server) credentialRoutes() {
	const tag = "Credentials"
	register(s, operation(get, "/credentials", "list-credentials", tag, "List the keys of model providers, without the keys"), func(ctx context.Context, _ *empty) (*output[page[core.Credential]], error) {
		list, err := s.credentials.List(ctx)
		if err != nil {
			return nil, err
		}
		return listOf(list, ""), nil
	})
	op := operation(post, "/credentials", "add-credential", tag, "Add a key of a model provider")
	op.DefaultStatus = http.StatusCreated
	op.Description = "The key is in use when the answer comes; on other servers that share the database, within seconds. A provider with several keys uses them in turn."
	register(s, op, func(ctx context.Context, in *addCredentialInput) (*output[core.Credential], error) {
		c, err := s.credentials.Add(ctx, in.Body.Provider, in.Body.Name, core.NewSecret(in.Body.Secret), actor(ctx))
		s.recordResult(ctx, "credential.add", c.ID, in.Body.Provider+" "+in.Body.Name, err)
		if err != nil {
			return nil, err
		}
		return &output[core.Credential]{c}, nil
	})
	register(s, operation(remove, "/credentials/{id}", "remove-credential", tag, "Remove a key of a model provider for good"), func(ctx context.Context, in *byID) (*output[core.Credential], error) {
		c, err := s.credentials.Remove(ctx, in.ID)
		s.recordResult(ctx, "credential.remove", in.ID, c.Provider+" "+c.Name, err)
		if err != nil {
			return nil, err
		}
		return &output[core.Credential]{c}, nil
	})
	rotate := operation(post, "/credentials/rotate-master", "rotate-master-key", tag, "Encrypt every stored key anew")
	rotate.Description = "Under a new master key, which replaces the file secret.key; where server.secret_key is set, under its first key."
	register(s, rotate, func(ctx context.Context, _ *empty) (*output[rotated], error) {
		n, err := s.credentials.RotateMaster(ctx)
		s.recordResult(ctx, "credential.rotate_master", "", "", err)
		if err != nil {
			return nil, err
		}
		return &output[rotated]{rotated{n}}, nil
	})
}
