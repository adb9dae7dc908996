package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

const (
	mcpPath       = "/mcp"
	mcpStateless  = "2026-07-28"     // the first revision in which a message needs no session
	mcpMaxMessage = 24 << 20         // bytes of a line, as the server takes them
	mcpEnd        = 5 * time.Second  // for answers that are under way when the input ends
	mcpPatience   = 20 * time.Second // for a server that is not there, such as one that restarts
	mcpAgain      = 500 * time.Millisecond
	mcpFailed     = -32000 // JSON-RPC leaves this code to servers
)

// mcpBridge carries MCP messages between standard input and output and a server's /mcp. It reads of a message only what it
// must know to carry it.
type mcpBridge struct {
	conn *connector

	outMu sync.Mutex
	out   io.Writer

	mu       sync.Mutex
	session  string
	version  string // that was agreed upon
	hello    []byte // the initialize message, to open another session with
	underWay map[string]context.CancelFunc
	work     sync.WaitGroup
	opening  sync.Mutex // one new session at a time
}

// mcpMessage is what the bridge reads of a message.
type mcpMessage struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string          `json:"name"`
		URI       string          `json:"uri"`
		RequestID json.RawMessage `json:"requestId"`
		Meta      struct {
			Version string `json:"io.modelcontextprotocol/protocolVersion"`
		} `json:"_meta"`
	} `json:"params"`
	Result struct {
		ProtocolVersion string `json:"protocolVersion"`
	} `json:"result"`
	raw []byte
}

func newMCPBridge(conn *connector, out io.Writer) *mcpBridge {
	return &mcpBridge{conn: conn, out: out, underWay: map[string]context.CancelFunc{}}
}

// run carries messages until the input ends or ctx does.
func (b *mcpBridge) run(ctx context.Context, in io.Reader) error {
	if _, err := b.conn.get(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	lines, readErr := make(chan []byte), make(chan error, 1)
	go func() { // a read of standard input cannot be cancelled: it ends with the input or the process
		defer close(lines)
		readErr <- readLines(in, func(line []byte) bool {
			select {
			case lines <- line:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	for open := true; open; {
		select {
		case line, ok := <-lines:
			if open = ok; ok {
				b.take(ctx, line)
			}
		case <-ctx.Done():
			open = false
		}
	}
	b.finish(ctx)
	cancel()
	b.work.Wait()
	select {
	case err := <-readErr:
		return err
	default:
		return ctx.Err() // interrupted
	}
}

// readLines gives each line that holds something to take, until it wants no more.
func readLines(in io.Reader, take func([]byte) bool) error {
	r := bufio.NewReaderSize(in, 64<<10)
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > mcpMaxMessage {
			return core.Errorf(core.CodeTooLarge, "a message on standard input is longer than %d bytes", mcpMaxMessage)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if text := bytes.TrimSpace(line); len(text) > 0 && !take(text) {
			return nil
		}
		line = nil
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return core.Wrap(core.CodeUnavailable, err, "standard input cannot be read")
		}
	}
}

// finish lets answers under way come, and ends the session.
func (b *mcpBridge) finish(ctx context.Context) {
	if ctx.Err() == nil {
		wait(ctx, func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.underWay) == 0
		}, mcpEnd)
	}
	b.mu.Lock()
	session := b.session
	b.mu.Unlock()
	if session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mcpEnd)
	defer cancel()
	b.endSession(ctx, session) // one that is left behind ends by itself after a while
}

// take carries one message to the server. Requests go their own way, so that others can follow; everything else keeps its
// order.
func (b *mcpBridge) take(ctx context.Context, line []byte) {
	m := mcpMessage{raw: line}
	_ = json.Unmarshal(line, &m) // what cannot be read is for the server to refuse
	modern := m.Params.Meta.Version >= mcpStateless
	switch {
	case m.Method == "initialize":
		b.mu.Lock()
		b.hello = line
		b.mu.Unlock()
		b.request(ctx, m)
	case m.Method == "notifications/cancelled" && b.cancelled(m.Params.RequestID):
		// The server is told by the end of the request's own connection.
	case m.Method != "" && len(m.ID) > 0:
		ctx, cancel := context.WithCancel(ctx)
		key := string(m.ID)
		b.mu.Lock()
		if modern {
			b.underWay[key] = cancel
		} else {
			b.underWay[key] = nil // the server is told by the message that cancels
		}
		b.mu.Unlock()
		b.work.Go(func() {
			defer cancel()
			b.request(ctx, m)
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.underWay, key)
		})
	default:
		b.request(ctx, m)
		if m.Method == "notifications/initialized" {
			b.work.Go(func() { b.listen(ctx) })
		}
	}
}

// cancelled ends a request of a revision whose requests end with their connection.
func (b *mcpBridge) cancelled(id json.RawMessage) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	cancel := b.underWay[string(id)]
	if cancel == nil {
		return false
	}
	cancel()
	return true
}

// write puts a message on a line of its own.
func (b *mcpBridge) write(message []byte) error {
	var line bytes.Buffer
	if json.Compact(&line, message) != nil {
		return nil // no message: a server of this program sends none such
	}
	line.WriteByte('\n')
	b.outMu.Lock()
	defer b.outMu.Unlock()
	_, err := b.out.Write(line.Bytes())
	return err
}

// fail answers a request that could not be carried.
func (b *mcpBridge) fail(m mcpMessage, message string) {
	if len(m.ID) == 0 || m.Method == "" {
		return
	}
	answer, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": m.ID, "error": map[string]any{"code": mcpFailed, "message": message},
	})
	if err == nil {
		_ = b.write(answer) // a client that has left needs no answer
	}
}
