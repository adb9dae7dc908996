package backend

import (
	"context"
	"fmt"
	"time"

	"github.com/sutazai/sutazai/core"
)

type budgetView struct {
	ID              string     `json:"id"`
	Scope           string     `json:"scope" enum:"project,key,agent,all"`
	ScopeID         string     `json:"scope_id" doc:"The project, the key's id or the agent; empty for all."`
	Window          string     `json:"window" enum:"day,week,month,total"`
	WindowStart     *time.Time `json:"window_start,omitempty" doc:"Left out for total."`
	WindowEnd       *time.Time `json:"window_end,omitempty" doc:"When the budget begins anew; left out for total."`
	LimitUSD        float64    `json:"limit_usd" doc:"0 = cost is not limited."`
	LimitTokens     int64      `json:"limit_tokens" doc:"0 = tokens are not limited."`
	SpentUSD        float64    `json:"spent_usd"`
	SpentTokens     int64      `json:"spent_tokens"`
	ReservedUSD     float64    `json:"reserved_usd" doc:"Handed out to servers for calls in flight and to come."`
	ReservedTokens  int64      `json:"reserved_tokens"`
	LeftUSD         float64    `json:"left_usd" doc:"Neither spent nor reserved; 0 where cost is not limited."`
	LeftTokens      int64      `json:"left_tokens"`
	OverspentUSD    float64    `json:"overspent_usd" doc:"Beyond the limit, by calls that cost more than was reserved for them."`
	OverspentTokens int64      `json:"overspent_tokens"`
	CreatedAt       time.Time  `json:"created_at"`
	UpdatedAt       time.Time  `json:"updated_at"`
}

type budgetBody struct {
	Scope       string  `json:"scope" enum:"project,key,agent,all" doc:"Whose calls count."`
	ScopeID     string  `json:"scope_id,omitempty" maxLength:"200" doc:"The project, the key's id or the agent; left out for all."`
	Window      string  `json:"window" enum:"day,week,month,total" doc:"Of the UTC calendar; weeks begin on Monday, total never begins anew."`
	LimitUSD    float64 `json:"limit_usd,omitempty" minimum:"0" maximum:"9007199254" doc:"US dollars, to the millionth."`
	LimitTokens int64   `json:"limit_tokens,omitempty" minimum:"0" maximum:"9007199254740992" doc:"Of both directions together."`
}

type budgetInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body budgetBody
}

func (s *server) budgetRoutes() {
	const tag = "Budgets"
	op := operation(get, "/budgets", "list-budgets", tag, "List budgets with what their current windows have used")
	register(s, op, func(ctx context.Context, _ *empty) (*output[page[budgetView]], error) {
		states, err := s.budgets.Budgets(ctx)
		if err != nil {
			return nil, err
		}
		items := make([]budgetView, 0, len(states))
		for _, b := range states {
			items = append(items, viewOf(b))
		}
		return listOf(items, ""), nil
	})
	register(s, operation(get, "/budgets/{id}", "get-budget", tag, "Show a budget"), func(ctx context.Context, in *byID) (*output[budgetView], error) {
		return s.budget(ctx, in.ID)
	})
	op = operation(put, "/budgets/{id}", "set-budget", tag, "Make or change a budget")
	op.Description = "id is the budget's name. A new budget, or one whose scope or window changes, begins with what usage knows of its current window. " +
		"A lower limit holds for what servers have not reserved yet. Parts that a server keeps which has not been heard of for an hour are freed."
	register(s, op, func(ctx context.Context, in *budgetInput) (*output[budgetView], error) {
		b := core.Budget{
			ID: in.ID, Scope: core.BudgetScope(in.Body.Scope), ScopeID: in.Body.ScopeID, Window: core.BudgetWindow(in.Body.Window),
			Limit: core.Amount{CostMicroUSD: core.MicroUSD(in.Body.LimitUSD), Tokens: in.Body.LimitTokens},
		}
		err := s.keyOfBudget(ctx, b)
		if err == nil {
			_, err = s.budgets.SetBudget(ctx, b)
		}
		s.recordResult(ctx, "budget.set", in.ID, describe(b), err)
		if err != nil {
			return nil, err
		}
		return s.budget(ctx, in.ID)
	})
	register(s, operation(remove, "/budgets/{id}", "remove-budget", tag, "Remove a budget"), func(ctx context.Context, in *byID) (*output[budgetView], error) {
		b, err := s.budgets.RemoveBudget(ctx, in.ID)
		s.recordResult(ctx, "budget.remove", in.ID, describe(b), err)
		if err != nil {
			return nil, err
		}
		return &output[budgetView]{viewOf(core.BudgetState{Budget: b})}, nil
	})
}

func (s *server) budget(ctx context.Context, id string) (*output[budgetView], error) {
	states, err := s.budgets.Budgets(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range states {
		if b.ID == id {
			return &output[budgetView]{viewOf(b)}, nil
		}
	}
	return nil, core.Errorf(core.CodeNotFound, "there is no budget %q", id)
}

// keyOfBudget refuses a budget of a key that does not exist: a name in the place of the id would limit nobody.
func (s *server) keyOfBudget(ctx context.Context, b core.Budget) error {
	if b.Scope != core.BudgetKey {
		return nil
	}
	_, err := s.auth.Key(ctx, b.ScopeID)
	if core.CodeOf(err) == core.CodeNotFound {
		message := fmt.Sprintf("there is no API key %q; give the id that the list of keys shows", b.ScopeID)
		return &core.Error{Code: core.CodeInvalid, Message: message, Fields: []core.FieldError{{Field: "scope_id", Message: message}}}
	}
	return err
}

// describe says in the audit log what was changed.
func describe(b core.Budget) string {
	if b.Scope == "" {
		return ""
	}
	return fmt.Sprintf("%s %s: $%.6f and %d tokens a %s (0 = no limit)", b.Scope, b.ScopeID, float64(b.Limit.CostMicroUSD)/1e6, b.Limit.Tokens, b.Window)
}

func viewOf(b core.BudgetState) budgetView {
	usd := func(micro int64) float64 { return float64(micro) / 1e6 }
	left, leased := b.Left(), b.Limited(b.Leased)
	v := budgetView{
		ID: b.ID, Scope: string(b.Scope), ScopeID: b.ScopeID, Window: string(b.Window),
		LimitUSD: usd(b.Limit.CostMicroUSD), LimitTokens: b.Limit.Tokens, SpentUSD: usd(b.Spent.CostMicroUSD), SpentTokens: b.Spent.Tokens,
		ReservedUSD: usd(leased.CostMicroUSD), ReservedTokens: leased.Tokens, LeftUSD: usd(left.CostMicroUSD), LeftTokens: left.Tokens,
		OverspentUSD: usd(b.Overspent.CostMicroUSD), OverspentTokens: b.Overspent.Tokens, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
	}
	if !b.WindowEnd.IsZero() {
		v.WindowStart, v.WindowEnd = &b.WindowStart, &b.WindowEnd
	}
	return v
}
