package peers

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/sutazai/sutazai/internal/supervisor"
)

// Bounds of what is remembered of a program's standard error.
const (
	maxLogLine  = 8 << 10
	tailLines   = 5
	maxTailLine = 300
	minSecret   = 6 // shorter values of variables are words such as "true"
)

// programLog takes what a peer's processes write to standard error: whole lines go into a log of bounded size, and the
// last ones into messages. Values of variables from the settings are blacked out.
type programLog struct {
	mu     sync.Mutex
	file   io.WriteCloser // nil = none is kept
	hide   *strings.Replacer
	line   []byte
	latest []string
}

func openProgramLog(spec ProgramSpec) (*programLog, error) {
	var pairs []string
	for _, value := range spec.Env {
		if len(value) >= minSecret {
			pairs = append(pairs, value, "[hidden]")
		}
	}
	l := &programLog{hide: strings.NewReplacer(pairs...)}
	if spec.LogDir == "" {
		return l, nil
	}
	file, err := supervisor.OpenLog(spec.LogDir, "peer-"+spec.Name)
	if err != nil {
		return nil, err
	}
	l.file = file
	return l, nil
}

// Write never fails: a full disk must not stop a program.
func (l *programLog) Write(b []byte) (int, error) {
	n := len(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(b) > 0 {
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		room := maxLogLine - len(l.line)
		l.line = append(l.line, part[:min(len(part), room)]...)
		if whole {
			l.end()
		}
		b = rest
	}
	return n, nil
}

// end keeps the line that is complete.
func (l *programLog) end() {
	line := l.hide.Replace(strings.ToValidUTF8(strings.TrimRight(string(l.line), "\r"), "�"))
	l.line = l.line[:0]
	if strings.TrimSpace(line) == "" {
		return
	}
	if l.file != nil {
		_, _ = io.WriteString(l.file, line+"\n") // it never fails
	}
	short := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line[:min(len(line), maxTailLine)])
	l.latest = append(l.latest, strings.ToValidUTF8(short, ""))
	if len(l.latest) > tailLines {
		l.latest = l.latest[1:]
	}
}

// note writes a line of ours.
func (l *programLog) note(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_, _ = io.WriteString(l.file, l.hide.Replace(strings.ReplaceAll(line, "\n", " "))+"\n") // it never fails
	}
}

// tail is the end of a message: the last lines, "" if there are none.
func (l *programLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.line) > 0 {
		l.end()
	}
	if len(l.latest) == 0 {
		return ""
	}
	return "; it said last: " + strings.Join(l.latest, " | ")
}

func (l *programLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
