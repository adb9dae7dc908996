package aimodelstest

import (
	"encoding/json"
	"net/http"

	"github.com/sutazai/sutazai/core"
)

// AzureServer is a scripted Azure OpenAI resource, which has both forms of addresses; its endpoint is the server's root.
func AzureServer(script Script, models ...string) *Server {
	s := newServer(script, models, azure{}, "/openai/deployments/{deployment}/chat/completions", "/openai/models")
	s.mux.HandleFunc("POST /openai/v1/chat/completions", s.chat)
	s.mux.HandleFunc("GET /openai/v1/models", func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/openai/models"
		s.mux.ServeHTTP(w, r)
	})
	return s
}

// azure is OpenAI's dialect as Azure has it.
type azure struct{ openAI }

func (azure) keyHeader() string { return "Api-Key" }

func (a azure) decode(body []byte) (core.ModelRequest, bool, error) {
	req, stream, err := a.openAI.decode(body)
	if err != nil {
		return req, stream, err
	}
	var in struct {
		MaxTokens int `json:"max_completion_tokens"`
	}
	err = json.Unmarshal(body, &in)
	req.MaxTokens = max(req.MaxTokens, in.MaxTokens)
	return req, stream, err
}
