package main

import (
	"strings"
	"unicode/utf16"

	"github.com/sutazai/sutazai/core"
)

// partial is the message that is being written, and how much of it stands on the terminal already. What was printed
// cannot be taken back, so a text that turns out otherwise is printed again from its start.
type partial struct {
	message int
	attempt int
	text    []uint16 // as the server counts it
	printed string
}

// apply takes in a delta. show is what is to be printed next; void says that what was printed before is not part of
// the message any more.
func (p *partial) apply(d core.DeltaData) (show string, void bool) {
	if d.Message != p.message {
		*p = partial{message: d.Message, attempt: d.Attempt}
	}
	if d.Attempt < p.attempt {
		return "", false // a late piece of an attempt that was given up
	}
	if d.Attempt > p.attempt {
		p.attempt, p.text = d.Attempt, nil
	}
	if d.Offset > len(p.text) {
		return "", false // a piece is missing; the completed message will bring it
	}
	p.text = append(p.text[:max(d.Offset, 0)], utf16.Encode([]rune(d.Text))...)
	return p.catchUp(string(utf16.Decode(p.text)), false)
}

// restart voids the text because its step starts again; what comes decides whether anything must be printed anew.
func (p *partial) restart() { p.text = nil }

// complete takes in the whole message.
func (p *partial) complete(m core.Message) (show string, void bool) {
	if m.Index != p.message {
		*p = partial{message: m.Index}
	}
	return p.catchUp(m.Text, true)
}

// catchUp compares what stands on the terminal with what should. A text that is only shorter is no contradiction
// until it is whole: after a reconnect or in a new attempt the same words often come again.
func (p *partial) catchUp(text string, whole bool) (show string, void bool) {
	if rest, ok := strings.CutPrefix(text, p.printed); ok {
		p.printed = text
		return rest, false
	}
	if !whole && strings.HasPrefix(p.printed, text) {
		return "", false
	}
	p.printed = text
	return text, true
}
