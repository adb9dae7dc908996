package a2a

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// keyring has the key by which messages to the outside are signed. It is the same for all servers that share a database, and
// made when it is needed first.
type keyring struct {
	d Deps

	mu  sync.Mutex
	key *jose.JSONWebKey
}

// get returns the key, or nil where there is none yet and none is wanted.
func (k *keyring) get(ctx context.Context, wanted bool) (*jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	for range 2 {
		stored, err := k.d.Store.SigningKeys(ctx)
		if err != nil {
			return nil, err
		}
		if len(stored) > 0 { // of two that were made at once, everybody takes the older
			k.key, err = k.open(stored[0])
			return k.key, err
		}
		if !wanted {
			return nil, nil //nolint:nilnil // "none" is an ordinary answer here
		}
		if err := k.add(ctx); err != nil {
			return nil, err
		}
	}
	return nil, core.Errorf(core.CodeInternal, "the signing key that was just stored is not there")
}

func (k *keyring) add(ctx context.Context) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	key := core.SigningKey{ID: rand.Text(), CreatedAt: k.d.Now().UTC()}
	if key.Sealed, err = k.d.Vault.Seal(base64.StdEncoding.EncodeToString(private.Seed()), key.Place()); err != nil {
		return err
	}
	return k.d.Store.AddSigningKey(ctx, key)
}

func (k *keyring) open(stored core.SigningKey) (*jose.JSONWebKey, error) {
	secret, err := k.d.Vault.Unseal(stored.Sealed, stored.Place())
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the signing key cannot be decrypted")
	}
	seed, err := base64.StdEncoding.DecodeString(secret.Reveal())
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, core.Errorf(core.CodeInternal, "the signing key is damaged")
	}
	return &jose.JSONWebKey{Key: ed25519.NewKeyFromSeed(seed), KeyID: stored.ID, Algorithm: string(jose.EdDSA), Use: "sig"}, nil
}

// serveKeys answers with the public key by which receivers check what is signed.
func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	key, err := s.keys.get(r.Context(), false)
	if err != nil {
		backend.WriteProblem(w, r, s.d.Logger, err)
		return
	}
	if key != nil {
		set.Keys = append(set.Keys, key.Public())
	}
	b, err := json.Marshal(set)
	if err != nil {
		backend.WriteProblem(w, r, s.d.Logger, err)
		return
	}
	_ = backend.WriteBody(w, http.StatusOK, "application/jwk-set+json", b) // a client that has left needs no keys
}
