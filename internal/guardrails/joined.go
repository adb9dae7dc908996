package guardrails

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// message is the numbers of the texts that are its parts, two or more, in their order.
type message []int

// messagesOf finds the messages of several parts.
func messagesOf(groups []int) []message {
	byGroup := map[int]message{}
	for i, g := range groups {
		if g != 0 {
			byGroup[g] = append(byGroup[g], i)
		}
	}
	var out []message
	for _, m := range byGroup {
		if len(m) > 1 {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b message) int { return cmp.Compare(a[0], b[0]) })
	return out
}

// join returns the message's text, and where each part ends in it.
func (m message) join(texts []string) (joined string, ends []int) {
	var b strings.Builder
	for _, i := range m {
		b.WriteString(texts[i])
		ends = append(ends, b.Len())
	}
	return b.String(), ends
}

// across keeps the spans that lie in more than one part: the others have been found in their part.
func across(spans []span, ends []int) []span {
	return slices.DeleteFunc(spans, func(s span) bool {
		part, _ := slices.BinarySearch(ends, s.start+1)
		return s.end <= ends[part]
	})
}

// lookAcross runs a check that needs nobody else over the messages of several parts. shared says that texts belong to
// the caller; changed, that it returns others.
func (p *Pass) lookAcross(ctx context.Context, c *check, texts []string, messages []message, shared bool, found []Finding) (_ []string, changed bool, _ []Finding, _ error) {
	for _, m := range messages {
		joined, ends := m.join(texts)
		spans, err := find(ctx, c.detector, joined)
		if err != nil {
			return nil, false, nil, err
		}
		var f []Finding
		var out []string
		if out, f, err = p.apply(c, texts, m, ends, across(spans, ends), shared && !changed); err != nil {
			return nil, false, nil, err
		}
		changed = changed || c.action == Redact && len(f) > 0
		texts, found = out, append(found, f...)
	}
	return texts, changed, found, nil
}

// askAcross does the same with an outside checker.
func (p *Pass) askAcross(ctx context.Context, c *check, texts []string, messages []message, shared bool, found []Finding) (_ []string, changed bool, _ []Finding, _ error) {
	if len(messages) == 0 {
		return texts, false, found, nil
	}
	all, ends := make([]string, len(messages)), make([][]int, len(messages))
	for i, m := range messages {
		all[i], ends[i] = m.join(texts)
	}
	verdicts, err := p.ask(ctx, c, all, c.hook.max/2, c.hook.max)
	if err != nil {
		return nil, false, nil, err
	}
	for i, m := range messages {
		v := verdicts[i]
		spans := v.spans
		if len(spans) == 0 && (v.block || v.replace != nil) { // it does not say what it found
			spans = []span{{end: len(all[i]), kind: c.name}}
		}
		if len(spans) > 0 && v.block && c.action != Flag {
			p.policy.observe(c, p.dir, Block)
			return nil, false, nil, p.blocked(c, spans[0].kind)
		}
		var f []Finding
		var out []string
		if out, f, err = p.apply(c, texts, m, ends[i], across(spans, ends[i]), shared && !changed); err != nil {
			return nil, false, nil, err
		}
		changed = changed || c.action == Redact && len(f) > 0
		texts, found = out, append(found, f...)
	}
	return texts, changed, found, nil
}

// apply does what a check's action says with spans that lie across the borders of a message's parts. A finding is told of
// the part in which it begins.
func (p *Pass) apply(c *check, texts []string, m message, ends []int, spans []span, shared bool) ([]string, []Finding, error) {
	if len(spans) == 0 {
		return texts, nil, nil
	}
	var found []Finding
	pieces := make([][]span, len(m))
	for _, s := range spans {
		first := true
		for i, end := range ends {
			begin := end - len(texts[m[i]])
			piece := span{start: max(s.start, begin) - begin, end: min(s.end, end) - begin, kind: s.kind}
			if piece.start >= piece.end {
				continue
			}
			pieces[i] = append(pieces[i], piece)
			if first {
				f, err := p.report(c, []span{piece}, m[i])
				if err != nil {
					return nil, nil, err
				}
				found, first = append(found, f...), false
			}
		}
	}
	if c.action != Redact {
		return texts, found, nil
	}
	if shared {
		texts = slices.Clone(texts)
	}
	for i, list := range pieces {
		if len(list) > 0 {
			texts[m[i]] = replace(texts[m[i]], 0, list)
		}
	}
	return texts, found, nil
}

// find returns the merged spans of a complete text. A long one is looked at in windows that overlap by half, which is more
// than anything that is found can be long.
func find(ctx context.Context, d detector, text string) ([]span, error) {
	var found []span
	for at := 0; ; at = runeStart(text, at+chunk/2) {
		if err := ctx.Err(); err != nil {
			return nil, cancelled(err)
		}
		end := runeStart(text, at+chunk)
		behind := max(0, at-lookBehind)
		spans, held := d.scan(text[behind:end], at-behind, end == len(text))
		for _, s := range spans {
			if s.start < held || end == len(text) {
				s.start, s.end = s.start+behind, s.end+behind
				found = append(found, s)
			}
		}
		if end == len(text) {
			return merge(found), nil
		}
	}
}
