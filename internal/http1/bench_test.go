//go:build unix

package http1_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/sutazai/sutazai/internal/http1"
)

// BenchmarkTransports compares this transport with the one of net/http over the same server, for the three shapes that
// requests to models have. The server's own work is in both.
func BenchmarkTransports(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/stream" {
			w.Write(bytes.Repeat([]byte("a"), 300))
			return
		}
		for range 100 {
			w.Write([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"word \"}}]}\n\n"))
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	bench(b, server.URL)
}

// BenchmarkTransportsAlone has a server that costs next to nothing, so that what is left is the client.
func BenchmarkTransportsAlone(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go instant(c)
		}
	}()
	bench(b, "http://"+l.Addr().String())
}

// instant answers as soon as it has seen the end of a request's body, for which the benchmark's requests have a mark.
func instant(c net.Conn) {
	defer c.Close()
	whole := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nContent-Length: 300\r\n\r\n%s", bytes.Repeat([]byte("a"), 300))
	event := "data: {\"choices\":[{\"delta\":{\"content\":\"word \"}}]}\n\n"
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event)
	buf := make([]byte, 64<<10)
	stream := false
	for first := true; ; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if first {
			stream = bytes.HasPrefix(buf[:n], []byte("POST /stream"))
		}
		first = buf[n-1] == '$'
		if !first {
			continue
		}
		if !stream {
			c.Write(whole)
			continue
		}
		c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"))
		for range 100 {
			c.Write(chunk)
		}
		c.Write([]byte("0\r\n\r\n"))
	}
}

// processorTime is what this process has used, in nanoseconds. Wall time alone says little: a hand-over between goroutines
// can hide on another processor.
func processorTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func bench(b *testing.B, url string) {
	small := append(bytes.Repeat([]byte("s"), 200), '$')
	large := append(bytes.Repeat([]byte("l"), 50_000), '$')
	transports := []struct {
		name string
		rt   interface {
			http.RoundTripper
			CloseIdleConnections()
		}
	}{
		{"http1", http1.New(http1.Config{})},
		{"net_http", &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}},
	}
	defer func() {
		for _, tr := range transports {
			tr.rt.CloseIdleConnections()
		}
	}()
	shapes := []struct {
		name, path string
		body       []byte
	}{{"small", "/", small}, {"large", "/", large}, {"stream", "/stream", small}}
	for _, shape := range shapes {
		for _, tr := range transports {
			b.Run(shape.name+"/"+tr.name, func(b *testing.B) {
				b.ReportAllocs()
				began := processorTime(b)
				b.SetParallelism(4) // a gateway is rarely alone with one request, and an idle scheduler spins
				b.RunParallel(func(pb *testing.PB) {
					buf := make([]byte, 32<<10)
					for pb.Next() {
						if err := call(tr.rt, url+shape.path, shape.body, buf); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(processorTime(b)-began)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// call makes one request as the gateway does and reads its answer to the end.
func call(rt http.RoundTripper, url string, body, buf []byte) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer key")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for err == nil {
		_, err = resp.Body.Read(buf)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
