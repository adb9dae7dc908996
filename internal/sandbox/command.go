package sandbox

import "time"

// Command is one program to run. It starts in the workspace, with no input and an environment of its own.
type Command struct {
	Args      []string      // the program's path and its arguments
	Workspace string        // the folder that it may change: an absolute path of ours
	Time      time.Duration // at most the limit; 0 = the limit
}

// Result is how a command ended. A command that failed or was ended is a result, not an error.
type Result struct {
	Stdout, Stderr Output
	ExitCode       int    // 128 and the signal's number for one that a signal ended
	Ended          string // why it was ended before its time, "" = it ended by itself
	Changed        []Change
	Removed        []string // files that were taken away again because they did not fit
	Took           time.Duration
}

// Output is what is kept of an output.
type Output struct {
	Text  string
	Total int64 // bytes written
}

// Change is a file that is not as it was before.
type Change struct {
	Path string // below the workspace
	Kind ChangeKind
	Size int64
}

// ChangeKind says what happened to a file.
type ChangeKind string

// The kinds.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Gone    ChangeKind = "removed"
)
