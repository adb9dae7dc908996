package acp

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/services/peers"
)

// permission asks a person. Only "once" is ever chosen: a person decides about this call, not about all that follow.
func (t *turn) permission(ctx context.Context, r acp.PermissionRequest) (any, error) {
	defer t.Pause()()
	// The agent's request and the turn may each end first.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.Context(), cancel)()
	q := question(r.ToolCall)
	verdict, err := t.events.Ask(ctx, q)
	if ctx.Err() != nil {
		return acp.Cancelled(), nil
	}
	if err != nil {
		return nil, err
	}
	refuse := func(why string) (any, error) {
		if why != "" {
			t.say("(" + why + ")")
		}
		t.log("refused: " + peers.Clip(q.Tool, 200))
		if id := option(r.Options, acp.RejectOnce, acp.RejectAlways); id != "" {
			return acp.Selected(id), nil
		}
		return acp.Cancelled(), nil
	}
	switch decision := verdict.Decision; {
	case (decision == core.DecideApprove || decision == core.DecideRetry) && !edited(q.Arguments, verdict.Arguments):
		id := option(r.Options, acp.AllowOnce)
		if id == "" {
			return refuse("“" + peers.Clip(q.Tool, 100) + "” was approved and refused nevertheless: the agent offers no way to allow it once.")
		}
		t.log("allowed once: " + peers.Clip(q.Tool, 200))
		return acp.Selected(id), nil
	case decision == core.DecideDeny:
		return refuse("")
	}
	return refuse("“" + peers.Clip(q.Tool, 100) + "” was refused: this agent can be told yes or no, but not be given other arguments or a result.")
}

// edited says whether a person wants other arguments than the agent.
func edited(wanted, given json.RawMessage) bool {
	if len(given) == 0 {
		return false
	}
	var a, b any
	if json.Unmarshal(wanted, &a) != nil || json.Unmarshal(given, &b) != nil {
		return true
	}
	return !reflect.DeepEqual(a, b)
}

// option finds an option of one of the kinds, in the order of the kinds.
func option(options []acp.PermissionOption, kinds ...string) string {
	for _, kind := range kinds {
		for _, o := range options {
			if o.Kind == kind {
				return o.ID
			}
		}
	}
	return ""
}

// question says what the agent wants in the words of an approval.
func question(c acp.ToolCall) core.PeerQuestion {
	var title, kind string
	if c.Title != nil {
		title = *c.Title
	}
	if c.Kind != nil {
		kind = *c.Kind
	}
	q := core.PeerQuestion{Tool: peers.Clip(cmp.Or(title, kind, c.ID), 300), Effect: core.EffectUnsafe}
	switch kind {
	case "read", "search", "fetch", "think":
		q.Effect = core.EffectReadOnly
	}
	var input map[string]json.RawMessage
	if json.Unmarshal(c.RawInput, &input) != nil || input == nil {
		input = map[string]json.RawMessage{}
		if len(c.RawInput) > 0 && string(c.RawInput) != "null" {
			input["input"] = c.RawInput
		}
	}
	put := func(key string, value any) {
		if _, taken := input[key]; !taken {
			if raw, err := json.Marshal(value); err == nil {
				input[key] = raw
			}
		}
	}
	if len(c.Locations) > 0 {
		put("locations", c.Locations)
	}
	if len(c.Content) > 0 { // the changes that it would make
		put("content", c.Content)
	}
	q.Arguments, _ = json.Marshal(input) // what was decoded encodes
	return q
}
