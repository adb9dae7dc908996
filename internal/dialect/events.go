package dialect

import "bytes"

// Whole returns how many bytes of b are whole events of a stream: up to and with the last empty line for server-sent
// events, the last line for the newline-delimited JSON of Ollama.
func (n Name) Whole(b []byte) int {
	if n.lines() {
		return bytes.LastIndexByte(b, '\n') + 1
	}
	if i := bytes.LastIndex(b, []byte("\n\n")); i >= 0 {
		return i + 2
	}
	if i := bytes.LastIndex(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return 0
}

func (n Name) lines() bool { return n == OllamaChat || n == OllamaGenerate }

// Next cuts the first event off b, which holds whole events only, and returns its data: the joined data lines of a
// server-sent event, or the line itself. event is the field of that name, "" where there is none.
func (n Name) Next(b []byte) (name, data, whole, rest []byte) {
	if n.lines() {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return nil, bytes.TrimSpace(b), b, nil
		}
		return nil, bytes.TrimSpace(b[:i]), b[:i+1], b[i+1:]
	}
	at, more := 0, false
	for at < len(b) {
		line := b[at:]
		next := len(b)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		at = next
		line = bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case len(line) == 0:
			return name, data, b[:at], b[at:]
		case bytes.HasPrefix(line, []byte("data:")):
			value := bytes.TrimPrefix(line[5:], []byte(" "))
			if more { // data of several lines is rare; only then is it copied
				data = append(append(bytes.Clone(data), '\n'), value...)
			} else {
				data, more = value, true
			}
		case bytes.HasPrefix(line, []byte("event:")):
			name = bytes.TrimSpace(line[6:])
		}
	}
	return name, data, b, nil
}
