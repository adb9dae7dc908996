package a2a

import (
	"bytes"
	"encoding/json"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/a2acheck"
	"github.com/sutazai/sutazai/internal/schema"
)

// looked holds an answer, or one event of it, to its form. It returns what the library may read: the library is less exact
// about names, and says less about what is wrong.
func (p *Peer) looked(e *expectation, raw []byte) ([]byte, error) {
	if err := a2acheck.Depth(raw); err != nil {
		return nil, err
	}
	var envelope map[string]json.RawMessage // a struct would take names in other letters
	isObject := json.Unmarshal(raw, &envelope) == nil && envelope != nil
	if !e.rpc {
		if failure := envelope["error"]; isObject && len(failure) > 0 {
			return raw, nil // the library reads it
		}
		return p.clean(e, "", raw)
	}
	if !isObject {
		return nil, core.Errorf(core.CodeInvalid, "the answer is no JSON-RPC object")
	}
	if v := envelope["jsonrpc"]; string(v) != `"2.0"` {
		return nil, core.Errorf(core.CodeInvalid, "jsonrpc: it is not \"2.0\"")
	}
	id := envelope["id"]
	if len(id) == 0 {
		return nil, core.Errorf(core.CodeInvalid, "id: it is missing")
	}
	if id[0] != '"' && string(id) != "null" { // the ids of requests are texts
		return nil, core.Errorf(core.CodeInvalid, "id: it is not that of the request")
	}
	out := map[string]json.RawMessage{"jsonrpc": envelope["jsonrpc"], "id": id}
	if failure := envelope["error"]; len(failure) > 0 && string(failure) != "null" {
		clean, err := rpcError(failure)
		if err != nil {
			return nil, err
		}
		out["error"] = clean
	} else {
		result := envelope["result"]
		if len(result) == 0 {
			return nil, core.Errorf(core.CodeInvalid, "result: it is missing, and so is error")
		}
		clean, err := p.clean(e, "result", result)
		if err != nil {
			return nil, err
		}
		out["result"] = clean
	}
	return written(out)
}

// clean holds what came to its form, where there is one.
func (p *Peer) clean(e *expectation, root string, raw []byte) ([]byte, error) {
	if e.form != "" {
		return p.check.Read(e.version, e.form, root, raw)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return raw, nil
	}
	v, err := schema.Decode(raw)
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "the answer is not JSON")
	}
	return written(v)
}

// rpcError holds an error of JSON-RPC to its form.
func rpcError(raw []byte) ([]byte, error) {
	var v map[string]json.RawMessage
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "error: it is no object with a whole number code and a text message")
	}
	var code int
	if json.Unmarshal(v["code"], &code) != nil || string(v["code"]) == "null" {
		return nil, core.Errorf(core.CodeInvalid, "error.code: a whole number is missing")
	}
	var message string
	if json.Unmarshal(v["message"], &message) != nil || string(v["message"]) == "null" {
		return nil, core.Errorf(core.CodeInvalid, "error.message: a text is missing")
	}
	out := map[string]any{"code": code, "message": message}
	var data []map[string]any
	if json.Unmarshal(v["data"], &data) == nil && data != nil { // what the library can read: others say other things here
		out["data"] = data
	}
	return written(out)
}

func written(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the answer cannot be written again")
	}
	return b, nil
}
