package agents

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sutazai/sutazai/core"
)

// Format writes a definition as an agent file: the same definition gives the same text, so that two can be compared.
// Comments and the order of a person's file are not kept.
func Format(a core.Agent) string {
	var s yaml.MapSlice
	add := func(key string, value any, is bool) {
		if is {
			s = append(s, yaml.MapItem{Key: key, Value: value})
		}
	}
	add("name", a.Name, true)
	add("kind", string(a.Kind), a.Kind != "")
	add("description", a.Description, true)
	add("model", a.Model, a.KindOf() == core.AgentLLM || a.KindOf() == core.AgentTeam)
	add("temperature", a.Temperature, a.Temperature != nil)
	add("max_tokens", a.MaxTokens, a.MaxTokens > 0)
	add("peer", a.Peer, a.Peer != "")
	add("effect", string(a.Effect), a.Effect != "")
	add("queue", a.Queue, a.Queue != "")
	add("team", formatTeam(a.Team), a.Team != nil)
	add("tools", formatTools(a.Tools), len(a.Tools) > 0)
	add("agents", a.Agents, len(a.Agents) > 0 && a.Team == nil)
	add("handoffs", a.Handoffs, len(a.Handoffs) > 0)
	add("skills", a.Skills, len(a.Skills) > 0)
	add("knowledge", a.Knowledge, len(a.Knowledge) > 0)
	add("limits", formatLimits(a.Limits), a.Limits != core.Limits{})
	if len(a.Output) > 0 {
		var v any
		if json.Unmarshal(a.Output, &v) == nil { // it was checked when it was read
			add("output", v, true)
		}
	}
	text, err := yaml.Marshal(s)
	if err != nil {
		text = []byte("# the settings cannot be written: " + oneLine(err.Error()) + "\n")
	}
	var b bytes.Buffer
	b.WriteString("---\n")
	b.Write(text)
	b.WriteString("---\n")
	if body := strings.TrimSpace(a.Instructions); body != "" {
		b.WriteString(body + "\n")
	}
	return b.String()
}

func formatTools(grants []core.ToolGrant) []any {
	var out []any
	for _, g := range grants {
		server, whole := strings.CutSuffix(g.Name, ".*")
		switch {
		case whole && g.Approval == core.ApprovalUnsafe:
			out = append(out, yaml.MapSlice{{Key: "mcp", Value: server}})
		case whole:
			out = append(out, yaml.MapSlice{{Key: "mcp", Value: server}, {Key: "approval", Value: string(g.Approval)}})
		case g.Approval == core.ApprovalUnsafe || g.Approval == "":
			out = append(out, g.Name)
		default:
			out = append(out, yaml.MapSlice{{Key: "name", Value: g.Name}, {Key: "approval", Value: string(g.Approval)}})
		}
	}
	return out
}

func formatTeam(t *core.Team) yaml.MapSlice {
	if t == nil {
		return nil
	}
	s := yaml.MapSlice{{Key: "pattern", Value: string(t.Pattern)}, {Key: "members", Value: t.Members}}
	if t.Rounds > 0 {
		s = append(s, yaml.MapItem{Key: "rounds", Value: t.Rounds})
	}
	if len(t.Choices) > 0 {
		s = append(s, yaml.MapItem{Key: "choices", Value: t.Choices})
	}
	return s
}

func formatLimits(l core.Limits) yaml.MapSlice {
	var s yaml.MapSlice
	if l.Steps > 0 {
		s = append(s, yaml.MapItem{Key: "steps", Value: l.Steps})
	}
	if l.Tokens > 0 {
		s = append(s, yaml.MapItem{Key: "tokens", Value: l.Tokens})
	}
	if l.CostMicroUSD > 0 {
		s = append(s, yaml.MapItem{Key: "cost_usd", Value: float64(l.CostMicroUSD) / 1e6})
	}
	if l.Time > 0 {
		s = append(s, yaml.MapItem{Key: "time", Value: l.Time.Round(time.Second).String()})
	}
	if l.Depth > 0 {
		s = append(s, yaml.MapItem{Key: "depth", Value: l.Depth})
	}
	return s
}
