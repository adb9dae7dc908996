package tools

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/sandbox"
)

// Commands runs programs where they can do no harm; *sandbox.Sandbox does.
type Commands interface {
	Run(ctx context.Context, c sandbox.Command) (sandbox.Result, error)
	Find(program string) (string, error)
	Limits() sandbox.Limits
	Network() bool
}

// patient is a tool that bounds its own time, which may be more than that of other tools.
type patient interface{ TimeLimit() time.Duration }

// commandTool runs what a model wrote in the workspace.
type commandTool struct {
	builtin[commandArgs]
	sandbox Commands
}

type commandArgs struct {
	Command string `json:"command"`
	Code    string `json:"code"`
	Timeout int    `json:"timeout"` // seconds
}

// commandGrace is what a command's start and end may take beside its own time.
const commandGrace = 30 * time.Second

// TimeLimit leaves room to wait for a place and for the command to be ended by the sandbox, whose result tells more.
func (c commandTool) TimeLimit() time.Duration { return 2*c.sandbox.Limits().Time + commandGrace }

// runShell runs a shell command.
func runShell(spaces *workspaces, box Commands) Tool {
	return newCommand(spaces, box, core.ToolSpec{
		Name: "run_shell",
		Description: "Run a shell command in the workspace and see its output, its exit code and which files changed. " + surroundings(box) +
			" Commands that wait for input or never end are of no use.",
		Parameters: commandSchema("command", "The command, for bash where there is one, else sh."),
	}, func(a commandArgs) ([]string, error) {
		shell, err := box.Find("bash")
		if err != nil {
			shell, err = box.Find("sh")
		}
		return []string{shell, "-c", a.Command}, err
	})
}

// runPython runs a Python program.
func runPython(spaces *workspaces, box Commands) Tool {
	return newCommand(spaces, box, core.ToolSpec{
		Name: "run_python",
		Description: "Run a Python 3 program in the workspace and see what it prints, its exit code and which files changed. Print what you want to know. " +
			surroundings(box) + " Modules of the workspace are imported after sys.path.insert(0, \".\").",
		Parameters: commandSchema("code", "The program."),
	}, func(a commandArgs) ([]string, error) {
		python, err := box.Find("python3")
		// -I: neither the environment nor the workspace changes what the interpreter is.
		return []string{python, "-I", "-c", a.Code}, err
	})
}

func surroundings(box Commands) string {
	if box.Network() {
		return "It sees the workspace and the system's programs, nothing else of the machine."
	}
	return "It sees the workspace and the system's programs, nothing else of the machine, and has no network."
}

// commandSchema is the JSON Schema of a command's arguments.
func commandSchema(name, description string) []byte {
	return fmt.Appendf(nil, `{"type":"object","properties":{`+
		`%q:{"type":"string","minLength":1,"maxLength":100000,"description":%q},`+
		`"timeout":{"type":"integer","minimum":1,"maximum":86400,"description":"Seconds after which it is ended; left out, as long as the server allows."}},`+
		`"required":[%q],"additionalProperties":false}`, name, description, name)
}

func newCommand(spaces *workspaces, box Commands, spec core.ToolSpec, argv func(commandArgs) ([]string, error)) Tool {
	spec.Effect = core.EffectUnsafe
	spec.Flow = core.FlowPrivate
	if box.Network() {
		spec.Flow |= core.FlowEgress | core.FlowUntrusted
	}
	return commandTool{sandbox: box, builtin: builtin[commandArgs]{spec: spec, call: func(ctx context.Context, inv core.ToolInvocation, a commandArgs) (string, error) {
		args, err := argv(a)
		if err != nil {
			return "", err
		}
		if strings.ContainsRune(strings.Join(args, ""), 0) {
			return "", core.Errorf(core.CodeInvalid, "it holds a NUL character, which no program can be started with")
		}
		root, err := spaces.open(inv.Workspace)
		if err != nil {
			return "", err
		}
		root.Close() //nolint:errcheck,gosec // opened so that it is made
		res, err := box.Run(ctx, sandbox.Command{
			Args: args, Workspace: filepath.Join(spaces.dir, inv.Workspace), Time: time.Duration(a.Timeout) * time.Second,
		})
		if err != nil {
			return "", err
		}
		return commandText(res), nil
	}}}
}

// maxListed is how many changed files a result names.
const maxListed = 50

// commandText tells a model how a command ended.
func commandText(res sandbox.Result) string {
	var b strings.Builder
	if res.Ended != "" {
		fmt.Fprintf(&b, "[ended after %s: %s]\n", took(res.Took), res.Ended)
	} else {
		fmt.Fprintf(&b, "[exit code %d after %s]\n", res.ExitCode, took(res.Took))
	}
	for _, out := range []struct {
		name string
		sandbox.Output
	}{{"stdout", res.Stdout}, {"stderr", res.Stderr}} {
		if out.Total > 0 {
			fmt.Fprintf(&b, "[%s]\n%s\n", out.name, strings.TrimSuffix(out.Text, "\n"))
		}
	}
	if res.Stdout.Total == 0 && res.Stderr.Total == 0 {
		b.WriteString("[no output]\n")
	}
	var lines []string
	for _, c := range res.Changed {
		line := fmt.Sprintf("%s %s", c.Kind, c.Path)
		if c.Kind != sandbox.Gone {
			line += " (" + bytesText(c.Size) + ")"
		}
		lines = append(lines, line)
	}
	section(&b, "files", lines)
	section(&b, "taken away again, because the workspace could not hold them", res.Removed)
	return strings.TrimSuffix(b.String(), "\n")
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "[%s]\n%s\n", title, strings.Join(lines[:min(len(lines), maxListed)], "\n"))
	if more := len(lines) - maxListed; more > 0 {
		fmt.Fprintf(b, "and %d more\n", more)
	}
}

func took(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
