package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/config"
)

// A block is a fenced part of a Markdown file whose first line says what it is: ```yaml agent is an agent file, ```yaml
// settings a settings file, ```console commands after "$ ".
type block struct {
	file, kind, text string
	line             int
}

func blocksOf(file, content string) []block {
	var out []block
	var open *block
	for i, line := range strings.Split(content, "\n") {
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{file: file, kind: strings.TrimSpace(kind), line: i + 1}
		case fence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	return out
}

func TestExamplesInTheDocsAreTrue(t *testing.T) {
	t.Parallel()
	program := buildProgram(t)
	found := map[string]int{}
	for _, file := range markdown(t) {
		for _, b := range blocksOf(file, string(read(t, file))) {
			found[b.kind]++
			switch b.kind {
			case "yaml agent":
				agentExample(t, program, b)
			case "yaml settings":
				settingsExample(t, b)
			case "console":
				for _, problem := range consoleProblems(b, helpOf(t, program), targets(t)) {
					t.Error(problem)
				}
			}
		}
	}
	for _, kind := range []string{"yaml agent", "yaml settings", "console"} {
		if found[kind] == 0 {
			t.Errorf("found no example of the kind %q", kind)
		}
	}
}

func TestLinksInTheDocsLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, file := range markdown(t) {
		for _, problem := range linkProblems(file, string(read(t, file)), func(name string) (string, bool) {
			full := filepath.Join(root(t), name)
			if info, err := os.Stat(full); err != nil || info.IsDir() {
				return "", err == nil
			}
			return string(read(t, name)), true
		}) {
			t.Error(problem)
		}
	}
}

func TestTheCallsInTheDocsAreTheServers(t *testing.T) {
	t.Parallel()
	var spec struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(read(t, specFile), &spec); err != nil {
		t.Fatal(err)
	}
	var served []string
	for path, methods := range spec.Paths {
		for method := range methods {
			served = append(served, strings.ToUpper(method)+" "+path)
		}
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /api/v1/[^`]+)` \\|").FindAllStringSubmatch(string(read(t, "docs/api.md")), -1) {
		told = append(told, m[1])
	}
	for _, call := range served {
		if !slices.Contains(told, call) {
			t.Errorf("docs/api.md does not tell of %s", call)
		}
	}
	for _, call := range told {
		if !slices.Contains(served, call) {
			t.Errorf("docs/api.md tells of %s, which does not exist", call)
		}
	}
}

// buildProgram builds the command line as a user has it.
func buildProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sutazai")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/sutazai")
	cmd.Dir = root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// markdown are the project's own documents.
func markdown(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range tracked(t) {
		if filepath.Ext(name) == ".md" && !strings.HasPrefix(name, "core/agents/shipped/") {
			out = append(out, name)
		}
	}
	return out
}

// agentExample validates an agent file as `sutazai agents validate` does.
func agentExample(t *testing.T, program string, b block) {
	t.Helper()
	name := regexp.MustCompile(`(?m)^name: (\S+)`).FindStringSubmatch(b.text)
	if name == nil {
		t.Errorf("%s:%d: the agent has no name", b.file, b.line)
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, name[1]+".md")
	if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
	if peer := regexp.MustCompile(`(?m)^peer: (\S+)`).FindStringSubmatch(b.text); peer != nil { // the page says where it stands
		settings := "peers: {" + peer[1] + ": {protocol: acp, command: [agent]}}\n"
		if strings.Contains(b.text, "\nkind: remote\n") {
			settings = "peers: {" + peer[1] + ": {protocol: a2a, url: https://agents.example.com}}\n"
		}
		if err := os.WriteFile(filepath.Join(dir, "sutazai.yaml"), []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := quietCommand(t, dir, program, "agents", "validate", file).CombinedOutput(); err != nil {
		t.Errorf("%s:%d: %v\n%s", b.file, b.line, err, out)
	}
}

func quietCommand(t *testing.T, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	return cmd
}

func settingsExample(t *testing.T, b block) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "sutazai.yaml")
	if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(config.Options{File: file, Env: []string{"HOME=" + dir}, Dir: dir}); err != nil {
		t.Errorf("%s:%d: %v", b.file, b.line, err)
	}
}

// helpOf returns the help of a command, "" where there is no such command.
func helpOf(t *testing.T, program string) func(words []string) string {
	t.Helper()
	dir := t.TempDir()
	return func(words []string) string {
		out, err := quietCommand(t, dir, program, append(slices.Clone(words), "--help")...).CombinedOutput()
		if err != nil {
			return ""
		}
		return string(out)
	}
}

// targets are the targets of the Makefile.
func targets(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^\.PHONY: (\S+)`).FindAllStringSubmatch(string(read(t, "Makefile")), -1) {
		out = append(out, m[1])
	}
	return out
}

// others are programs that an example may call and that are not checked.
func others() []string {
	return []string{"curl", "git", "sqlite3", "pip", "npm", "python3", "node", "cd", "export"}
}

// consoleProblems checks the commands of a block.
func consoleProblems(b block, help func([]string) string, makeTargets []string) []string {
	var out []string
	for i, line := range strings.Split(b.text, "\n") {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		fail := func(text string) { out = append(out, b.file+":"+itoa(b.line+i+1)+": "+command+": "+text) }
		words := commandWords(command)
		if len(words) == 0 {
			fail("no command")
			continue
		}
		switch program := strings.TrimPrefix(words[0], "bin/"); {
		case program == "make":
			for _, target := range words[1:] {
				if !slices.Contains(makeTargets, target) {
					fail("there is no target " + target)
				}
			}
		case program == "sutazai":
			if problem := commandProblem(words[1:], help); problem != "" {
				fail(problem)
			}
		case !slices.Contains(others(), program):
			fail("what is " + program + "?")
		}
	}
	return out
}

// commandProblem checks a command and its flags against the program's help.
func commandProblem(words []string, help func([]string) string) string {
	var path, flags []string
	for _, w := range words {
		if strings.HasPrefix(w, "-") {
			name, _, _ := strings.Cut(w, "=")
			flags = append(flags, name)
		} else if len(flags) == 0 && regexp.MustCompile(`^[a-z]+$`).MatchString(w) {
			path = append(path, w)
		}
	}
	if len(path) == 0 {
		return "no command"
	}
	text := help(path[:1])
	group := func(s string) bool { return strings.Contains(s, "Available Commands:") }
	depth := 1
	if group(text) {
		if len(path) > 1 {
			text, depth = help(path[:2]), 2
		}
		if group(text) {
			return "there is no command " + strings.Join(path, " ")
		}
	}
	if !strings.Contains(text, "\n  sutazai "+strings.Join(path[:depth], " ")) {
		return "there is no command " + strings.Join(path[:depth], " ")
	}
	for _, f := range flags {
		if !regexp.MustCompile(`(?m)(^|[ ,])` + regexp.QuoteMeta(f) + `([ ,]|$)`).MatchString(text) {
			return "there is no flag " + f
		}
	}
	return ""
}

// commandWords splits the first command of a line into words, without what the shell does with it.
func commandWords(line string) []string {
	if inner := regexp.MustCompile(`^\w+=\$\((.*)\)$`).FindStringSubmatch(line); inner != nil {
		line = inner[1]
	}
	var words []string
	var word strings.Builder
	quote, any := rune(0), false
	flush := func() {
		if any {
			words = append(words, word.String())
		}
		word.Reset()
		any = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			if !any {
				word.WriteRune('"') // what is quoted is no flag
			}
			quote, any = r, true
		case r == ' ':
			flush()
		case r == '|' || r == '>' || r == '<' || r == '&' || r == ';' || r == '#':
			flush()
			return words
		default:
			word.WriteRune(r)
			any = true
		}
	}
	flush()
	return words
}

// linkProblems checks the relative links of a document; content returns the text of a file, and whether it is there.
func linkProblems(file, text string, content func(string) (string, bool)) []string {
	var out []string
	for _, b := range blocksOf(file, text) {
		text = strings.Replace(text, b.text, "", 1)
	}
	for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
		target, anchor, _ := strings.Cut(m[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		there := text
		if target != "" {
			var ok bool
			if there, ok = content(filepath.Join(filepath.Dir(file), target)); !ok {
				out = append(out, file+": the link "+m[1]+" leads nowhere")
				continue
			}
		}
		if anchor != "" && !slices.Contains(anchors(there), anchor) {
			out = append(out, file+": the link "+m[1]+" names a heading that is not there")
		}
	}
	return out
}

// anchors are the names under which the headings of a document can be linked.
func anchors(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		slug := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(slug, " ", "-"))
	}
	return out
}

func TestDocumentChecksFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	help := func(words []string) string {
		switch strings.Join(words, " ") {
		case "runs":
			return "Usage:\n  sutazai runs [command]\nAvailable Commands:\n"
		case "runs list":
			return "Usage:\n  sutazai runs list [flags]\n      --limit n  how many\n  -h, --help  help\n"
		case "run":
			return "Usage:\n  sutazai run AGENT [TASK] [flags]\n  -f, --file file  attach\n"
		}
		return "Usage:\n  sutazai [command]\nAvailable Commands:\n"
	}
	for line, want := range map[string]string{
		`$ sutazai runs list --limit 5 | head`:                "",
		`$ id=$(sutazai run assistant "-x --y" --file a.txt)`: "",
		`$ sutazai run assistant -f a`:                        "",
		`$ bin/sutazai runs list # all of them`:               "",
		`$ make build`:                                        "",
		`what it prints`:                                      "",
		`$ sutazai runs`:                                      "there is no command runs",
		`$ sutazai runs lst`:                                  "there is no command runs lst",
		`$ sutazai rn assistant`:                              "there is no command rn",
		`$ sutazai runs list --limits 5`:                      "there is no flag --limits",
		`$ sutazai run assistant --files a`:                   "there is no flag --files",
		`$ make built`:                                        "there is no target built",
		`$ rm -rf /`:                                          "what is rm?",
	} {
		expect(t, consoleProblems(block{file: "x.md", text: line}, help, []string{"build"}), want)
	}
	files := func(name string) (string, bool) { return "# A heading, here\n", name == "docs/b.md" }
	for text, want := range map[string]string{
		"[b](b.md)": "", "[b](b.md#a-heading-here)": "", "[web](https://example.com/x)": "", "# One\n[here](#one)": "",
		"[c](c.md)": "leads nowhere", "[b](b.md#other)": "heading that is not there", "[here](#two)": "heading that is not there",
	} {
		expect(t, linkProblems("docs/a.md", text, files), want)
	}
}
