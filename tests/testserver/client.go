package testserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// callPatience bounds one call.
const callPatience = 30 * time.Second

// StatusError is an answer other than 2xx.
type StatusError struct {
	Status int
	Body   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.Status, e.Body) }

// Client calls the API of a server that may be dead or elsewhere after a restart: URL is asked before every call.
type Client struct {
	URL  func() string
	Key  string
	HTTP *http.Client
}

// Page is a list as the API gives it.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

func (c *Client) do(ctx context.Context, method, path string, header http.Header, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL()+path, content)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Authorization", "Bearer "+c.Key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what could be read is better than nothing
		return nil, &StatusError{resp.StatusCode, string(b)}
	}
	return resp, nil
}

// Call makes one call and decodes its answer into out, which may be nil.
func (c *Client) Call(ctx context.Context, method, path string, header http.Header, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	resp, err := c.do(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// List reads a whole list.
func List[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var p Page[T]
	err := c.Call(ctx, http.MethodGet, path, nil, nil, &p)
	return p.Items, err
}

// SSE is one server-sent event.
type SSE struct {
	ID, Event string
	Data      []byte
}

// Stream reads server-sent events after lastID ("" = from the beginning) until the server ends the stream, which is nil,
// or it breaks. each returns false to stop reading.
func (c *Client) Stream(ctx context.Context, path, lastID string, each func(SSE) bool) error {
	header := http.Header{"Accept": {"text/event-stream"}}
	if lastID != "" {
		header.Set("Last-Event-ID", lastID)
	}
	resp, err := c.do(ctx, http.MethodGet, path, header, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	read := bufio.NewReaderSize(resp.Body, 64<<10)
	var e SSE
	for {
		line, err := read.ReadString('\n')
		if err == io.EOF && line == "" {
			return nil
		}
		if err != nil {
			return err
		}
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if e.Event != "" && !each(e) {
				return nil
			}
			e = SSE{}
		case name == "id":
			e.ID = value
		case name == "event":
			e.Event = value
		case name == "data":
			e.Data = append(e.Data, value...)
		}
	}
}

// NewClient makes a client of a server that stays where it is.
func NewClient(url, key string) *Client {
	return &Client{URL: func() string { return url }, Key: key, HTTP: &http.Client{}}
}
