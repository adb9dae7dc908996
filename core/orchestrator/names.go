package orchestrator

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// maxWireName is how long the name of a tool may be to every provider, in characters.
const maxWireName = 64

// wired maps the names that a model sees to those of the tools.
type wired map[string]string

// wireNames gives every tool of a request a name that all providers accept: the tool pay of the server erp is erp.pay to
// people, and erp__pay to a model.
func wireNames(req *core.ModelRequest) wired {
	names := wired{}
	change := false
	for _, t := range req.Tools {
		w := wireName(t.Name)
		if _, taken := names[w]; taken {
			w = shortName(t.Name)
		}
		names[w] = t.Name
		change = change || w != t.Name
	}
	if !change {
		return names
	}
	to := map[string]string{}
	for w, name := range names {
		to[name] = w
	}
	req.Tools = slices.Clone(req.Tools)
	for i := range req.Tools {
		req.Tools[i].Name = to[req.Tools[i].Name]
	}
	req.Messages = slices.Clone(req.Messages)
	for i, m := range req.Messages {
		if len(m.ToolCalls) == 0 {
			continue
		}
		calls := slices.Clone(m.ToolCalls)
		for j := range calls {
			calls[j].Name = wireName(calls[j].Name)
		}
		req.Messages[i].ToolCalls = calls
	}
	return names
}

// restore gives the calls of an answer their tools' names back.
func (w wired) restore(m *core.Message) {
	for i := range m.ToolCalls {
		if name, ok := w[m.ToolCalls[i].Name]; ok {
			m.ToolCalls[i].Name = name
		}
	}
}

func wireName(name string) string {
	w := strings.ReplaceAll(name, ".", "__")
	if len(w) > maxWireName {
		return shortName(name)
	}
	return w
}

// shortName is a name that fits and is the tool's own.
func shortName(name string) string {
	sum := sha256.Sum256([]byte(name))
	w := strings.ReplaceAll(name, ".", "__")
	return w[:min(len(w), maxWireName-9)] + "_" + hex.EncodeToString(sum[:4])
}
