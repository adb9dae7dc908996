// Package budget keeps the account of model calls: what each has consumed, and that no budget is overspent. It owns the
// journal of calls in the data folder, the part of each budget that this process has leased, and when both are written
// to the database. It must not know SQL, prices, models or HTTP.
//
// A budget is never overspent by what was reserved: a Ledger hands out only what it has leased in one transaction, and
// what is spent plus all leases never exceeds a limit. The lease of a process that died stays counted until the process
// is back on its data folder, which replays the journal first and then frees the rest, or until the window ends. Nobody
// else may free it: only the journal knows what of it was spent. An administrator who knows that a server will not come
// back changes the budget, which frees leases that have expired.
package budget
