package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/sutazai/sutazai/core"
)

// The exit codes. They are part of the contract with scripts; a new failure gets one of these, never a new number.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitNotAllowed  = 4
	exitUnreachable = 5
	exitLimit       = 6
	exitWaiting     = 7
	exitInterrupted = 130
)

// exitMeaning is what --help says of each exit code.
func exitMeaning(code int) string {
	switch code {
	case exitOK:
		return "done"
	case exitFailed:
		return "the run failed, or an error that has no code of its own"
	case exitUsage:
		return "wrong usage, configuration or file"
	case exitNotFound:
		return "not found"
	case exitNotAllowed:
		return "not allowed"
	case exitUnreachable:
		return "cannot reach the server, database or model"
	case exitLimit:
		return "a limit or budget stopped it"
	case exitWaiting:
		return "it waits for a person"
	case exitInterrupted:
		return "interrupted; a run goes on where it is durable"
	}
	return ""
}

// exitOf is the one place where a code of an error becomes an exit code; ok is false for a code that is not listed.
func exitOf(code core.Code) (exit int, ok bool) {
	switch code {
	case core.CodeInvalid, core.CodeTooLarge:
		return exitUsage, true
	case core.CodeNotFound:
		return exitNotFound, true
	case core.CodeUnauthorized, core.CodeForbidden:
		return exitNotAllowed, true
	case core.CodeUnavailable, core.CodeTimeout:
		return exitUnreachable, true
	case core.CodeLimit, core.CodeRateLimited:
		return exitLimit, true
	case core.CodeConflict, core.CodeCancelled, core.CodeStorageFull, core.CodeRefused, core.CodeContextFull,
		core.CodeInternal:
		return exitFailed, true
	}
	return exitFailed, false
}

// exitOfRun is the exit code for a finished run. A failed run is never "wrong usage" or "not found": whatever went
// wrong inside it, the command line was right; only a limit and an unreachable model keep their own codes.
func exitOfRun(run core.Run) int {
	if run.Status == core.RunSucceeded {
		return exitOK
	}
	if run.Error != nil {
		if exit, _ := exitOf(run.Error.Code); exit == exitLimit || exit == exitUnreachable {
			return exit
		}
	}
	return exitFailed
}

// exitError ends a command with an exit code when everything that there is to say has been said.
type exitError int

// Error names the code; it is never printed.
func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is a wrong command line. Command is the path of the command whose help is worth reading.
type usageError struct {
	command string
	message string
}

// Error is what was wrong.
func (e *usageError) Error() string { return e.message }

// usagef makes a usageError.
func usagef(command, format string, args ...any) error {
	return &usageError{command: command, message: fmt.Sprintf(format, args...)}
}

// report prints err for a person and returns the exit code that belongs to it. Errors that do not come from the
// project itself were made by this command line (files, pipes), so their text is safe and useful to show.
func report(w io.Writer, st style, err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[exitError](err); ok {
		return int(e)
	}
	if e, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintf(w, "%s %s\n", st.red("error:"), e.message)
		fmt.Fprintf(w, "See %s\n", st.bold(e.command+" --help"))
		return exitUsage
	}
	e, ok := errors.AsType[*core.Error](err)
	if !ok {
		fmt.Fprintf(w, "%s %s\n", st.red("error:"), err)
		return exitFailed
	}
	fmt.Fprintf(w, "%s %s\n", st.red("error:"), clean(e.Message))
	exit, _ := exitOf(e.Code)
	return exit
}
