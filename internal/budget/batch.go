package budget

import (
	"cmp"
	"slices"

	"github.com/sutazai/sutazai/core"
)

// batch sums up the calls from … to of the journal that are committed together.
type batch struct {
	from, to int64 // 0 = there is none
	usage    map[core.UsageKey]core.UsageSum
	charges  map[accountKey]charge
}

func newBatch() *batch {
	return &batch{usage: map[core.UsageKey]core.UsageSum{}, charges: map[accountKey]charge{}}
}

func (b *batch) empty() bool { return b.to == 0 }

func (b *batch) add(r record) {
	if b.from == 0 {
		b.from = r.seq
	}
	b.to = r.seq
	b.usage[r.key] = b.usage[r.key].Add(r.sum)
	for _, c := range r.charges {
		k := keyOf(c.ref)
		old := b.charges[k]
		c.spent, c.uncovered = c.spent.Add(old.spent), c.uncovered.Add(old.uncovered)
		b.charges[k] = c
	}
}

// records returns the sums in an order that is the same for all processes, which then never wait for each other in a circle.
func (b *batch) records() []core.UsageRecord {
	out := make([]core.UsageRecord, 0, len(b.usage))
	for k, s := range b.usage {
		out = append(out, core.UsageRecord{UsageKey: k, UsageSum: s})
	}
	slices.SortFunc(out, func(x, y core.UsageRecord) int {
		return cmp.Or(cmp.Compare(x.Hour, y.Hour), cmp.Compare(x.Project, y.Project), cmp.Compare(x.Key, y.Key),
			cmp.Compare(x.Agent, y.Agent), cmp.Compare(x.Model, y.Model), cmp.Compare(x.Kind, y.Kind))
	})
	return out
}
