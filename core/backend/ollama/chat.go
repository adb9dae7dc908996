package ollama

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

type chatRequest struct {
	common
	Messages []message `json:"messages"`
	Tools    []tool    `json:"tools"`
}

type message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	Thinking   string     `json:"thinking"`
	Images     [][]byte   `json:"images"`
	ToolCalls  []toolCall `json:"tool_calls"`
	ToolName   string     `json:"tool_name"`
	ToolCallID string     `json:"tool_call_id"`
}

type toolCall struct {
	ID       string       `json:"id,omitempty"`
	Function toolFunction `json:"function"`
}

type toolFunction struct {
	Index     int             `json:"index"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

type tool struct {
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

// chat answers POST /api/chat. Without messages it is the way in which clients have a model loaded.
func (h *handler) chat(w http.ResponseWriter, r *http.Request) {
	h.answer(w, r, dialect.OllamaChat, decodeChat, func(body dialect.Object) bool {
		return len(bytes.Trim(body.Get("messages"), "[] \t\r\n")) == 0
	})
}

// answer answers a call of either form. empty says that nothing is asked of the model.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, n dialect.Name, decode func([]byte) (core.ModelRequest, error), empty func(dialect.Object) bool) {
	call, err := backend.NewCall(r, n)
	if err == nil && call.Model == "" {
		err = badRequest("model is required")
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	call.Stream = !call.Body.Has("stream") || call.Body.True("stream")
	call.Decode = decode
	if o, err := dialect.Scan(call.Body.Get("options")); err == nil {
		if err := o.Spelled("num_predict"); err != nil {
			h.fail(w, r, err)
			return
		}
		call.MaxOutput = int(max(0, o.Int("num_predict")))
	}
	if empty(call.Body) {
		h.load(w, r, call)
		return
	}
	out := newAnswer(h, w, r, call)
	defer out.close()
	if err := h.exchange(r, call, out); err != nil && r.Context().Err() == nil {
		out.fail(err)
	}
}

// exchange asks for the model, and where there is none of that name, without the tag that clients add.
func (h *handler) exchange(r *http.Request, call *dialect.Call, out dialect.Answer) error {
	err := h.Chats.Exchange(r.Context(), call, out)
	name, tagged := strings.CutSuffix(call.Model, latest)
	if !tagged || !unknown(err) {
		return err
	}
	call.Model = name
	if again := h.Chats.Exchange(r.Context(), call, out); !unknown(again) {
		return again
	}
	return err
}

func unknown(err error) bool {
	_, is := errors.AsType[*dialect.UnknownModel](err)
	return is
}

// load answers a call that asks for nothing: the model's being there is all that the client wants to know. Nothing is
// loaded or unloaded, which is for whoever runs the model's server to decide.
func (h *handler) load(w http.ResponseWriter, r *http.Request, call *dialect.Call) {
	if _, err := h.find(r.Context(), call.Model); err != nil {
		h.fail(w, r, err)
		return
	}
	l := line{Model: call.Model, CreatedAt: stamp(h.Now()), Done: true, DoneReason: "load"}
	if string(call.Body.Get("keep_alive")) == "0" {
		l.DoneReason = "unload"
	}
	l.say(call.Dialect, "", "", nil)
	writeJSON(w, http.StatusOK, l)
}

func decodeChat(body []byte) (core.ModelRequest, error) {
	var q chatRequest
	if err := decode(body, &q); err != nil {
		return core.ModelRequest{}, err
	}
	req, err := q.request()
	if err != nil {
		return req, err
	}
	for i, t := range q.Tools {
		if t.Function.Name == "" {
			return req, badRequest("tools[%d] is not a function with a name", i)
		}
		parameters := t.Function.Parameters
		if len(parameters) == 0 || string(parameters) == "null" {
			parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		req.Tools = append(req.Tools, core.ToolSpec{Name: t.Function.Name, Description: t.Function.Description, Parameters: parameters})
	}
	var open []core.ToolCall // calls whose results have not come yet
	for i, m := range q.Messages {
		out, err := m.translate(i, &open)
		if err != nil {
			return req, err
		}
		req.Messages = append(req.Messages, out)
	}
	return req, nil
}

// translate reads message i. The dialect tells results of tools apart by the tools' names; ids are made where it has none.
func (m message) translate(i int, open *[]core.ToolCall) (core.Message, error) {
	out := core.Message{Index: i, Role: core.Role(m.Role), Text: m.Content}
	switch out.Role {
	case core.RoleSystem, core.RoleUser:
	case core.RoleAssistant:
		*open = nil
		for n, c := range m.ToolCalls {
			call := core.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments}
			if call.ID == "" {
				call.ID = fmt.Sprintf("call_%d_%d", i, n)
			}
			if len(call.Arguments) == 0 || string(call.Arguments) == "null" {
				call.Arguments = json.RawMessage("{}")
			}
			if call.Name == "" || call.Arguments[0] != '{' {
				return out, badRequest("messages[%d].tool_calls[%d] needs a function with a name and arguments that are an object", i, n)
			}
			out.ToolCalls = append(out.ToolCalls, call)
		}
		*open = append(*open, out.ToolCalls...)
	case core.RoleTool:
		id, ok := m.answers(open)
		if !ok {
			return out, badRequest("messages[%d] is a tool's result, but the assistant's message before it has no such call (tool_name %q)", i, m.ToolName)
		}
		out.ToolCallID = id
	default:
		return out, badRequest("messages[%d].role must be system, user, assistant or tool, not %q", i, m.Role)
	}
	images, err := imageParts(fmt.Sprintf("messages[%d].images", i), m.Images)
	if err != nil {
		return out, err
	}
	if m.Thinking != "" || len(images) > 0 {
		if m.Thinking != "" {
			out.Parts = append(out.Parts, core.Part{Kind: core.PartReasoning, Text: m.Thinking})
		}
		if m.Content != "" {
			out.Parts = append(out.Parts, core.Part{Kind: core.PartText, Text: m.Content})
		}
		out.Parts = append(out.Parts, images...)
	}
	return out, nil
}

// answers finds the call that a result belongs to, by its id, else by the tool's name, else in the order of the calls, and
// takes it from those that are open.
func (m message) answers(open *[]core.ToolCall) (id string, ok bool) {
	for i, c := range *open {
		if m.ToolCallID != "" && c.ID != m.ToolCallID || m.ToolCallID == "" && m.ToolName != "" && c.Name != m.ToolName {
			continue
		}
		*open = append((*open)[:i:i], (*open)[i+1:]...)
		return c.ID, true
	}
	return "", false
}
