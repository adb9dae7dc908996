//go:build acp

package acp

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/tests/testserver"
)

// hangs writes a word and then nothing more.
func hangs(ctx context.Context, _ core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	onDelta(core.Delta{Text: "waiting "})
	<-ctx.Done()
	return core.ModelResponse{}, ctx.Err()
}

// spoken is what the model of the clients' cases says.
func spoken(_ int, req core.ModelRequest) aimodelstest.Turn {
	last := req.Messages[len(req.Messages)-1]
	switch text := last.Text; {
	case last.Role == core.RoleTool && strings.Contains(text, "blue"):
		return aimodelstest.Text("You said blue.")
	case last.Role == core.RoleTool && (strings.Contains(text, "refused") || strings.Contains(text, "denied") || strings.Contains(text, "not allowed")):
		return aimodelstest.Text("It was refused.")
	case last.Role == core.RoleTool:
		return aimodelstest.Text("It is written.")
	case strings.Contains(text, "choose"):
		return aimodelstest.Calls(aimodelstest.Call("ask_user", map[string]string{"question": "Which colour?"}))
	case strings.Contains(text, "write it"):
		return aimodelstest.Calls(aimodelstest.Call("write_file", map[string]string{"path": "note.txt", "content": "hi"}))
	case strings.Contains(text, "what was that"):
		return aimodelstest.Text("I greeted you.")
	case strings.Contains(text, "find the word") && strings.Contains(text, "xylophone") && strings.Contains(text, "zebra"):
		return aimodelstest.Text("found xylophone and zebra")
	case strings.Contains(text, "wait for me"):
		return hangs
	}
	return aimodelstest.Text("Hello from SutazAI.")
}

func TestClients(t *testing.T) {
	var (
		l           *lab
		interpreter string
		env         []string
	)
	prepare(t, func() {
		nodePackages(t)
		interpreter = python(t)
		file := func(name, more string) string {
			return "---\nname: " + name + "\ndescription: Talks.\nmodel: local/m\n" + more + "---\nYou are " + name + ".\n"
		}
		l = newLab(t, model(t, aimodelstest.OpenAIServer(spoken, "m")), map[string]string{
			"talker": file("talker", ""),
			"asker":  file("asker", "tools: [ask_user]\n"),
			"writer": file("writer", "tools: [{name: write_file, approval: always}]\n"),
		}, nil)
		sutazai := testserver.Command(t.Context(), l.options)
		command, err := json.Marshal(sutazai.Args)
		if err != nil {
			t.Fatal(err)
		}
		env = append(sutazai.Env, "ACP_COMMAND="+string(command), "ACP_CWD="+l.options.DataDir)
	})
	runScript(t, "TypeScript client", env, "node", "client.mjs")
	runScript(t, "Python client", env, interpreter, "client.py")
}
