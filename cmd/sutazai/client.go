package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 64 << 20

// client calls /api/v1. Its values are exactly core's JSON.
type client struct{ conn *connector }

// call is one request. A call that may be repeated is sent again, once, when a local server went away under it.
type call struct {
	method  string
	path    string // without /api/v1
	query   url.Values
	body    any
	idemKey string
}

func (c call) repeatable() bool { return c.method == http.MethodGet || c.idemKey != "" }

// do sends the call and decodes the answer into out, unless out is nil. Every error is a *core.Error or ctx's.
func (c *client) do(ctx context.Context, r call, out any) error {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
	}
	for attempt := 1; ; attempt++ {
		ep, err := c.conn.get(ctx)
		if err != nil {
			return err
		}
		res, err := ep.send(ctx, r, body, nil)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if ep.local && !ep.hosted && attempt == 1 && r.repeatable() {
				c.conn.forget(ep)
				continue
			}
			return ep.unreachable(err)
		}
		return decode(ep, res, out)
	}
}

// send makes one HTTP request.
func (e *endpoint) send(ctx context.Context, r call, body []byte, header http.Header) (*http.Response, error) {
	path := "/api/v1" + r.path
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	h := header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	if h.Get("Accept") == "" {
		h.Set("Accept", "application/json, application/problem+json")
	}
	if r.idemKey != "" {
		h.Set("Idempotency-Key", r.idemKey)
	}
	return e.sendTo(ctx, r.method, path, h, body)
}

// sendTo makes one HTTP request of any address of the server, as the caller that the command line is.
func (e *endpoint) sendTo(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, e.base+path, reader)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if e.apiKey != "" {
		req.Header.Set("Authorization", "Bearer "+e.apiKey)
	}
	return e.http.Do(req)
}

// decode reads an answer: the value of a success, the problem of a failure.
func decode(ep *endpoint, res *http.Response, out any) error {
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return problem(ep, res)
	}
	if out == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // so that the connection is used again
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return ep.unreachable(err)
		}
		return core.Wrap(core.CodeInternal, err, "the answer of %s is not what a SutazAI server sends; do both have the same version?", ep.base)
	}
	return nil
}

// problem reads RFC 9457; what is not one comes from something else than SutazAI, such as a proxy on the way.
func problem(ep *endpoint, res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var p struct {
		Title  string            `json:"title"`
		Detail string            `json:"detail"`
		Code   core.Code         `json:"code"`
		Errors []core.FieldError `json:"errors"`
	}
	isProblem := kind == "application/problem+json" && json.Unmarshal(body, &p) == nil
	if !isProblem {
		if location := res.Header.Get("Location"); res.StatusCode < 400 && location != "" {
			return core.Errorf(core.CodeUnavailable, "%s sends us on to %s; give that address with --server", ep.base, clean(location))
		}
		return core.Errorf(codeOfStatus(res.StatusCode), "%s answered %s; is it the address of a SutazAI server?", ep.base, res.Status)
	}
	e := &core.Error{Code: p.Code, Message: p.Detail, Fields: p.Errors}
	if e.Message == "" {
		e.Message = p.Title
	}
	for _, f := range p.Errors {
		if !strings.Contains(e.Message, f.Message) {
			e.Message += "; " + f.Field + ": " + f.Message
		}
	}
	if _, known := exitOf(e.Code); !known {
		e.Code = codeOfStatus(res.StatusCode)
	}
	if e.Code == core.CodeUnauthorized && ep.apiKey == "" && !ep.local {
		e.Message = strings.TrimRight(e.Message, ".") + "; give a key with --api-key or SUTAZAI_API_KEY (make one with `sutazai keys create`)"
	}
	return e
}

// codeOfStatus is the code for an HTTP status when the answer names none.
func codeOfStatus(status int) core.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusUnsupportedMediaType, http.StatusMisdirectedRequest:
		return core.CodeInvalid
	case http.StatusUnauthorized:
		return core.CodeUnauthorized
	case http.StatusForbidden:
		return core.CodeForbidden
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return core.CodeNotFound
	case http.StatusConflict:
		return core.CodeConflict
	case http.StatusRequestEntityTooLarge:
		return core.CodeTooLarge
	case http.StatusTooManyRequests:
		return core.CodeRateLimited
	case http.StatusInsufficientStorage:
		return core.CodeStorageFull
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return core.CodeUnavailable
	case http.StatusGatewayTimeout:
		return core.CodeTimeout
	}
	return core.CodeInternal
}

// page is one page of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// newRun is the body of POST /runs.
type newRun struct {
	Agent    string            `json:"agent"`
	Input    string            `json:"input"`
	Files    []newFile         `json:"files,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Limits   *core.Limits      `json:"limits,omitempty"`
}

// newFile is one attached file.
type newFile struct {
	Name    string `json:"name"`
	Content []byte `json:"content_base64"` // base64 on the wire
}

// verdict is the body of POST /approvals/{id}.
type verdict struct {
	Decision  core.Decision   `json:"decision"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Result    string          `json:"result,omitempty"`
	Comment   string          `json:"comment,omitempty"`
}

// newKey is the body of POST /keys; createdKey is its answer.
type newKey struct {
	Name      string       `json:"name"`
	Scopes    []core.Scope `json:"scopes"`
	Project   string       `json:"project,omitempty"`
	ExpiresAt *time.Time   `json:"expires_at,omitempty"`
}

type createdKey struct {
	Key    core.APIKey `json:"key"`
	Secret string      `json:"secret"`
}

func (c *client) startRun(ctx context.Context, r newRun, idemKey string) (core.Run, error) {
	var run core.Run
	err := c.do(ctx, call{method: http.MethodPost, path: "/runs", body: r, idemKey: idemKey}, &run)
	return run, err
}

func (c *client) run(ctx context.Context, id string) (core.Run, error) {
	var run core.Run
	err := c.do(ctx, call{method: http.MethodGet, path: "/runs/" + url.PathEscape(id)}, &run)
	return run, err
}

func (c *client) runs(ctx context.Context, f core.RunFilter) (page[core.Run], error) {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("agent", f.Agent)
	set("status", string(f.Status))
	set("parent", f.Parent)
	set("before", f.Before)
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	var p page[core.Run]
	err := c.do(ctx, call{method: http.MethodGet, path: "/runs", query: q}, &p)
	return p, err
}

func (c *client) steps(ctx context.Context, run string) ([]core.Step, error) {
	return list[core.Step](ctx, c, "/runs/"+url.PathEscape(run)+"/steps", nil)
}

// act posts to one of a run's actions: cancel or resume.
func (c *client) act(ctx context.Context, run, action string) (core.Run, error) {
	var out core.Run
	err := c.do(ctx, call{method: http.MethodPost, path: "/runs/" + url.PathEscape(run) + "/" + action}, &out)
	return out, err
}

// approvals lists approvals with the status, of one run or of all when run is "".
func (c *client) approvals(ctx context.Context, status core.ApprovalStatus, run string) ([]core.Approval, error) {
	q := url.Values{"status": {string(status)}}
	if run != "" {
		q.Set("run", run)
	}
	return list[core.Approval](ctx, c, "/approvals", q)
}

func (c *client) decide(ctx context.Context, id string, v verdict) (core.Approval, error) {
	var out core.Approval
	err := c.do(ctx, call{method: http.MethodPost, path: "/approvals/" + url.PathEscape(id), body: v}, &out)
	return out, err
}

func (c *client) agent(ctx context.Context, name string) (core.AgentStatus, error) {
	var out core.AgentStatus
	err := c.do(ctx, call{method: http.MethodGet, path: "/agents/" + url.PathEscape(name)}, &out)
	return out, err
}

func (c *client) createKey(ctx context.Context, k newKey) (createdKey, error) {
	var out createdKey
	err := c.do(ctx, call{method: http.MethodPost, path: "/keys", body: k}, &out)
	return out, err
}

func (c *client) revokeKey(ctx context.Context, id string) (core.APIKey, error) {
	var out core.APIKey
	err := c.do(ctx, call{method: http.MethodDelete, path: "/keys/" + url.PathEscape(id)}, &out)
	return out, err
}

// list reads a list whole, page by page.
func list[T any](ctx context.Context, c *client, path string, query url.Values) ([]T, error) {
	items := []T{}
	for {
		var p page[T]
		if err := c.do(ctx, call{method: http.MethodGet, path: path, query: query}, &p); err != nil {
			return nil, err
		}
		items = append(items, p.Items...)
		if p.Next == "" || len(p.Items) == 0 {
			return items, nil
		}
		q := url.Values{}
		for k, v := range query {
			q[k] = v
		}
		q.Set("before", p.Next)
		query = q
	}
}

// findRun turns what a person typed into a run: a whole id, its beginning, or the end of a recent one.
func (c *client) findRun(ctx context.Context, typed string) (core.Run, error) {
	const whole = "ffffffff-ffff-ffff-ffff-ffffffffffff"
	if typed == "" || len(typed) >= len(whole) || strings.Trim(strings.ToLower(typed), "0123456789abcdef-") != "" {
		return c.run(ctx, typed)
	}
	// Ids grow with time and lists are sorted by them: the newest id with this beginning comes right before the
	// beginning filled up with the highest digit.
	prefix := strings.ToLower(typed)
	p, err := c.runs(ctx, core.RunFilter{Before: prefix + whole[len(prefix):], Limit: 2})
	if err != nil {
		return core.Run{}, err
	}
	var hits []core.Run
	for _, r := range p.Items {
		if strings.HasPrefix(r.ID, prefix) {
			hits = append(hits, r)
		}
	}
	if len(hits) == 0 { // the console shows the end of an id
		if p, err = c.runs(ctx, core.RunFilter{Limit: 200}); err != nil {
			return core.Run{}, err
		}
		for _, r := range p.Items {
			if strings.HasSuffix(r.ID, prefix) {
				hits = append(hits, r)
			}
		}
	}
	switch len(hits) {
	case 0:
		return core.Run{}, core.Errorf(core.CodeNotFound, "no run has an id that begins with %q; list them with `sutazai runs list`", typed)
	case 1:
		return hits[0], nil
	}
	return core.Run{}, core.Errorf(core.CodeInvalid, "%q is a part of more than one run's id (%s, %s, …); type more of it", typed, hits[0].ID, hits[1].ID)
}
