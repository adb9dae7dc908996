package openai

import (
	"context"
	"net/http"
	"slices"

	"github.com/sutazai/sutazai/core"
)

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (h *handler) all(ctx context.Context) ([]modelObject, error) {
	out := []modelObject{}
	for _, a := range h.Agents.List() {
		if a.Agent.Version == "" {
			continue // its file has never been right
		}
		out = append(out, modelObject{agentPrefix + a.Agent.Name, "model", 0, "sutazai"})
	}
	models, err := h.Models.Models(ctx)
	if err != nil {
		return nil, err
	}
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
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
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
		h.fail(w, r, noModel(id, core.Errorf(core.CodeNotFound, "it is not among the models of this server")))
		return
	}
	writeJSON(w, http.StatusOK, list[i])
}

func noModel(id string, why error) *apiError {
	return &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found",
		Message: "The model " + id + " does not exist: " + core.MessageOf(why)}
}
