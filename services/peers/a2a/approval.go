package a2a

import (
	"encoding/json"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
)

// approvalKey holds, in the data part of a question, the call that waits for a person. Servers of this program write it
// (docs/a2a.md); of others nobody expects it.
const approvalKey = "approval"

// asked is a call that a peer may not make without a person.
type asked struct {
	ID        string          `json:"id"`
	Tool      string          `json:"tool"`
	Effect    core.Effect     `json:"effect"`
	Arguments json.RawMessage `json:"arguments"`
	Reason    string          `json:"reason"`
}

// askedApproval finds the first call that a task waits to be allowed.
func askedApproval(task *a2a.Task) (asked, bool) {
	if task == nil || task.Status.State != a2a.TaskStateInputRequired || task.Status.Message == nil {
		return asked{}, false
	}
	for _, part := range task.Status.Message.Parts {
		if part == nil {
			continue
		}
		object, ok := part.Data().(map[string]any)
		if !ok || object[approvalKey] == nil {
			continue
		}
		raw, err := json.Marshal(object[approvalKey])
		if err != nil {
			continue
		}
		var a asked
		if json.Unmarshal(raw, &a) != nil || a.ID == "" || a.Tool == "" || a.Reason == string(core.ReasonQuestion) {
			continue
		}
		return a, true
	}
	return asked{}, false
}

func (a asked) question() core.PeerQuestion {
	q := core.PeerQuestion{Tool: short(a.Tool, 200), Arguments: a.Arguments, Effect: a.Effect}
	var object map[string]json.RawMessage
	if json.Unmarshal(q.Arguments, &object) != nil || object == nil {
		q.Arguments = json.RawMessage("{}")
	}
	switch q.Effect {
	case core.EffectReadOnly, core.EffectIdempotent, core.EffectUnsafe:
	default:
		q.Effect = core.EffectUnsafe
	}
	return q
}

// verdictParts tells the peer what a person has decided.
func verdictParts(a asked, v core.Verdict) a2a.ContentParts {
	data := map[string]any{approvalKey: a.ID, "decision": string(v.Decision)}
	if len(v.Arguments) > 0 {
		var arguments any
		if json.Unmarshal(v.Arguments, &arguments) == nil {
			data["arguments"] = arguments
		}
	}
	if v.Result != "" {
		data["result"] = v.Result
	}
	if v.Comment != "" {
		data["comment"] = v.Comment
	}
	return a2a.ContentParts{a2a.NewDataPart(data)}
}
