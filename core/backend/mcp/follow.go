package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// cancelTime bounds the cancelling of a run whose caller has left.
const cancelTime = 10 * time.Second

// outcome is how following a run ended without an error.
type outcome struct {
	run     core.Run
	waiting bool // for a person
}

// follow waits until a run has ended or waits for a person, and tells the caller of its progress. When the caller cancels
// the request, the run is cancelled with it: it was started by this very call.
func (s *Server) follow(ctx context.Context, run core.Run, req *sdk.CallToolRequest) (outcome, error) {
	watch, stop := context.WithCancel(ctx)
	drained := make(chan struct{})
	go func() { // ends with watch
		defer close(drained)
		select {
		case <-backend.Draining(ctx):
			requestOf(ctx, req).end(core.Errorf(core.CodeUnavailable, "the server stops; the run %s goes on after it has started again, look at it with get_run", run.ID))
			stop()
		case <-watch.Done():
		}
	}()
	defer func() { stop(); <-drained }()
	tell := progress{s: s, req: req}
	out := outcome{run: run}
	for e, err := range s.d.Runs.Events(watch, run.ID, 0) {
		if watch.Err() != nil {
			break
		}
		if err != nil {
			return out, err
		}
		tell.event(ctx, e)
		if e.RunData == nil {
			continue
		}
		out.run = *e.RunData
		if out.run.Status.Final() {
			return out, nil
		}
		if e.Type == core.EventRunWaiting && (out.run.WaitReason == core.WaitApproval || out.run.WaitReason == core.WaitQuestion) {
			out.waiting = true
			return out, nil
		}
	}
	return out, s.broken(ctx, run.ID, requestOf(ctx, req))
}

// broken says why following a run ended early, and cancels the run where its caller wanted that.
func (s *Server) broken(ctx context.Context, run string, q *request) error {
	if err := q.endedBy(); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), errOver) {
		return core.Errorf(core.CodeCancelled, "the session is over; the run %s goes on, look at it with get_run", run)
	}
	if ctx.Err() == nil {
		return core.Errorf(core.CodeUnavailable, "the events of run %s broke off; the run goes on, look at it with get_run", run)
	}
	cancel, done := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer done()
	_, err := s.d.Runs.Cancel(cancel, run, q.principal.Actor())
	s.record(ctx, q, backend.Outcome(core.AuditEvent{Action: "run.cancel", Target: run, Detail: "its caller cancelled the request"}, err))
	if err != nil && core.CodeOf(err) != core.CodeConflict { // it may have ended by itself meanwhile
		s.d.Logger.Warn("a run whose caller left could not be cancelled", "run", run, "error", err)
	}
	return core.Errorf(core.CodeCancelled, "the run %s was cancelled with the request", run)
}

// progress tells a caller what a run does: by progress notifications where it gave a token for them, and by log messages
// where it wants those.
type progress struct {
	s    *Server
	req  *sdk.CallToolRequest
	done float64
}

func (p *progress) event(ctx context.Context, e core.Event) {
	var message string
	level := sdk.LoggingLevel("info")
	switch {
	case e.Type == core.EventRunStarted:
		message = "started"
	case e.Type == core.EventStepStarted && e.Step != nil:
		message = fmt.Sprintf("%s %s", e.Step.Kind, e.Step.Name)
	case e.Type == core.EventStepCompleted && e.Step != nil:
		message = fmt.Sprintf("%s %s: %s", e.Step.Kind, e.Step.Name, e.Step.Status)
		if e.Step.Status == core.StepFailed {
			message, level = message+": "+e.Step.Error, "warning"
		}
	case e.Type == core.EventRunWaiting && e.RunData != nil:
		message = strings.TrimSuffix("waits: "+e.RunData.WaitDetail, ": ")
	default:
		return
	}
	p.done++
	if token := p.req.Params.GetProgressToken(); token != nil {
		// A client that has left needs no progress.
		_ = p.req.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: p.done, Message: message})
	}
	_ = p.req.Session.Log(ctx, &sdk.LoggingMessageParams{Level: level, Logger: "run", Data: map[string]any{"run": e.Run, "event": e.Type, "message": message}})
}
