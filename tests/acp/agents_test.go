//go:build acp

package acp

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/tests/testserver"
)

// coding is what the models of the coding agents say: a call of the tool with this ending, which writes a file into the
// workspace, where the task wants that; words otherwise.
func coding(tool string) aimodelstest.Script {
	workspace := regexp.MustCompile(`/[^\s"']*/workspaces/[0-9a-f-]{36}`)
	return func(_ int, req core.ModelRequest) aimodelstest.Turn {
		all, done := "", false
		for _, m := range req.Messages {
			all += m.Text
			done = done || m.Role == core.RoleTool
		}
		if strings.Contains(all, "complexity_score") { // which of its models is to answer
			return aimodelstest.Text(`{"complexity_reasoning": "It is simple.", "complexity_score": 50}`)
		}
		for _, spec := range req.Tools {
			if strings.HasSuffix(spec.Name, tool) && strings.Contains(all, "Make a file.") && !done {
				return aimodelstest.Calls(aimodelstest.Call(spec.Name, map[string]string{"file_path": workspace.FindString(all) + "/made.txt", "content": "x"}))
			}
		}
		if done {
			return aimodelstest.Text("It is done.")
		}
		return aimodelstest.Text("Hello from the scripted model.")
	}
}

func TestAgents(t *testing.T) {
	var (
		l     *lab
		state string
	)
	prepare(t, func() {
		nodePackages(t)
		interpreter := python(t)
		state = testserver.Dir(t)
		node := func(script string) []string { return []string{"node", absolute(t, script)} }
		bin := func(name string, args ...string) []string {
			return append([]string{absolute(t, "node_modules/.bin/"+name)}, args...)
		}
		home := func(name, config, text string) string {
			dir := filepath.Join(state, name)
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, config)), 0o700); err != nil {
				t.Fatal(err)
			}
			if text != "" {
				if err := os.WriteFile(filepath.Join(dir, config), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}
		// Claude Code reaches its model through SutazAI's gateway.
		gateway := newLab(t, model(t, aimodelstest.OpenAIServer(coding("__Write"), "m")), nil, nil)
		codex := model(t, aimodelstest.ResponsesServer(coding("none")))
		gemini := model(t, aimodelstest.GeminiServer(coding("write_file")))
		codexConfig := "model = \"m\"\nmodel_provider = \"scripted\"\n[model_providers.scripted]\nname = \"scripted\"\nbase_url = \"" + codex + "/v1\"\nwire_api = \"responses\"\nenv_key = \"CODEX_API_KEY\"\n"
		peers := map[string]any{
			"typescript": map[string]any{"protocol": "acp", "command": node("agent.mjs"), "env": map[string]string{"ACP_STATE": home("sessions", "x", "")}},
			"older":      map[string]any{"protocol": "acp", "command": node("agent_old.mjs")},
			"python":     map[string]any{"protocol": "acp", "command": []string{interpreter, absolute(t, "agent.py")}},
			"go":         map[string]any{"protocol": "acp", "command": []string{goAgent(t)}},
			"lines":      map[string]any{"protocol": "jsonl", "command": []string{interpreter, absolute(t, "../../docs/examples/peer.py")}},
			"claude": map[string]any{"protocol": "acp", "command": bin("claude-code-acp"), "env": map[string]string{
				"HOME": home("claude", "x", ""), "ANTHROPIC_BASE_URL": gateway.server.URL, "ANTHROPIC_API_KEY": gateway.key, "ANTHROPIC_DEFAULT_SONNET_MODEL": "local/m", "ANTHROPIC_DEFAULT_HAIKU_MODEL": "local/m", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
			}},
			"codex": map[string]any{"protocol": "acp", "command": bin("codex-acp"), "login": "codex-api-key", "env": map[string]string{
				"HOME": home("codex", ".codex/config.toml", codexConfig), "CODEX_API_KEY": "scripted-key",
			}},
			"codex-out": map[string]any{"protocol": "acp", "command": bin("codex-acp"), "env": map[string]string{"HOME": home("codex-out", "x", "")}},
			"gemini": map[string]any{"protocol": "acp", "command": bin("gemini", "--experimental-acp"), "login": "gemini-api-key", "env": map[string]string{
				"HOME": home("gemini", "x", ""), "GEMINI_API_KEY": "scripted-key", "GOOGLE_GEMINI_BASE_URL": gemini,
			}},
			"gemini-out": map[string]any{"protocol": "acp", "command": bin("gemini", "--experimental-acp"), "env": map[string]string{"HOME": home("gemini-out", "x", "")}},
		}
		agents := map[string]string{}
		for name := range peers {
			agents[name] = "---\nname: " + name + "\ndescription: Runs elsewhere.\nkind: process\npeer: " + name + "\n---\nBe brief.\n"
		}
		l = newLab(t, "http://127.0.0.1:9", agents, peers)
	})

	answers := func(name, agent, task, want string) {
		check(t, name, func(t *testing.T) {
			if run := l.work(t, agent, task); run.Output != want {
				t.Errorf("it answered %q, want %q", run.Output, want)
			}
		})
	}
	answers("TypeScript agent: a turn", "typescript", "greet", "Hello, \n\nTypeScript.")
	answers("older TypeScript agent: a turn", "older", "greet", "Old: true")
	answers("Python agent: a turn", "python", "greet", "Hello, Python.")
	answers("program of the documentation: a turn", "lines", "greet me", "BE BRIEF. GREET ME")
	for _, agent := range []string{"typescript", "python"} {
		for decision, want := range map[core.Decision]string{core.DecideApprove: "paid", core.DecideDeny: "not paid"} {
			check(t, agent+" agent: a request for permission, "+string(decision), func(t *testing.T) {
				id := l.begin(t, agent, "pay")
				a := l.pending(t, id)
				if a.Reason != core.ReasonPeer || !strings.HasSuffix(a.Tool, "/pay") || !strings.Contains(string(a.Arguments), `"amount"`) {
					t.Errorf("asked %+v", a)
				}
				l.decide(t, a, decision)
				if run := l.until(t, id, final); run.Output != want {
					t.Errorf("it answered %q: %+v", run.Output, run.Error)
				}
			})
		}
		check(t, agent+" agent: a cancelled turn", func(t *testing.T) {
			id := l.begin(t, agent, "wait")
			l.until(t, id, func(r core.Run) bool { return r.Status == core.RunRunning })
			if err := l.client().Call(t.Context(), "POST", "/api/v1/runs/"+id+"/cancel", nil, nil, nil); err != nil {
				t.Fatal(err)
			}
			if run := l.until(t, id, final); run.Status != core.RunCancelled {
				t.Errorf("it is %s: %+v", run.Status, run.Error)
			}
		})
	}
	check(t, "TypeScript agent: files of the workspace and no others", func(t *testing.T) {
		run := l.work(t, "typescript", "write")
		if !strings.HasPrefix(run.Output, "ink: 0; ") || strings.Contains(run.Output, "let in") {
			t.Errorf("it answered %q", run.Output)
		}
		if text, err := os.ReadFile(filepath.Join(l.options.DataDir, "workspaces", run.ID, "report.txt")); err != nil || string(text) != "ink: 0\n" {
			t.Errorf("the file has %q, %v", text, err)
		}
	})
	next := func(name, agent, want string) {
		check(t, name, func(t *testing.T) {
			run := l.work(t, agent, "greet")
			l.server.Kill() // the agent's process ends with it
			l.start(t)
			if err := l.client().Call(t.Context(), "POST", "/api/v1/runs/"+run.ID+"/messages", nil, map[string]string{"text": "remember what I said"}, nil); err != nil {
				t.Fatal(err)
			}
			if run = l.until(t, run.ID, final); run.Output != want {
				t.Errorf("it answered %q: %+v", run.Output, run.Error)
			}
		})
	}
	next("TypeScript agent: another process loads the session", "typescript", "You said first: Be brief.\ngreet")
	next("Python agent: another process is told the conversation", "python", "I was told what happened.")
	check(t, "TypeScript agent: a turn that the server's death cut off is taken up", func(t *testing.T) {
		id := l.begin(t, "typescript", "wait for the end")
		sessions := filepath.Join(state, "sessions")
		var pid int
		l.until(t, id, func(core.Run) bool { // until the agent has the message
			entries, _ := os.ReadDir(sessions)
			for _, e := range entries {
				text, _ := os.ReadFile(filepath.Join(sessions, e.Name()))
				if strings.Contains(string(text), "wait for the end") {
					pid, _ = strconv.Atoi(strings.Split(e.Name(), "-")[1])
				}
			}
			return pid != 0
		})
		l.server.Kill()
		gone := time.Now().Add(10 * time.Second)
		for syscall.Kill(pid, 0) == nil {
			if time.Now().After(gone) {
				t.Fatalf("the agent's process %d outlives the server", pid)
			}
			time.Sleep(20 * time.Millisecond)
		}
		l.start(t)
		if run := l.until(t, id, final); run.Output != "I went on." {
			t.Errorf("it answered %q: %s %+v", run.Output, run.Status, run.Error)
		}
	})
	check(t, "Go agent: a turn with a request for permission", func(t *testing.T) {
		id := l.begin(t, "go", "Change the file.")
		l.decide(t, l.pending(t, id), core.DecideApprove)
		if run := l.until(t, id, final); run.Status != core.RunSucceeded || !strings.Contains(run.Output, "successfully") {
			t.Errorf("it is %s and answered %q: %+v", run.Status, run.Output, run.Error)
		}
	})
	for _, agent := range []string{"claude", "codex", "gemini"} {
		check(t, agent+": a turn with a scripted model", func(t *testing.T) {
			if run := l.work(t, agent, "Say hello."); !strings.Contains(run.Output, "Hello from the scripted model.") {
				t.Errorf("it answered %q", run.Output)
			}
		})
	}
	for _, agent := range []string{"claude", "gemini"} {
		check(t, agent+": a file is made after permission", func(t *testing.T) {
			id := l.begin(t, agent, "Make a file.")
			if a := l.pending(t, id); a.Reason != core.ReasonPeer || !strings.Contains(a.Tool+string(a.Arguments), "made.txt") {
				t.Errorf("asked %+v", a)
			} else {
				l.decide(t, a, core.DecideApprove)
			}
			if run := l.until(t, id, final); !strings.Contains(run.Output, "It is done.") {
				t.Errorf("it is %s and answered %q: %+v", run.Status, run.Output, run.Error)
			}
			if text, err := os.ReadFile(filepath.Join(l.options.DataDir, "workspaces", id, "made.txt")); err != nil || string(text) != "x" {
				t.Errorf("the file has %q, %v", text, err)
			}
		})
	}
	for agent, says := range map[string]string{"codex-out": "codex-api-key", "gemini-out": "gemini-api-key"} {
		check(t, agent+": without a login it is said how", func(t *testing.T) {
			run := l.until(t, l.begin(t, agent, "Say hello."), final)
			if run.Error == nil || run.Error.Code != core.CodeUnauthorized || !strings.Contains(run.Error.Message, says) || !strings.Contains(run.Error.Message, "peers."+agent+".login") {
				t.Errorf("it is %s: %+v", run.Status, run.Error)
			}
		})
	}
}
