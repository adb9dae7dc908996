package guardrails

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// question is what a checker of the generic format is asked.
type question struct {
	Text      string            `json:"text"`
	Direction Direction         `json:"direction"`
	Policy    string            `json:"policy"`
	Check     string            `json:"check"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

// reply is its answer. Start and end count characters (code points).
type reply struct {
	Action   string  `json:"action"`
	Text     *string `json:"text"`
	Findings []struct {
		Kind  string `json:"kind"`
		Start int    `json:"start"`
		End   int    `json:"end"`
	} `json:"findings"`
}

func (h *hook) generic(ctx context.Context, p *Pass, c *check, text string) (verdict, error) {
	var r reply
	q := question{Text: text, Direction: p.dir, Policy: p.policy.name, Check: c.name, Metadata: p.meta}
	if err := h.call(ctx, q, &r, len(text)); err != nil {
		return verdict{}, err
	}
	var v verdict
	for _, f := range r.Findings {
		v.spans = append(v.spans, span{start: f.Start, end: f.End, kind: kindOf(f.Kind)})
	}
	if err := toBytes(text, v.spans); err != nil {
		return verdict{}, err
	}
	switch r.Action {
	case "allow":
		v.spans = nil
	case "block":
		v.block = true
	case "redact":
		if v.replace = r.Text; r.Text != nil {
			break
		}
		if len(v.spans) == 0 {
			return verdict{}, errors.New("the checker says redact, with neither text nor findings")
		}
		redacted := replace(text, 0, merge(slices.Clone(v.spans)))
		v.replace = &redacted
	default:
		return verdict{}, errors.New("the checker's action is none of allow, block, redact")
	}
	return v, nil
}

// joint stands between texts that are sent together.
const joint = "\n\n"

type analyze struct {
	Text      string   `json:"text"`
	Language  string   `json:"language"`
	Threshold float64  `json:"score_threshold"`
	Entities  []string `json:"entities,omitempty"`
}

// entity is one finding of the Presidio analyzer. Start and end count characters (code points).
type entity struct {
	Type  string  `json:"entity_type"`
	Start int     `json:"start"`
	End   int     `json:"end"`
	Score float64 `json:"score"`
}

func (h *hook) presidio(ctx context.Context, segments []segment, out []verdict) error {
	var joined strings.Builder
	for i, s := range segments {
		if i > 0 {
			joined.WriteString(joint)
		}
		joined.WriteString(s.part)
	}
	text := joined.String()
	var entities []entity
	if err := h.call(ctx, analyze{text, h.language, h.threshold, h.types}, &entities, len(text)); err != nil {
		return err
	}
	var spans []span
	for _, e := range entities {
		if e.Score >= h.threshold && (len(h.types) == 0 || slices.Contains(h.types, e.Type)) {
			spans = append(spans, span{start: e.Start, end: e.End, kind: kindOf(e.Type)})
		}
	}
	if err := toBytes(text, spans); err != nil {
		return err
	}
	at := 0
	for i, s := range segments {
		for _, one := range spans {
			one.start, one.end = max(0, one.start-at), min(len(s.part), one.end-at)
			if one.start < one.end {
				out[i].spans = append(out[i].spans, one)
			}
		}
		at += len(s.part) + len(joint)
	}
	return nil
}

// kindOf makes a checker's name for what it found fit to stand in a text.
func kindOf(name string) string {
	name = strings.ToLower(name)
	if name == "" || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return "pii"
	}
	return name
}

// toBytes turns offsets in characters into offsets in bytes, in place.
func toBytes(text string, spans []span) error {
	ends := make([]*int, 0, 2*len(spans))
	for i := range spans {
		if s := spans[i]; s.start < 0 || s.end <= s.start {
			return fmt.Errorf("the checker found something from character %d to %d, which is no range", s.start, s.end)
		}
		ends = append(ends, &spans[i].start, &spans[i].end)
	}
	slices.SortFunc(ends, func(a, b *int) int { return *a - *b })
	chars, at := 0, 0
	for _, e := range ends {
		for chars < *e {
			if at == len(text) {
				return fmt.Errorf("the checker found something up to character %d of a text that has %d", *e, chars)
			}
			_, n := utf8.DecodeRuneInString(text[at:])
			chars, at = chars+1, at+n
		}
		*e = at
	}
	return nil
}
