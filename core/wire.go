package core

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// UsageJSON is the outside form of Usage; the backend's OpenAPI schema is made from it.
type UsageJSON struct {
	InputTokens  int64   `json:"input_tokens"`
	OutputTokens int64   `json:"output_tokens"`
	CostUSD      float64 `json:"cost_usd"`
}

// MarshalJSON writes the cost in US dollars.
func (u Usage) MarshalJSON() ([]byte, error) {
	return json.Marshal(UsageJSON{u.InputTokens, u.OutputTokens, u.CostUSD()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (u *Usage) UnmarshalJSON(b []byte) error {
	var j UsageJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*u = Usage{InputTokens: j.InputTokens, OutputTokens: j.OutputTokens, CostMicroUSD: MicroUSD(j.CostUSD)}
	return nil
}

// MicroUSD converts US dollars to millionths, rounded to the nearest.
func MicroUSD(usd float64) int64 { return int64(math.Round(usd * 1e6)) }

// LimitsJSON is the outside form of Limits, the same in agent files, settings and HTTP.
type LimitsJSON struct {
	Steps   int     `json:"steps,omitempty" yaml:"steps,omitempty"`
	Tokens  int64   `json:"tokens,omitempty" yaml:"tokens,omitempty"`
	CostUSD float64 `json:"cost_usd,omitempty" yaml:"cost_usd,omitempty"`
	Time    string  `json:"time,omitempty" yaml:"time,omitempty"` // a Go duration: "30m"
	Depth   int     `json:"depth,omitempty" yaml:"depth,omitempty"`
}

// Limits checks and converts the outside form.
func (j LimitsJSON) Limits() (Limits, error) {
	l := Limits{Steps: j.Steps, Tokens: j.Tokens, CostMicroUSD: MicroUSD(j.CostUSD), Depth: j.Depth}
	if j.Steps < 0 || j.Tokens < 0 || j.CostUSD < 0 || j.Depth < 0 {
		return l, Errorf(CodeInvalid, "a limit cannot be negative")
	}
	if j.Time != "" {
		d, err := time.ParseDuration(j.Time)
		if err != nil || d <= 0 {
			return l, Errorf(CodeInvalid, "limit time %q is not a positive duration such as 90s, 30m or 2h", j.Time)
		}
		l.Time = d
	}
	return l, nil
}

// MarshalJSON writes the outside form.
func (l Limits) MarshalJSON() ([]byte, error) {
	j := LimitsJSON{Steps: l.Steps, Tokens: l.Tokens, CostUSD: float64(l.CostMicroUSD) / 1e6, Depth: l.Depth}
	if l.Time > 0 {
		j.Time = l.Time.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads the outside form.
func (l *Limits) UnmarshalJSON(b []byte) error {
	var j LimitsJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	v, err := j.Limits()
	if err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	*l = v
	return nil
}
