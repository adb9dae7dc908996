package a2a

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// decided is what a message says about something that a task waits for.
type decided struct {
	approval core.Approval
	verdict  core.Verdict
}

// decide reads an answer: data parts that name a decision, or else the text. A question is answered by any text; a call is
// decided by the word that the text begins with.
func decide(pending []core.Approval, c content) ([]decided, error) {
	var out []decided
	for _, object := range c.data {
		if object["decision"] == nil {
			continue
		}
		d, err := decideByData(pending, object)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o decided) bool { return o.approval.ID == d.approval.ID }) {
			return nil, wrong("message.parts", "the approval "+d.approval.ID+" is decided twice")
		}
		out = append(out, d)
	}
	if len(out) > 0 {
		return out, nil
	}
	text := strings.TrimSpace(c.text)
	if text == "" {
		return nil, wrong("message.parts", "the answer is empty")
	}
	if i := slices.IndexFunc(pending, func(a core.Approval) bool { return a.Reason == core.ReasonQuestion }); i >= 0 {
		return []decided{{pending[i], core.Verdict{Decision: core.DecideDone, Result: text}}}, nil
	}
	if len(pending) > 1 {
		return nil, wrong("message.parts", "several calls wait for a decision; answer each with a data part {\"approval\": id, \"decision\": …}: "+names(pending))
	}
	word, comment, _ := strings.Cut(text, " ")
	v := core.Verdict{Comment: strings.TrimSpace(comment)}
	switch strings.ToLower(strings.Trim(word, ".,:;!")) {
	case "approve", "approved", "yes", "allow":
		v.Decision = core.DecideApprove
	case "deny", "denied", "no", "refuse":
		v.Decision = core.DecideDeny
	case "retry":
		v.Decision = core.DecideRetry
	default:
		return nil, wrong("message.parts", "the call waits for a decision; begin the answer with approve or deny, or send a data part {\"approval\": \""+pending[0].ID+"\", \"decision\": …}")
	}
	return []decided{{pending[0], v}}, nil
}

func decideByData(pending []core.Approval, object map[string]any) (decided, error) {
	const field = "message.parts.data"
	b, err := json.Marshal(object)
	if err != nil {
		return decided{}, wrong(field, "it cannot be read")
	}
	var said struct {
		Approval  any             `json:"approval"`
		Decision  any             `json:"decision"`
		Arguments json.RawMessage `json:"arguments"`
		Result    any             `json:"result"`
		Comment   any             `json:"comment"`
	}
	if err := json.Unmarshal(b, &said); err != nil {
		return decided{}, wrong(field, "it cannot be read")
	}
	text := func(name string, v any) (string, error) {
		if v == nil {
			return "", nil
		}
		s, ok := v.(string)
		if !ok {
			return "", wrong(field+"."+name, "expected a text")
		}
		return s, nil
	}
	id, err := text("approval", said.Approval)
	if err != nil {
		return decided{}, err
	}
	decision, err := text("decision", said.Decision)
	if err != nil {
		return decided{}, err
	}
	result, err := text("result", said.Result)
	if err != nil {
		return decided{}, err
	}
	comment, err := text("comment", said.Comment)
	if err != nil {
		return decided{}, err
	}
	if len(comment) > 4000 {
		return decided{}, wrong(field+".comment", "it is longer than 4000 bytes")
	}
	i := slices.IndexFunc(pending, func(a core.Approval) bool { return a.ID == id })
	switch {
	case id == "" && len(pending) == 1:
		i = 0
	case i < 0:
		return decided{}, wrong(field+".approval", "the task waits for no such decision; it waits for "+names(pending))
	}
	v := core.Verdict{Decision: core.Decision(decision), Result: result, Comment: comment}
	if !slices.Contains([]core.Decision{core.DecideApprove, core.DecideDeny, core.DecideEdit, core.DecideDone, core.DecideRetry}, v.Decision) {
		return decided{}, wrong(field+".decision", "expected approve, deny, edit, done or retry")
	}
	if v.Decision == core.DecideEdit {
		var arguments map[string]json.RawMessage
		if json.Unmarshal(said.Arguments, &arguments) != nil || arguments == nil {
			return decided{}, wrong(field+".arguments", "with edit, give the arguments as an object")
		}
		v.Arguments = said.Arguments
	}
	return decided{pending[i], v}, nil
}

// mayDecide holds decisions about calls to the right that the REST API asks for too. Questions are answered by whoever asked.
func (s *Server) mayDecide(ctx context.Context, verdicts []decided) error {
	if principal(ctx).HasAny(core.ScopeApprove) {
		return nil
	}
	for _, v := range verdicts {
		if v.approval.Reason != core.ReasonQuestion {
			err := core.Errorf(core.CodeForbidden, "deciding about the call of %s needs the scope %q, which the credential does not have", v.approval.Tool, core.ScopeApprove)
			s.record(ctx, "approval.decide", v.approval.ID, "", err)
			return err
		}
	}
	return nil
}

// only keeps the approvals of some ids.
func only(pending []core.Approval, ids []string) []core.Approval {
	return slices.DeleteFunc(slices.Clone(pending), func(a core.Approval) bool { return !slices.Contains(ids, a.ID) })
}

func ids(verdicts []decided) string {
	var out []string
	for _, v := range verdicts {
		out = append(out, v.approval.ID)
	}
	return strings.Join(out, ",")
}

// names lists what waits for a decision.
func names(pending []core.Approval) string {
	var out []string
	for _, a := range pending {
		out = append(out, a.ID+" ("+a.Tool+")")
	}
	return strings.Join(out, ", ")
}
