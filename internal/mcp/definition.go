package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// Bounds of what a server may say about its tools.
const (
	maxTools       = 500
	maxPages       = 50
	maxDefinition  = 64 << 10 // bytes of one, as JSON
	maxDescription = 16 << 10 // bytes
)

// definition is what a server says about a tool and we go by. Its JSON, with sorted keys, is what is hashed and approved.
type definition struct {
	Name         string               `json:"name"`
	Title        string               `json:"title,omitempty"`
	Description  string               `json:"description,omitempty"`
	InputSchema  json.RawMessage      `json:"inputSchema"`
	OutputSchema json.RawMessage      `json:"outputSchema,omitempty"`
	Annotations  *sdk.ToolAnnotations `json:"annotations,omitempty"`
}

// nameForm is what a tool may be called: what can be written in an agent's file and shown without doubt.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$`)

// define reads what a server says about a tool. problem says why it is not usable.
func define(t *sdk.Tool) (d definition, text, hash, problem string) {
	if !nameForm.MatchString(t.Name) {
		return d, "", "", fmt.Sprintf("the name %q is not usable; letters, digits and _ . / - are", clip(t.Name, 60))
	}
	d = definition{Name: t.Name, Title: t.Title, Description: t.Description, Annotations: t.Annotations}
	if len(t.Description) > maxDescription {
		return d, "", "", fmt.Sprintf("the description of %s is longer than %d bytes", t.Name, maxDescription)
	}
	var err error
	if d.InputSchema, err = objectSchema(t.InputSchema); err != nil {
		return d, "", "", fmt.Sprintf("the input schema of %s is not usable: %s", t.Name, err)
	}
	if t.OutputSchema != nil {
		if d.OutputSchema, err = json.Marshal(t.OutputSchema); err != nil {
			return d, "", "", fmt.Sprintf("the output schema of %s cannot be read", t.Name)
		}
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return d, "", "", fmt.Sprintf("what is said about %s cannot be read", t.Name)
	}
	if len(raw) > maxDefinition {
		return d, "", "", fmt.Sprintf("what is said about %s is larger than %d kB", t.Name, maxDefinition>>10)
	}
	raw = []byte(core.CleanText(string(raw)))
	sum := sha256.Sum256(raw)
	return d, string(raw), hex.EncodeToString(sum[:]), ""
}

// objectSchema is a schema of type object, which is said where the server left it out.
func objectSchema(v any) (json.RawMessage, error) {
	m, ok := v.(map[string]any)
	if v == nil {
		m, ok = map[string]any{}, true
	}
	if !ok {
		return nil, fmt.Errorf("it is no JSON object")
	}
	if m["type"] == nil {
		m["type"] = "object"
	}
	if m["type"] != "object" {
		return nil, fmt.Errorf("its type is not object")
	}
	return json.Marshal(m)
}

// parse reads a recorded definition.
func parse(text string) (definition, error) {
	var d definition
	err := json.Unmarshal([]byte(text), &d)
	return d, err
}

// effect is what a repeated call of a tool does. The settings have the last word; a server's hints count only where an
// administrator has approved them, and hints that contradict each other not at all.
func (s *Spec) effect(d definition) core.Effect {
	if e, ok := s.Effects[d.Name]; ok {
		return e
	}
	a := d.Annotations
	if a == nil || s.Pin != PinApprove {
		return core.EffectUnsafe
	}
	switch {
	case a.ReadOnlyHint && a.DestructiveHint != nil && *a.DestructiveHint:
		return core.EffectUnsafe
	case a.ReadOnlyHint:
		return core.EffectReadOnly
	case a.IdempotentHint:
		return core.EffectIdempotent
	}
	return core.EffectUnsafe
}

// flow is what a tool lets through. Where the settings do not say it, its results are untrusted, and its arguments leave
// unless the server says, and an administrator has approved, that it stays in a closed world.
func (s *Spec) flow(d definition) core.Flow {
	if s.Flow != nil {
		return *s.Flow
	}
	closed := s.Pin == PinApprove && d.Annotations != nil && d.Annotations.OpenWorldHint != nil && !*d.Annotations.OpenWorldHint
	if closed {
		return core.FlowUntrusted
	}
	return core.FlowUntrusted | core.FlowEgress
}

// spec is the tool as agents get it.
func (s *Spec) spec(d definition) core.ToolSpec {
	text := visible(d.Description)
	if text == "" {
		text = visible(d.Title)
	}
	if text == "" {
		text = "The tool " + d.Name + " of the server " + s.Name + "."
	}
	return core.ToolSpec{
		Name: s.Name + "." + d.Name, Description: text, Parameters: d.InputSchema, Effect: s.effect(d), Flow: s.flow(d),
	}
}

// visible drops what nobody sees: control and format characters, in which instructions for a model can be hidden from the
// person who approves.
func visible(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == utf8.RuneError, unicode.Is(unicode.C, r), r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0100 && r <= 0xE01EF:
			return -1
		}
		return r
	}, s))
}

// clip shortens a text that a message quotes.
func clip(s string, runes int) string {
	r := []rune(s)
	if len(r) <= runes {
		return s
	}
	return string(r[:runes]) + "…"
}
