package http1

import (
	"sync"
	"time"
)

// pool holds the connections that no request uses, the last used on top: the others get a chance to become too old. One
// timer, set only while there are any, closes those.
type pool struct {
	timeout time.Duration
	most    int // for one place

	mu    sync.Mutex
	hosts map[place][]*conn
	timer *time.Timer // nil = not set
}

// take returns a connection that looks alive, nil where there is none.
func (p *pool) take(where place) *conn {
	for {
		c := p.pop(where)
		if c == nil {
			return nil
		}
		if time.Since(c.since) < p.timeout && c.alive() {
			return c
		}
		c.close()
	}
}

func (p *pool) pop(where place) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.hosts[where]
	if len(kept) == 0 {
		return nil
	}
	c := kept[len(kept)-1]
	kept[len(kept)-1] = nil
	p.hosts[where] = kept[:len(kept)-1]
	return c
}

// put keeps a connection for the next request, or closes it where enough are kept.
func (p *pool) put(c *conn) {
	c.since, c.used = time.Now(), true
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.hosts[c.where]) >= p.most {
		c.close()
		return
	}
	if p.hosts == nil {
		p.hosts = map[place][]*conn{}
	}
	p.hosts[c.where] = append(p.hosts[c.where], c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.timeout, p.sweep)
	}
}

// sweep closes what has not been used for the timeout and sets the timer for the next.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, next := time.Now(), time.Duration(-1)
	for where, kept := range p.hosts {
		old := 0 // they are in the order in which they were put here
		for old < len(kept) && now.Sub(kept[old].since) >= p.timeout {
			kept[old].close()
			old++
		}
		if old == len(kept) {
			delete(p.hosts, where)
			continue
		}
		p.hosts[where] = append([]*conn(nil), kept[old:]...)
		if left := p.timeout - now.Sub(kept[old].since); next < 0 || left < next {
			next = left
		}
	}
	p.timer = nil
	if next >= 0 {
		p.timer = time.AfterFunc(next, p.sweep)
	}
}

func (p *pool) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, kept := range p.hosts {
		for _, c := range kept {
			c.close()
		}
	}
	p.hosts = nil
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
