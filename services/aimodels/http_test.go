package aimodels_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/sutazai/sutazai/services/aimodels"
)

// TestAKeptConnectionThatTheServerClosesCostsNoTry plays a server that closes its side after every answer without saying
// so, and does it before the next request is read.
func TestAKeptConnectionThatTheServerClosesCostsNoTry(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan int, 1)
	go func() {
		n := 0
		defer func() { served <- n }()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			if _, err := http.ReadRequest(r); err == nil {
				n++
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				_, _ = r.Peek(1 << 10) // the body of this request, then the next one: it is there, and is dropped
			}
			conn.Close()
		}
	}()
	c, err := aimodels.NewHTTPClient(aimodels.HTTPConfig{Name: "x", BaseURL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		var out struct{}
		if err := c.PostJSON(t.Context(), "/", map[string]string{"pad": string(make([]byte, 100))}, &out); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	l.Close()
	if n := <-served; n != 3 {
		t.Errorf("%d requests were answered", n)
	}
}
