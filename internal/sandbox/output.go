package sandbox

import (
	"fmt"
	"sync"
)

// maxOutput is how much a command may write in all before it is ended: nobody reads it, and it costs time.
const maxOutput = 64 << 20

// keeper keeps the start and the end of what is written and counts the rest.
type keeper struct {
	limit int
	over  func() // called for each write beyond maxOutput

	mu    sync.Mutex
	head  []byte
	tail  []byte // a ring once it is full
	at    int    // where the ring goes on
	total int64
}

func (k *keeper) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(p)
	k.total += int64(n)
	if k.total > maxOutput {
		k.over()
	}
	headMax := k.limit * 3 / 4
	if room := headMax - len(k.head); room > 0 {
		take := min(room, len(p))
		k.head = append(k.head, p[:take]...)
		p = p[take:]
	}
	tailMax := k.limit - headMax
	if len(p) > tailMax {
		p = p[len(p)-tailMax:]
	}
	for len(p) > 0 {
		if len(k.tail) < tailMax {
			take := min(tailMax-len(k.tail), len(p))
			k.tail = append(k.tail, p[:take]...)
			p = p[take:]
			continue
		}
		c := copy(k.tail[k.at:], p)
		k.at = (k.at + c) % tailMax
		p = p[c:]
	}
	return n, nil
}

func (k *keeper) output() Output {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := string(k.head)
	if left := k.total - int64(len(k.head)) - int64(len(k.tail)); left > 0 {
		text += fmt.Sprintf("\n[%d bytes left out]\n", left)
	}
	return Output{Text: text + string(k.tail[k.at:]) + string(k.tail[:k.at]), Total: k.total}
}
