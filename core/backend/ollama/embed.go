package ollama

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

const maxInputs = 2048 // texts in one call

type embedAnswer struct {
	Model       string      `json:"model"`
	Embeddings  [][]float32 `json:"embeddings"`
	Total       int64       `json:"total_duration"` // nanoseconds
	Load        int64       `json:"load_duration"`
	PromptCount int64       `json:"prompt_eval_count"`
}

// embed answers POST /api/embed. A text that does not fit the model is an error, also where the client would have it cut
// (truncate): what is left out of a vector without a word is missed later.
func (h *handler) embed(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Model      string          `json:"model"`
		Input      json.RawMessage `json:"input"`
		Dimensions int             `json:"dimensions"`
	}
	began := h.Now()
	if err := read(r, &q); err != nil {
		h.fail(w, r, err)
		return
	}
	inputs, err := texts(q.Input)
	if err == nil && q.Dimensions < 0 {
		err = badRequest("dimensions must not be negative")
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	res, err := h.vectors(r, core.EmbedRequest{Model: q.Model, Inputs: inputs, Dimensions: q.Dimensions})
	if err != nil {
		h.unlessGone(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, embedAnswer{
		Model: q.Model, Embeddings: res.Vectors, Total: int64(h.Now().Sub(began)), PromptCount: res.Usage.InputTokens,
	})
}

// embeddings answers POST /api/embeddings, the older call for one text.
func (h *handler) embeddings(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Model  string `json:"model"`
		Prompt string `json:"prompt"`
	}
	if err := read(r, &q); err != nil {
		h.fail(w, r, err)
		return
	}
	var inputs []string
	if q.Prompt != "" {
		inputs = []string{q.Prompt}
	}
	res, err := h.vectors(r, core.EmbedRequest{Model: q.Model, Inputs: inputs})
	if err != nil {
		h.unlessGone(w, r, err)
		return
	}
	vector := []float32{}
	if len(res.Vectors) > 0 {
		vector = res.Vectors[0]
	}
	writeJSON(w, http.StatusOK, map[string]any{"embedding": vector})
}

// vectors asks for the vectors. Without a text it is the way in which clients have a model loaded.
func (h *handler) vectors(r *http.Request, req core.EmbedRequest) (core.EmbedResponse, error) {
	if len(req.Inputs) == 0 {
		_, err := h.find(r.Context(), req.Model)
		return core.EmbedResponse{Vectors: [][]float32{}}, err
	}
	if req.Model == "" {
		return core.EmbedResponse{}, badRequest("model is required")
	}
	req.Caller, req.CacheControl = backend.CallerOf(r.Context()), backend.CacheControlOf(r)
	res, err := h.Chats.Embed(r.Context(), req)
	name, tagged := strings.CutSuffix(req.Model, latest)
	if !tagged || !unknown(err) {
		return res, err
	}
	req.Model = name
	if again, why := h.Chats.Embed(r.Context(), req); !unknown(why) {
		return again, why
	}
	return res, err
}

// texts reads a text or a list of texts.
func texts(input json.RawMessage) ([]string, error) {
	if len(input) == 0 || string(input) == "null" || string(input) == `""` {
		return nil, nil
	}
	var one string
	if json.Unmarshal(input, &one) == nil {
		return []string{one}, nil
	}
	var list []string
	if json.Unmarshal(input, &list) != nil {
		return nil, badRequest("input must be a text or a list of texts")
	}
	if len(list) > maxInputs {
		return nil, badRequest("input has %d texts; at most %d can be sent at once", len(list), maxInputs)
	}
	for i, t := range list {
		if t == "" {
			return nil, badRequest("input[%d] is empty", i)
		}
	}
	return list, nil
}

// unlessGone tells of an error, where the client is still there to read it.
func (h *handler) unlessGone(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		h.fail(w, r, err)
	}
}

func read(r *http.Request, into any) error {
	body, err := backend.ReadBody(r)
	if err != nil {
		return err
	}
	return decode(body, into)
}
