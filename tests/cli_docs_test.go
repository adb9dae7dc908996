package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// cliFile is the reference of the command line, made from the program's own help.
const cliFile = "docs/cli.md"

func itoa(n int) string { return strconv.Itoa(n) }

func TestCLIReferenceIsTheProgramsHelp(t *testing.T) {
	t.Parallel()
	want := cliReference(t)
	if os.Getenv("SUTAZAI_GENERATE") == "1" { // make generate
		if err := os.WriteFile(filepath.Join(root(t), cliFile), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have := string(read(t, cliFile)); have != want {
		t.Errorf("%s is not what the program's help says; run make generate", cliFile)
	}
}

// cliReference renders every command's help as Markdown.
func cliReference(t *testing.T) string {
	t.Helper()
	help := helpOf(t, buildProgram(t))
	head := help(nil)
	var b strings.Builder
	b.WriteString("# Command line\n\nMade from `sutazai COMMAND --help` by `make generate`.\n\n")
	b.WriteString("Answers go to standard output, progress and status to standard error. Colour and progress are shown on a terminal only.\n\n")
	section := func(title, text string) { b.WriteString("## " + title + "\n\n```text\n" + text + "```\n\n") }
	section("sutazai", head)
	for _, name := range subcommands(head) {
		text := help([]string{name})
		children := subcommands(text)
		if len(children) == 0 {
			section("sutazai "+name, withoutGlobals(text))
		}
		for _, child := range children {
			section("sutazai "+name+" "+child, withoutGlobals(help([]string{name, child})))
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// subcommands are the names below "Available Commands:".
func subcommands(help string) []string {
	_, list, ok := strings.Cut(help, "Available Commands:\n")
	if !ok {
		return nil
	}
	list, _, _ = strings.Cut(list, "\n\n")
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^  (\S+)`).FindAllStringSubmatch(list, -1) {
		out = append(out, m[1])
	}
	return out
}

// withoutGlobals drops the flags that every command has.
func withoutGlobals(help string) string {
	text, _, _ := strings.Cut(help, "\n\nGlobal Flags:")
	return strings.TrimRight(text, "\n") + "\n"
}
