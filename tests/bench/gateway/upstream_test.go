//go:build bench

package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

const (
	chunks  = 100
	pace    = time.Millisecond // between two chunks: a peer that is faster than the upstream reads each by itself
	pong    = "pong from upstream"
	word    = "word "
	doneTag = "data: [DONE]"
)

// serveUpstream answers chat completions as fast as a server can: nothing of a request is read but its framing and
// whether it wants a stream.
func serveUpstream() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("serves http://" + l.Addr().String())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go answer(c)
	}
}

func answer(c net.Conn) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 64<<10)
	body := make([]byte, 0, 64<<10)
	whole, streamed := wholeAnswer(), streamedAnswer()
	for {
		var err error
		if body, err = readMessage(in, body[:0], nil); err != nil {
			return
		}
		if !bytes.Contains(body, []byte(`"stream":true`)) && !bytes.Contains(body, []byte(`"stream": true`)) {
			if _, err := c.Write(whole); err != nil {
				return
			}
			continue
		}
		for i, piece := range streamed {
			if i > 0 && i < len(streamed)-1 {
				time.Sleep(pace)
			}
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	}
}

func wholeAnswer() []byte {
	body := `{"id":"chatcmpl-1","object":"chat.completion","created":1764000000,"model":"bench","choices":[{"index":0,"message":` +
		`{"role":"assistant","content":"` + pong + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}`
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// streamedAnswer is the head, one piece a chunk, and the end.
func streamedAnswer() [][]byte {
	// nginx holds answers back unless it is told not to; the others do not know the header.
	pieces := [][]byte{[]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n")}
	event := func(rest string) []byte {
		data := `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1764000000,"model":"bench",` + rest + "}\n\n"
		return fmt.Appendf(nil, "%x\r\n%s\r\n", len(data), data)
	}
	for i := range chunks {
		role := ""
		if i == 0 {
			role = `"role":"assistant",`
		}
		pieces = append(pieces, event(`"choices":[{"index":0,"delta":{`+role+`"content":"`+word+`"},"finish_reason":null}]`))
	}
	end := event(`"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]`)
	end = append(end, event(`"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":100,"total_tokens":109}`)...)
	return append(pieces, fmt.Appendf(end, "%x\r\n%s\n\n\r\n0\r\n\r\n", len(doneTag)+2, doneTag))
}

// serveReverseProxy is what Go's library gives with the settings that a proxy of models needs.
func serveReverseProxy(upstream string) error {
	u, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("serves http://" + l.Addr().String())
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u) },
		FlushInterval: -1,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	return (&http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}).Serve(l)
}

// readMessage appends the body of one request or answer to body. first, where it is given, gets the first line.
func readMessage(in *bufio.Reader, body []byte, first func(line string)) ([]byte, error) {
	length, chunked := 0, false
	for n := 0; ; n++ {
		raw, err := in.ReadSlice('\n')
		if err != nil {
			return body, err
		}
		line := bytes.TrimRight(raw, "\r\n")
		if len(line) == 0 {
			break
		}
		if n == 0 {
			if first != nil {
				first(string(line))
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) == 14 && strings.EqualFold(string(name), "Content-Length"):
			if _, err := fmt.Sscan(string(value), &length); err != nil {
				return body, err
			}
		case len(name) == 17 && strings.EqualFold(string(name), "Transfer-Encoding"):
			chunked = true
		}
	}
	if !chunked {
		return readInto(in, body, length)
	}
	for {
		raw, err := in.ReadSlice('\n')
		if err != nil {
			return body, err
		}
		var size int
		if _, err := fmt.Sscanf(string(raw), "%x", &size); err != nil {
			return body, fmt.Errorf("a chunk of size %q: %w", raw, err)
		}
		if body, err = readInto(in, body, size); err != nil {
			return body, err
		}
		if _, err := in.ReadSlice('\n'); err != nil || size == 0 {
			return body, err
		}
	}
}

func readInto(in io.Reader, body []byte, n int) ([]byte, error) {
	at := len(body)
	body = append(body, make([]byte, n)...)
	_, err := io.ReadFull(in, body[at:])
	return body, err
}
