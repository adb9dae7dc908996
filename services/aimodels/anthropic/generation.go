package anthropic

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// generation is what a Claude model's name tells of it. Names that tell nothing (those of compatible servers) have major 0
// and get the oldest form of everything, which such servers know.
type generation struct {
	family       string // such as opus
	major, minor int
}

// generationOf reads names such as claude-opus-4-7, claude-haiku-4-5-20251001 and claude-3-7-sonnet-20250219.
func generationOf(model string) generation {
	_, name, ok := strings.Cut(strings.ToLower(model), "claude-")
	if !ok {
		return generation{}
	}
	var g generation
	numbers := 0
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '-' || r == '.' || r == '@' }) {
		n, err := strconv.Atoi(word)
		switch {
		case err != nil && g.family == "":
			g.family = word
		case err != nil || len(word) > 2: // a date is no version
		case numbers == 0:
			g.major, numbers = n, 1
		case numbers == 1:
			g.minor, numbers = n, 2
		}
	}
	return g
}

func (g generation) atLeast(major, minor int) bool {
	return g.major > major || g.major == major && g.minor >= minor
}

// adaptive says whether the model decides by itself how long it thinks and is told of an effort (since 4.6). Those before
// are given a number of tokens, which later ones refuse.
func (g generation) adaptive() bool { return g.atLeast(4, 6) }

// alwaysThinks says whether the model refuses to be told not to think.
func (g generation) alwaysThinks() bool { return g.family == "fable" || g.family == "mythos" }

// sampling says whether the model takes temperature, top_p and top_k; since 4.7 it refuses them.
func (g generation) sampling() bool { return !g.atLeast(4, 7) && !g.alwaysThinks() }

// oneSampler says whether the model refuses temperature and top_p together (since 4.1).
func (g generation) oneSampler() bool { return g.atLeast(4, 1) }

// takesSchemas says whether the model takes the schema of its answer (since 4.5).
func (g generation) takesSchemas() bool { return g.atLeast(4, 5) }

// Settings is what of a request depends on the generation of a Claude model, for other dialects in which such models are
// reached.
type Settings struct {
	MaxTokens   int
	Temperature *float64
	TopP        *float64
	Further     map[string]any // in the words of Anthropic's dialect
	Schemas     bool           // it takes the schema of its answer
}

// SettingsOf translates the settings of a request to a Claude model.
func SettingsOf(req core.ModelRequest) Settings {
	g := generationOf(req.Model)
	w := &wireRequest{MaxTokens: req.MaxTokens, ToolChoice: toolChoice(req)}
	w.think(req, g)
	if w.MaxTokens <= 0 {
		w.MaxTokens = defaultMaxTokens
	}
	w.sample(req, g)
	s := Settings{MaxTokens: w.MaxTokens, Temperature: w.Temperature, TopP: w.TopP, Further: map[string]any{}, Schemas: g.takesSchemas()}
	if w.TopK != nil {
		s.Further["top_k"] = *w.TopK
	}
	if w.Thinking != nil {
		s.Further["thinking"] = w.Thinking
	}
	if w.OutputConfig != nil {
		s.Further["output_config"] = w.OutputConfig
	}
	return s
}

// ClosedSchema makes a schema fit the part of JSON Schema that structured output of Claude models takes. ok is false where
// nothing makes it fit; err says that it is no schema (CodeInvalid).
func ClosedSchema(schema json.RawMessage) (fitting json.RawMessage, ok bool, err *core.Error) {
	return closedSchema(schema)
}
