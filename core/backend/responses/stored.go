package responses

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// Bounds of a page of input items.
const (
	pageSize = 20
	maxPage  = 100
)

// find returns the response that a request names; nobody learns whether another has it.
func (h *handler) find(r *http.Request) (core.StoredResponse, error) {
	id := r.PathValue("id")
	res, err := h.Store.Get(r.Context(), backend.CallerOf(r.Context()).Actor, id, h.Now())
	return res, notFound(id, err)
}

func notFound(id string, err error) error {
	if code := core.CodeOf(err); code != core.CodeNotFound && code != core.CodeForbidden {
		return err
	}
	return &backend.OpenAIError{Status: http.StatusNotFound, Type: "invalid_request_error", Message: "Response with id '" + id + "' not found."}
}

// get answers GET /v1/responses/{id}.
func (h *handler) get(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("stream") == "true" {
		h.fail(w, r, backend.OpenAIBadRequest("stream", "Only responses in the background can be streamed again, and they are not supported; ask without 'stream'."))
		return
	}
	res, err := h.find(r)
	if err == nil && res.Response == nil {
		err = tooLarge("response_id", res.ID)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	backend.WriteOpenAIJSON(w, http.StatusOK, res.Response)
}

func tooLarge(param, id string) error {
	return &backend.OpenAIError{Status: http.StatusNotFound, Type: "invalid_request_error", Param: param,
		Message: "The content of the response '" + id + "' was too large to be kept."}
}

// delete answers DELETE /v1/responses/{id}.
func (h *handler) delete(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := h.Store.Delete(r.Context(), backend.CallerOf(r.Context()).Actor, id, h.Now()); err != nil {
		h.fail(w, r, notFound(id, err))
		return
	}
	backend.WriteOpenAIJSON(w, http.StatusOK, map[string]any{"id": id, "object": "response", "deleted": true})
}

// cancel answers POST /v1/responses/{id}/cancel.
func (h *handler) cancel(w http.ResponseWriter, r *http.Request) {
	if _, err := h.find(r); err != nil {
		h.fail(w, r, err)
		return
	}
	h.fail(w, r, backend.OpenAIBadRequest("", "Only a response in the background can be cancelled, and they are not supported; to stop any other, close its connection."))
}

type page struct {
	Object  string            `json:"object"`
	Data    []json.RawMessage `json:"data"`
	FirstID *string           `json:"first_id"`
	LastID  *string           `json:"last_id"`
	HasMore bool              `json:"has_more"`
}

// inputItems answers GET /v1/responses/{id}/input_items.
func (h *handler) inputItems(w http.ResponseWriter, r *http.Request) {
	p, err := h.page(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	backend.WriteOpenAIJSON(w, http.StatusOK, p)
}

func (h *handler) page(r *http.Request) (page, error) {
	out := page{Object: "list", Data: []json.RawMessage{}}
	query := r.URL.Query()
	limit := pageSize
	if v := query.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxPage {
			return out, backend.OpenAIBadRequest("limit", "Invalid 'limit': expected a number from 1 to %d.", maxPage)
		}
		limit = n
	}
	order := query.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return out, backend.OpenAIBadRequest("order", "Invalid value: '%s'. Supported values are: 'asc' and 'desc'.", order)
	}
	res, err := h.find(r)
	if err != nil {
		return out, err
	}
	if res.Input == nil {
		return out, tooLarge("response_id", res.ID)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(res.Input, &items); err != nil {
		return out, core.Wrap(core.CodeInternal, err, "the stored input of the response %s cannot be read", res.ID)
	}
	if order != "asc" {
		slices.Reverse(items)
	}
	if after := query.Get("after"); after != "" {
		i := slices.IndexFunc(items, func(b json.RawMessage) bool { return *idOf(b) == after })
		if i < 0 {
			return out, backend.OpenAIBadRequest("after", "Invalid 'after': there is no item '%s'.", after)
		}
		items = items[i+1:]
	}
	if len(items) > limit {
		items, out.HasMore = items[:limit], true
	}
	if len(items) > 0 {
		out.Data, out.FirstID, out.LastID = items, idOf(items[0]), idOf(items[len(items)-1])
	}
	return out, nil
}

func idOf(item json.RawMessage) *string {
	id := ""
	if o, err := dialect.Scan(item); err == nil {
		id, _ = o.Text("id")
	}
	return &id
}

// texts are the fields of an object that are texts.
func texts(o dialect.Object) map[string]string {
	var out map[string]string
	if json.Unmarshal(o.Bytes, &out) != nil {
		return nil
	}
	return out
}
