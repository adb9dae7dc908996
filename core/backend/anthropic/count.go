package anthropic

import (
	"net/http"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// estimateHeader says that a count of tokens is a guess, and by what rule.
const estimateHeader = "X-SutazAI-Estimate"

// What parts other than text are reckoned to hold, in tokens: an image of the size from which the dialect scales down
// (about 1.15 megapixels, at a token for every 750), and a PDF of one page.
const (
	imageTokens = 1600
	fileTokens  = 3000
)

// countTokens answers POST /v1/messages/count_tokens. Only a model's own server can count; which one a route would choose
// is known when it is called. So the count is the estimate by which budgets reserve: a token for every four characters.
func (h *handler) countTokens(w http.ResponseWriter, r *http.Request) {
	req, err := counted(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set(estimateHeader, "characters/4")
	writeJSON(w, r, http.StatusOK, map[string]int64{"input_tokens": estimate(req)})
}

func counted(r *http.Request) (core.ModelRequest, error) {
	body, err := backend.ReadBody(r)
	if err != nil {
		return core.ModelRequest{}, err
	}
	o, err := dialect.Scan(body)
	if err != nil {
		return core.ModelRequest{}, err
	}
	if err := check(o); err != nil {
		return core.ModelRequest{}, err
	}
	q, err := parse(body)
	if err != nil {
		return core.ModelRequest{}, err
	}
	return q.translate()
}

func estimate(req core.ModelRequest) int64 {
	var n int64
	for _, m := range req.Messages {
		for _, p := range m.Content() {
			switch {
			case p.Kind == core.PartImage:
				n += imageTokens
			case p.Kind == core.PartFile && p.MediaType == "text/plain":
				n += tokens(string(p.Data))
			case p.Kind == core.PartFile:
				n += fileTokens
			default:
				n += tokens(p.Text)
			}
		}
		for _, c := range m.ToolCalls {
			n += tokens(c.Name) + tokens(string(c.Arguments))
		}
	}
	for _, t := range req.Tools {
		n += tokens(t.Name) + tokens(t.Description) + tokens(string(t.Parameters))
	}
	return max(1, n+tokens(string(req.Schema)))
}

// tokens reckons a token for every four characters, rounded up.
func tokens(text string) int64 { return int64(utf8.RuneCountInString(text)+3) / 4 }
