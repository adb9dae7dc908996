package database_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

var taskTime = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// aTask is a run as a task; n orders it.
func aTask(n int, owner string, change func(*core.RunRecord)) core.RunRecord {
	r := core.RunRecord{Run: core.Run{
		ID: fmt.Sprintf("0190-%04d", n), Agent: "clerk", Status: core.RunQueued, CreatedAt: taskTime.Add(time.Duration(n) * time.Minute), CreatedBy: owner, Metadata: map[string]string{},
	}, Segment: 1}
	r.Root = r.ID
	if change != nil {
		change(&r)
	}
	return r
}

func putTasks(t *testing.T, db *database.DB, runs ...core.RunRecord) {
	t.Helper()
	for _, r := range runs {
		if err := db.Runs().Insert(t.Context(), db.Querier(), r); err != nil {
			t.Fatal(err)
		}
		r.Segment++
		if _, _, err := db.Runs().Save(t.Context(), db.Querier(), r, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTasksAreListedForTheirOwnerByTheirLatestChange(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewTasks(db)
		late := taskTime.Add(10 * time.Hour)
		states := map[core.TaskState]core.RunRecord{}
		for i, change := range []func(*core.RunRecord){
			func(*core.RunRecord) {},
			func(r *core.RunRecord) { r.Status, r.StartedAt = core.RunRunning, &taskTime },
			func(r *core.RunRecord) { r.Status, r.WaitReason = core.RunWaiting, core.WaitApproval },
			func(r *core.RunRecord) { r.Status, r.FinishedAt = core.RunSucceeded, &late },
			func(r *core.RunRecord) {
				r.Status, r.Error = core.RunFailed, &core.RunError{Code: core.CodeLimit, Message: "x"}
			},
			func(r *core.RunRecord) {
				r.Status, r.Error = core.RunFailed, &core.RunError{Code: core.CodeRefused, Message: "x"}
			},
			func(r *core.RunRecord) { r.Status = core.RunCancelled },
			func(r *core.RunRecord) { r.Status, r.WaitReason = core.RunWaiting, core.WaitModel },
			func(r *core.RunRecord) {
				r.Agent, r.Metadata[core.TaskContext] = "other", `a "b" 100%_\c`
			},
		} {
			r := aTask(i, "key:a", change)
			putTasks(t, db, r)
			if _, taken := states[core.TaskOf(r.Run)]; !taken {
				states[core.TaskOf(r.Run)] = r
			}
		}
		putTasks(t, db, aTask(20, "key:b", nil), aTask(21, "key:a", func(r *core.RunRecord) { r.Parent = "0190-0000" }))
		list := func(f core.TaskFilter) core.TaskPage {
			t.Helper()
			if f.Owner == "" {
				f.Owner = "key:a"
			}
			if f.Limit == 0 {
				f.Limit = 100
			}
			page, err := s.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			return page
		}
		all := list(core.TaskFilter{})
		if all.Total != 9 || len(all.Runs) != 9 || all.Runs[0] != "0190-0003" || all.Runs[8] != "0190-0000" || all.Next.Run != "" {
			t.Errorf("all: %+v", all)
		}
		var paged []string
		for mark := (core.TaskMark{}); ; {
			page := list(core.TaskFilter{Limit: 2, After: mark})
			paged = append(paged, page.Runs...)
			if mark = page.Next; mark.Run == "" {
				break
			}
		}
		if !slices.Equal(paged, all.Runs) {
			t.Errorf("in pages: %v, at once: %v", paged, all.Runs)
		}
		for state, r := range states {
			if page := list(core.TaskFilter{State: state}); !slices.Contains(page.Runs, r.ID) {
				t.Errorf("%s is not among the tasks that are %s: %v", r.ID, state, page.Runs)
			}
		}
		for _, tc := range []struct {
			filter core.TaskFilter
			want   []string
		}{
			{core.TaskFilter{Agent: "other"}, []string{"0190-0008"}},
			{core.TaskFilter{Context: `a "b" 100%_\c`}, []string{"0190-0008"}},
			{core.TaskFilter{Context: `a "b" 1000_\c`}, nil},
			{core.TaskFilter{Context: "0190-0002"}, []string{"0190-0002"}},
			{core.TaskFilter{Since: late}, []string{"0190-0003"}},
			{core.TaskFilter{State: core.TaskRejected}, []string{"0190-0005"}},
			{core.TaskFilter{Owner: "key:b"}, []string{"0190-0020"}},
			{core.TaskFilter{Owner: "key:c"}, nil},
		} {
			if page := list(tc.filter); !slices.Equal(page.Runs, tc.want) || page.Total != len(tc.want) {
				t.Errorf("%+v: %+v", tc.filter, page)
			}
		}
	})
}

func TestAnAnswerIsKeptOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewTasks(db)
		first := core.TaskAnswer{Owner: "key:a", Message: "m", Run: "r", Approval: "q1", Hash: "h", At: taskTime}
		if kept, existed, err := s.Answer(t.Context(), first); err != nil || existed || kept != first {
			t.Fatalf("got %+v, %v, %v", kept, existed, err)
		}
		second := first
		second.Approval, second.Hash = "q2", "other"
		if kept, existed, err := s.Answer(t.Context(), second); err != nil || !existed || kept != first {
			t.Errorf("a repeated message: %+v, %v, %v", kept, existed, err)
		}
		if kept, ok, err := s.Answered(t.Context(), "key:a", "m"); err != nil || !ok || kept != first {
			t.Errorf("asked for: %+v, %v, %v", kept, ok, err)
		}
		if _, ok, err := s.Answered(t.Context(), "key:b", "m"); err != nil || ok {
			t.Errorf("another owner's: %v, %v", ok, err)
		}
	})
}

func TestAPushIsClaimedByOneServerWhenTheStateIsNews(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewTasks(db)
		putTasks(t, db, aTask(1, "key:a", func(r *core.RunRecord) { r.Status, r.StartedAt = core.RunRunning, &taskTime }))
		p := core.TaskPush{Run: "0190-0001", ID: "p", Owner: "key:a", URL: "https://client.example/hook", CreatedAt: taskTime, State: "working", NextAt: taskTime}
		if err := s.PutPush(t.Context(), p, 1); err != nil {
			t.Fatal(err)
		}
		further := p
		further.ID = "q"
		if err := s.PutPush(t.Context(), further, 1); core.CodeOf(err) != core.CodeLimit {
			t.Errorf("one too many: %v", err)
		}
		claim := func(now time.Time) []core.TaskPush {
			t.Helper()
			list, err := s.ClaimPushes(t.Context(), now, now.Add(time.Minute), 10)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		if got := claim(taskTime); len(got) != 0 {
			t.Errorf("nothing is new, and yet %+v", got)
		}
		set := func(status core.RunStatus, reason core.WaitReason, segment int) {
			t.Helper()
			if _, err := db.Querier().Exec(t.Context(), `UPDATE runs SET status = $1, wait_reason = $2, segment = $3`, string(status), string(reason), segment); err != nil {
				t.Fatal(err)
			}
		}
		set(core.RunWaiting, core.WaitQuestion, 1)
		got := claim(taskTime)
		if len(got) != 1 || got[0].State != "input-required 1" || got[0].URL != p.URL || !got[0].NextAt.Equal(taskTime.Add(time.Minute)) {
			t.Fatalf("claimed %+v", got)
		}
		if again := claim(taskTime.Add(time.Second)); len(again) != 0 {
			t.Errorf("two servers have it: %+v", again)
		}
		told := got[0]
		told.NextAt = taskTime
		if err := s.SavePush(t.Context(), told, got[0].NextAt); err != nil {
			t.Fatal(err)
		}
		if got := claim(taskTime.Add(time.Hour)); len(got) != 0 {
			t.Errorf("it is told again: %+v", got)
		}
		set(core.RunWaiting, core.WaitQuestion, 2)
		if got := claim(taskTime.Add(time.Hour)); len(got) != 1 || got[0].State != "input-required 2" {
			t.Errorf("a second question is no news: %+v", got)
		}
		if err := s.RemovePush(t.Context(), p.Run, p.ID); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Pushes(t.Context(), p.Run); err != nil || len(list) != 0 {
			t.Errorf("removed, and yet %+v, %v", list, err)
		}
	})
}

func TestSecretsOfTasksAreSealedAnew(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewTasks(db)
		p := core.TaskPush{Run: "r", ID: "p", Owner: "key:a", URL: "https://client.example/", Sealed: "old push", CreatedAt: taskTime, NextAt: taskTime}
		k := core.SigningKey{ID: "k", Sealed: "old key", CreatedAt: taskTime}
		if err := s.PutPush(t.Context(), p, 1); err != nil {
			t.Fatal(err)
		}
		if err := s.AddSigningKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Sealed(t.Context()); n != 2 || err != nil {
			t.Errorf("%d are sealed, %v", n, err)
		}
		seen := map[string]string{}
		n, err := s.Reseal(context.Background(), func(sealed, place string) (string, error) {
			seen[place] = sealed
			return "new" + sealed[3:], nil
		})
		if n != 2 || err != nil || seen[p.Place()] != "old push" || seen[k.Place()] != "old key" {
			t.Errorf("%d were sealed anew, %v: %v", n, err, seen)
		}
		keys, err := s.SigningKeys(t.Context())
		if err != nil || len(keys) != 1 || keys[0].Sealed != "new key" {
			t.Errorf("keys %+v, %v", keys, err)
		}
	})
}
