package acp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
)

// maxLinked is how much of a linked file is taken into the message, in bytes.
const maxLinked = 256 << 10

// text is a prompt as the run's message. Files that it links to are read through the client, where it reads files.
func (s *server) text(ctx context.Context, r acp.PromptRequest) (string, error) {
	var all []string
	for i, b := range r.Prompt {
		at := fmt.Sprintf("params.prompt.%d", i)
		if err := b.Check(at); err != nil {
			return "", err
		}
		switch b.Type {
		case "text":
			all = append(all, *b.Text)
		case "resource":
			if b.Resource.Text == nil {
				return "", jsonrpc.Wrong(at+".resource.blob", "is not taken; only text is")
			}
			all = append(all, quoted(b.Resource.URI, *b.Resource.Text))
		case "resource_link":
			all = append(all, s.linked(ctx, r.SessionID, b))
		default:
			return "", jsonrpc.Wrong(at+".type", b.Type+" is not taken; text, resource and resource_link are")
		}
	}
	text := strings.TrimSpace(strings.Join(all, "\n\n"))
	if text == "" {
		return "", jsonrpc.Wrong("params.prompt", "has no text")
	}
	return text, nil
}

// linked is what a link stands for in the message: the file's content, or only its address where it cannot be read.
func (s *server) linked(ctx context.Context, session string, b acp.ContentBlock) string {
	s.mu.Lock()
	reads := s.client.FS.ReadTextFile
	s.mu.Unlock()
	u, err := url.Parse(b.URI)
	if err != nil || u.Scheme != "file" || !reads {
		return "[" + b.Name + "](" + b.URI + ")"
	}
	var file acp.ReadResponse
	if err := s.rpc.Call(ctx, acp.ReadTextFile, acp.ReadRequest{SessionID: session, Path: u.Path}, &file); err != nil {
		return "[" + b.Name + "](" + b.URI + ") (it could not be read)"
	}
	return quoted(b.URI, file.Content)
}

// quoted is a file in a message, between fences that it does not hold.
func quoted(uri, content string) string {
	if len(content) > maxLinked {
		content = strings.ToValidUTF8(content[:maxLinked], "") + "\n[… cut: the file is longer]"
	}
	fence := "```"
	for strings.Contains(content, fence) {
		fence += "`"
	}
	return path.Base(uri) + " (" + uri + "):\n" + fence + "\n" + strings.TrimSuffix(content, "\n") + "\n" + fence
}

// kindOf is what a tool does in the protocol's words, as far as its name tells.
func kindOf(tool string) string {
	switch tool {
	case "read_file", "list_files":
		return "read"
	case "write_file":
		return "edit"
	case "search_files", "search_knowledge", "sql_query":
		return "search"
	case "fetch_url":
		return "fetch"
	case "run_shell", "run_python":
		return "execute"
	case "calculator", "now":
		return "think"
	}
	return "other"
}

// title is what a step is called: its tool with the values that it is called with.
func title(name string, arguments json.RawMessage) string {
	const most = 80
	var values map[string]any
	if json.Unmarshal(arguments, &values) == nil {
		for _, key := range []string{"path", "url", "query", "command", "expression", "task"} {
			if text, ok := values[key].(string); ok && text != "" {
				name += " " + strings.Join(strings.Fields(text), " ")
				break
			}
		}
	}
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	return name
}

// object is arguments as a client may show them.
func object(raw json.RawMessage) json.RawMessage {
	var o map[string]json.RawMessage
	if json.Unmarshal(raw, &o) != nil || o == nil {
		return nil
	}
	return raw
}

// question is what an agent asks, out of the arguments of its question.
func question(a core.Approval) string {
	var q struct {
		Question string `json:"question"`
	}
	if json.Unmarshal(a.Arguments, &q) != nil || q.Question == "" {
		return "The agent asks something, and does not say what."
	}
	return q.Question
}
