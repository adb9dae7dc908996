package database

import (
	"io/fs"
	"strings"
	"testing"
)

// A migration stands in common, or in both other folders, under one number.
func TestMigrationNumbersAreComplete(t *testing.T) {
	t.Parallel()
	in := map[string]map[string]string{}
	for _, dir := range []string{"common", "sqlite", "postgres"} {
		entries, err := fs.ReadDir(migrationFiles, "migrations/"+dir)
		if err != nil {
			t.Fatal(err)
		}
		in[dir] = map[string]string{}
		for _, e := range entries {
			num, _, _ := strings.Cut(e.Name(), "_")
			if other, ok := in[dir][num]; ok {
				t.Errorf("%s: %s and %s have the same number", dir, other, e.Name())
			}
			in[dir][num] = e.Name()
		}
	}
	for num, name := range in["sqlite"] {
		if in["postgres"][num] != name {
			t.Errorf("sqlite/%s has no counterpart in postgres", name)
		}
	}
	for num, name := range in["postgres"] {
		if in["sqlite"][num] != name {
			t.Errorf("postgres/%s has no counterpart in sqlite", name)
		}
	}
	for num, name := range in["common"] {
		if in["sqlite"][num] != "" {
			t.Errorf("common/%s: its number is also taken in the other folders", name)
		}
	}
}
