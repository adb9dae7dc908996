package budget

import "github.com/sutazai/sutazai/core"

// index finds the budgets of a caller without a lock: it is replaced, never changed.
type index struct {
	all     []*core.Budget
	project map[string][]*core.Budget
	key     map[string][]*core.Budget
	agent   map[string][]*core.Budget
	byID    map[string]*core.Budget
}

func newIndex(budgets []core.Budget) *index {
	x := &index{
		project: map[string][]*core.Budget{}, key: map[string][]*core.Budget{}, agent: map[string][]*core.Budget{},
		byID: make(map[string]*core.Budget, len(budgets)),
	}
	for i := range budgets {
		b := &budgets[i]
		x.byID[b.ID] = b
		switch b.Scope {
		case core.BudgetProject:
			x.project[b.ScopeID] = append(x.project[b.ScopeID], b)
		case core.BudgetKey:
			x.key[b.ScopeID] = append(x.key[b.ScopeID], b)
		case core.BudgetAgent:
			x.agent[b.ScopeID] = append(x.agent[b.ScopeID], b)
		case core.BudgetAll:
			x.all = append(x.all, b)
		}
	}
	return x
}

// match appends the budgets of a caller to out.
func (x *index) match(c core.Caller, out []*core.Budget) []*core.Budget {
	if len(x.byID) == 0 {
		return out
	}
	out = append(out, x.all...)
	find := func(m map[string][]*core.Budget, id string) {
		if id != "" && len(m) > 0 {
			out = append(out, m[id]...)
		}
	}
	find(x.project, c.Project)
	find(x.key, c.Key)
	find(x.agent, c.Agent)
	return out
}
