package guardrails

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"
)

// Stream checks a text that arrives in pieces. What it gives out, joined, is what Pass.Text gives for the whole text,
// whatever the pieces; for outside checkers see hookStage. It holds back
//
//   - the last word, where a credential or an address may still grow: at most 128 bytes;
//   - what may still become a match, such as the digits of a card number (at most 150 bytes, without invisible characters), a mail address (320), a
//     configured pattern (MaxLength), a credential behind its keyword (what its rule allows, at most 8 KiB; a private key is such a one);
//   - with an outside checker, what it has not been asked about yet: a sentence, at most streamMax bytes.
//
// Texts of checks that only flag are not held back, except for an outside checker's answer.
type Stream struct {
	stages []stage
	tail   string // the beginning of a character that is not complete
	err    error
}

// stage is one check's place in a stream. It takes a piece and gives out what it is done with.
type stage interface {
	add(ctx context.Context, piece string, final bool) (out string, found []Finding, err error)
}

// Stream begins a text that arrives in pieces.
func (p *Pass) Stream() *Stream {
	s := &Stream{}
	for i, c := range p.checks {
		switch {
		case c.hook != nil:
			s.stages = append(s.stages, &hookStage{pass: p, check: c})
		case c.kind == KindSize:
			s.stages = append(s.stages, &sizeStage{pass: p, index: i})
		default:
			s.stages = append(s.stages, &textStage{pass: p, check: c})
		}
	}
	return s
}

// Add takes the next piece and returns the text that may go on. After an error, which is one of Pass.Text, the stream has
// ended, and nothing that was held back comes out.
func (s *Stream) Add(ctx context.Context, piece string) (string, []Finding, error) {
	piece = s.tail + piece
	cut := len(piece)
	for n := 1; n < utf8.UTFMax && n <= len(piece); n++ { // a character that began but is not complete waits
		if c := piece[len(piece)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRuneInString(piece[len(piece)-n:]) {
				cut = len(piece) - n
			}
			break
		}
	}
	piece, s.tail = piece[:cut], piece[cut:]
	return s.run(ctx, piece, false)
}

// End says that the text is complete and returns the rest of it.
func (s *Stream) End(ctx context.Context) (string, []Finding, error) {
	piece := s.tail
	s.tail = ""
	return s.run(ctx, piece, true)
}

func (s *Stream) run(ctx context.Context, piece string, final bool) (string, []Finding, error) {
	if s.err != nil {
		return "", nil, s.err
	}
	var found []Finding
	for _, one := range s.stages {
		if piece == "" && !final {
			break
		}
		out, f, err := one.add(ctx, piece, final)
		if err != nil {
			s.err = err
			return "", nil, err
		}
		piece, found = out, append(found, f...)
	}
	return piece, found, nil
}

// sizeStage counts.
type sizeStage struct {
	pass  *Pass
	index int
	at    int // bytes so far
}

func (s *sizeStage) add(_ context.Context, piece string, _ bool) (string, []Finding, error) {
	found, err := s.pass.count(s.index, piece)
	for i := range found {
		found[i].Start += s.at
		found[i].End += s.at
	}
	s.at += len(piece)
	return piece, found, err
}

// textStage finds spans.
type textStage struct {
	pass  *Pass
	check *check
	buf   string
	base  int // offset of buf in the text
	done  int // buf[:done] has been judged and is kept as context
	wait  int // length of buf before which it is not worth to look again
}

// rescan is the number of bytes held back from which on a text is looked at again only when it has grown by a quarter.
// That keeps a long match, such as a private key, linear in time.
const rescan = 256

func (s *textStage) add(_ context.Context, piece string, final bool) (string, []Finding, error) {
	s.buf += piece
	flag := s.check.action == Flag
	given := ""
	if flag {
		given = piece
	}
	if !final && len(s.buf) < s.wait {
		return given, nil, nil
	}
	spans, held := s.check.detector.scan(s.buf, s.done, final)
	voids := slices.DeleteFunc(slices.Clone(spans), func(one span) bool { return !one.void })
	spans = merge(spans)
	held, n := s.settle(spans, voids, held)
	spans = spans[:n]
	text := s.buf[s.done:held]
	var found []Finding
	if n > 0 {
		in := make([]span, n)
		for i, one := range spans {
			in[i] = span{start: one.start + s.base, end: one.end + s.base, kind: one.kind}
		}
		var err error
		if found, err = s.pass.report(s.check, in, 0); err != nil {
			return "", nil, err
		}
		if s.check.action == Redact {
			text = replace(text, s.done, spans)
		}
	}
	s.keep(held)
	if flag {
		text = given
	}
	return text, found, nil
}

// settle returns how far the text is judged, where nothing is known of what begins at or behind held, and how many of the
// spans are before that. One that is not must be found again, and a void one not be cut.
func (s *textStage) settle(spans, voids []span, held int) (done, n int) {
	n = len(spans)
	for {
		held = max(s.done, runeStart(s.buf, held))
		before := held
		for ; n > 0 && spans[n-1].end > held; n-- {
			held = min(held, spans[n-1].start-spans[n-1].lead)
		}
		for _, v := range voids {
			if begin := v.start - v.lead; begin < held && v.end > held {
				held = begin
			}
		}
		if held >= before {
			return before, n
		}
	}
}

// keep forgets what is judged, but for the context.
func (s *textStage) keep(done int) {
	from := max(0, done-lookBehind)
	s.buf, s.base, s.done = s.buf[from:], s.base+from, done-from
	s.wait = 0
	if pending := len(s.buf) - s.done; pending > rescan {
		s.wait = len(s.buf) + pending/4
	}
}

// hookStage asks an outside checker about one window of the text after the other, and gives out none before the checker
// has answered for it. A window ends with a sentence, when it has at least streamMin bytes, and else at the last white
// space before streamMax. Where it ends depends on the text only. What the checker would find only in a longer text, such
// as a name across two windows, is not found.
type hookStage struct {
	pass  *Pass
	check *check
	buf   string
	base  int // offset of buf in the text
}

// The sizes of the windows, in bytes, in which an outside checker is asked about a stream.
const (
	streamMin = 200
	streamMax = 2000
)

func (s *hookStage) add(ctx context.Context, piece string, final bool) (string, []Finding, error) {
	s.buf += piece
	var out strings.Builder
	var found []Finding
	for {
		n := window(s.buf, streamMin, streamMax, final)
		if n == 0 {
			return out.String(), found, nil
		}
		text := s.buf[:n]
		verdicts, err := s.pass.ask(ctx, s.check, []string{text}, streamMax, streamMax)
		if err != nil {
			return "", nil, err
		}
		before := len(found)
		changed, found2, err := s.pass.applyVerdicts(s.check, []string{text}, verdicts, found)
		if err != nil {
			return "", nil, err
		}
		for i := before; i < len(found2); i++ {
			found2[i].Start += s.base
			found2[i].End += s.base
		}
		found = found2
		if changed != nil {
			text = changed[0]
		}
		out.WriteString(text)
		s.buf, s.base = s.buf[n:], s.base+n
	}
}

// window returns the length of the first window of text; 0 = that is not known yet, or there is no text.
func window(text string, least, most int, final bool) int {
	for i := least; i < min(len(text), most); i++ {
		if endsSentence(text, i) {
			return i
		}
	}
	if len(text) < most {
		if final {
			return len(text)
		}
		return 0
	}
	if i := strings.LastIndexAny(text[least:most], " \t\n\r"); i >= 0 {
		return least + i + 1
	}
	return max(1, runeStart(text, most))
}

// endsSentence says whether a sentence ends before offset i, which is not the end of the text.
func endsSentence(text string, i int) bool {
	switch text[i-1] {
	case '\n':
		return true
	case ' ', '\t':
		return i > 1 && strings.IndexByte(".!?:;", text[i-2]) >= 0
	case 0x82, 0x81, 0x9F: // the last bytes of the full stops of Chinese and Japanese
		return strings.HasSuffix(text[:i], "。") || strings.HasSuffix(text[:i], "！") || strings.HasSuffix(text[:i], "？")
	}
	return false
}
