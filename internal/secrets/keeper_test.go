package secrets_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/secrets"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

// shelf is a keeper of one text.
type shelf struct{ sealed, place string }

func (s *shelf) Sealed(context.Context) (int, error) {
	if s.sealed == "" {
		return 0, nil
	}
	return 1, nil
}

func (s *shelf) Reseal(_ context.Context, reseal func(sealed, place string) (string, error)) (int, error) {
	var err error
	s.sealed, err = reseal(s.sealed, s.place)
	return 1, err
}

func TestWhatKeepersHaveIsBoundToItsPlaceAndSurvivesRotation(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		dir := t.TempDir()
		kept := &shelf{place: "here"}
		b := setup(db, dir)
		b.options.Keepers = []secrets.Keeper{kept}
		v := b.open(t)
		var err error
		if kept.sealed, err = v.Seal(canary, "here"); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Unseal(kept.sealed, "there"); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("it opens in another place: %v", err)
		}
		before := kept.sealed
		if _, err := v.RotateMaster(t.Context()); err != nil {
			t.Fatal(err)
		}
		if kept.sealed == before {
			t.Error("rotation left it as it was")
		}
		if text, err := b.open(t).Unseal(kept.sealed, "here"); err != nil || text.Reveal() != canary {
			t.Errorf("after the rotation: %v", err)
		}
		if err := os.Remove(filepath.Join(dir, secrets.FileName)); err != nil {
			t.Fatal(err)
		}
		if _, err := secrets.Open(t.Context(), b.options); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("a new key was made although something is sealed under the old one: %v", err)
		}
	})
}
