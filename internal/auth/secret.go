package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// KeyPrefix starts every API key, so that scanners of leaked secrets know it.
const KeyPrefix = "sk-sutazai-"

const (
	// publicChars of a key's random part are shown in lists and find its row; the rest stays secret (about 208 bits).
	publicChars = 8
	secretChars = 35
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newKey returns a fresh key and the part of it that may be shown.
func newKey() (secret, prefix string) {
	r := randomChars(publicChars + secretChars)
	return KeyPrefix + r, KeyPrefix + r[:publicChars]
}

// keyPrefix returns the part of secret that finds its row, or false when secret has not the form of a key.
func keyPrefix(secret string) (string, bool) {
	rest, ok := strings.CutPrefix(secret, KeyPrefix)
	if !ok || len(rest) != publicChars+secretChars || strings.Trim(rest, alphabet) != "" {
		return "", false
	}
	return KeyPrefix + rest[:publicChars], true
}

func randomChars(n int) string {
	out := make([]byte, 0, n)
	buf := make([]byte, 64)
	for len(out) < n {
		rand.Read(buf) //nolint:errcheck // crypto/rand.Read never returns an error; it ends the program instead
		for _, b := range buf {
			// 248 is the largest multiple of 62 in a byte: taking the rest of larger ones would favour some characters.
			if b < 248 && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// newToken returns 256 random bits for sessions and set-up links.
func newToken() string {
	b := make([]byte, 32)
	rand.Read(b) //nolint:errcheck // see randomChars
	return base64.RawURLEncoding.EncodeToString(b)
}

// hashSecret is enough for secrets that are random and long; passwords need hashPassword.
func hashSecret(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
