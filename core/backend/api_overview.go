package backend

import (
	"context"
	"fmt"
	"time"

	"github.com/sutazai/sutazai/core"
)

type overviewBody struct {
	Runs24h          int         `json:"runs_24h"`
	Failed24h        int         `json:"failed_24h"`
	Active           int         `json:"active" doc:"Runs that are queued, running or waiting."`
	WaitingApprovals int         `json:"waiting_approvals"`
	Attention        []attention `json:"attention" doc:"What a person should look at; empty when all is well."`
}

type attention struct {
	Kind     string `json:"kind" enum:"approval,service,agent,run"`
	Severity string `json:"severity" enum:"warning,error"`
	Title    string `json:"title"`
	Detail   string `json:"detail"`
	Link     string `json:"link" doc:"Path in the console."`
}

// attentionEach bounds how many entries of one kind the list shows one by one.
const attentionEach = 20

func (s *server) overviewRoute() {
	register(s, operation(get, "/overview", "overview", "Overview", "Numbers of the last day and what needs attention"), s.overview)
}

func (s *server) overview(ctx context.Context, _ *empty) (*output[overviewBody], error) {
	byStatus, err := s.counts.CountSince(ctx, s.cfg.Now().Add(-24*time.Hour))
	if err != nil {
		return nil, err
	}
	pending, err := s.runs.Approvals(ctx, core.ApprovalPending, "")
	if err != nil {
		return nil, err
	}
	agents, err := s.agentStatuses(ctx)
	if err != nil {
		return nil, err
	}
	waiting, _, err := s.runs.Runs(ctx, core.RunFilter{Status: core.RunWaiting, Limit: 100})
	if err != nil {
		return nil, err
	}
	o := overviewBody{Failed24h: byStatus[core.RunFailed], WaitingApprovals: len(pending), Attention: []attention{}}
	for _, n := range byStatus {
		o.Runs24h += n
	}
	for _, a := range agents {
		o.Active += a.Active
	}
	o.Attention = append(o.Attention, ofServices(s.services.Services(ctx))...)
	o.Attention = append(o.Attention, ofApprovals(pending)...)
	o.Attention = append(o.Attention, ofAgents(agents)...)
	o.Attention = append(o.Attention, ofRuns(waiting, o.Failed24h)...)
	return &output[overviewBody]{o}, nil
}

func ofServices(list []core.Service) (out []attention) {
	for _, sv := range list {
		switch sv.State {
		case core.ServiceDown:
			out = append(out, attention{"service", "error", sv.Name + " is down", sv.Detail, "/services"})
		case core.ServiceDegraded:
			out = append(out, attention{"service", "warning", sv.Name + " is degraded", sv.Detail, "/services"})
		}
	}
	return out
}

func ofApprovals(list []core.Approval) (out []attention) {
	for i, a := range list {
		if i == attentionEach {
			return append(out, attention{"approval", "warning", fmt.Sprintf("%d more approvals wait", len(list)-i), "", "/runs?status=waiting"})
		}
		title := fmt.Sprintf("%s asks to call %s", a.Agent, a.Tool)
		switch a.Reason {
		case core.ReasonQuestion:
			title = a.Agent + " asks a question"
		case core.ReasonInterrupted:
			title = fmt.Sprintf("a call of %s was interrupted; say what became of it", a.Tool)
		}
		out = append(out, attention{"approval", "warning", title, "expires " + a.ExpiresAt.UTC().Format(time.RFC3339), "/runs/" + a.Run})
	}
	return out
}

func ofAgents(list []core.AgentStatus) (out []attention) {
	for _, a := range list {
		if len(a.Errors) > 0 {
			out = append(out, attention{"agent", "warning", "the file of agent " + a.Agent.Name + " has a mistake", a.Errors[0], "/agents/" + a.Agent.Name})
		}
	}
	return out
}

func ofRuns(waiting []core.Run, failed int) (out []attention) {
	parked := 0
	detail := ""
	for _, r := range waiting {
		if r.WaitReason == core.WaitModel {
			parked, detail = parked+1, r.WaitDetail
		}
	}
	if parked > 0 {
		out = append(out, attention{"run", "warning", plural(parked, "run waits", "runs wait") + " for a model that cannot be reached", detail, "/runs?status=waiting"})
	}
	if failed > 0 {
		out = append(out, attention{"run", "error", plural(failed, "run", "runs") + " failed in the last 24 hours", "", "/runs?status=failed"})
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
