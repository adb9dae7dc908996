package backend

import (
	"context"

	"github.com/sutazai/sutazai/core"
)

type listAuditInput struct {
	Actor  string `query:"actor" maxLength:"200"`
	Action string `query:"action" maxLength:"100"`
	Before int64  `query:"before" minimum:"0" doc:"The id that the previous page ended with."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

func (s *server) auditRoute() {
	register(s, operation(get, "/audit", "list-audit", "Audit", "List audit events"), func(ctx context.Context, in *listAuditInput) (*output[page[core.AuditEvent]], error) {
		items, next, err := s.audit.List(ctx, core.AuditFilter{Actor: in.Actor, Action: in.Action, Before: in.Before, Limit: in.Limit})
		if err != nil {
			return nil, err
		}
		return listOf(items, next), nil
	})
}
