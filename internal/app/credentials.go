package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/secrets"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/database"
)

// credentialsEvery is how soon a key that was added or removed on another server is used or left here.
const credentialsEvery = 2 * time.Second

// NewMasterKey makes a master key for server.secret_key.
func NewMasterKey() string { return secrets.NewMasterKey() }

// newKeyRings resolves the keys that the settings refer to: a ring for every provider that may want a key.
func newKeyRings(cfg *config.Config) (map[string]*aimodels.KeyRing, error) {
	rings := map[string]*aimodels.KeyRing{}
	for name, p := range cfg.Models.Providers {
		if p.Kind == "local" {
			continue
		}
		var keys []core.Secret
		for _, reference := range p.Keys() {
			key, err := reference.Resolve()
			if err != nil {
				return nil, err
			}
			keys = append(keys, core.NewSecret(key))
		}
		rings[name] = aimodels.NewKeyRing(name, keys, time.Now)
	}
	return rings, nil
}

// openVault opens the stored credentials and puts them into the rings.
func openVault(ctx context.Context, cfg *config.Config, db *database.DB, rings map[string]*aimodels.KeyRing, log *slog.Logger) (*secrets.Vault, error) {
	master, err := cfg.Server.SecretKey.Resolve()
	if err != nil {
		return nil, err
	}
	vault, err := secrets.Open(ctx, secrets.Options{
		DataDir: cfg.Server.DataDir, MasterKey: core.NewSecret(master), Store: database.NewCredentials(db), Keepers: []secrets.Keeper{database.NewMCP(db), database.NewTasks(db)},
		Providers: slices.Sorted(maps.Keys(rings)), Now: time.Now, Logger: log,
		Apply: func(stored map[string][]secrets.Opened) {
			for name, ring := range rings {
				var keys []aimodels.Key
				for _, c := range stored[name] {
					keys = append(keys, aimodels.Key{ID: c.ID, Secret: c.Secret})
				}
				ring.Set(keys)
			}
		},
		Used: func() []core.CredentialUse {
			var uses []core.CredentialUse
			for _, ring := range rings {
				uses = append(uses, ring.Uses()...)
			}
			return uses
		},
	})
	if err != nil {
		return nil, err
	}
	return vault, vault.Sync(ctx)
}
