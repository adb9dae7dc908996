package ollama

import "github.com/sutazai/sutazai/core"

// Statuses is the map of codes.
func Statuses() map[core.Code]int { return statuses() }

// StatusOf is the status of an error.
func StatusOf(err error) int { return toAPIError(err).Status }
