package aimodels

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/nearest"
)

func listFailure(err error, limit time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("did not list its models within %s", limit)
	}
	return core.MessageOf(err)
}

// didYouMean returns ` (did you mean "x"?)` for the candidate that is nearest to name, "" where none is near.
func didYouMean(name string, candidates []string) string {
	slices.Sort(candidates)
	best := nearest.Nearest(name, candidates)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
