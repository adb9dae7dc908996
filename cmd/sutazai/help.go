package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// long is a command's description with the exit codes that it may end with.
func long(text string, exits ...int) string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(text))
	b.WriteString("\n\nExit codes:")
	for _, code := range exits {
		fmt.Fprintf(&b, "\n  %3d  %s", code, exitMeaning(code))
	}
	return b.String()
}

// clientExits are the codes that any command may end with that asks a server for something.
func clientExits(more ...int) []int {
	exits := []int{exitOK, exitFailed, exitUsage, exitNotFound, exitNotAllowed, exitUnreachable}
	return append(append(exits, more...), exitInterrupted)
}

// group is what a command with sub-commands does itself: show its help, or say which sub-command was meant.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef(cmd.CommandPath(), "%s", message)
}

// arguments says how many arguments a command takes; usage names them for the error. max -1 means any number.
func arguments(min, max int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < min:
			return usagef(cmd.CommandPath(), "%s is missing: %s %s", firstMissing(usage, len(args)), cmd.CommandPath(), usage)
		case max >= 0 && len(args) > max && max == 0:
			return usagef(cmd.CommandPath(), "%s takes no argument, but got %q", cmd.CommandPath(), args[0])
		case max >= 0 && len(args) > max:
			return usagef(cmd.CommandPath(), "too many arguments (%q); a text with spaces needs quotes: %s %s", args[max], cmd.CommandPath(), usage)
		}
		return nil
	}
}

// firstMissing is the name of the argument after those that were given.
func firstMissing(usage string, given int) string {
	if names := strings.Fields(usage); given < len(names) {
		return names[given]
	}
	return usage
}

// groupCommand is a command that only holds others.
func groupCommand(use, short, example string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long(short+".", exitOK, exitUsage), Example: example,
		Args: cobra.ArbitraryArgs, RunE: group, SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(children...)
	return cmd
}

// flagError adds the nearest flag to "unknown flag".
func flagError(cmd *cobra.Command, err error) error {
	message := err.Error()
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if near := nearestFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			message += "; did you mean --" + near + "?"
		}
	}
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) {
		if wanted := wantedBy(wrong.GetFlag()); wanted != "" { // the parser's own error speaks of Go's functions
			message = fmt.Sprintf("--%s is %q; expected %s", wrong.GetFlag().Name, wrong.GetValue(), wanted)
		}
	}
	return usagef(cmd.CommandPath(), "%s", message)
}

// wantedBy says in words what a flag takes; "" for one that says so itself.
func wantedBy(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int", "int64":
		return "a whole number"
	case "float64":
		return "a number, such as 12.50"
	case "bool":
		return "true or false"
	}
	return ""
}

// nearestFlag is the flag most like name. cobra measures the distance between words for commands only, so the
// flags are shown to it as commands.
func nearestFlag(cmd *cobra.Command, name string) string {
	probe := &cobra.Command{Use: "flags", SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		probe.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	if near := probe.SuggestionsFor(name); len(near) > 0 {
		return near[0]
	}
	return ""
}

// helpCommand is `sutazai help COMMAND`, the same as `sutazai COMMAND --help`.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Describe a command",
		Long:    long("help describes a command, as COMMAND --help does.", exitOK, exitUsage),
		Example: "  sutazai help runs approve",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || (len(rest) > 0 && target != nil) {
				if target == nil {
					target = cmd.Root()
				}
				if len(rest) == 0 {
					rest = args
				}
				return group(target, rest)
			}
			return target.Help()
		},
	}
}
