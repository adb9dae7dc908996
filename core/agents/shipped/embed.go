// Package shipped holds the agents that come with SutazAI as Markdown files. It must not know how they are read
// or run; a file of the same name in a user's own folder replaces one of them.
package shipped

import "embed"

// FS holds the agent files at its top level.
//
//go:embed *.md
var FS embed.FS
