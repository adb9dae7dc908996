package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/sutazai/sutazai/core"
)

const (
	minPassword = 15   // characters, NIST SP 800-63B-4 section 3.1.1.2 for a single factor
	maxPassword = 1024 // bytes

	argonTime    = 2
	argonMemory  = 19 * 1024 // KiB; OWASP Password Storage Cheat Sheet
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16
	// hashesAtOnce bounds the memory that strangers can make the server use: each hash takes argonMemory.
	hashesAtOnce = 2
)

type hasher struct{ slots chan struct{} }

func newHasher() hasher { return hasher{make(chan struct{}, hashesAtOnce)} }

func (h hasher) acquire(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return core.Wrap(core.CodeTimeout, ctx.Err(), "the server is busy with other sign-ins; try again")
	}
}

// hash returns the stored form of a password: "argon2id$time$memory$threads$salt$key".
func (h hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.slots }()
	salt := make([]byte, argonSalt)
	rand.Read(salt) //nolint:errcheck // see randomChars
	key := argon2.IDKey(normal(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("argon2id$%d$%d$%d$%s$%s", argonTime, argonMemory, argonThreads, enc(salt), enc(key)), nil
}

// verify says whether password has the stored form. An empty stored form costs the same time and never matches, so
// that a stranger cannot tell which users exist.
func (h hasher) verify(ctx context.Context, password, stored string) (bool, error) {
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer func() { <-h.slots }()
	var (
		time, memory uint32 = argonTime, argonMemory
		threads      uint8  = argonThreads
		salt, want          = make([]byte, argonSalt), []byte(nil)
	)
	if stored != "" {
		parts := strings.Split(stored, "$")
		if len(parts) != 6 || parts[0] != "argon2id" {
			return false, fmt.Errorf("password hash has an unknown form")
		}
		if _, err := fmt.Sscanf(strings.Join(parts[1:4], " "), "%d %d %d", &time, &memory, &threads); err != nil {
			return false, fmt.Errorf("password hash: %w", err)
		}
		var err error
		if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
			return false, fmt.Errorf("password hash: %w", err)
		}
		if want, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
			return false, fmt.Errorf("password hash: %w", err)
		}
	}
	got := argon2.IDKey(normal(password), salt, time, memory, threads, argonKey)
	return stored != "" && equal(string(got), string(want)), nil
}

// normal makes the same password typed on different keyboards the same bytes.
func normal(password string) []byte { return norm.NFKC.Bytes([]byte(password)) }

// CheckPassword applies the rules of NIST SP 800-63B-4: length and a blocklist, no rules of composition.
func CheckPassword(password, user string) error {
	bad := func(format string, args ...any) error {
		e := core.Errorf(core.CodeInvalid, format, args...)
		e.Fields = []core.FieldError{{Field: "password", Message: e.Message}}
		return e
	}
	if !utf8.ValidString(password) || len(password) > maxPassword {
		return bad("the password must be text of at most %d bytes", maxPassword)
	}
	if n := utf8.RuneCount(normal(password)); n < minPassword {
		return bad("the password has %d characters; use at least %d, such as four random words", n, minPassword)
	}
	if guessable(strings.ToLower(string(normal(password))), strings.ToLower(user)) {
		return bad("the password is made of common words, a repetition or a sequence only; use one that is hard to guess, such as four random words")
	}
	return nil
}

// commonWords are what the long passwords of leaked lists are made of.
const commonWords = `password passwort passw0rd p@ssword p@ssw0rd pass admin administrator root user test guest login welcome letmein
changeme change secret default master access super monkey dragon shadow sunshine princess football baseball superman batman
iloveyou love you hello whatever trustno freedom michael jordan charlie computer internet server system sutazai agent
qwertyuiop qwertzuiop qwerty qwertz azerty asdfghjkl asdfgh asdf zxcvbnm zxcvbn qazwsxedc qazwsx qaz wsx edc 1q2w3e4r5t 1q2w3e4r 1q2w3e
abcdefghijklmnopqrstuvwxyz abcdefghijklmnop abcdefgh abcdef abcd abc correct horse battery staple correcthorsebatterystaple
january february march april may june july august september october november december spring summer autumn winter my is the a i new`

// guessable says whether password consists of nothing but common words, the user's name, digits and signs, or of one
// short piece again and again.
func guessable(password, user string) bool {
	runes := []rune(password)
	for size := 1; size <= len(runes)/3; size++ {
		repeated := true
		for i := size; i < len(runes) && repeated; i++ {
			repeated = runes[i] == runes[i-size]
		}
		if repeated {
			return true
		}
	}
	words := strings.Fields(commonWords)
	if utf8.RuneCountInString(user) >= 3 {
		words = append(words, user)
	}
	// reach[i]: the first i bytes can be cut into such pieces.
	reach := make([]bool, len(password)+1)
	reach[0] = true
	for i := range len(password) {
		if !reach[i] {
			continue
		}
		r, n := utf8.DecodeRuneInString(password[i:])
		if !unicode.IsLetter(r) {
			reach[i+n] = true
		}
		for _, w := range words {
			if strings.HasPrefix(password[i:], w) {
				reach[i+len(w)] = true
			}
		}
	}
	return reach[len(password)] && !manyDigits(password)
}

// manyDigits lets a long random number pass: ten different neighbours that are no sequence cannot be guessed.
func manyDigits(password string) bool {
	surprises := 0
	for i := 2; i < len(password); i++ {
		a, b, c := int(password[i-2]), int(password[i-1]), int(password[i])
		if unicode.IsDigit(rune(c)) && unicode.IsDigit(rune(b)) && c-b != b-a && c != a {
			surprises++
		}
	}
	return surprises >= 12
}
