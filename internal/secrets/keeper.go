package secrets

import (
	"context"

	"github.com/sutazai/sutazai/core"
)

// Keeper is a further store of what the vault encrypts with Seal. Reseal replaces each by what the function makes of it,
// all or none, and returns how many.
type Keeper interface {
	Sealed(ctx context.Context) (int, error)
	Reseal(ctx context.Context, reseal func(sealed, place string) (string, error)) (int, error)
}

// kept says how much the keepers have.
func (v *Vault) kept(ctx context.Context) (int, error) {
	sum := 0
	for _, k := range v.o.Keepers {
		n, err := k.Sealed(ctx)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// reseal encrypts anew what a keeper has. What cannot be decrypted is lost already, and stays as it is. v.mu is held.
func (v *Vault) reseal(sealed, place string) (string, error) {
	secret, err := v.box.Open(sealed, place)
	if err != nil {
		return sealed, nil //nolint:nilerr // as said
	}
	return v.box.Seal(secret.Reveal(), place)
}

// Seal encrypts a text for a keeper. Unseal needs the same place, which binds the result to it.
func (v *Vault) Seal(text, place string) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.box.Seal(text, place)
}

// Unseal decrypts what Seal made. CodeInvalid when it was made with another key or for another place, or is damaged.
func (v *Vault) Unseal(sealed, place string) (core.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.box.Open(sealed, place)
}
