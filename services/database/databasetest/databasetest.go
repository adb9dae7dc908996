// Package databasetest runs a test on every database that is there: SQLite always, PostgreSQL when
// SUTAZAI_TEST_POSTGRES holds the URL of a server where databases may be made.
package databasetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sutazai/sutazai/services/database"
)

// EnvPostgres names the variable with the PostgreSQL URL.
const EnvPostgres = "SUTAZAI_TEST_POSTGRES"

// Each runs fn as a subtest on every database, each with a fresh, migrated database of its own.
func Each(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	EachOptions(t, func(t *testing.T, o database.Options) {
		db, err := database.Open(t.Context(), o)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		fn(t, db)
	})
}

// EachOptions is Each for tests that open the database themselves, perhaps more than once.
func EachOptions(t *testing.T, fn func(t *testing.T, o database.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(t, database.Options{DataDir: t.TempDir()})
	})
	if os.Getenv(EnvPostgres) != "" {
		t.Run("postgres", func(t *testing.T) {
			t.Parallel()
			fn(t, database.Options{DataDir: t.TempDir(), URL: NewPostgres(t)})
		})
	}
}

// NewPostgres makes an empty database on the test server, dropped when the test ends, and returns its URL.
func NewPostgres(t testing.TB) string {
	t.Helper()
	base := os.Getenv(EnvPostgres)
	name := "t_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	admin := func(sql string) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, base)
		if err != nil {
			t.Fatalf("connect to %s: %v", EnvPostgres, err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	admin("CREATE DATABASE " + name)
	t.Cleanup(func() { admin(fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)) })
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("%s is not a URL: %v", EnvPostgres, err)
	}
	u.Path = "/" + name
	return u.String()
}
