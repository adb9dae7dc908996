package openai

import (
	"context"
	"net/http"
	"slices"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (h *handler) all(ctx context.Context) ([]modelObject, error) {
	models, err := h.Chats.List(ctx)
	if err != nil {
		return nil, err
	}
	out := []modelObject{}
	for _, m := range models {
		owner := m.Provider
		if owner == "" {
			owner = "sutazai"
		}
		out = append(out, modelObject{m.ID, "model", 0, owner})
	}
	return out, nil
}

func (h *handler) listModels(w http.ResponseWriter, r *http.Request) {
	list, err := h.all(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	backend.WriteOpenAIJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
}

func (h *handler) getModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("model")
	list, err := h.all(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	i := slices.IndexFunc(list, func(m modelObject) bool { return m.ID == id })
	if i < 0 {
		h.fail(w, r, &dialect.UnknownModel{Err: core.Errorf(core.CodeNotFound, "%q is not among the models of this server", id)})
		return
	}
	backend.WriteOpenAIJSON(w, http.StatusOK, list[i])
}
