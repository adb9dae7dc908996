package versions

import (
	"context"
	"strconv"

	udiff "github.com/aymanbagabas/go-udiff"

	"github.com/sutazai/sutazai/core"
)

// Diff compares two versions of an agent, each a number, a hash or Draft; "" as from is the version in use, as to the
// draft. It returns what was compared, and the difference of their files.
func (a *Agents) Diff(_ context.Context, name, from, to string) (fromName, toName, diff string, err error) {
	if from == "" {
		from = Draft
		if v, ok := a.inUse(name); ok {
			from = strconv.Itoa(v.Number)
		}
	}
	if to == "" {
		to = Draft
	}
	fromName, toName = name+"@"+from, name+"@"+to
	var before, after core.Agent
	if before, err = a.Agent(fromName); err != nil {
		return "", "", "", err
	}
	if after, err = a.Agent(toName); err != nil {
		return "", "", "", err
	}
	return fromName, toName, udiff.Unified(fromName, toName, a.Text(before), a.Text(after)), nil
}
