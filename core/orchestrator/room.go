package orchestrator

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

const (
	guessBytesPerToken = 3.0     // until the model has counted; on the safe side for text in Latin letters
	answerShare        = 4       // part of the window that is kept for the answer where the agent's file names no size
	shrink             = 0.6     // of what did not fit
	leastRoom          = 1 << 10 // bytes; a model that takes less than this is of no use
	maxRecall          = 8 << 10 // bytes of one reading
)

// room is how many bytes of conversation fit the model: from the size of its window and from what did not fit before. 0 =
// not known.
func (s *segment) room() int {
	d := s.state.Definition
	room := 0
	if window := s.o.Models.Window(d.Model); window > 0 {
		answer := d.MaxTokens
		if answer <= 0 || answer > window/2 {
			answer = window / answerShare
		}
		per := s.perTok
		if per == 0 {
			per = guessBytesPerToken
		}
		fixed := len(d.Instructions) + len(s.state.Guide)
		for _, skill := range s.state.Skills {
			fixed += len(skill.Name) + len(skill.Description)
		}
		for _, t := range s.state.Tools {
			fixed += len(t.Name) + len(t.Description) + len(t.Parameters)
		}
		room = max(leastRoom, int(float64(window-answer)*per)-fixed)
	}
	if s.full > 0 && (room == 0 || s.full < room) {
		room = s.full
	}
	return room
}

// tooLong learns from a request that did not fit; false when there is nothing left to leave out.
func (s *segment) tooLong(req core.ModelRequest) bool {
	size := sent(req)
	if room := s.room(); room > 0 && room < size {
		size = room
	}
	s.full = int(float64(size) * shrink)
	return s.full >= leastRoom
}

// measure learns how the model counts.
func (s *segment) measure(req core.ModelRequest, u core.Usage) {
	if bytes := sent(req); u.InputTokens > 0 && bytes > leastRoom {
		s.perTok = min(8, max(0.5, float64(bytes)/float64(u.InputTokens)))
	}
}

// sent is how many bytes of text a request has.
func sent(req core.ModelRequest) int {
	n := 0
	for _, m := range req.Messages {
		n += len(m.Text)
		for _, c := range m.ToolCalls {
			n += len(c.Name) + len(c.Arguments)
		}
	}
	for _, t := range req.Tools {
		n += len(t.Name) + len(t.Description) + len(t.Parameters)
	}
	return n
}

// recall reads a message again of which the model sees only a part.
func (s *segment) recall(arguments json.RawMessage) core.ToolResult {
	var in struct {
		Message int `json:"message"`
		From    int `json:"from"`
	}
	if json.Unmarshal(arguments, &in) != nil || in.Message < 0 || in.Message >= len(s.state.Messages) || in.From < 0 {
		return core.ToolResult{IsError: true, Text: fmt.Sprintf(`"message" must be the number of a message, from 0 to %d, and "from" a number of characters`, len(s.state.Messages)-1)}
	}
	m := s.state.Messages[in.Message]
	text := m.Text
	for _, c := range m.ToolCalls {
		text += fmt.Sprintf("\ncalls %s %s", c.Name, c.Arguments)
	}
	from := in.From
	for from > 0 && from < len(text) && !utf8.RuneStart(text[from]) {
		from--
	}
	if from >= len(text) {
		return core.ToolResult{IsError: true, Text: fmt.Sprintf("the message has %d characters", len(text))}
	}
	most := maxRecall
	if room := s.room(); room > 0 {
		most = min(most, room/4)
	}
	to := min(len(text), from+most)
	for to < len(text) && to > from && !utf8.RuneStart(text[to]) {
		to--
	}
	out := text[from:to]
	if to < len(text) {
		out += fmt.Sprintf(" … [%d more; %s {\"message\": %d, \"from\": %d} goes on]", len(text)-to, agents.Recall, in.Message, to)
	}
	return core.ToolResult{Text: out}
}
