package ollama

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// options are those that other dialects know too. What is special to Ollama's own servers, such as num_ctx or mirostat, has
// an effect only there.
type options struct {
	NumPredict  json.Number `json:"num_predict"` // -1 = without a bound, -2 = as much as fits
	TopK        json.Number `json:"top_k"`
	Seed        json.Number `json:"seed"`
	Temperature *float64    `json:"temperature"`
	TopP        *float64    `json:"top_p"`
	Presence    *float64    `json:"presence_penalty"`
	Frequency   *float64    `json:"frequency_penalty"`
	Stop        []string    `json:"stop"`
}

// common are the fields that chat and generate share.
type common struct {
	Model    string          `json:"model"`
	Format   json.RawMessage `json:"format"`
	Options  options         `json:"options"`
	Think    json.RawMessage `json:"think"`
	Logprobs bool            `json:"logprobs"`
}

// request translates the common fields.
func (c common) request() (core.ModelRequest, error) {
	o := c.Options
	req := core.ModelRequest{
		Model: c.Model, Temperature: o.Temperature, TopP: o.TopP, Presence: o.Presence, Frequency: o.Frequency, Stop: o.Stop,
	}
	if c.Logprobs {
		return req, badRequest("logprobs can be had from an Ollama server only; the model %s is behind another one", c.Model)
	}
	predict, err := integer("num_predict", o.NumPredict)
	if err != nil {
		return req, err
	}
	if predict != nil {
		req.MaxTokens = int(max(0, *predict))
	}
	k, err := integer("top_k", o.TopK)
	if err != nil {
		return req, err
	}
	if k != nil && *k > 0 { // 0 switches the bound off, which is what leaving it out does
		req.TopK = new(int(*k))
	}
	if req.Seed, err = integer("seed", o.Seed); err != nil {
		return req, err
	}
	if err := c.format(&req); err != nil {
		return req, err
	}
	req.Reasoning, err = c.effort()
	return req, err
}

// integer reads a whole number, which clients also write as 128.0.
func integer(name string, n json.Number) (*int64, error) {
	if n == "" {
		return nil, nil //nolint:nilnil // not given
	}
	if i, err := n.Int64(); err == nil {
		return &i, nil
	}
	f, err := n.Float64()
	if err != nil || f != float64(int64(f)) {
		return nil, badRequest("options.%s must be a whole number, not %s", name, n)
	}
	return new(int64(f)), nil
}

func (c common) format(req *core.ModelRequest) error {
	switch f := string(c.Format); {
	case f == "" || f == "null" || f == `""`:
	case f == `"json"`:
		req.JSONObject = true
	case f[0] == '{':
		req.Schema = c.Format
	default:
		return badRequest(`format must be "json" or a JSON Schema`)
	}
	return nil
}

// effort reads think: whether and how much to think before the answer.
func (c common) effort() (string, error) {
	switch string(c.Think) {
	case "", "null":
		return "", nil
	case "false":
		return "none", nil
	case "true", `"medium"`:
		return "medium", nil
	case `"low"`:
		return "low", nil
	case `"high"`, `"max"`:
		return "high", nil
	default:
		return "", badRequest(`think must be true, false, "low", "medium" or "high"`)
	}
}

// imageParts makes parts of images in base64. Their kind is told by their first bytes, as this dialect names none.
func imageParts(field string, images [][]byte) ([]core.Part, error) {
	var parts []core.Part
	for i, data := range images {
		kind := http.DetectContentType(data)
		if !strings.HasPrefix(kind, "image/") {
			return nil, badRequest("%s[%d] is not an image that is known here; send PNG, JPEG, GIF or WebP in base64", field, i)
		}
		parts = append(parts, core.Part{Kind: core.PartImage, MediaType: kind, Data: data})
	}
	return parts, nil
}

// typed makes an error of the decoder one that says which field is wrong.
func typed(err error) error {
	if err == nil {
		return nil
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if t.Field == "" {
			return badRequest("the body must be an object, not %s", t.Value)
		}
		return badRequest("%s has the wrong type: %s", t.Field, t.Value)
	}
	return badRequest("the body cannot be read: %s", err)
}
