package cli

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// turn is one answer of the scripted model in a script's JSON: a text, a tool call (with or without a text),
// or a text after which it hangs.
type turn struct {
	Text      string          `json:"text"`
	Call      string          `json:"call"`
	Arguments json.RawMessage `json:"arguments"`
	Hang      string          `json:"hang"`
}

// startModel starts a scripted model server and makes it the default model: model FILE, with a JSON list of turns. Each
// conversation gets the turns from the first on.
func startModel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: model FILE")
	}
	var turns []turn
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &turns))
	var script []aimodelstest.Turn
	for _, t := range turns {
		switch {
		case t.Call != "":
			script = append(script, aimodelstest.Answer(core.ModelResponse{Message: core.Message{
				Text: t.Text, ToolCalls: []core.ToolCall{{Name: t.Call, Arguments: t.Arguments}},
			}}))
		case t.Hang != "":
			script = append(script, aimodelstest.Hang(t.Hang))
		default:
			script = append(script, aimodelstest.Text(t.Text))
		}
	}
	s := httptest.NewServer(aimodelstest.OpenAIServer(aimodelstest.PerConversation(script...), "m"))
	ts.Defer(func() {
		s.CloseClientConnections() // a hanging turn ends with its client
		s.Close()
	})
	ts.Setenv("SUTAZAI_MODELS_PROVIDERS_FAKE_KIND", "openai")
	ts.Setenv("SUTAZAI_MODELS_PROVIDERS_FAKE_BASE_URL", s.URL+"/v1")
	ts.Setenv("SUTAZAI_MODELS_ROUTES_DEFAULT", "[{target: fake/m}]")
}

// capture takes a part of a text into a variable: capture NAME FILE PATTERN, with the part in parentheses. FILE may be
// stdout or stderr.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME FILE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile(args[1]))
	if len(found) < 2 {
		ts.Fatalf("%s does not match %s:\n%s", args[1], args[2], ts.ReadFile(args[1]))
	}
	ts.Setenv(args[0], found[1])
}

// noSecret fails when a text stands anywhere in the files of a folder: nosecret TEXT FOLDER
func noSecret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nosecret TEXT FOLDER")
	}
	text := regexp.MustCompile(regexp.QuoteMeta(args[0]))
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if text.Match(content) {
			ts.Fatalf("%s holds the secret", path)
		}
		return err
	}))
}
