package tools

import (
	"io"

	"github.com/sutazai/sutazai/core"
)

const (
	guideFile = "AGENTS.md"
	guideMax  = 32 << 10 // bytes of it that are shown
)

// Guide returns what the AGENTS.md at the top of a workspace says to agents; "" where there is none that can be read.
func (r *Registry) Guide(workspace string) string {
	root, err := r.spaces.existing(workspace)
	if err != nil || root == nil {
		return ""
	}
	defer root.Close() //nolint:errcheck // nothing is written through it
	f, err := openRegular(root, guideFile)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(io.LimitReader(f, guideMax))
	if err != nil {
		return ""
	}
	return core.CleanText(string(b))
}
