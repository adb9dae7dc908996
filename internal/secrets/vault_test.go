package secrets_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
	"github.com/sutazai/sutazai/internal/secrets"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

const canary = "sk-canary-0123456789"

// bundle is a vault over a real database, and what it hands on.
type bundle struct {
	options secrets.Options
	log     *bytes.Buffer
	mu      sync.Mutex
	applied map[string][]secrets.Opened
	times   int
}

func setup(db *database.DB, dir string) *bundle {
	b := &bundle{log: &bytes.Buffer{}}
	b.options = secrets.Options{
		DataDir: dir, Store: database.NewCredentials(db), Providers: []string{"cloud", "azure"}, Now: time.Now,
		Logger: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Apply: func(m map[string][]secrets.Opened) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.applied = m
			b.times++
		},
	}
	return b
}

func (b *bundle) open(t *testing.T) *secrets.Vault {
	t.Helper()
	v, err := secrets.Open(t.Context(), b.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v
}

// keys returns what is in use for a provider.
func (b *bundle) keys(provider string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, k := range b.applied[provider] {
		list = append(list, k.Secret.Reveal())
	}
	return strings.Join(list, " ")
}

func add(t *testing.T, v *secrets.Vault, provider, text string) core.Credential {
	t.Helper()
	c, err := v.Add(t.Context(), provider, "a name", core.NewSecret(text), "socket")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACredentialIsInUseUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := setup(db, t.TempDir())
		v := b.open(t)
		first := add(t, v, "cloud", canary+"\n")
		add(t, v, "cloud", "short")
		add(t, v, "azure", "third-key-0123456789")
		if got := b.keys("cloud"); got != canary+" short" || b.keys("azure") != "third-key-0123456789" {
			t.Errorf("in use: %q", got)
		}
		list, err := v.List(t.Context())
		if err != nil || len(list) != 3 || list[0].Hint != "6789" || list[1].Hint != "" || list[0].Name != "a name" || list[0].CreatedBy != "socket" || list[0].DisabledAt != nil {
			t.Errorf("list: %+v, %v", list, err)
		}
		for range 2 {
			if gone, err := v.Remove(t.Context(), first.ID); err != nil || gone.DisabledAt == nil || gone.Provider != "cloud" {
				t.Errorf("removed: %+v, %v", gone, err)
			}
		}
		if got := b.keys("cloud"); got != "short" {
			t.Errorf("after the removal: %q", got)
		}
		if _, err := v.Remove(t.Context(), "none"); core.CodeOf(err) != core.CodeNotFound {
			t.Errorf("removing none: %v", err)
		}
		reopened := setup(db, b.options.DataDir)
		reopened.open(t)
		if got := reopened.keys("cloud") + " " + reopened.keys("azure"); got != "short third-key-0123456789" {
			t.Errorf("after a restart: %q", got)
		}
		if b.times > 5 {
			t.Errorf("handed on %d times for 4 changes", b.times)
		}
	})
}

func TestWhatCannotBeACredentialIsRefused(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := setup(db, t.TempDir()).open(t)
		for _, tc := range []struct{ name, provider, label, text, field string }{
			{"an unknown provider", "clod", "", canary, "provider"},
			{"no provider", "", "", canary, "provider"},
			{"an address as a provider", "https://evil.example", "", canary, "provider"},
			{"nothing", "cloud", "", " \n", "secret"},
			{"two lines", "cloud", "", canary + "\n" + canary, "secret"},
			{"no ASCII", "cloud", "", canary + "é", "secret"},
			{"too long", "cloud", "", strings.Repeat("x", 17<<10), "secret"},
			{"a long name", "cloud", strings.Repeat("n", 101), canary, "name"},
			{"a name with a control character", "cloud", "a\x1b[2J", canary, "name"},
		} {
			_, err := v.Add(t.Context(), tc.provider, tc.label, core.NewSecret(tc.text), "socket")
			var e *core.Error
			if core.CodeOf(err) == core.CodeInvalid {
				e, _ = err.(*core.Error) //nolint:errorlint // it is this very error
			}
			if e == nil || len(e.Fields) != 1 || e.Fields[0].Field != tc.field || strings.Contains(err.Error(), canary) {
				t.Errorf("%s: %v", tc.name, err)
			}
		}
		if list, err := v.List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("stored all the same: %v, %v", list, err)
		}
	})
}

func TestTheKeyIsNowhereButInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := database.Open(t.Context(), database.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := setup(db, dir)
	v := b.open(t)
	c := add(t, v, "cloud", canary)
	if _, err := v.RotateMaster(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := v.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%+v %+v %+v", c, list, b.applied); strings.Contains(shown, canary) {
		t.Errorf("shown: %s", shown)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || bytes.Contains(content, []byte(canary)) || bytes.Contains(content, []byte(canary[:12])) {
			t.Errorf("%s holds the key (%v)", file, err)
		}
	}
	if strings.Contains(b.log.String(), canary) {
		t.Errorf("the log holds the key")
	}
}

func TestRotationReplacesTheMasterKey(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := setup(db, t.TempDir())
		v := b.open(t)
		add(t, v, "cloud", canary)
		gone := add(t, v, "cloud", "removed-0123456789")
		if _, err := v.Remove(t.Context(), gone.ID); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(b.options.DataDir, secrets.FileName)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		old, err := b.options.Store.Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n, err := v.RotateMaster(t.Context()); n != 1 || err != nil {
			t.Errorf("rotated %d, %v", n, err)
		}
		after, err := os.ReadFile(path)
		if err != nil || bytes.Equal(before, after) || strings.Count(string(after), "szmk1_") != 1 {
			t.Errorf("the file holds %d keys (%v)", strings.Count(string(after), "szmk1_"), err)
		}
		fresh, err := b.options.Store.Credentials(t.Context())
		if err != nil || fresh[0].Sealed == old[0].Sealed {
			t.Errorf("nothing was encrypted anew (%v)", err)
		}
		add(t, v, "cloud", "later-0123456789")
		reopened := setup(db, b.options.DataDir)
		reopened.open(t)
		if got := reopened.keys("cloud"); got != canary+" later-0123456789" {
			t.Errorf("after a restart: %q", got)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil { // the old key opens nothing any more
			t.Fatal(err)
		}
		if _, err := secrets.Open(t.Context(), b.options); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("with the old key: %v", err)
		}
	})
}

// failing is a store whose re-encryption fails at its end.
type failing struct{ secrets.Store }

func (f failing) ResealCredentials(ctx context.Context, reseal func(core.StoredCredential) (string, error)) (int, error) {
	return f.Store.ResealCredentials(ctx, func(c core.StoredCredential) (string, error) {
		if _, err := reseal(c); err != nil {
			return "", err
		}
		return "", core.Errorf(core.CodeUnavailable, "the database is gone")
	})
}

func TestARotationThatFailsLosesNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := setup(db, t.TempDir())
		store := b.options.Store
		b.options.Store = failing{store}
		v := b.open(t)
		add(t, v, "cloud", canary)
		for range 2 {
			if _, err := v.RotateMaster(t.Context()); core.CodeOf(err) != core.CodeUnavailable {
				t.Errorf("error: %v", err)
			}
		}
		b.options.Store = store
		v = b.open(t) // as after a crash in between
		if got := b.keys("cloud"); got != canary {
			t.Errorf("after the failures: %q", got)
		}
		if n, err := v.RotateMaster(t.Context()); n != 1 || err != nil {
			t.Errorf("at last: %d, %v", n, err)
		}
		if content, err := os.ReadFile(filepath.Join(b.options.DataDir, secrets.FileName)); err != nil || strings.Count(string(content), "szmk1_") != 1 {
			t.Errorf("old keys stay: %d (%v)", strings.Count(string(content), "szmk1_"), err)
		}
	})
}

func TestAMissingOrForeignMasterKeyStopsTheStart(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := setup(db, t.TempDir())
		c := add(t, b.open(t), "cloud", canary)
		refused := func(name, want string, o secrets.Options) {
			t.Helper()
			_, err := secrets.Open(t.Context(), o)
			if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(core.MessageOf(err), want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		elsewhere := b.options
		elsewhere.DataDir = t.TempDir()
		refused("another data folder", "is missing, and the database holds credentials", elsewhere)
		foreign := b.options
		foreign.MasterKey = core.NewSecret(secrets.NewMasterKey())
		refused("a foreign key", "encrypted under another master key than server.secret_key", foreign)
		foreign.MasterKey = core.NewSecret("password")
		refused("no key", "server.secret_key refers to something that is no master key", foreign)

		v := b.open(t)
		if _, err := v.Remove(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := secrets.Open(t.Context(), elsewhere); err != nil {
			t.Errorf("with nothing encrypted any more: %v", err)
		}
	})
}

func TestServersThatShareADatabaseNeedTheSameKey(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		// Both start on an empty database, each with a key file of its own.
		one, two := setup(db, t.TempDir()), setup(db, t.TempDir())
		first, second := one.open(t), two.open(t)
		c := add(t, first, "cloud", canary)
		if _, err := second.Add(t.Context(), "cloud", "", core.NewSecret("other-0123456789"), "socket"); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("the second server adds under its own key: %v", err)
		}
		if err := second.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := second.List(t.Context())
		if err != nil || !strings.Contains(list[0].LastError, "cannot be decrypted") || two.keys("cloud") != "" || strings.Count(two.log.String(), c.ID) != 1 {
			t.Errorf("list %+v, %v; log %s", list, err, two.log)
		}

		// With a key in common, what one adds the other uses; a new key goes before the old one.
		master := secrets.NewMasterKey()
		if _, err := first.Remove(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		one.options.MasterKey, two.options.MasterKey = core.NewSecret(master), core.NewSecret("# shared\n"+master+"\n")
		first, second = one.open(t), two.open(t)
		add(t, first, "cloud", "shared-0123456789")
		if err := second.Sync(t.Context()); err != nil || two.keys("cloud") != "shared-0123456789" {
			t.Errorf("shared: %q, %v", two.keys("cloud"), err)
		}
		next := secrets.NewMasterKey()
		one.options.MasterKey = core.NewSecret(next + " " + master)
		if n, err := one.open(t).RotateMaster(t.Context()); n != 1 || err != nil {
			t.Errorf("rotated %d, %v", n, err)
		}
		two.options.MasterKey = core.NewSecret(next)
		two.open(t)
		if got := two.keys("cloud"); got != "shared-0123456789" {
			t.Errorf("under the new key alone: %q", got)
		}
	})
}

func TestRowsCannotBeSwapped(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := setup(db, t.TempDir())
		v := b.open(t)
		add(t, v, "cloud", canary)
		moved := add(t, v, "cloud", "second-0123456789")
		exec(t, db, `UPDATE credentials SET provider = 'azure' WHERE id = $1`, moved.ID)
		reopened := setup(db, b.options.DataDir)
		v = reopened.open(t)
		if reopened.keys("azure") != "" || reopened.keys("cloud") != canary {
			t.Errorf("a row that was moved to another provider is used: %q", reopened.keys("azure"))
		}
		if list, err := v.List(t.Context()); err != nil || list[1].LastError == "" {
			t.Errorf("list %+v, %v", list, err)
		}
		if _, err := v.RotateMaster(t.Context()); core.CodeOf(err) != core.CodeConflict || !strings.Contains(core.MessageOf(err), moved.ID) {
			t.Errorf("rotation over a damaged row: %v", err)
		}
	})
}

func exec(t *testing.T, db *database.DB, query string, args ...any) {
	t.Helper()
	if err := db.Tx(t.Context(), func(ctx context.Context, q dbtx.Querier) error {
		_, err := q.Exec(ctx, query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestUsesAreRecorded(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := setup(db, t.TempDir())
		c := add(t, b.open(t), "cloud", canary)
		store := b.options.Store
		at := time.UnixMilli(1_700_000_000_000).UTC()
		for _, use := range []core.CredentialUse{
			{ID: c.ID, Error: "refused"}, {ID: c.ID, UsedAt: at, Error: "refused"}, {ID: c.ID, UsedAt: at.Add(-time.Hour)}, {ID: "none", UsedAt: at},
		} {
			if err := store.CredentialsUsed(t.Context(), []core.CredentialUse{use}); err != nil {
				t.Fatal(err)
			}
		}
		list, err := store.Credentials(t.Context())
		if err != nil || list[0].LastUsedAt == nil || !list[0].LastUsedAt.Equal(at) || list[0].LastError != "" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// memory is a store without a database, for tests of time alone.
type memory struct {
	secrets.Store
	mu   sync.Mutex
	rows []core.StoredCredential
	uses []core.CredentialUse
	err  error
}

func (m *memory) Credentials(context.Context) ([]core.StoredCredential, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.rows), m.err
}

func (m *memory) AddCredential(_ context.Context, c core.StoredCredential) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = append(m.rows, c)
	return nil
}

func (m *memory) CredentialsUsed(_ context.Context, uses []core.CredentialUse) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uses = append(m.uses, uses...)
	return nil
}

func TestWatchTakesOverChangesAndRecordsUsesSparingly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		b := setup(nil, dir)
		b.options.Store = store
		one := b.open(t)
		other := setup(nil, dir)
		other.options.Store = store
		var mu sync.Mutex
		var use core.CredentialUse
		other.options.Used = func() []core.CredentialUse {
			mu.Lock()
			defer mu.Unlock()
			use.UsedAt = time.Now()
			return []core.CredentialUse{use}
		}
		watching := other.open(t)
		ctx, stop := context.WithCancel(t.Context())
		var watcher sync.WaitGroup
		watcher.Go(func() { watching.Watch(ctx, 2*time.Second) })
		added := add(t, one, "cloud", canary).ID
		mu.Lock()
		use.ID = added
		mu.Unlock()
		time.Sleep(3 * time.Second)
		if got := other.keys("cloud"); got != canary {
			t.Errorf("after three seconds: %q", got)
		}
		time.Sleep(5 * time.Minute)
		mu.Lock()
		use.Error = "refused"
		mu.Unlock()
		time.Sleep(3 * time.Second)
		store.mu.Lock()
		if n := len(store.uses); n < 5 || n > 8 || store.uses[n-1].Error != "refused" {
			t.Errorf("%d uses were recorded in five minutes: %+v", n, store.uses)
		}
		store.err = core.Errorf(core.CodeUnavailable, "the database is gone")
		store.mu.Unlock()
		time.Sleep(time.Minute)
		stop()
		watcher.Wait()
		if got := other.keys("cloud"); got != canary || strings.Count(other.log.String(), "cannot be read") != 1 {
			t.Errorf("without a database: %q, log %s", got, other.log)
		}
	})
}
