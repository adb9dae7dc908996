package secrets

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// A master key is written as keyPrefix and the base64url form of 32 random bytes with the first four bytes of their
// SHA-256, by which a damaged or mistyped one is known.
const (
	keyPrefix   = "szmk1_"
	keySize     = 32
	keySumSize  = 4
	keyTextSize = len(keyPrefix) + (keySize+keySumSize)*4/3
)

// errNotAKey says what a master key must look like, and nothing of what was there.
var errNotAKey = errors.New("it must hold master keys as `sutazai credentials new-master` prints them, one a line, the one to encrypt with first")

// NewMasterKey makes a master key, as it stands in a file or variable.
func NewMasterKey() string {
	raw := make([]byte, keySize, keySize+keySumSize)
	_, _ = rand.Read(raw) // never fails: the runtime ends the program instead
	sum := sha256.Sum256(raw)
	return keyPrefix + base64.RawURLEncoding.EncodeToString(append(raw, sum[:keySumSize]...))
}

// parseKeys reads the text of a key file or setting: keys separated by white space, with lines of comment.
func parseKeys(text string) ([]string, error) {
	var keys []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			if _, err := rawKey(word); err != nil {
				return nil, err
			}
			keys = append(keys, word)
		}
	}
	if len(keys) == 0 {
		return nil, errNotAKey
	}
	return keys, nil
}

// rawKey returns the 32 bytes of a key's text.
func rawKey(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, keyPrefix)
	if !ok || len(text) != keyTextSize {
		return nil, errNotAKey
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errNotAKey
	}
	sum := sha256.Sum256(raw[:keySize])
	if subtle.ConstantTimeCompare(sum[:keySumSize], raw[keySize:]) != 1 {
		return nil, errNotAKey
	}
	return raw[:keySize], nil
}

// newAEAD makes AES-256-GCM over the keys: the first one encrypts, each one decrypts what it has encrypted.
func newAEAD(keys []string) (tink.AEAD, error) {
	parameters, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: keySize, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
	})
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManager()
	for i, text := range keys {
		raw, err := rawKey(text)
		if err != nil {
			return nil, err
		}
		id := sha256.Sum256(append([]byte("sutazai master key id:"), raw...)) // the same on every replica
		key, err := aesgcm.NewKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), binary.BigEndian.Uint32(id[:]), parameters)
		if err != nil {
			return nil, err
		}
		keyID, err := manager.AddKey(key)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if err := manager.SetPrimary(keyID); err != nil {
				return nil, err
			}
		}
	}
	handle, err := manager.Handle()
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, err
	}
	return aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), primitive), nil
}
