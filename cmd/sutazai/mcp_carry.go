package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// errNoSession says that the server does not know the session any longer: it was restarted, or the session slept too long.
var errNoSession = errors.New("the session is over")

// request carries a message to the server and what it answers to the client.
func (b *mcpBridge) request(ctx context.Context, m mcpMessage) {
	session := b.current()
	err := b.post(ctx, m, session)
	if errors.Is(err, errNoSession) {
		if err = b.reopen(ctx, session); err == nil {
			err = b.post(ctx, m, b.current())
		}
	}
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, errNoSession):
		b.fail(m, "the server ended the session; initialize again")
	default:
		b.fail(m, core.MessageOf(err))
	}
}

func (b *mcpBridge) current() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.session
}

// reopen opens another session in the place of one that the server does not know any longer.
func (b *mcpBridge) reopen(ctx context.Context, old string) error {
	b.opening.Lock()
	defer b.opening.Unlock()
	b.mu.Lock()
	hello, now := b.hello, b.session
	b.mu.Unlock()
	if now != old {
		return nil // somebody else was faster
	}
	if hello == nil {
		return errNoSession
	}
	b.mu.Lock()
	b.session, b.version = "", ""
	b.mu.Unlock()
	m := mcpMessage{raw: hello, Method: "initialize"}
	if err := b.exchange(ctx, m, "", func([]byte) error { return nil }); err != nil { // the client had its answer long ago
		return err
	}
	return b.post(ctx, mcpMessage{raw: []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`), Method: "notifications/initialized"}, b.current())
}

func (b *mcpBridge) post(ctx context.Context, m mcpMessage, session string) error {
	return b.exchange(ctx, m, session, b.write)
}

// exchange makes the HTTP request of a message and gives each message of the answer to each.
func (b *mcpBridge) exchange(ctx context.Context, m mcpMessage, session string, each func([]byte) error) error {
	if m.Method == "initialize" {
		session = ""
	}
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	if m.Params.Meta.Version >= mcpStateless {
		header.Set("Mcp-Protocol-Version", m.Params.Meta.Version)
		header.Set("Mcp-Method", m.Method)
		if name := m.Params.Name + m.Params.URI; name != "" {
			header.Set("Mcp-Name", name)
		}
	} else if m.Method != "initialize" {
		b.sessionHeader(header, session)
	}
	res, err := b.send(ctx, http.MethodPost, header, m.raw)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if m.Method == "initialize" && res.StatusCode == http.StatusOK {
		b.mu.Lock()
		b.session = res.Header.Get("Mcp-Session-Id")
		b.mu.Unlock()
		each = b.agreed(each)
	}
	return b.answer(ctx, m, res, session, each)
}

// agreed takes note of the revision that the server answers initialize with.
func (b *mcpBridge) agreed(each func([]byte) error) func([]byte) error {
	return func(message []byte) error {
		var m mcpMessage
		if json.Unmarshal(message, &m) == nil && m.Result.ProtocolVersion != "" {
			b.mu.Lock()
			b.version = m.Result.ProtocolVersion
			b.mu.Unlock()
		}
		return each(message)
	}
}

func (b *mcpBridge) sessionHeader(h http.Header, session string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if session != "" {
		h.Set("Mcp-Session-Id", session)
	}
	if b.version != "" {
		h.Set("Mcp-Protocol-Version", b.version)
	}
}

// answer reads what the server says to a message.
func (b *mcpBridge) answer(ctx context.Context, m mcpMessage, res *http.Response, session string, each func([]byte) error) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode == http.StatusNotFound && session != "":
		return errNoSession
	case res.StatusCode == http.StatusAccepted || res.StatusCode == http.StatusNoContent:
		return nil
	case kind == "text/event-stream" && res.StatusCode == http.StatusOK:
		return b.events(ctx, m, res.Body, session, each)
	case kind == "application/json":
		body, err := io.ReadAll(io.LimitReader(res.Body, mcpMaxMessage))
		if err != nil {
			return core.Wrap(core.CodeUnavailable, err, "the connection to the server broke")
		}
		return each(withID(body, m))
	default:
		return core.Errorf(core.CodeUnavailable, "the server answered with HTTP status %d; is it a SutazAI server?", res.StatusCode)
	}
}

// withID gives an error that the server could not put down to a message the id of the message that it answers.
func withID(body []byte, m mcpMessage) []byte {
	var answer map[string]json.RawMessage
	if len(m.ID) == 0 || json.Unmarshal(body, &answer) != nil || answer["error"] == nil || answer["id"] != nil {
		return body
	}
	answer["id"] = m.ID
	out, err := json.Marshal(answer)
	if err != nil {
		return body
	}
	return out
}

// events reads the stream that answers a request. One that breaks is taken up where the server keeps its events.
func (b *mcpBridge) events(ctx context.Context, m mcpMessage, body io.Reader, session string, each func([]byte) error) error {
	last, done, err := readMCPEvents(body, m.ID, each)
	for until := time.Now().Add(mcpPatience); err == nil && !done && last != "" && session != "" && ctx.Err() == nil && time.Now().Before(until); {
		select {
		case <-ctx.Done():
		case <-time.After(mcpAgain):
		}
		header := http.Header{"Accept": {"text/event-stream"}, "Last-Event-Id": {last}}
		b.sessionHeader(header, session)
		res, sendErr := b.send(ctx, http.MethodGet, header, nil)
		if sendErr != nil {
			return sendErr
		}
		if res.StatusCode != http.StatusOK {
			res.Body.Close()
			break
		}
		var next string
		next, done, err = readMCPEvents(res.Body, m.ID, each)
		res.Body.Close()
		if next != "" {
			last, until = next, time.Now().Add(mcpPatience)
		}
	}
	if err == nil && !done && len(m.ID) > 0 {
		err = core.Errorf(core.CodeUnavailable, "the connection to the server broke before its answer; a run goes on: find it with list_runs")
	}
	return err
}

// readMCPEvents gives the messages of a stream to each. It returns the id of the last event, and whether the answer to id
// was among them. Its error is each's own.
func readMCPEvents(body io.Reader, id json.RawMessage, each func([]byte) error) (last string, done bool, err error) {
	r := bufio.NewReaderSize(body, 64<<10)
	var data []byte
	for {
		line, readErr := r.ReadBytes('\n')
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case readErr == nil && len(line) == 0:
			if len(data) > 0 {
				var m mcpMessage
				if json.Unmarshal(data, &m) == nil && m.Method == "" && len(id) > 0 && bytes.Equal(bytes.TrimSpace(m.ID), bytes.TrimSpace(id)) {
					done = true
				}
				if err := each(data); err != nil {
					return last, done, err
				}
			}
			data = nil
		case name == "data":
			if len(data) > 0 {
				data = append(data, '\n')
			}
			data = append(data, value...)
		case name == "id" && readErr == nil:
			last = value
		}
		if readErr != nil || len(data) > mcpMaxMessage {
			return last, done, nil
		}
	}
}

// listen hears what the server says outside of answers, until ctx ends. A server without such a stream is left alone.
func (b *mcpBridge) listen(ctx context.Context) {
	last := ""
	for ctx.Err() == nil {
		session := b.current()
		header := http.Header{"Accept": {"text/event-stream"}}
		if last != "" {
			header.Set("Last-Event-Id", last)
		}
		b.sessionHeader(header, session)
		res, err := b.send(ctx, http.MethodGet, header, nil)
		if err == nil {
			status := res.StatusCode
			if status == http.StatusOK {
				if next, _, _ := readMCPEvents(res.Body, nil, b.write); next != "" {
					last = next
				}
			}
			res.Body.Close()
			switch {
			case status == http.StatusMethodNotAllowed || status == http.StatusUnauthorized || status == http.StatusForbidden:
				return
			case status == http.StatusNotFound:
				last = ""
				_ = b.reopen(ctx, session) // tried again below
			case status != http.StatusOK:
				last = ""
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(mcpAgain):
		}
	}
}

// send makes one HTTP request. A server that cannot be reached gets some time to come back.
func (b *mcpBridge) send(ctx context.Context, method string, header http.Header, body []byte) (*http.Response, error) {
	for until := time.Now().Add(mcpPatience); ; {
		ep, err := b.conn.get(ctx)
		if err == nil {
			var res *http.Response
			if res, err = ep.sendTo(ctx, method, mcpPath, header, body); err == nil {
				return res, nil
			}
			if !neverSent(err) {
				return nil, ep.unreachable(err)
			}
			err = ep.unreachable(err)
			b.conn.forget(ep)
		}
		if ctx.Err() != nil || time.Now().After(until) || core.CodeOf(err) != core.CodeUnavailable {
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(mcpAgain):
		}
	}
}

// neverSent says whether a request cannot have reached the server: there was no connection to send it on.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func (b *mcpBridge) endSession(ctx context.Context, session string) {
	header := http.Header{}
	b.sessionHeader(header, session)
	ep, err := b.conn.get(ctx)
	if err != nil {
		return
	}
	if res, err := ep.sendTo(ctx, http.MethodDelete, mcpPath, header, nil); err == nil {
		res.Body.Close()
	}
}
