package a2a

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
)

const (
	cancelPatience = 5 * time.Second // until a run that is cancelled has ended
	pageSize       = 50
	maxPageSize    = 100
)

// GetTask implements a2asrv.RequestHandler.
func (s *Server) GetTask(ctx context.Context, req *a2a.GetTaskRequest) (*a2a.Task, error) {
	run, err := s.own(ctx, req.Tenant, req.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	t, err := s.task(ctx, run, view{history: req.HistoryLength, artifacts: true})
	return t, s.fail(ctx, err)
}

// CancelTask implements a2asrv.RequestHandler.
func (s *Server) CancelTask(ctx context.Context, req *a2a.CancelTaskRequest) (*a2a.Task, error) {
	run, err := s.own(ctx, req.Tenant, req.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	_, err = s.d.Runs.Cancel(ctx, run.ID, actor(ctx))
	s.record(ctx, "run.cancel", run.ID, "", err)
	if core.CodeOf(err) == core.CodeConflict {
		return nil, refuse(a2a.ErrTaskNotCancelable, core.MessageOf(err))
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	brief, stop := context.WithTimeout(ctx, cancelPatience)
	defer stop()
	for e, err := range s.d.Runs.Events(brief, run.ID, 0) {
		if err != nil || e.RunData != nil && e.RunData.Status.Final() {
			break
		}
	}
	cancelled, err := s.d.Runs.Run(ctx, run.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	t, err := s.task(ctx, cancelled, view{artifacts: true})
	return t, s.fail(ctx, err)
}

// SubscribeToTask implements a2asrv.RequestHandler.
func (s *Server) SubscribeToTask(ctx context.Context, req *a2a.SubscribeToTaskRequest) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		run, err := s.own(ctx, req.Tenant, req.ID)
		if err == nil && run.Status.Final() {
			err = refuse(a2a.ErrUnsupportedOperation, "the task has ended ("+string(core.TaskOf(run))+"); there is nothing to follow. Get it instead")
		}
		if err != nil {
			yield(nil, s.fail(ctx, err))
			return
		}
		s.follow(ctx, run, yield)
	}
}

// GetExtendedAgentCard implements a2asrv.RequestHandler.
func (s *Server) GetExtendedAgentCard(ctx context.Context, req *a2a.GetExtendedAgentCardRequest) (*a2a.AgentCard, error) {
	name, err := named(ctx, req.Tenant)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if name == "" {
		return s.platformCard(true), nil
	}
	agent, err := s.agent(ctx, req.Tenant)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return s.card(agent, true), nil
}

// ListTasks implements a2asrv.RequestHandler: the caller's own tasks, the latest change first.
func (s *Server) ListTasks(ctx context.Context, req *a2a.ListTasksRequest) (*a2a.ListTasksResponse, error) {
	out, err := s.list(ctx, req)
	return out, s.fail(ctx, err)
}

func (s *Server) list(ctx context.Context, req *a2a.ListTasksRequest) (*a2a.ListTasksResponse, error) {
	name, err := named(ctx, req.Tenant)
	if err != nil {
		return nil, err
	}
	f := core.TaskFilter{Owner: actor(ctx), Agent: name, Context: req.ContextID, Limit: req.PageSize}
	switch {
	case f.Limit == 0:
		f.Limit = pageSize
	case f.Limit < 0 || f.Limit > maxPageSize:
		return nil, wrong("pageSize", fmt.Sprintf("expected 1 to %d", maxPageSize))
	case len(f.Context) > maxContext || f.Context != core.CleanText(f.Context):
		return nil, wrong("contextId", fmt.Sprintf("expected an id of at most %d characters", maxContext))
	}
	if req.Status != a2a.TaskStateUnspecified {
		if f.State = fromState(req.Status); f.State == "" {
			return nil, wrong("status", "expected a state such as TASK_STATE_WORKING")
		}
	}
	if req.StatusTimestampAfter != nil {
		f.Since = *req.StatusTimestampAfter
	}
	if f.After, err = parseMark(req.PageToken); err != nil {
		return nil, err
	}
	page, err := s.d.Store.List(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &a2a.ListTasksResponse{Tasks: []*a2a.Task{}, TotalSize: page.Total, PageSize: f.Limit, NextPageToken: mark(page.Next)}
	none := 0
	v := view{history: &none, artifacts: req.IncludeArtifacts}
	if req.HistoryLength != nil {
		v.history = req.HistoryLength
	}
	for _, id := range page.Runs {
		run, err := s.d.Runs.Run(ctx, id)
		if err != nil {
			return nil, err
		}
		t, err := s.task(ctx, run, v)
		if err != nil {
			return nil, err
		}
		out.Tasks = append(out.Tasks, t)
	}
	return out, nil
}

// mark writes a place in a list for clients, to whom it means nothing.
func mark(m core.TaskMark) string {
	if m.Run == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", m.At.UnixMilli(), m.Run))
}

func parseMark(token string) (core.TaskMark, error) {
	if token == "" {
		return core.TaskMark{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	at, run, ok := strings.Cut(string(b), " ")
	ms, e := strconv.ParseInt(at, 10, 64)
	if err != nil || e != nil || !ok || run == "" || len(run) > 64 || run != core.CleanText(run) {
		return core.TaskMark{}, wrong("pageToken", "it is none of this server's; leave it out to begin with the first page")
	}
	return core.TaskMark{At: time.UnixMilli(ms), Run: run}, nil
}
