package core

import (
	"cmp"
	"strings"
	"time"
)

// Amount is money and tokens together; budgets limit either or both.
type Amount struct {
	CostMicroUSD int64 // millionths of a US dollar
	Tokens       int64 // of both directions
}

// Add returns the sum of both.
func (a Amount) Add(b Amount) Amount {
	return Amount{a.CostMicroUSD + b.CostMicroUSD, a.Tokens + b.Tokens}
}

// Sub returns a without b.
func (a Amount) Sub(b Amount) Amount {
	return Amount{a.CostMicroUSD - b.CostMicroUSD, a.Tokens - b.Tokens}
}

// Min returns the smaller money and the smaller number of tokens.
func (a Amount) Min(b Amount) Amount {
	return Amount{min(a.CostMicroUSD, b.CostMicroUSD), min(a.Tokens, b.Tokens)}
}

// Positive returns a with 0 for what is negative.
func (a Amount) Positive() Amount { return Amount{max(0, a.CostMicroUSD), max(0, a.Tokens)} }

// Within says whether neither money nor tokens exceed b's.
func (a Amount) Within(b Amount) bool {
	return a.CostMicroUSD <= b.CostMicroUSD && a.Tokens <= b.Tokens
}

// BudgetScope says whose calls a budget counts.
type BudgetScope string

// The scopes.
const (
	BudgetProject BudgetScope = "project"
	BudgetKey     BudgetScope = "key"
	BudgetAgent   BudgetScope = "agent"
	BudgetAll     BudgetScope = "all"
)

// BudgetWindow is the span of the UTC calendar for which a budget's limit holds.
type BudgetWindow string

// The windows.
const (
	WindowDay   BudgetWindow = "day"
	WindowWeek  BudgetWindow = "week" // from Monday
	WindowMonth BudgetWindow = "month"
	WindowTotal BudgetWindow = "total" // it never begins anew
)

// Bounds returns the window in which t lies: its start, and where the next one starts. Both are zero for WindowTotal.
func (w BudgetWindow) Bounds(t time.Time) (start, end time.Time) {
	y, m, d := t.UTC().Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	switch w {
	case WindowDay:
		return day, day.AddDate(0, 0, 1)
	case WindowWeek:
		monday := day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		return monday, monday.AddDate(0, 0, 7)
	case WindowMonth:
		first := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
		return first, first.AddDate(0, 1, 0)
	default:
		return time.Time{}, time.Time{}
	}
}

// Budget limits what callers may consume in each window. A limit of 0 is none; one of the two is set.
type Budget struct {
	ID        string
	Scope     BudgetScope
	ScopeID   string // the project, the key's id or the agent; "" for BudgetAll
	Window    BudgetWindow
	Limit     Amount
	CreatedAt time.Time // when it began to count: at its making, or when its scope or window was changed
	UpdatedAt time.Time
}

// Limited returns a with 0 for what the budget does not limit.
func (b Budget) Limited(a Amount) Amount {
	if b.Limit.CostMicroUSD == 0 {
		a.CostMicroUSD = 0
	}
	if b.Limit.Tokens == 0 {
		a.Tokens = 0
	}
	return a
}

// Check says what is wrong with a budget that somebody wants, as CodeInvalid.
func (b Budget) Check() error {
	var wrong []FieldError
	bad := func(field, message string) { wrong = append(wrong, FieldError{Field: field, Message: message}) }
	if !ValidName(b.ID) {
		bad("id", "a budget's name has 1 to 64 lower-case letters, digits, hyphens, dots and underscores, such as team-a-monthly")
	}
	switch b.Scope {
	case BudgetAll:
		if b.ScopeID != "" {
			bad("scope_id", "a budget of all callers names none; leave scope_id out")
		}
	case BudgetProject, BudgetKey, BudgetAgent:
		if b.ScopeID == "" || len(b.ScopeID) > 200 || b.ScopeID != CleanText(b.ScopeID) {
			bad("scope_id", "say which "+string(b.Scope)+" the budget is of")
		}
	default:
		bad("scope", "the scopes of budgets are project, key, agent and all")
	}
	switch b.Window {
	case WindowDay, WindowWeek, WindowMonth, WindowTotal:
	default:
		bad("window", "the windows of budgets are day, week, month and total")
	}
	const most = 1 << 53 // what JSON carries exactly
	switch l := b.Limit; {
	case l.CostMicroUSD < 0 || l.Tokens < 0 || l.CostMicroUSD > most || l.Tokens > most:
		bad("limit", "a limit lies between 0 and 9007199254 US dollars or 9007199254740992 tokens")
	case l == Amount{}:
		bad("limit", "a budget limits cost, tokens or both; give limit_usd or limit_tokens")
	}
	if len(wrong) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: wrong[0].Message, Fields: wrong}
}

// ValidName says whether s may name a budget or a project.
func ValidName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

// BudgetState is a budget with what its current window has used.
type BudgetState struct {
	Budget
	WindowStart time.Time // zero for WindowTotal
	WindowEnd   time.Time // zero for WindowTotal
	Spent       Amount
	Leased      Amount // handed out to servers for calls to come or in flight
	Overspent   Amount // by how much calls have cost more than was reserved for them where nothing was left
}

// Left returns what is neither spent nor handed out of what the budget limits.
func (s BudgetState) Left() Amount {
	return s.Limited(s.Limit.Sub(s.Spent).Sub(s.Leased)).Positive()
}

// BudgetRef names one window of one budget.
type BudgetRef struct {
	ID     string
	Made   time.Time // the budget's CreatedAt: one made anew under the same name is another
	Window time.Time // its start
}

// Compare orders refs as they are locked.
func (r BudgetRef) Compare(o BudgetRef) int {
	return cmp.Or(cmp.Compare(r.ID, o.ID), r.Made.Compare(o.Made), r.Window.Compare(o.Window))
}

// BudgetChange is what one server does to one window of a budget, in one transaction: it charges what was spent, says
// how much of its lease is left, and asks for more.
type BudgetChange struct {
	BudgetRef
	Spent     Amount
	Uncovered Amount // of Spent, what was not taken from the lease
	Held      Amount // what is left of this server's lease without Spent
	Need      Amount // more is asked for: nothing less is of use
	Want      Amount // more is asked for: what calls that wait need together; at least Need
	Chunk     Amount // beyond Want, for calls to come, where there is plenty
}

// BudgetGrant is the answer to a BudgetChange.
type BudgetGrant struct {
	Gone      bool   // there is no such budget any more
	Granted   Amount // 0 where Need could not be met
	Available Amount // what was left for this server to ask for, before the grant
	Over      Amount // by how much what is spent and handed out exceeds the limit
	Others    bool   // other servers hold leases of the window
}

// LedgerCommit is what a server writes in one transaction: the calls From … To of its journal, summed up, and the
// changes of budgets, ordered by BudgetRef.Compare. To is 0 where there are no calls. The same calls are never counted
// twice, however often they are committed; Held is set each time.
type LedgerCommit struct {
	Replica    string
	From, To   int64
	Usage      []UsageRecord
	Budgets    []BudgetChange
	Now        time.Time
	LeaseUntil time.Time // when an administrator may take the leases of a server that did not come back
}
