package llm

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

// Sizes in bytes of what is left of a long conversation.
const (
	recentTurns  = 2         // assistant messages at the end whose results are shown whole if there is room
	shortResult  = 800       // of an older tool result
	summaryRoom  = 3         // part of the room that is there for what is summed up, however long the last summary is
	leastMessage = 200       // of a message that is cut because nothing else helps
	overhead     = 24        // of a message besides its text: role, ids, punctuation
	bytesPerPart = 256 << 10 // what a part that is no text is taken to need at most
)

// view is what the model is shown of a conversation.
type view struct {
	messages []core.Message
	partial  bool // something is shortened or summed up; it can be recalled
}

// viewOf shows the conversation: all of it, or the task, the latest summary and what came after it. The parts stand in a
// fixed order, and what was shown once is shown the same way again, so that a provider's cache of prompts holds.
func viewOf(s agents.State) view {
	from, summary := 0, core.Message{}
	for _, m := range s.Messages {
		if m.SummaryTo > 0 {
			from, summary = m.SummaryTo+1, m
		}
	}
	var v view
	if from > 0 {
		v.partial = true
		if task := s.Run.InputMessage; task < from {
			v.messages = append(v.messages, withFiles(s, s.Messages[task]))
		}
		v.messages = append(v.messages, core.Message{
			Role: core.RoleUser, Index: summary.Index,
			Text: fmt.Sprintf("[Messages 0 to %d of this conversation, summed up:]\n%s", summary.SummaryTo, summary.Text),
		})
	}
	for _, m := range s.Messages[from:] {
		if m.SummaryTo == 0 {
			v.messages = append(v.messages, withFiles(s, m))
		}
	}
	return v
}

// withFiles names the attached files in the task.
func withFiles(s agents.State, m core.Message) core.Message {
	if m.Index == s.Run.InputMessage && len(s.Run.Files) > 0 {
		m.Text += "\n\nAttached files, in the workspace: " + strings.Join(s.Run.Files, ", ")
	}
	return m
}

// size is how many bytes messages take of the room.
func size(messages []core.Message) int {
	n := 0
	for _, m := range messages {
		n += overhead + len(m.Text)
		for _, p := range m.Parts {
			if p.Kind != core.PartText {
				n += min(len(p.Data)+len(p.Text), bytesPerPart)
			}
		}
		for _, c := range m.ToolCalls {
			n += overhead + len(c.Name) + len(c.Arguments)
		}
	}
	return n
}

// shorten leaves of older tool results their beginnings; the model can recall the rest.
func (v *view) shorten() {
	recent, from := 0, len(v.messages)
	for from > 0 && recent < recentTurns {
		from--
		if v.messages[from].Role == core.RoleAssistant {
			recent++
		}
	}
	for i := range v.messages[:from] {
		if m := &v.messages[i]; m.Role == core.RoleTool && len(m.Text) > shortResult+leastMessage {
			*m = shortened(*m, shortResult)
			v.partial = true
		}
	}
}

// cut shortens the largest messages until all fit: the last resort, where there is nothing left to sum up.
func (v *view) cut(room int) {
	v.partial = true
	for size(v.messages) > room {
		largest := -1
		for i, m := range v.messages {
			if len(m.Text) > leastMessage && (largest < 0 || len(m.Text) > len(v.messages[largest].Text)) {
				largest = i
			}
		}
		if largest < 0 {
			return
		}
		m := &v.messages[largest]
		keep := max(leastMessage, len(m.Text)-(size(v.messages)-room)) / 2
		*m = shortened(*m, max(keep, leastMessage/2))
	}
}

// shortened keeps the first bytes of a message, and says how to read the rest.
func shortened(m core.Message, keep int) core.Message {
	for keep > 0 && !utf8.RuneStart(m.Text[keep]) {
		keep--
	}
	m.Text = fmt.Sprintf("%s … [cut; %s {\"message\": %d} reads it all]", m.Text[:keep], agents.Recall, m.Index)
	m.Parts = nil
	return m
}

const summaryInstructions = `Sum up the conversation below so that the work can go on from your summary alone. Keep: the task and what the user asked for or forbade, every decision and its reason, facts, names, numbers, paths and ids that may be needed again, what was tried and failed, what is done and what is left. Name the numbers of messages whose details may be needed. Leave out politeness and what is out of date. Write plain text, no introduction.`

// compact asks for a summary of the older part of the conversation: as much as the model can read at once. ok is false
// where there is nothing older than the latest step.
func compact(s agents.State) (agents.Compact, bool) {
	from, before := 0, ""
	for _, m := range s.Messages {
		if m.SummaryTo > 0 {
			from, before = m.SummaryTo+1, m.Text
		}
	}
	end := boundary(s.Messages, from)
	if end <= from {
		return agents.Compact{}, false
	}
	room := s.Room - len(summaryInstructions) - len(before) - 8*overhead
	room = max(room, s.Room/summaryRoom)
	var text strings.Builder
	to := from
	for i := from; i < end; i++ {
		line := transcript(s.Messages[i], room/4)
		if text.Len()+len(line) > room && i > from && fits(s.Messages, i) {
			break
		}
		text.WriteString(line)
		to = i
	}
	for to > from && !fits(s.Messages, to+1) {
		to--
	}
	if to <= 0 {
		return agents.Compact{}, false
	}
	whole := text.String()
	if len(whole) > room { // one step of many large messages
		whole = shortText(whole, room)
	}
	if before != "" {
		whole = "[What was summed up before:]\n" + before + "\n\n[What came then:]\n" + whole
	}
	return agents.Compact{
		To: to,
		Request: core.ModelRequest{
			Model: s.Definition.Model,
			Messages: []core.Message{
				{Role: core.RoleSystem, Text: summaryInstructions},
				{Role: core.RoleUser, Text: whole},
			},
		},
	}, true
}

// boundary is the first message that is not summed up: the beginning of the latest step.
func boundary(messages []core.Message, from int) int {
	for i := len(messages) - 1; i > from; i-- {
		if m := messages[i]; m.Role == core.RoleAssistant || m.Role == core.RoleUser {
			return i
		}
	}
	return from
}

// fits says whether a conversation may begin with the message at i: not with a result whose call is left out.
func fits(messages []core.Message, i int) bool {
	return i >= len(messages) || messages[i].Role != core.RoleTool
}

// transcript is a message as text, of at most about so many bytes.
func transcript(m core.Message, most int) string {
	if m.SummaryTo > 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[%d] %s: %s\n", m.Index, m.Role, shortText(m.Text, max(most, leastMessage)))
	for _, c := range m.ToolCalls {
		fmt.Fprintf(&b, "[%d] calls %s %s\n", m.Index, c.Name, shortText(string(c.Arguments), max(most, leastMessage)))
	}
	return b.String()
}

// shortText keeps the beginning and the end of a text.
func shortText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	head, tail := most*2/3, len(s)-most/3
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + " … " + s[tail:]
}
