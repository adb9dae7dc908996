package gemini

import (
	"strconv"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// generation is what a Gemini model's name tells of it. Names that tell nothing have major 0 and count as the newest.
type generation struct {
	major, minor int
	pro, flash   bool
}

// generationOf reads names such as gemini-2.5-flash-lite, gemini-3-pro-preview and models/gemini-3.1-pro.
func generationOf(model string) generation {
	var g generation
	_, name, ok := strings.Cut(strings.ToLower(model), "gemini-")
	if !ok {
		return g
	}
	version, rest, _ := strings.Cut(name, "-")
	major, minor, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	if err != nil { // such as gemini-flash-latest
		rest = name
	} else {
		g.major = n
		g.minor, _ = strconv.Atoi(minor)
	}
	g.pro, g.flash = strings.Contains(rest, "pro"), strings.Contains(rest, "flash")
	return g
}

// before says whether the model is known to be older than a version.
func (g generation) before(major, minor int) bool {
	return g.major > 0 && (g.major < major || g.major == major && g.minor < minor)
}

// Tokens that an effort is worth, for models that are told of tokens.
const (
	minimalBudget = 512
	lowBudget     = 2048
	mediumBudget  = 8192
	highBudget    = 24576

	leastProBudget = 128 // 2.5 Pro cannot be told not to think
)

// thinking says how much the model may think; nil = as it likes, without showing it. Models before 2.5 do not think, 2.5
// is told of tokens, later ones of a level.
func (g generation) thinking(req core.ModelRequest) *wireThinking {
	if req.Reasoning == "" && req.ReasoningMax <= 0 || g.before(2, 5) {
		return nil
	}
	if g.before(3, 0) {
		return g.thinkingBudget(req)
	}
	level := req.Reasoning
	if level == "" {
		level = levelOf(req.ReasoningMax)
	}
	shown := level != "none"
	if !shown {
		level = "minimal" // they always think
	}
	if g.pro {
		switch {
		case level == "minimal":
			level = "low"
		case level == "medium" && g.before(3, 1):
			level = "high"
		}
	}
	return &wireThinking{Level: level, Include: shown}
}

func (g generation) thinkingBudget(req core.ModelRequest) *wireThinking {
	budget := req.ReasoningMax
	if budget <= 0 {
		budget = budgetOf(req.Reasoning)
	}
	if req.Reasoning == "none" {
		budget = 0
		if g.pro {
			budget = leastProBudget
		}
		return &wireThinking{Budget: &budget}
	}
	budget = max(budget, minimalBudget) // the least that every model of 2.5 takes
	return &wireThinking{Budget: new(min(budget, highBudget)), Include: true}
}

func budgetOf(effort string) int {
	switch effort {
	case "minimal":
		return minimalBudget
	case "low":
		return lowBudget
	case "medium":
		return mediumBudget
	default:
		return highBudget
	}
}

func levelOf(budget int) string {
	switch {
	case budget <= lowBudget:
		return "low"
	case budget <= mediumBudget:
		return "medium"
	default:
		return "high"
	}
}
