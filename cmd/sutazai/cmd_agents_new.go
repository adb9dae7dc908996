package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// agentTemplate is a new agent's file. Every line that can be left out is a comment with its default.
const agentTemplate = `---
name: %s
description: %s
model: %s                 # provider/model, or the name of a route (sutazai models list)
tools:                         # what it may use; leave out what it does not need
  - read_file
  - list_files
  - search_files
  - calculator
  - now
  - ask_user                   # lets it ask you when something is missing
  # - name: write_file
  #   approval: always         # a person approves every call: never | always | unsafe (default)
# agents: [researcher]         # whom it may hand work to
# limits: {steps: 50, tokens: 200000, cost_usd: 2.00, time: 30m, depth: 3}
# output:                      # a JSON Schema that the answer must follow
#   type: object
#   required: [answer]
#   properties: {answer: {type: string}}
---
You are %s.

Say here, in plain words:
- what the task is and what a good result looks like;
- where the facts come from, and what to do when one is missing;
- the form of the answer.
`

func (c *cli) agentsNewCommand() *cobra.Command {
	var model, description string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a new agent's file",
		Long: long(`new writes a commented agent file into the agents folder of the settings and prints its path. It never
overwrites a file. A server takes the new agent up by itself.`, exitOK, exitFailed, exitUsage),
		Example: `  sutazai agents new invoice-clerk
  "$EDITOR" "$(sutazai agents new contract-reader --model local/default)"`,
		Args: arguments(1, 1, "NAME"),
		RunE: func(_ *cobra.Command, args []string) error { return c.newAgent(args[0], model, description) },
	}
	cmd.Flags().StringVar(&model, "model", "default", "the `model` to use: provider/model, or a route's name")
	cmd.Flags().StringVar(&description, "description", "", "what it is for, as one line of `text`")
	return cmd
}

func (c *cli) newAgent(name, model, description string) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(name) || len(name) > 64 {
		return invalid("%q is not a name for an agent: use lower case letters first, then also digits and single hyphens, 64 at most, such as invoice-clerk", name)
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if description = oneLine(description); description == "" {
		description = "Say in one line what this agent is for."
	}
	words := strings.ReplaceAll(name, "-", " ")
	article := "a "
	if strings.ContainsRune("aeiou", rune(name[0])) {
		article = "an "
	}
	content := fmt.Sprintf(agentTemplate, name, yamlString(description), yamlString(model), article+words)
	dir := cfg.Agents.Dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return invalid("cannot make the agents folder %s: %v; change agents.dir", dir, rootCause(err))
	}
	path := filepath.Join(dir, name+".md")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return core.Errorf(core.CodeInvalid, "%s exists already; nothing was changed", path)
	}
	if err != nil {
		return invalid("cannot write %s: %v", path, rootCause(err))
	}
	_, err = f.WriteString(content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path) // a half-written file would be a broken agent
		return fmt.Errorf("write %s: %w", path, err)
	}
	if c.flags.json {
		return printJSON(c.out, map[string]string{"agent": name, "path": path})
	}
	fmt.Fprintln(c.out, path)
	return nil
}

// yamlString is text as a YAML scalar: plain where that is safe, else quoted.
func yamlString(text string) string {
	if regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 ,./_-]*$`).MatchString(text) && !regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|null|y|n)$`).MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
