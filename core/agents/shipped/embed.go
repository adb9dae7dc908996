// Package shipped holds the agents that come with SutazAI as Markdown files, and their evaluation sets. It must not know how they are read
// or run; a file of the same name in a user's own folder replaces one of them.
package shipped

import "embed"

// FS holds the files at its top level.
//
//go:embed *.md *.eval.yaml
var FS embed.FS
