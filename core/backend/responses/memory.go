package responses

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// saveTime bounds how long an answer waits to be kept.
const saveTime = 5 * time.Second

// decoder finds what a call goes on from. A response that is known here is expanded, so that any model can go on from it,
// and its id stays here. One that is not known goes on to a provider that may have made it. Another's is refused before
// any provider is asked: it would answer with what it knows of it.
func (h *handler) decoder(ctx context.Context, call *dialect.Call) (decoder, error) {
	raw := call.Body.Get("previous_response_id")
	if raw == nil {
		return decoder{}, nil
	}
	id, ok := call.Body.Text("previous_response_id")
	if !ok || id == "" {
		return decoder{}, backend.OpenAIBadRequest("previous_response_id", "Invalid type for 'previous_response_id': expected the id of a response.")
	}
	missing := backend.OpenAIBadRequest("previous_response_id", "Previous response with id '%s' not found.", id)
	missing.Code = "previous_response_not_found"
	owner, now := call.Caller.Actor, h.Now()
	r, err := h.Store.Get(ctx, owner, id, now)
	switch core.CodeOf(err) {
	case "":
	case core.CodeNotFound:
		return decoder{missing: missing}, nil
	case core.CodeForbidden:
		return decoder{}, missing
	default:
		return decoder{}, err
	}
	partly := *missing
	partly.Message = "The conversation before the response '" + id + "' is not kept here, or is too long; send its items as 'input'."
	if r.State != core.ResponseWhole {
		return decoder{missing: &partly}, nil
	}
	chain, err := h.Store.Chain(ctx, owner, id, now, maxChain)
	if err != nil {
		return decoder{}, err
	}
	for _, one := range chain {
		if one.State != core.ResponseWhole {
			return decoder{missing: &partly}, nil
		}
	}
	if len(chain) == 0 || chain[0].Previous != "" {
		return decoder{missing: &partly}, nil
	}
	call.Translate = true
	return decoder{before: chain}, nil
}

// keepTranslated keeps a response that was made here. One that cannot be kept says so.
func (a *answer) keepTranslated(o *object) {
	if !o.Store {
		return
	}
	b, err := json.Marshal(o)
	if err == nil {
		err = a.keep(o.ID, b)
	}
	if err != nil {
		o.Store = false
		a.h.Logger.Warn("a response was not kept", "response", o.ID, "error", err)
	}
}

// keepRaw keeps a response of a provider, under the provider's id for it.
func (a *answer) keepRaw(o dialect.Object) {
	id, ok := o.Text("id")
	if !ok || id == "" || !stores(a.call.Body) {
		return
	}
	if err := a.keep(id, o.Bytes); err != nil {
		a.h.Logger.Warn("a response was not kept", "response", id, "error", err)
	}
}

func (a *answer) keep(id string, response []byte) error {
	ctx, cancel := context.WithTimeout(a.r.Context(), saveTime)
	defer cancel()
	now := a.h.Now()
	body := a.call.Body
	previous, _ := body.Text("previous_response_id")
	r := core.StoredResponse{
		ID: id, Owner: a.call.Caller.Actor, State: core.ResponseWhole, Model: a.call.Model, Previous: previous,
		Response: response, CreatedAt: now, ExpiresAt: now.Add(keep),
	}
	items, ok := normal(body.Get("input"))
	switch {
	case !ok || len(items)+len(response) > maxKept:
		r.State = core.ResponsePartial
		if len(response) > maxKept {
			r.Response = nil
		}
	case body.Has("conversation") || body.Has("prompt"): // their content is at the provider
		r.State, r.Input = core.ResponsePartial, items
	default:
		r.Input = items
	}
	return a.h.Store.Save(ctx, r)
}

// normal is a request's input in the form in which items are listed: each with a type and an id.
func normal(input json.RawMessage) (json.RawMessage, bool) {
	if !given(input) {
		return json.RawMessage("[]"), true
	}
	if len(input) > maxKept {
		return nil, false
	}
	var list []json.RawMessage
	if input[0] == '"' {
		part := append(append([]byte(`[{"type":"input_text","text":`), input...), "}]"...)
		list = []json.RawMessage{append(append([]byte(`{"role":"user","content":`), part...), '}')}
	} else if json.Unmarshal(input, &list) != nil {
		return nil, false
	}
	for i, raw := range list {
		o, err := dialect.Scan(raw)
		if err != nil {
			return nil, false
		}
		list[i] = normalItem(o)
	}
	b, err := json.Marshal(list)
	return b, err == nil
}

func normalItem(o dialect.Object) json.RawMessage {
	kind, _ := o.Text("type")
	if kind == "" {
		kind = "message"
	}
	var edits []dialect.Edit
	set := func(key string, value []byte) { edits = append(edits, dialect.Edit{Key: key, Value: value}) }
	if !o.Has("type") {
		set("type", dialect.String(kind))
	}
	if !o.Has("id") {
		set("id", dialect.String(newID(prefix(kind))))
	}
	if kind == "message" {
		if !o.Has("status") {
			set("status", []byte(`"completed"`))
		}
		if v := o.Get("content"); len(v) > 0 && v[0] == '"' {
			part := `[{"type":"input_text","text":`
			if role, _ := o.Text("role"); role == "assistant" {
				part = `[{"type":"output_text","annotations":[],"text":`
			}
			set("content", append(append([]byte(part), v...), "}]"...))
		}
	}
	return o.With(edits...)
}

// prefix is how the id of an item begins.
func prefix(kind string) string {
	switch kind {
	case "message":
		return "msg"
	case "function_call":
		return "fc"
	case "function_call_output":
		return "fco"
	case "reasoning":
		return "rs"
	default:
		return "item"
	}
}
