package secrets

import (
	"encoding/base64"
	"slices"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/sutazai/sutazai/core"
)

// Box encrypts and decrypts small texts under the master keys: each text has a data key of its own, which the master key
// encrypts. A Box does not change and may be used by many goroutines at once.
type Box struct {
	keys []string // the first one encrypts
	aead tink.AEAD
}

func newBox(keys []string) (*Box, error) {
	keys = slices.Compact(slices.Clone(keys))
	primitive, err := newAEAD(keys)
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "the master keys cannot be used; is one of them there twice?")
	}
	return &Box{keys, primitive}, nil
}

// Seal encrypts a text. Open needs the same associated data, which binds the result to its place.
func (b *Box) Seal(plaintext, associatedData string) (string, error) {
	sealed, err := b.aead.Encrypt([]byte(plaintext), []byte(associatedData))
	if err != nil {
		return "", core.Wrap(core.CodeInternal, err, "the secret cannot be encrypted")
	}
	return base64.RawStdEncoding.EncodeToString(sealed), nil
}

// Open decrypts what Seal made. CodeInvalid when it was made with another key or other associated data, or is damaged.
func (b *Box) Open(sealed, associatedData string) (core.Secret, error) {
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err == nil {
		raw, err = b.aead.Decrypt(raw, []byte(associatedData))
	}
	if err != nil {
		return core.Secret{}, core.Wrap(core.CodeInvalid, err, "it cannot be decrypted: it was encrypted under another master key, or is damaged")
	}
	return core.NewSecret(string(raw)), nil
}

// withNewKey returns a box that encrypts with a new key and still decrypts what the old ones encrypted.
func (b *Box) withNewKey() (*Box, error) { return newBox(append([]string{NewMasterKey()}, b.keys...)) }

// withoutOldKeys returns a box that knows the encrypting key alone.
func (b *Box) withoutOldKeys() (*Box, error) { return newBox(b.keys[:1]) }
