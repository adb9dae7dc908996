package budget

import (
	"context"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Store keeps budgets, leases and usage. Its transactions exclude each other for each window of a budget, over all
// processes. The database implements it.
type Store interface {
	Budgets(ctx context.Context) ([]core.Budget, error)
	BudgetStates(ctx context.Context, now time.Time) ([]core.BudgetState, error)
	PutBudget(ctx context.Context, b core.Budget, now time.Time) (core.Budget, error)
	RemoveBudget(ctx context.Context, id string) (core.Budget, error)
	// Journalled returns the number of the replica's last call that Commit has counted.
	Journalled(ctx context.Context, replica string) (int64, error)
	// FreeLeases drops every lease of the replica.
	FreeLeases(ctx context.Context, replica string) error
	// Contested returns the windows of which the replica holds a lease while others found too little at or after since.
	Contested(ctx context.Context, replica string, since time.Time) ([]core.BudgetRef, error)
	// Commit is safe to repeat: the same calls are counted once.
	Commit(ctx context.Context, c core.LedgerCommit) ([]core.BudgetGrant, error)
}
