package openai

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

type embeddingRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Format     string          `json:"encoding_format"`
	Dimensions int             `json:"dimensions"`
	User       string          `json:"user"`
}

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or the base64 of their little-endian bytes
}

type embeddingList struct {
	Object string      `json:"object"`
	Data   []embedding `json:"data"`
	Model  string      `json:"model"`
	Usage  struct {
		PromptTokens int64 `json:"prompt_tokens"`
		TotalTokens  int64 `json:"total_tokens"`
	} `json:"usage"`
}

const maxInputs = 2048 // of one call, as at OpenAI

func (h *handler) embeddings(w http.ResponseWriter, r *http.Request) {
	body, err := backend.ReadBody(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	var q embeddingRequest
	if err := decodeJSON(body, &q); err != nil {
		h.fail(w, r, err)
		return
	}
	inputs, err := q.inputs()
	if err != nil {
		h.fail(w, r, err)
		return
	}
	res, err := h.Chats.Embed(r.Context(), core.EmbedRequest{
		Model: q.Model, Inputs: inputs, Dimensions: q.Dimensions, User: q.User, Caller: backend.CallerOf(r.Context()), CacheControl: backend.CacheControlOf(r),
	})
	if err != nil {
		if r.Context().Err() == nil {
			h.fail(w, r, err)
		}
		return
	}
	out := embeddingList{Object: "list", Data: make([]embedding, len(res.Vectors)), Model: q.Model}
	for i, v := range res.Vectors {
		out.Data[i] = embedding{Object: "embedding", Index: i, Embedding: v}
		if q.Format == "base64" {
			out.Data[i].Embedding = base64.StdEncoding.EncodeToString(littleEndian(v))
		}
	}
	out.Usage.PromptTokens, out.Usage.TotalTokens = res.Usage.InputTokens, res.Usage.InputTokens
	backend.WriteOpenAIJSON(w, http.StatusOK, out)
}

func (q embeddingRequest) inputs() ([]string, error) {
	switch {
	case q.Model == "":
		return nil, backend.OpenAIBadRequest("model", "you must provide a model parameter")
	case q.Format != "" && q.Format != "float" && q.Format != "base64":
		return nil, backend.OpenAIBadRequest("encoding_format", "Invalid value: '%s'. Supported values are: 'float' and 'base64'.", q.Format)
	case q.Dimensions < 0:
		return nil, backend.OpenAIBadRequest("dimensions", "Invalid 'dimensions': it cannot be negative.")
	}
	var one string
	if json.Unmarshal(q.Input, &one) == nil {
		return []string{one}, nil
	}
	var many []string
	if json.Unmarshal(q.Input, &many) != nil {
		return nil, backend.OpenAIBadRequest("input", "Invalid type for 'input': expected a string or an array of strings; token ids are not supported, because they differ between models.")
	}
	if len(many) == 0 || len(many) > maxInputs {
		return nil, backend.OpenAIBadRequest("input", "Invalid 'input': expected 1 to %d texts, got %d.", maxInputs, len(many))
	}
	return many, nil
}

func littleEndian(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func decodeMetadata(v []byte, c *dialect.Call) error {
	if json.Unmarshal(v, &c.Metadata) != nil {
		return backend.OpenAIBadRequest("metadata", "Invalid type for 'metadata': expected an object of strings.")
	}
	return nil
}
