package aimodels

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/sutazai/sutazai/internal/dialect"
)

// cacheForm numbers the form of keys and entries: what an older program kept under another number is never found.
const cacheForm = "1"

// exactKey is the SHA-256 over parts, each with its length: no two lists of parts have the same bytes.
func exactKey(parts ...string) [32]byte {
	var buf [512]byte
	return sha256.Sum256(appendParts(buf[:0], parts...))
}

func appendParts(out []byte, parts ...string) []byte {
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

// key is the key of a call whose body the document is. cut leaves one value of the body out; -1 = none.
func (d *cacheDocument) key(q cacheQuery, cut int32, more ...string) [32]byte {
	stream := "whole"
	if q.Call.Stream {
		stream = "stream"
	}
	out := appendParts(d.form[:0], cacheForm, string(q.Call.Dialect), stream, q.Route, q.Revision, q.Call.Caller.Project)
	out = binary.AppendUvarint(out, uint64(len(q.Call.Header)))
	if len(q.Call.Header) > 0 {
		for _, name := range slices.Sorted(maps.Keys(q.Call.Header)) {
			out = appendParts(out, name, q.Call.Header[name])
		}
	}
	out = binary.AppendUvarint(out, uint64(len(more)))
	out = appendParts(out, more...)
	d.form = d.write(out, 0, cut, func(name []byte) bool { return cacheIgnores(q.Call.Dialect, name) })
	return sha256.Sum256(d.form)
}

// cacheIgnores names the fields of a body that no answer depends on; docs/cache.md lists them. name has its quotes. The
// rest counts, fields that nobody here knows included.
//   - Who asks, in a client's own words (user, safety_identifier, Anthropic's metadata): providers use it against abuse.
//     The metadata of a Responses call comes back in its answer, so there it counts.
//   - How the provider serves it (its own prompt cache, its tier, how long Ollama keeps the model loaded).
//
// stream_options counts: it changes what a stream holds.
func cacheIgnores(n dialect.Name, name []byte) bool {
	switch n {
	case dialect.OpenAIChat:
		switch string(name) {
		case `"user"`, `"safety_identifier"`, `"metadata"`, `"prompt_cache_key"`, `"prompt_cache_retention"`, `"service_tier"`:
			return true
		}
	case dialect.OpenAIResponses:
		switch string(name) {
		case `"user"`, `"safety_identifier"`, `"prompt_cache_key"`, `"prompt_cache_retention"`, `"service_tier"`:
			return true
		}
	case dialect.Anthropic:
		return string(name) == `"metadata"` || string(name) == `"service_tier"`
	case dialect.OllamaChat, dialect.OllamaGenerate:
		return string(name) == `"keep_alive"`
	}
	return false
}

// cacheStateful says that a call does more than answer: the provider is to keep something, or to go on without the client.
// Such calls pass by the cache.
func cacheStateful(c *dialect.Call) bool {
	switch c.Dialect {
	case dialect.OpenAIChat:
		return c.Body.True("store")
	case dialect.OpenAIResponses:
		return c.Body.Has("conversation") || c.Body.True("background")
	}
	return false
}
