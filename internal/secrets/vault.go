package secrets

import (
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
)

// Bounds of what is stored, in bytes.
const (
	maxSecret = 16 << 10
	maxName   = 100
	hintSize  = 4
	hintFrom  = 16 // a shorter secret gets no hint: it would give away too much of it
)

// Store keeps the encrypted credentials. The database implements it.
type Store interface {
	// Credentials returns all of them, oldest first, removed ones included.
	Credentials(ctx context.Context) ([]core.StoredCredential, error)
	// AddCredential stores a new one.
	AddCredential(ctx context.Context, c core.StoredCredential) error
	// RemoveCredential forgets the encrypted key for good and returns the rest; CodeNotFound when there is none. Removing
	// again changes nothing.
	RemoveCredential(ctx context.Context, id string, at time.Time) (core.Credential, error)
	// ResealCredentials replaces every encrypted key by what reseal makes of it, all or none, and returns how many.
	ResealCredentials(ctx context.Context, reseal func(core.StoredCredential) (string, error)) (int, error)
	// CredentialsUsed records the latest uses.
	CredentialsUsed(ctx context.Context, uses []core.CredentialUse) error
}

// Opened is a decrypted credential.
type Opened struct {
	ID, Name string
	Secret   core.Secret
}

// Options say where a Vault keeps what, and for whom.
type Options struct {
	DataDir   string      // folder of the key file
	MasterKey core.Secret // text of server.secret_key; unset = the key file
	Store     Store
	Keepers   []Keeper
	Providers []string // the names of the providers that may have credentials
	// Apply gets the usable credentials by provider whenever they have changed, and once at the first Sync. It must not
	// call the Vault. nil = nobody needs them.
	Apply func(map[string][]Opened)
	// Used returns the latest use of each credential that Apply got; nil = not recorded.
	Used   func() []core.CredentialUse
	Now    func() time.Time
	Logger *slog.Logger
}

// Vault holds the credentials of providers. It may be used by many goroutines at once.
type Vault struct {
	o    Options
	path string // of the key file; "" = the key was given

	mu      sync.Mutex // of everything below; also held while rows are encrypted, so that the key does not change meanwhile
	box     *Box
	opened  map[string]entry // by id
	applied bool
	written map[string]core.CredentialUse
}

// entry is what came of decrypting one row.
type entry struct {
	sealed string
	Opened
	provider string
	err      error
}

// Open makes the vault and its master key where there is none yet. It refuses (CodeInvalid) a key that is damaged, that
// others can read, that is missing while something is encrypted under it, or that decrypts nothing of what is stored.
func Open(ctx context.Context, o Options) (*Vault, error) {
	v := &Vault{o: o, opened: map[string]entry{}, written: map[string]core.CredentialUse{}}
	rows, err := v.rows(ctx)
	if err != nil {
		return nil, err
	}
	if given := o.MasterKey.Reveal(); given != "" {
		keys, err := parseKeys(given)
		if err != nil {
			return nil, core.Errorf(core.CodeInvalid, "server.secret_key refers to something that is no master key: %s", err)
		}
		v.box, err = newBox(keys)
		if err != nil {
			return nil, err
		}
	} else {
		v.path = filepath.Join(o.DataDir, FileName)
		kept, err := v.kept(ctx)
		if err != nil {
			return nil, err
		}
		if v.box, err = openFile(v.path, len(rows)+kept > 0); err != nil {
			return nil, err
		}
	}
	if err := v.fits(rows); err != nil {
		return nil, err
	}
	return v, nil
}

// rows returns what is stored and not removed.
func (v *Vault) rows(ctx context.Context) ([]core.StoredCredential, error) {
	all, err := v.o.Store.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c core.StoredCredential) bool { return c.Sealed == "" }), nil
}

// fits fails when the master key decrypts none of the rows.
func (v *Vault) fits(rows []core.StoredCredential) error {
	for _, row := range rows {
		if _, err := v.box.Open(row.Sealed, boundTo(row.Credential)); err == nil {
			return nil
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return core.Errorf(core.CodeInvalid,
		"the stored credentials are encrypted under another master key than %s; give every server that shares the database the same one as server.secret_key, or put the right file back", v.where())
}

func (v *Vault) where() string {
	if v.path == "" {
		return "server.secret_key"
	}
	return v.path
}

// boundTo is the associated data of a row: its encrypted key opens in no other row and for no other provider.
func boundTo(c core.Credential) string { return "credential\n" + c.ID + "\n" + c.Provider }

// List returns every credential, oldest first, removed ones included.
func (v *Vault) List(ctx context.Context) ([]core.Credential, error) {
	all, err := v.o.Store.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	list := make([]core.Credential, len(all))
	for i, row := range all {
		list[i] = row.Credential
		if e, known := v.opened[row.ID]; known && row.Sealed == e.sealed && e.err != nil {
			list[i].LastError = core.MessageOf(e.err)
		}
	}
	return list, nil
}

// Add encrypts and stores a credential; it is in use when Add returns. CodeInvalid, with the field, for a provider that
// the settings do not name and for what cannot be a key.
func (v *Vault) Add(ctx context.Context, provider, name string, secret core.Secret, actor string) (core.Credential, error) {
	text := strings.TrimSpace(secret.Reveal())
	if err := v.check(provider, name, text); err != nil {
		return core.Credential{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return core.Credential{}, core.Wrap(core.CodeInternal, err, "no id can be made")
	}
	c := core.Credential{ID: id.String(), Provider: provider, Name: name, Hint: hint(text), CreatedAt: v.o.Now().UTC().Truncate(time.Millisecond), CreatedBy: actor}
	if err := v.store(ctx, c, text); err != nil {
		return core.Credential{}, err
	}
	v.syncNow(ctx)
	return c, nil
}

// syncNow is Sync after a change that is stored already: where it fails, Watch makes up for it.
func (v *Vault) syncNow(ctx context.Context) {
	if err := v.Sync(ctx); err != nil {
		v.o.Logger.Warn("a change of the stored credentials is not in use yet", "error", err)
	}
}

func (v *Vault) store(ctx context.Context, c core.Credential, text string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	rows, err := v.rows(ctx)
	if err != nil {
		return err
	}
	if err := v.fits(rows); err != nil { // another server has begun with a key of its own
		return err
	}
	sealed, err := v.box.Seal(text, boundTo(c))
	if err != nil {
		return err
	}
	return v.o.Store.AddCredential(ctx, core.StoredCredential{Credential: c, Sealed: sealed})
}

func (v *Vault) check(provider, name, text string) error {
	fail := func(field, format string, args ...any) error {
		e := core.Errorf(core.CodeInvalid, format, args...)
		e.Fields = []core.FieldError{{Field: field, Message: e.Message}}
		return e
	}
	if !slices.Contains(v.o.Providers, provider) {
		known := "none of which takes a key"
		if len(v.o.Providers) > 0 {
			known = "of which these take keys: " + strings.Join(slices.Sorted(slices.Values(v.o.Providers)), ", ")
		}
		return fail("provider", "%q is not a provider of the settings (models.providers), %s", provider, known)
	}
	if len(name) > maxName || strings.ContainsFunc(name, control) {
		return fail("name", "the name is too long or holds control characters; expected up to %d bytes of text", maxName)
	}
	switch {
	case text == "":
		return fail("secret", "the key is empty")
	case len(text) > maxSecret:
		return fail("secret", "the key is longer than %d bytes", maxSecret)
	case strings.ContainsFunc(text, func(r rune) bool { return control(r) || r > 0x7e }):
		return fail("secret", "the key holds line breaks or characters that no HTTP header may hold; is more in it than the key?")
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

func hint(text string) string {
	if len(text) < hintFrom {
		return ""
	}
	return text[len(text)-hintSize:]
}

// Remove forgets a credential's key for good; it is out of use when Remove returns.
func (v *Vault) Remove(ctx context.Context, id string) (core.Credential, error) {
	c, err := v.o.Store.RemoveCredential(ctx, id, v.o.Now())
	if err != nil {
		return core.Credential{}, err
	}
	v.syncNow(ctx)
	return c, nil
}

// RotateMaster encrypts every credential anew and returns how many: under a new master key that replaces the key file,
// or under the first key of server.secret_key where that is set. Whatever goes wrong in between, the old key stays until
// nothing needs it.
func (v *Vault) RotateMaster(ctx context.Context) (int, error) {
	n, err := v.rotate(ctx)
	if err != nil {
		return 0, err
	}
	v.syncNow(ctx)
	return n, nil
}

func (v *Vault) rotate(ctx context.Context) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.path != "" {
		both, err := v.box.withNewKey()
		if err != nil {
			return 0, err
		}
		if err := writeFile(v.path, both.keys); err != nil {
			return 0, err
		}
		v.box = both
	}
	n, err := v.o.Store.ResealCredentials(ctx, func(row core.StoredCredential) (string, error) {
		secret, err := v.box.Open(row.Sealed, boundTo(row.Credential))
		if err != nil {
			return "", core.Wrap(core.CodeConflict, err, "the credential %s (%s) cannot be decrypted, so nothing was changed; remove it first", row.ID, row.Name)
		}
		return v.box.Seal(secret.Reveal(), boundTo(row.Credential))
	})
	if err != nil {
		return n, err
	}
	for _, k := range v.o.Keepers {
		if _, err := k.Reseal(ctx, v.reseal); err != nil {
			return n, err
		}
	}
	if v.path == "" {
		return n, nil
	}
	only, err := v.box.withoutOldKeys()
	if err != nil {
		return 0, err
	}
	if err := writeFile(v.path, only.keys); err != nil {
		return 0, err
	}
	v.box = only
	return n, nil
}

// Sync reads what is stored and hands on what has changed. What cannot be decrypted is left out and logged once.
func (v *Vault) Sync(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	rows, err := v.rows(ctx)
	if err != nil {
		return err
	}
	changed := !v.applied || len(rows) != len(v.opened)
	next := make(map[string]entry, len(rows))
	for _, row := range rows {
		e, known := v.opened[row.ID]
		if !known || e.sealed != row.Sealed {
			before := e.Secret.Reveal()
			e = entry{sealed: row.Sealed, provider: row.Provider, Opened: Opened{ID: row.ID, Name: row.Name}}
			if e.Secret, e.err = v.box.Open(row.Sealed, boundTo(row.Credential)); e.err != nil {
				v.o.Logger.Error("a credential cannot be used", "credential", row.ID, "provider", row.Provider, "error", core.MessageOf(e.err))
			}
			changed = changed || !known || before != e.Secret.Reveal()
		}
		next[row.ID] = e
	}
	v.opened = next
	if changed && v.o.Apply != nil {
		v.o.Apply(usable(next))
	}
	v.applied = true
	return nil
}

// usable sorts what could be decrypted by provider, the oldest first.
func usable(entries map[string]entry) map[string][]Opened {
	byProvider := map[string][]Opened{}
	for _, id := range slices.Sorted(maps.Keys(entries)) { // ids begin with the time
		if e := entries[id]; e.err == nil {
			byProvider[e.provider] = append(byProvider[e.provider], e.Opened)
		}
	}
	return byProvider
}

// Watch takes over what other servers on the database change and records uses, until ctx ends. It asks the database
// every so often; what happens in between, it does not miss.
func (v *Vault) Watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			v.recordLast(ctx)
			return
		case <-tick.C:
		}
		err := v.Sync(ctx)
		if err == nil {
			err = v.recordUses(ctx)
		}
		if err != nil && ctx.Err() == nil && !failing {
			v.o.Logger.Warn("the stored credentials cannot be read; those known stay in use", "error", err)
		}
		failing = err != nil
	}
}
