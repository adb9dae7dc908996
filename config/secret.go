package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// maxSecretFile bounds what a file: reference may hold, in bytes.
const maxSecretFile = 64 << 10

// Secret is a value that no rendering shows. It is written as file:/path, env:NAME or, with a warning from
// `config check`, literally, and is read only when Resolve is called. The text stands behind pointers so that
// even a printer that walks into unexported fields meets an address.
type Secret struct{ value *secretValue }

type secretValue struct {
	key  string   // the setting's name, for errors
	text *string  // behind a second pointer, since fmt's complaint about a wrong verb follows the first
	dir  string   // a relative file: reference is relative to the file that names it; "" = the working folder
	env  *environ // where env: and ~ look; nil = the process's own environment
	url  bool     // a literal is a URL: host and name may be shown, the password may not
}

func (v *secretValue) getenv(name string) string {
	if v.env == nil {
		return os.Getenv(name)
	}
	return v.env.get(name)
}

// NewSecret makes a Secret as if text stood in a settings file.
func NewSecret(text string) Secret { return Secret{&secretValue{key: "secret", text: &text}} }

// IsSet reports whether there is anything to resolve.
func (s Secret) IsSet() bool { return s.value != nil && *s.value.text != "" }

// Literal reports whether the secret itself stands in the settings instead of a reference.
func (s Secret) Literal() bool {
	return s.IsSet() && !strings.HasPrefix(*s.value.text, "file:") && !strings.HasPrefix(*s.value.text, "env:")
}

// Resolve returns the secret, "" when none is set. Errors name the setting and the reference, never content:
// CodeInvalid when what it refers to is not there, unreadable, empty or too large.
func (s Secret) Resolve() (string, error) {
	if !s.IsSet() {
		return "", nil
	}
	v := s.value
	if name, ok := strings.CutPrefix(*v.text, "env:"); ok {
		if content := v.getenv(name); content != "" {
			return content, nil
		}
		return "", core.Errorf(core.CodeInvalid, "%s refers to the environment variable %s, which is not set or empty; set it or change the setting", v.key, name)
	}
	if _, ok := strings.CutPrefix(*v.text, "file:"); ok {
		return s.readFile()
	}
	return *v.text, nil
}

func (s Secret) readFile() (string, error) {
	path, err := s.filePath()
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", core.Wrap(core.CodeInvalid, err, "%s refers to the file %s, which cannot be read; create it, make it readable to this user, or change the setting", s.value.key, path)
	}
	defer func() { _ = f.Close() }() // only read from
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", core.Wrap(core.CodeInvalid, err, "%s refers to the file %s, which cannot be read", s.value.key, path)
	}
	if len(content) > maxSecretFile {
		return "", core.Errorf(core.CodeInvalid, "%s refers to the file %s, which is larger than a secret may be (64 KiB)", s.value.key, path)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if text == "" {
		return "", core.Errorf(core.CodeInvalid, "%s refers to the file %s, which is empty", s.value.key, path)
	}
	return text, nil
}

// filePath returns where a file: reference points, with ~ and relative paths made absolute.
func (s Secret) filePath() (string, error) {
	path := strings.TrimPrefix(*s.value.text, "file:")
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home := s.value.getenv("HOME")
		if home == "" {
			return "", core.Errorf(core.CodeInvalid, "%s refers to a file in ~, but HOME is not set; write the whole path", s.value.key)
		}
		return filepath.Join(home, rest), nil
	}
	if filepath.IsAbs(path) {
		return path, nil
	}
	return filepath.Join(s.value.dir, path), nil
}

// String returns what may be shown: "" when unset, the reference, a URL without its password, or ***.
func (s Secret) String() string {
	switch {
	case !s.IsSet():
		return ""
	case !s.Literal():
		return *s.value.text
	case s.value.url:
		return redactURL(*s.value.text)
	}
	return "***"
}

// Format writes the same for every verb, so that no verb shows more.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText serves JSON, YAML and text encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue serves slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// redactURL hides the password of a URL and every parameter that is not known to be harmless; what is no clear URL is
// hidden altogether.
func redactURL(text string) string {
	u, ok := clearURL(text)
	if !ok {
		return "***"
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "***")
	}
	harmless, hidden := url.Values{}, false
	for name, values := range u.Query() {
		switch name {
		case "sslmode", "sslrootcert", "application_name", "connect_timeout", "search_path", "target_session_attrs":
			harmless[name] = values
		default:
			hidden = true
		}
	}
	u.RawQuery = harmless.Encode()
	if hidden {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&***", "&")
	}
	return strings.ReplaceAll(u.String(), "%2A%2A%2A", "***")
}

// clearURL parses a URL whose parts are beyond doubt. An unescaped /, ? or # in a password would end the part that
// holds it, and the rest of the password would be taken for a path, a parameter or a fragment.
func clearURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || strings.Contains(text, "#") || strings.Contains(u.Path+u.RawQuery, "@") || strings.Contains(u.Path, "=") {
		return nil, false
	}
	return u, true
}
