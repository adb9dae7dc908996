package secrets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

func TestTheKeyFileIsMadeOnceForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	first, err := openFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	sealed, err := first.Seal("secret", "row")
	if err != nil {
		t.Fatal(err)
	}
	again, err := openFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(sealed, "row"); err != nil || got.Reveal() != "secret" {
		t.Errorf("%q, %v", got.Reveal(), err)
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if other, err := openFile(filepath.Join(t.TempDir(), FileName), false); err != nil || other.keys[0] == first.keys[0] {
		t.Errorf("two installations share a key (%v)", err)
	}
}

func TestABadKeyFileIsRefusedAndLeftAsItIs(t *testing.T) {
	t.Parallel()
	key := NewMasterKey()
	other := byte('A')
	if key[20] == other {
		other = 'B'
	}
	for _, tc := range []struct {
		name, content string
		mode          os.FileMode
		want          string // of the message; path stands for the file's
	}{
		{"readable by the group", key, 0o640, "others may read or change the master key path (mode 0640)"},
		{"writable by all", key, 0o602, "others may read or change the master key path (mode 0602)"},
		{"empty", "", 0o600, "the master key path is damaged"},
		{"comments alone", "# nothing\n", 0o600, "the master key path is damaged"},
		{"cut off", key[:40], 0o600, "the master key path is damaged"},
		{"one character changed", key[:20] + string(other) + key[21:], 0o600, "the master key path is damaged"},
		{"a good key and rubbish", key + "\nrubbish\n", 0o600, "the master key path is damaged"},
		{"something else", "szmk1_" + strings.Repeat("!", 48), 0o600, "the master key path is damaged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), FileName)
			if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := openFile(path, false)
			if core.CodeOf(err) != core.CodeInvalid || !strings.HasPrefix(core.MessageOf(err), strings.ReplaceAll(tc.want, "path", path)) {
				t.Errorf("error: %v", err)
			}
			if err != nil && strings.Contains(err.Error(), key[6:30]) {
				t.Errorf("the error holds the key: %v", err)
			}
			if content, err := os.ReadFile(path); err != nil || string(content) != tc.content {
				t.Errorf("the file was changed: %q, %v", content, err)
			}
		})
	}
}

func TestAMissingKeyFileIsNotMadeAnewOverWhatIsEncrypted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	if _, err := openFile(path, true); core.CodeOf(err) != core.CodeInvalid || !strings.Contains(core.MessageOf(err), path+" is missing") {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a key was made all the same (%v)", err)
	}
}

func TestABoxOpensOnlyWhatWasSealedForThePlace(t *testing.T) {
	t.Parallel()
	old, err := newBox([]string{NewMasterKey()})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := old.Seal("secret", "row 1")
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := old.Seal("secret", "row 1"); err != nil || twice == sealed {
		t.Errorf("the same text is encrypted to the same (%v)", err)
	}
	for name, attempt := range map[string]func() (core.Secret, error){
		"another row": func() (core.Secret, error) { return old.Open(sealed, "row 2") },
		"changed":     func() (core.Secret, error) { return old.Open("B"+sealed[1:len(sealed)-2]+"AA", "row 1") },
		"cut":         func() (core.Secret, error) { return old.Open(sealed[:8], "row 1") },
		"not encoded": func() (core.Secret, error) { return old.Open("***", "row 1") },
		"nothing":     func() (core.Secret, error) { return old.Open("", "row 1") },
		"another key's": func() (core.Secret, error) {
			stranger, err := newBox([]string{NewMasterKey()})
			if err != nil {
				t.Fatal(err)
			}
			return stranger.Open(sealed, "row 1")
		},
	} {
		if got, err := attempt(); core.CodeOf(err) != core.CodeInvalid || got.Reveal() != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	both, err := old.withNewKey()
	if err != nil {
		t.Fatal(err)
	}
	only, err := both.withoutOldKeys()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := both.Seal("secret", "row 1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := both.Open(sealed, "row 1"); err != nil || got.Reveal() != "secret" {
		t.Errorf("with both keys: %v", err)
	}
	if got, err := only.Open(fresh, "row 1"); err != nil || got.Reveal() != "secret" {
		t.Errorf("the new key does not encrypt: %v", err)
	}
	if _, err := only.Open(sealed, "row 1"); err == nil {
		t.Error("the old key is still known")
	}
}

func FuzzKeysAreReadWithoutHarm(f *testing.F) {
	f.Add(NewMasterKey())
	f.Add("# comment\n" + NewMasterKey() + " " + NewMasterKey())
	f.Add("szmk1_")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseKeys(text)
		if err == nil && len(keys) == 0 {
			t.Error("no key and no error")
		}
		for _, k := range keys {
			if raw, err := rawKey(k); err != nil || len(raw) != keySize {
				t.Errorf("a key that was read is none: %v", err)
			}
		}
	})
}
