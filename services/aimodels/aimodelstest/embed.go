package aimodelstest

import (
	"encoding/json"
	"hash/fnv"
	"math"
	"net/http"
	"strings"
)

// VectorSize is the number of numbers in a scripted vector, unless a request asks for fewer.
const VectorSize = 64

// maxEmbedText is the longest text that scripted servers embed, in bytes.
const maxEmbedText = 4000

// Vector is what scripted servers make of a text: it counts the text's words, each at a place that its hash chooses, and
// has the length 1. Texts with words in common are near each other.
func Vector(text string, size int) []float32 {
	v := make([]float32, size)
	for _, word := range strings.Fields(strings.ToLower(text)) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(strings.Trim(word, ".,;:!?\"'()")))
		v[h.Sum32()%uint32(size)]++ //nolint:gosec // sizes are small
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		v[0], sum = 1, 1
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// embed reads a request, in which both dialects agree, and gives its texts and vectors; it has answered where ok is false.
func (s *Server) embed(w http.ResponseWriter, r *http.Request) (model string, texts []string, vectors [][]float32, ok bool) {
	if !s.authorized(w, r) {
		return "", nil, nil, false
	}
	var in struct {
		Model      string          `json:"model"`
		Input      json.RawMessage `json:"input"`
		Dimensions int             `json:"dimensions"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<20)).Decode(&in); err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return "", nil, nil, false
	}
	var one string
	if json.Unmarshal(in.Input, &one) == nil {
		texts = []string{one}
	} else if err := json.Unmarshal(in.Input, &texts); err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return "", nil, nil, false
	}
	size := VectorSize
	if in.Dimensions > 0 {
		size = min(in.Dimensions, VectorSize)
	}
	for _, t := range texts {
		if len(t) > maxEmbedText {
			s.fail(w, http.StatusBadRequest, "the input length exceeds the context length")
			return "", nil, nil, false
		}
		vectors = append(vectors, Vector(t, size))
	}
	w.Header().Set("Content-Type", "application/json")
	return in.Model, texts, vectors, true
}

func words(texts []string) int {
	n := 0
	for _, t := range texts {
		n += len(strings.Fields(t))
	}
	return n
}
