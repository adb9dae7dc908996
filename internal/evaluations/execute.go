package evaluations

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

const (
	// A run under evaluation is looked at after the first pause, then less and less often.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
	// stopPatience bounds how long the runs of a cancelled evaluation may take to be cancelled.
	stopPatience = 10 * time.Second
	// maxRead bounds a file that a check looks into, in bytes.
	maxRead = 8 << 20
)

// execution is one evaluation being executed.
type execution struct {
	*Service
	set   core.EvaluationSet
	agent core.Agent
	begun core.Evaluation // as it was taken up; never changed

	mu sync.Mutex
	e  core.Evaluation // as it stands
}

// execute makes the tries that an evaluation lacks and ends it. An error, or the end of ctx, leaves it as it is, to be taken
// up again.
func (s *Service) execute(ctx context.Context, id string) error {
	e, set, err := s.Store.Work(ctx, id)
	if err != nil || e.Status != core.EvaluationRunning {
		return err
	}
	x := &execution{Service: s, set: set, begun: e, e: e}
	if x.agent, err = s.Agents.Agent(x.name()); err != nil {
		return err
	}
	if err := x.tries(ctx); err != nil {
		return err
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	x.e.Status, x.e.FinishedAt = verdict(x.e), &now
	_, err = s.Store.Put(ctx, x.e, s.Holder)
	return err
}

// name is the agent's with its version, as runs are started with.
func (x *execution) name() string { return x.begun.Agent + "@" + x.begun.Version }

// tries makes every try that is missing, some at the same time. The first error ends it.
func (x *execution) tries(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	defer all.Wait()
	for n := 1; n <= x.begun.Repeats; n++ {
		for i := range x.set.Cases {
			if x.done(i, n) {
				continue
			}
			select {
			case <-ctx.Done():
				all.Wait()
				return context.Cause(ctx)
			case x.slots <- struct{}{}:
			}
			all.Go(func() {
				defer func() { <-x.slots }()
				if err := x.try(ctx, i, n); err != nil {
					cancel(err)
				}
			})
		}
	}
	all.Wait()
	return context.Cause(ctx)
}

func (x *execution) done(i, n int) bool {
	return slices.ContainsFunc(x.begun.Cases[i].Tries, func(t core.EvaluationTry) bool { return t.Try == n })
}

// try makes one try of a case and stores what it gave.
func (x *execution) try(ctx context.Context, i, n int) error {
	c := x.set.Cases[i]
	result := core.EvaluationTry{Try: n}
	run, _, err := x.Runs.Start(ctx, x.startOf(i, n))
	if err != nil {
		if lasting := slices.Contains([]core.Code{core.CodeInternal, core.CodeUnavailable, core.CodeStorageFull, core.CodeRateLimited}, core.CodeOf(err)); lasting || ctx.Err() != nil {
			return err
		}
		result.Failures = []string{"the run could not be started: " + core.MessageOf(err)}
		return x.keep(ctx, i, result)
	}
	result.Run = run.ID
	o, err := x.wait(ctx, c, run)
	if err != nil {
		x.stop(ctx, run.ID)
		return err
	}
	if o.Steps, err = x.Runs.Steps(ctx, run.ID); err != nil {
		return err
	}
	if err := x.readFiles(ctx, c, &o); err != nil {
		return err
	}
	result.Failures = Failures(c, o)
	result.Seconds, result.CostUSD = seconds(o.Run), o.Run.Usage.CostUSD()
	if len(result.Failures) == 0 {
		if err := x.judge(ctx, c, o, &result); err != nil {
			return err
		}
	}
	result.Passed = len(result.Failures) == 0
	return x.keep(ctx, i, result)
}

// startOf is what starts the run of a try: the same whenever it is asked for, so that a try that a crash has interrupted goes
// on with the run that it has.
func (x *execution) startOf(i, n int) core.StartRun {
	c, try := x.set.Cases[i], strconv.Itoa(n)
	start := core.StartRun{
		Agent: x.name(), Input: c.Input, Actor: x.begun.CreatedBy,
		Metadata:       map[string]string{"evaluation": x.begun.ID, "case": c.Name, "try": try},
		IdempotencyKey: fmt.Sprintf("eval:%s:%d:%s", x.begun.ID, i+1, try),
	}
	for name, content := range c.Files {
		start.Files = append(start.Files, core.File{Name: name, Content: []byte(content)})
	}
	slices.SortFunc(start.Files, func(a, b core.File) int { return strings.Compare(a.Name, b.Name) })
	return start
}

// wait returns when the run has ended; one that waits for a person is cancelled.
func (x *execution) wait(ctx context.Context, c core.EvaluationCase, run core.Run) (Outcome, error) {
	var err error
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if run, err = x.Runs.Run(ctx, run.ID); err != nil {
			return Outcome{}, err
		}
		if run.Status.Final() {
			break
		}
		asked, err := x.asked(ctx, run, core.ApprovalPending)
		if err != nil {
			return Outcome{}, err
		}
		if len(asked) > 0 {
			if _, err := x.Runs.Cancel(ctx, run.ID, "evaluation:"+x.begun.ID); err != nil && core.CodeOf(err) != core.CodeConflict {
				return Outcome{}, err
			}
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return Outcome{}, context.Cause(ctx)
		case <-t.C:
		}
	}
	o := Outcome{Run: run}
	if run.Status != core.RunCancelled {
		return o, nil
	}
	asked, err := x.asked(ctx, run, core.ApprovalCancelled)
	if err != nil || len(asked) == 0 {
		return o, err
	}
	o.Asked, o.Stopped = asked[0], fmt.Sprintf("the run waited for a person (%s) and was cancelled; where it should, the case has the check asks", strings.Join(asked, ", "))
	for _, check := range c.Checks {
		if check.Kind == core.CheckAsks && slices.Contains(asked, check.Text) {
			o.Asked = check.Text
		}
	}
	return o, nil
}

// asked lists the tools about whose calls a run, or one that works for it, asks a person.
func (x *execution) asked(ctx context.Context, run core.Run, status core.ApprovalStatus) ([]string, error) {
	if status == core.ApprovalPending && run.Status != core.RunWaiting {
		return nil, nil
	}
	var tools []string
	list, err := x.Runs.Approvals(ctx, status, run.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		tools = append(tools, cmp.Or(a.Tool, string(a.Reason)))
	}
	if len(tools) > 0 {
		return tools, nil
	}
	children, _, err := x.Runs.Runs(ctx, core.RunFilter{Parent: run.ID, Limit: 100})
	for _, child := range children {
		if err != nil {
			break
		}
		var more []string
		more, err = x.asked(ctx, child, status)
		tools = append(tools, more...)
	}
	return tools, err
}

// stop cancels the run of a try when its evaluation was cancelled; otherwise the run goes on, and is found again.
func (x *execution) stop(ctx context.Context, run string) {
	if context.Cause(ctx) != errStopped { //nolint:errorlint // the very value
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	e, err := x.Store.Get(ctx, x.begun.ID)
	if err != nil || e.Status == core.EvaluationRunning { // it goes on elsewhere
		return
	}
	if _, err := x.Runs.Cancel(ctx, run, "evaluation:"+x.begun.ID); err != nil && core.CodeOf(err) != core.CodeConflict {
		x.Logger.Warn("a run of a cancelled evaluation goes on", "run", run, "error", err)
	}
}

// readFiles reads what the checks of a case look into.
func (x *execution) readFiles(ctx context.Context, c core.EvaluationCase, o *Outcome) error {
	o.Files, o.Unreadable = map[string]string{}, map[string]string{}
	for _, check := range c.Checks {
		if check.Kind != core.CheckFile {
			continue
		}
		f, err := x.Workspaces.Read(ctx, o.Run.ID, check.Text, maxRead)
		switch core.CodeOf(err) {
		case "":
			o.Files[check.Text] = string(f.Content)
		case core.CodeNotFound:
		case core.CodeInternal:
			return err
		default:
			o.Unreadable[check.Text] = core.MessageOf(err)
		}
	}
	return nil
}

// judge asks a model about what only a model can say.
func (x *execution) judge(ctx context.Context, c core.EvaluationCase, o Outcome, result *core.EvaluationTry) error {
	caller := core.Caller{Actor: x.begun.CreatedBy, Agent: x.begun.Agent}
	if id, ok := strings.CutPrefix(x.begun.CreatedBy, "key:"); ok {
		caller.Key = id
	}
	for _, check := range c.Checks {
		if check.Kind != core.CheckJudge {
			continue
		}
		req := core.ModelRequest{Model: cmp.Or(x.set.Judge, x.agent.Model, defaultJudge), Caller: caller}
		failure, cost, err := Judged(ctx, x.Models, req, c.Input, o.Run.Output, check.Text)
		if err != nil {
			return err
		}
		result.CostUSD += cost
		if failure != "" {
			result.Failures = append(result.Failures, failure)
		}
	}
	return nil
}

// keep stores what a try gave.
func (x *execution) keep(ctx context.Context, i int, try core.EvaluationTry) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	next := withTry(x.e, i, try)
	mine, err := x.Store.Put(ctx, next, x.Holder)
	if err != nil {
		return err
	}
	if !mine {
		return errStopped
	}
	x.e = next
	return nil
}
