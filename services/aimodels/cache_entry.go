package aimodels

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// cacheEntry is an answer that is kept: in the client's own bytes, or translated.
type cacheEntry struct {
	Created  time.Time
	Model    string     // "provider/model" that answered
	Usage    core.Usage // what it took, and a hit saves
	Raw      []byte     // the whole body, or all events of a stream
	Response *core.ModelResponse
}

// What an entry holds, its first byte.
const (
	entryRaw     byte = 1
	entryNeutral byte = 2
)

var errCacheEntry = errors.New("this is not an entry of the cache")

// encodeEntry returns the bytes of an entry: its kind, when it was made, its usage, who answered, and the answer.
func encodeEntry(e cacheEntry) ([]byte, error) {
	payload, kind := e.Raw, entryRaw
	if e.Response != nil {
		var err error
		if payload, err = json.Marshal(responseToCache(e.Response)); err != nil {
			return nil, err
		}
		kind = entryNeutral
	}
	out := make([]byte, 0, len(payload)+len(e.Model)+80)
	out = append(out, kind)
	for _, n := range []int64{
		e.Created.UnixMilli(), e.Usage.InputTokens, e.Usage.OutputTokens, e.Usage.CachedTokens, e.Usage.ReasoningTokens, e.Usage.CostMicroUSD,
	} {
		out = binary.AppendVarint(out, n)
	}
	out = appendParts(out, e.Model)
	return append(out, payload...), nil
}

// decodeEntry reads what encodeEntry wrote. Raw is part of b.
func decodeEntry(b []byte) (cacheEntry, error) {
	if len(b) == 0 {
		return cacheEntry{}, errCacheEntry
	}
	kind, b := b[0], b[1:]
	var numbers [6]int64
	for i := range numbers {
		n, used := binary.Varint(b)
		if used <= 0 {
			return cacheEntry{}, errCacheEntry
		}
		numbers[i], b = n, b[used:]
	}
	size, used := binary.Uvarint(b)
	if used <= 0 || size > uint64(len(b)-used) {
		return cacheEntry{}, errCacheEntry
	}
	model, payload := b[used:used+int(size)], b[used+int(size):]
	e := cacheEntry{Created: time.UnixMilli(numbers[0]), Model: string(model), Usage: core.Usage{
		InputTokens: numbers[1], OutputTokens: numbers[2], CachedTokens: numbers[3], ReasoningTokens: numbers[4], CostMicroUSD: numbers[5],
	}}
	switch kind {
	case entryRaw:
		e.Raw = payload
		return e, nil
	case entryNeutral:
		var r cachedResponse
		if err := json.Unmarshal(payload, &r); err != nil {
			return cacheEntry{}, errCacheEntry
		}
		e.Response = r.response()
		e.Response.Usage, e.Response.Model = e.Usage, e.Model
		return e, nil
	}
	return cacheEntry{}, errCacheEntry
}

// replay gives the answer to a client: a stream gets it all at once.
func (e cacheEntry) replay(out dialect.Answer, stream bool) error {
	if e.Response == nil {
		return out.Raw(e.Raw)
	}
	if stream {
		d := core.Delta{Attempt: 1, Text: e.Response.Message.Text}
		for _, p := range e.Response.Message.Parts {
			if p.Kind == core.PartReasoning {
				d.Reasoning += p.Text
			}
		}
		if d.Text != "" || d.Reasoning != "" {
			if err := out.Delta(d); err != nil {
				return err
			}
		}
	}
	return out.Done(*e.Response)
}

// cachedResponse is core.ModelResponse as it lies in the cache. Usage and model stand beside it.
type cachedResponse struct {
	Text      string            `json:"text,omitempty"`
	Parts     []cachedPart      `json:"parts,omitempty"`
	ToolCalls []core.ToolCall   `json:"tool_calls,omitempty"`
	Finish    core.FinishReason `json:"finish"`
	StopText  string            `json:"stop_text,omitempty"`
}

type cachedPart struct {
	Kind      core.PartKind `json:"kind"`
	Text      string        `json:"text,omitempty"`
	MediaType string        `json:"media_type,omitempty"`
	Data      []byte        `json:"data,omitempty"`
	URL       string        `json:"url,omitempty"`
	Name      string        `json:"name,omitempty"`
	Detail    string        `json:"detail,omitempty"`
	Signature string        `json:"signature,omitempty"`
}

func responseToCache(r *core.ModelResponse) cachedResponse {
	out := cachedResponse{Text: r.Message.Text, ToolCalls: r.Message.ToolCalls, Finish: r.Finish, StopText: r.StopText}
	for _, p := range r.Message.Parts {
		out.Parts = append(out.Parts, cachedPart(p))
	}
	return out
}

func (c cachedResponse) response() *core.ModelResponse {
	r := &core.ModelResponse{
		Message: core.Message{Role: core.RoleAssistant, Text: c.Text, ToolCalls: c.ToolCalls},
		Finish:  c.Finish, StopText: c.StopText,
	}
	for _, p := range c.Parts {
		r.Message.Parts = append(r.Message.Parts, core.Part(p))
	}
	return r
}
