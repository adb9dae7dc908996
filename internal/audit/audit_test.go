package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/audit"
)

type store struct {
	events []core.AuditEvent
	err    error
}

func (s *store) Append(ctx context.Context, e core.AuditEvent) (core.AuditEvent, error) {
	if s.err != nil {
		return e, s.err
	}
	if ctx.Err() != nil {
		return e, ctx.Err()
	}
	e.ID = int64(len(s.events) + 1)
	s.events = append([]core.AuditEvent{e}, s.events...)
	return e, nil
}

func (s *store) List(_ context.Context, f core.AuditFilter) ([]core.AuditEvent, error) {
	var out []core.AuditEvent
	for _, e := range s.events {
		if (f.Before == 0 || e.ID < f.Before) && len(out) < f.Limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func TestAnEventIsStoredEvenWhenTheRequestIsGone(t *testing.T) {
	t.Parallel()
	s := &store{}
	now := time.Unix(1_700_000_000, 0)
	l := audit.New(s, slog.New(slog.DiscardHandler), func() time.Time { return now })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Record(ctx, core.AuditEvent{Actor: "socket", Action: "run.cancel"}); err != nil {
		t.Fatal(err)
	}
	if e := s.events[0]; e.Result != audit.OK || !e.At.Equal(now) {
		t.Errorf("%+v", e)
	}
}

func TestTextsFromOutsideAreCutAndCleaned(t *testing.T) {
	t.Parallel()
	s := &store{}
	l := audit.New(s, slog.New(slog.DiscardHandler), nil)
	if err := l.Record(t.Context(), core.AuditEvent{Target: "a\nlevel=ERROR \x00\xff" + strings.Repeat("x", 10_000)}); err != nil {
		t.Fatal(err)
	}
	got := s.events[0].Target
	if strings.ContainsAny(got, "\n\x00") || !utf8.ValidString(got) || len(got) > 600 || !strings.HasPrefix(got, "a level=ERROR") {
		t.Errorf("%q", got[:40])
	}
}

func TestAnEventThatCannotBeStoredIsLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := audit.New(&store{err: errors.New("disk full")}, slog.New(slog.NewTextHandler(&out, nil)), nil)
	if err := l.Record(t.Context(), core.AuditEvent{Actor: "user:ada", Action: "key.revoke", Target: "k1"}); err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"ERROR", "user:ada", "key.revoke", "k1", "disk full"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %s", want, out.String())
		}
	}
}

func TestPagesFollowEachOther(t *testing.T) {
	t.Parallel()
	s := &store{}
	l := audit.New(s, slog.New(slog.DiscardHandler), nil)
	for range 5 {
		if err := l.Record(t.Context(), core.AuditEvent{}); err != nil {
			t.Fatal(err)
		}
	}
	first, next, err := l.List(t.Context(), core.AuditFilter{Limit: 3})
	if err != nil || len(first) != 3 || next != "3" {
		t.Fatal(len(first), next, err)
	}
	rest, next, err := l.List(t.Context(), core.AuditFilter{Limit: 3, Before: 3})
	if err != nil || len(rest) != 2 || next != "" {
		t.Fatal(len(rest), next, err)
	}
}
