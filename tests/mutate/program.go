package mutate

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/sutazai/sutazai/services/peers"
)

// A Program is a peer's program played in this process: Play gets what is written to it, line by line, and says lines. It
// ends when Play returns.
type Program struct {
	in     *io.PipeReader
	out    *io.PipeWriter
	toIn   *io.PipeWriter
	toOut  *io.PipeReader
	exited chan struct{}
	once   sync.Once
}

// Launch plays a program.
func Launch(play func(read func() (Line, bool), say func(line []byte) bool)) peers.Process {
	p := &Program{exited: make(chan struct{})}
	p.in, p.toIn = io.Pipe()
	p.toOut, p.out = io.Pipe()
	go func() {
		defer close(p.exited)
		lines := bufio.NewScanner(p.in)
		lines.Buffer(nil, 32<<20)
		play(func() (l Line, ok bool) {
			ok = lines.Scan()
			_ = json.Unmarshal(lines.Bytes(), &l) // what this program writes is JSON
			return l, ok
		}, func(line []byte) bool {
			_, err := p.out.Write(append(line, '\n'))
			return err == nil
		})
		p.out.Close()
		p.in.CloseWithError(io.ErrClosedPipe)
	}()
	return p
}

// Line is a message that a program is given.
type Line struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Read implements peers.Process.
func (p *Program) Read(b []byte) (int, error) { return p.toOut.Read(b) }

// Write implements peers.Process.
func (p *Program) Write(b []byte) (int, error) { return p.toIn.Write(b) }

// Exited implements peers.Process.
func (p *Program) Exited() <-chan struct{} { return p.exited }

// Err implements peers.Process.
func (p *Program) Err() error { return errors.New("exit status 1") }

// Close implements peers.Process.
func (p *Program) Close() error {
	p.once.Do(func() {
		p.toIn.Close()
		p.toOut.Close()
	})
	<-p.exited
	return nil
}
