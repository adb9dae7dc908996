// Package audit writes security-relevant facts to an append-only store: who did what to what, and whether it was
// allowed. It owns what such a fact must hold; it knows neither HTTP nor SQL, and no event carries a secret or content.
package audit

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// The results of an event.
const (
	OK     = "ok"
	Denied = "denied"
	Failed = "error"
)

// maxField bounds each text of an event, in bytes: names come from outside.
const maxField = 512

// Store keeps events. Append gives the event its id.
type Store interface {
	Append(ctx context.Context, e core.AuditEvent) (core.AuditEvent, error)
	List(ctx context.Context, f core.AuditFilter) ([]core.AuditEvent, error)
}

// Log is where events are recorded.
type Log struct {
	store Store
	log   *slog.Logger
	now   func() time.Time
}

// New returns a Log over store. now is the clock; nil means time.Now.
func New(store Store, log *slog.Logger, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{store: store, log: log, now: now}
}

// Record appends e; a zero time becomes now and an empty result "ok". It is written even when the request that caused
// it has been given up, and an event that cannot be stored is logged as an error in full besides being returned.
func (l *Log) Record(ctx context.Context, e core.AuditEvent) error {
	if e.At.IsZero() {
		e.At = l.now()
	}
	if e.Result == "" {
		e.Result = OK
	}
	for _, s := range []*string{&e.Actor, &e.Action, &e.Target, &e.Result, &e.Detail, &e.Addr} {
		*s = clean(*s)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	attrs := []any{"actor", e.Actor, "action", e.Action, "target", e.Target, "result", e.Result, "detail", e.Detail, "addr", e.Addr}
	if _, err := l.store.Append(ctx, e); err != nil {
		l.log.Error("audit event not stored", append(attrs, "error", err)...)
		return err
	}
	l.log.Info("audit", attrs...)
	return nil
}

// List returns a page of events, newest first, and where the next page starts ("" at the end).
func (l *Log) List(ctx context.Context, f core.AuditFilter) ([]core.AuditEvent, string, error) {
	if f.Limit <= 0 || f.Limit > 500 {
		f.Limit = 100
	}
	page := f.Limit
	f.Limit++
	events, err := l.store.List(ctx, f)
	if err != nil {
		return nil, "", err
	}
	if len(events) <= page {
		return events, "", nil
	}
	return events[:page], strconv.FormatInt(events[page-1].ID, 10), nil
}

// clean keeps a text short, in one line and valid UTF-8, so that nobody can forge a line of a log or break a store.
func clean(s string) string {
	if len(s) > maxField {
		s = s[:maxField]
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
