package core

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Credential is the key of a model provider that is stored encrypted in the database, without the key itself.
type Credential struct {
	ID         string     `json:"id"`
	Provider   string     `json:"provider"` // as in models.providers of the settings
	Name       string     `json:"name"`
	Hint       string     `json:"hint"` // the last characters of the key, to recognise it by; "" for a short one
	CreatedAt  time.Time  `json:"created_at"`
	CreatedBy  string     `json:"created_by"`  // "key:<id>", "user:<name>", "socket"
	DisabledAt *time.Time `json:"disabled_at"` // when it was removed; its key is gone since then
	LastUsedAt *time.Time `json:"last_used_at"`
	LastError  string     `json:"last_error"` // why the provider or this server cannot use it now; "" = it can
}

// StoredCredential is a Credential with its encrypted key, "" once it is removed.
type StoredCredential struct {
	Credential
	Sealed string `json:"-"`
}

// CredentialUse is what became of a credential's latest use.
type CredentialUse struct {
	ID     string
	UsedAt time.Time // zero = never
	Error  string    // as Credential.LastError
}

// Secret is a text that no rendering shows: neither fmt with any verb, nor JSON, nor slog. Only Reveal gives it out.
// It stands behind a pointer, so that even a printer that walks into unexported fields meets an address.
type Secret struct{ text *string }

// hiddenSecret stands where a secret would be shown.
const hiddenSecret = "***"

// NewSecret hides a text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal gives the text out, to the one place that needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String returns *** for any text, "" for none.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return hiddenSecret
}

// Format writes the same for every verb, so that no verb shows more.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText serves JSON, YAML and text encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue serves slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
